"""Groups of units that share a constraint, as a tree: account > business type > campaign > unit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from domain.errors import ConfigError, InvalidPlan
from domain.goals import Scope


@dataclass(frozen=True, slots=True)
class Groups:
    """A laminar family: any two groups are nested or disjoint.

    Attributes
    ----------
    names
        (n_groups,) labels: ``account``, ``business_type:home``, ``campaign:C3``; the root comes first.
    parent
        (n_groups,) position of the enclosing group, -1 for the root; parents stand before children.
    leaf
        (n_units,) innermost group of each unit.
    """

    names: tuple[str, ...]
    parent: NDArray[np.int32]
    leaf: NDArray[np.int32]

    def __post_init__(self) -> None:
        n = len(self.names)
        if n == 0 or self.parent.shape != (n,) or self.parent[0] != -1:
            raise InvalidPlan("groups need a root at position 0 and one parent for each group")
        if n > 1 and not bool(np.all((self.parent[1:] >= 0) & (self.parent[1:] < np.arange(1, n)))):
            raise InvalidPlan("groups must be ordered with parents before children, and only the first has none")
        if self.leaf.size and not bool(np.all((self.leaf >= 0) & (self.leaf < n))):
            raise InvalidPlan("a unit points to a group that does not exist")

    @classmethod
    def single(cls, n_units: int) -> "Groups":
        """One group, the account, holding all units."""
        return cls(("account",), np.array([-1], np.int32), np.zeros(n_units, np.int32))

    @classmethod
    def from_units(
        cls, units: pl.DataFrame, scopes: Sequence[Scope] = (Scope.BUSINESS_TYPE, Scope.CAMPAIGN)
    ) -> "Groups":
        """Tree of the units' columns, outermost scope first; the account encloses all.

        A null value keeps the unit in the enclosing group. Raises `ConfigError` where a value of an
        inner scope stands under two outer ones (a campaign in two business types): not a tree.
        """
        names, parent = ["account"], [-1]
        leaf = np.zeros(units.height, np.int32)
        for scope in scopes:
            column = units[scope.value]
            pairs = (
                pl.DataFrame({"key": column, "outer": leaf})
                .filter(pl.col("key").is_not_null())
                .unique(maintain_order=True)
            )
            twice = pairs.filter(pl.col("key").is_duplicated())["key"].unique().to_list()
            if twice:
                raise ConfigError(
                    f"{scope.value} {sorted(twice)[:5]} lies in more than one outer group; give all its units one "
                    "business type in the catalog"
                )
            position: dict[str, int] = {}
            for key, outer in pairs.iter_rows():
                position[key] = len(names)
                names.append(f"{scope.value}:{key}")
                parent.append(int(outer))
            if position:
                found = column.replace_strict(position, default=None, return_dtype=pl.Int32).to_numpy(allow_copy=True)
                leaf = np.where(column.is_null().to_numpy(), leaf, np.nan_to_num(found, nan=0)).astype(np.int32)
        return cls(tuple(names), np.array(parent, np.int32), leaf)

    def index(self, name: str) -> int:
        """Position of a group; `ConfigError` lists near names where there is none."""
        try:
            return self.names.index(name)
        except ValueError:
            kind = name.partition(":")[0]
            near = [n for n in self.names if n.startswith(kind)][:8]
            raise ConfigError(f"no group {name!r} in this account; there are {near or list(self.names[:8])}") from None

    def members(self, group: int) -> NDArray[np.bool_]:
        """(n_units,) whether each unit lies in a group, directly or in one below it."""
        inside = np.zeros(len(self.names), np.bool_)
        inside[group] = True
        for g in range(group + 1, len(self.names)):
            inside[g] = inside[self.parent[g]]
        return inside[self.leaf]

    def rolled_up(self, per_unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_groups,) sum of a per-unit quantity over each group and all below it."""
        sums = np.bincount(self.leaf, weights=per_unit, minlength=len(self.names)).astype(np.float64)
        for g in range(len(self.names) - 1, 0, -1):
            sums[self.parent[g]] += sums[g]
        return sums
