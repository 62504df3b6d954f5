"""A promotion calendar from a TOML table: strict, every refusal says what is allowed."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Any, cast

from domain.errors import ConfigError
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.time import FIRST_YEAR, LAST_YEAR, Window

_KEYS = {"name", "kind", "start", "end", "budget", "traffic", "value", "price"}


def calendar_from_toml(table: Mapping[str, Any], source: str, tz: tzinfo) -> PromotionCalendar:
    """Calendar of the ``[[phase]]`` tables of a file.

    Parameters
    ----------
    table
        What the TOML reader gave.
    source
        Name of the file, for messages.
    tz
        Zone of times that have no offset.
    """
    unknown = set(table) - {"phase"}
    if unknown:
        raise ConfigError(f"{source}: unknown key {sorted(unknown)[0]!r}; the file holds [[phase]] tables only")
    given = table.get("phase")
    if not isinstance(given, list) or not given:
        raise ConfigError(f"{source}: no phase; add a [[phase]] table with name, kind, start and end")
    phases = [_phase(item, f"{source}, phase {k + 1}", tz) for k, item in enumerate(cast(list[Any], given))]
    return PromotionCalendar(tuple(sorted(phases, key=lambda p: p.window.start)))


def _phase(item: Any, where: str, tz: tzinfo) -> Phase:
    if not isinstance(item, dict):
        raise ConfigError(f"{where}: must be a table with name, kind, start and end")
    fields = cast(dict[str, Any], item)
    unknown, missing = set(fields) - _KEYS, {"name", "kind", "start", "end"} - set(fields)
    if unknown:
        raise ConfigError(f"{where}: unknown key {sorted(unknown)[0]!r}; allowed are {', '.join(sorted(_KEYS))}")
    if missing:
        raise ConfigError(f"{where}: {sorted(missing)[0]!r} is missing")
    kinds = [k.value for k in PhaseKind]
    if fields["kind"] not in kinds:
        raise ConfigError(f"{where}: kind {fields['kind']!r}; use one of {', '.join(kinds)}")
    numbers: dict[str, float] = {}
    for key in ("budget", "traffic", "value", "price"):
        number = fields.get(key)
        if number is not None:
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ConfigError(f"{where}: {key} must be a number, got {number!r}")
            numbers[key] = float(number)
    start, end = _instant(fields["start"], f"{where}: start", tz), _instant(fields["end"], f"{where}: end", tz)
    if end <= start:
        raise ConfigError(f"{where} ({fields['name']}): ends before it starts; write start and end in order")
    for what, instant in (("start", start), ("end", end)):
        local = instant.astimezone(tz)
        if local.minute or local.second:
            raise ConfigError(f"{where}: {what} {local.isoformat()} is not a full hour of the account's time zone")
    return Phase(name=str(fields["name"]), kind=PhaseKind(fields["kind"]), window=Window(start, end), **numbers)


def _instant(value: Any, where: str, tz: tzinfo) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ConfigError(f"{where}: cannot read {value!r}; write it as 2026-11-11T00:00") from error
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ConfigError(f"{where}: need a time such as 2026-11-11T00:00, got {value!r}")
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ConfigError(f"{where}: {value.isoformat()} lies outside the years {FIRST_YEAR} to {LAST_YEAR}")
    return (value if value.tzinfo else value.replace(tzinfo=tz)).astimezone(UTC)
