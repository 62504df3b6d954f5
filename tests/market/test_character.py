"""Scenarios are what their files say they are, on seeds that nobody chose them by."""

from pathlib import Path

import numpy as np
import pytest

from domain.errors import ConfigError
from evaluation.character import character_of, stated
from evaluation.evaluate import WIDE, scenarios
from market import Scenario, fingerprint, load_scenario, make_world
from market.contested import ContestedWorld
from market.rivals import Rivals

DESCRIBED = [n for n in scenarios() if n not in WIDE and load_scenario(n).character is not None]


def test_every_scenario_with_phases_of_a_promotion_states_its_character() -> None:
    promotions = {n for n in scenarios() if len(load_scenario(n).phases) == 4}
    assert promotions - set(WIDE) <= set(DESCRIBED)
    assert load_scenario(WIDE[0]).character is not None


@pytest.mark.parametrize(
    ("name", "seed"), [(n, 401) for n in DESCRIBED] + [(n, s) for n in ("demo", "four-phase-roi") for s in (402, 403)]
)
def test_worlds_are_what_their_scenario_says(name: str, seed: int) -> None:
    scenario = load_scenario(name)
    said, found = scenario.character, character_of(scenario, seed)
    assert said is not None
    assert found.binding == said.binding
    for quantity in ("opportunities_per_unit_hour", "orders_per_unit_day"):
        low, high = getattr(said, quantity)
        assert low <= getattr(found, quantity) <= high


def test_what_is_said_of_a_world_does_not_make_it_another_one() -> None:
    scenario = load_scenario("thin-account")
    assert scenario.character is not None
    plain = Scenario(**{k: getattr(scenario, k) for k in scenario.__slots__ if k != "character"})
    assert fingerprint(plain) == fingerprint(scenario)
    assert stated([character_of(scenario, 401)]).startswith('[character]\nbinding = ["roi"]\n')


def test_thousands_of_shoppers_come_in_an_hour_and_sizes_have_a_heavy_tail() -> None:
    world = make_world(load_scenario("four-phase-roi"), 403)
    arrivals = np.array([world.shoppers(h).unit.size for h in range(0, world.n_hours, 6)])
    assert np.median(arrivals) > 3000
    sizes = np.sort(world.truth.opportunities.sum(axis=1))[::-1]
    assert sizes[:20].sum() > 0.25 * sizes.sum()  # a tenth of the units
    assert sizes[100:].sum() < 0.30 * sizes.sum()


def test_rivals_run_dry_come_and_go_and_some_raise_their_bids_when_they_are_outbid() -> None:
    world = make_world(load_scenario("four-phase-roi"), 404)
    assert isinstance(world, ContestedWorld)

    def levels(presence: float) -> np.ndarray:
        rivals = Rivals(world.population, world.expected)
        for h in range(world.n_hours):
            rivals.at(h)
            rivals.after(h, np.full(world.auction.categories, presence))
        return rivals.recorded

    usual, outbid = levels(0.3), levels(0.9)
    present = world.population.present
    assert not present.all()
    dry = np.isneginf(usual) & present
    hour_of_day = np.arange(world.n_hours) % 24
    assert dry[:, hour_of_day >= 20].mean() > 0.005 > dry[:, hour_of_day < 12].mean()
    both = np.isfinite(usual) & np.isfinite(outbid)
    rise = np.subtract(outbid, usual, out=np.zeros_like(usual), where=both)
    assert rise.max() > 0.05
    calm = world.population.reaction == 0
    assert calm.any()
    assert rise[calm & ~world.population.paces].max(initial=0.0) == 0.0


@pytest.mark.parametrize("edit", ["[2.0, 1.0]", "[1.0]"])
def test_a_character_that_is_no_band_is_refused(edit: str, shipped: Path, tmp_path: Path) -> None:
    text = shipped.read_text(encoding="utf-8")
    start = text.index("orders_per_unit_day = ")
    line = text[start : text.index("\n", start)]
    path = tmp_path / "edited.toml"
    path.write_text(text.replace(line, f"orders_per_unit_day = {edit}"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"character\.orders_per_unit_day: write the lowest"):
        load_scenario(path)
