"""Measures what a world is like: which rows bind in hindsight, how much traffic there is, how many orders it could bring.

Scenario files state this under ``[character]``; a test over seeds holds it true.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.oracles import binding_rows
from market import Scenario, make_world


@dataclass(frozen=True, slots=True)
class Character:
    """One world as it was measured; the fields are those of `market.scenario.CharacterPart`."""

    binding: tuple[str, ...]
    opportunities_per_unit_hour: float
    orders_per_unit_day: float


def character_of(scenario: Scenario, seed: int) -> Character:
    """Character of the world of one seed, against rivals who find this account as present as usual."""
    world = make_world(scenario, seed)
    curves = world.curves
    best = world.hindsight(curves)
    return Character(
        binding=binding_rows(world, best),
        opportunities_per_unit_hour=float(curves.opportunities.mean()),
        orders_per_unit_day=24 * float((best.clicks * curves.cvr).sum()) / world.n_units / world.n_hours,
    )


def stated(worlds: Sequence[Character]) -> str:
    """The ``[character]`` table of a scenario file over the worlds of several seeds, with a tenth to spare."""

    def band(name: str) -> str:
        values = [getattr(world, name) for world in worlds]
        return f"[{0.9 * min(values):.3g}, {1.1 * max(values):.3g}]"

    (binding,) = {world.binding for world in worlds}
    rows = ", ".join(f'"{row}"' for row in binding)
    return (
        f"[character]\nbinding = [{rows}]\n"
        f"opportunities_per_unit_hour = {band('opportunities_per_unit_hour')}\n"
        f"orders_per_unit_day = {band('orders_per_unit_day')}\n"
    )
