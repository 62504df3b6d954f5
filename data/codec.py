"""Plans as text and columns: a frozen value of the domain becomes JSON plus one table of its arrays, and back.

Every value is stored with the name of its type, so that what is read equals what was written: dataclasses,
enumerations, hours, instants and tuples. Arrays go to a Parquet row of lists, tables to files of their own.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any, cast

import numpy as np
import polars as pl

from domain.errors import DataError
from domain.groups import Groups
from domain.plans import RowReport, SpendTargets
from domain.problem import Certificate, Status
from domain.time import Hour

_VALUES: Mapping[str, type] = {t.__name__: t for t in (SpendTargets, Groups, RowReport, Certificate)}
_ENUMS: Mapping[str, type[Enum]] = {"Status": Status}


def pack(value: Any, arrays: dict[str, Any], path: str = "value") -> Any:
    """JSON tree of a value; arrays are put into `arrays` under the path of their field."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if np.isfinite(number) else {"$": "float", "is": repr(number)}
    if isinstance(value, Enum):
        return {"$": type(value).__name__, "is": value.value}
    if isinstance(value, Hour):
        return {"$": "Hour", "is": value.start.isoformat()}
    if isinstance(value, datetime):
        return {"$": "datetime", "is": value.isoformat()}
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {"$": "array", "is": path}
    if isinstance(value, tuple):
        return [pack(item, arrays, f"{path}.{n}") for n, item in enumerate(cast(tuple[Any, ...], value))]
    if type(value).__name__ in _VALUES:
        tree: dict[str, Any] = {"$": type(value).__name__}
        for field in fields(value):
            tree[field.name] = pack(getattr(value, field.name), arrays, f"{path}.{field.name}")
        return tree
    raise DataError(f"the journal does not know how to store a {type(value).__name__} (at {path})")


def unpack(tree: Any, arrays: Mapping[str, Any]) -> Any:
    """Value that `pack` was given."""
    if isinstance(tree, list):
        return tuple(unpack(item, arrays) for item in cast(list[Any], tree))
    if not isinstance(tree, dict):
        return tree
    node = cast(dict[str, Any], tree)
    kind, plain = str(node["$"]), node.get("is")
    if kind == "float":
        return float(str(plain))
    if kind == "Hour":
        return Hour(datetime.fromisoformat(str(plain)))
    if kind == "datetime":
        return datetime.fromisoformat(str(plain))
    if kind == "array":
        return arrays[str(plain)]
    if kind in _ENUMS:
        return _ENUMS[kind](plain)
    if kind in _VALUES:
        return _VALUES[kind](**{name: unpack(item, arrays) for name, item in node.items() if name != "$"})
    raise DataError(f"the journal holds a {kind!r}, which this program does not know; upgrade SteadyBid")


def arrays_to_frame(arrays: Mapping[str, Any]) -> pl.DataFrame:
    """One row; each array is a list."""
    return pl.DataFrame({name: pl.Series(name, array).implode() for name, array in arrays.items()})


def frame_to_arrays(frame: pl.DataFrame) -> dict[str, Any]:
    """Arrays of `arrays_to_frame`, writable and with their types."""
    return {name: frame[name].explode(empty_as_null=False).to_numpy(writable=True) for name in frame.columns}
