"""What becomes of an hour's clicks and money after they were told: invalid clicks are credited back for days.

Of the amount that stood just before a row reached age k, restatements at that age change the share h_k (mostly down: a
credit; up where an hour is told in parts). A row of age a ends at

    final / told now = prod_{k > a} (1 + h_k)

which is the product-limit estimate (Kaplan & Meier 1958), weighted by the amounts. Each h_k is shrunk to nothing by some
amount without change, and ages that no row has reached yet change nothing.
"""

from dataclasses import dataclass

import numpy as np

from domain.tables import Floats, Ints
from predictors.sums import summed

#: Hours after which nothing changes any more that would matter; clicks without a change that each age is believed to have had.
LAST_AGE, PRIOR_CLICKS = 96, 200.0


@dataclass(frozen=True, slots=True)
class Credits:
    """What stays of amounts once they are final.

    Attributes
    ----------
    clicks, spend
        (LAST_AGE + 1,) final over told amount of an hour, by the row's age in hours.
    """

    clicks: Floats
    spend: Floats

    @property
    def clicks_kept(self) -> float:
        """Share of a coming hour's clicks that stays."""
        return float(self.clicks[0])

    @property
    def spend_kept(self) -> float:
        """Share of a coming hour's spend that stays."""
        return float(self.spend[0])


#: Nothing comes back.
NO_CREDITS = Credits(np.ones(LAST_AGE + 1), np.ones(LAST_AGE + 1))


def learn_credits(
    age: Ints, clicks: Floats, spend: Floats, changed_age: Ints, changed_clicks: Floats, changed_spend: Floats
) -> Credits:
    """Law of what stays, from hourly rows and what restatements changed of them.

    Parameters
    ----------
    age, clicks, spend
        (n_rows,) hours from the start of the row, or of rows of the same hour, to now, and what they hold now.
    changed_age, changed_clicks, changed_spend
        (n_changes,) age of the row when a change was told, and by how much its clicks and spend changed.
    """
    if not changed_age.size:
        return NO_CREDITS
    total = float(clicks.sum())
    cpc = float(spend.sum()) / total if total > 0 else 1.0
    return Credits(
        _law(age, clicks, changed_age, changed_clicks, PRIOR_CLICKS),
        _law(age, spend, changed_age, changed_spend, PRIOR_CLICKS * cpc),
    )


def _law(age: Ints, amount: Floats, changed_age: Ints, change: Floats, prior: float) -> Floats:
    size = LAST_AGE + 2
    changed = summed(np.clip(changed_age, 0, size - 1), change, size)
    reached = summed(np.clip(age, 0, size - 1), amount, size)[::-1].cumsum()[::-1]
    # what stood before the change: what the rows hold now without what came at this age and later
    stood = reached - changed[::-1].cumsum()[::-1]
    step = np.clip(changed / np.maximum(stood + prior, 1e-12), -0.5, 1.0)
    step[-1] = 0.0  # ages beyond the last are thrown together
    return np.cumprod((1.0 + step)[1:][::-1])[::-1].astype(np.float64, copy=False)
