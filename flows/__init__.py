"""Prefect around the hour and the night: thin shells, with nothing in them that decides anything.

`flows.hourly:hourly` and `flows.nightly:nightly` are the flows; `flows.serve` starts them on their schedules.
"""

from flows.settings import keep_quiet

keep_quiet()  # before anything below imports Prefect
