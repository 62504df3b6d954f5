"""Reads parsed TOML into the dataclasses of a scenario: every key known, of its type and inside its bounds."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, get_args

from domain.errors import ConfigError
from market.plans_part import Between


def read_table(kind: type[Any], raw: object, file: str, prefix: str = "") -> Any:
    """One table as its dataclass, key by key; `ConfigError` names file, key and remedy."""
    where = prefix.rstrip(".") or "the file"
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{file}: {where}: expected a table of keys, got {type(raw).__name__}")
    known = {f.name: f for f in dataclasses.fields(kind)}
    for key in raw:
        if key not in known:
            raise ConfigError(f"{file}: unknown key {prefix}{key}; {where} may hold {sorted(known)}")
    values: dict[str, Any] = {}
    for name, spec in known.items():
        if name in raw:
            values[name] = _value(spec.type, raw[name], file, f"{prefix}{name}")
        elif spec.default is dataclasses.MISSING:
            raise ConfigError(f"{file}: key {prefix}{name} is missing; add it")
    return kind(**values)


def _value(kind: Any, raw: object, file: str, key: str, within: Between | None = None) -> Any:
    """One value of the type and range that its key asks for."""
    stated, *rest = get_args(kind) or (kind,)
    if rest == [type(None)] and dataclasses.is_dataclass(stated):  # a part that may be left out
        kind = stated
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return read_table(kind, raw, file, f"{key}.")
    if hasattr(kind, "__metadata__"):  # Annotated
        return _value(get_args(kind)[0], raw, file, key, kind.__metadata__[0])
    if str(kind).startswith("tuple["):
        if not isinstance(raw, list):
            raise ConfigError(f"{file}: {key}: expected a list, got {raw!r}")
        return tuple(_value(get_args(kind)[0], item, file, f"{key}[{k}]", within) for k, item in enumerate(raw))
    if kind is str:
        if not isinstance(raw, str) or not raw.strip():
            raise ConfigError(f"{file}: {key}: expected a text, got {raw!r}")
        return raw
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(raw)
        except ValueError:
            raise ConfigError(f"{file}: {key}: {raw!r} is none of {[k.value for k in kind]}") from None
    if kind in (datetime, datetime | None):
        if not isinstance(raw, datetime) or raw.tzinfo is not None:
            raise ConfigError(f"{file}: {key}: expected a local time such as 2026-11-11T00:00:00, got {raw!r}")
        return raw
    assert within is not None, f"{key} has no range"
    whole = kind not in (float, float | None)
    if isinstance(raw, bool) or not isinstance(raw, int if whole else (int, float)):
        raise ConfigError(f"{file}: {key}: expected a {'whole ' if whole else ''}number, got {raw!r}")
    if not within.low <= raw <= within.high:
        raise ConfigError(f"{file}: {key}: must lie between {within.low:g} and {within.high:g}, got {raw!r}")
    return raw if whole else float(raw)
