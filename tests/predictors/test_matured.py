"""What paid clicks sold in the end: the outlook's own figures, bands that hold, certainty once all is told."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from domain.goals import Scope
from domain.groups import Groups
from domain.tables import CREDITS
from predictors import SteadyModel
from predictors.matured import Matured

HOURS = (36, 60, 96)


def final_gmv(world, h: int) -> np.ndarray:
    """(n_units,) gmv that the clicks before an hour bring in the end."""
    mine = world.bought[world.bought[:, 1] < h]
    return np.bincount(mine[:, 0], world.price[mine[:, 0]], world.n)


def campaigns(known) -> Groups:
    return Groups.from_units(known.units, (Scope.CAMPAIGN,))


def test_bands_hold_what_is_told_at_last(worlds) -> None:
    inside, wider, half, nearer = [], [], [], []
    for seed in range(100, 108):
        world = worlds(seed, n=40, clicks_per_hour=4.0)
        model = SteadyModel(calendar=world.calendar)
        for h in HOURS:
            known = world.known(h)
            groups, total = campaigns(known), final_gmv(world, h)
            found, truth = model.matured(known, groups), groups.rolled_up(total)
            held = (found.low <= truth) & (truth <= found.high)
            middle, quarter = (found.low + found.high) / 2, (found.high - found.low) / 4
            inside.append(held[0])
            wider.append(held[1:].mean())
            half.append((np.abs(truth - middle) <= quarter)[1:].mean())
            nearer.append(abs(found.gmv[0] / truth[0] - 1) < abs(found.reported[0] / truth[0] - 1))
    assert 0.6 <= np.mean(inside) <= 0.97  # 24 looks at 8 worlds
    assert 0.7 <= np.mean(wider) <= 0.9
    assert np.mean(half) < np.mean(wider) - 0.2
    assert np.mean(nearer) > 0.9


def test_the_figures_are_those_of_the_outlook_and_groups_add_up(worlds) -> None:
    world = worlds(103, n=40, clicks_per_hour=4.0)
    model, known = SteadyModel(calendar=world.calendar), world.known(60)
    groups, outlook = campaigns(known), model.outlook(known, world.ahead(60))
    found = model.matured(known, groups)
    assert found.gmv[0] == pytest.approx(outlook.matured_gmv.sum(), rel=1e-12)
    assert found.final_spend[0] == pytest.approx(outlook.matured_spend.sum(), rel=1e-12)
    assert found.reported[0] == pytest.approx(known.performance["gmv"].sum())
    for name in ("spend", "reported", "gmv", "final_spend"):
        assert getattr(found, name)[1:].sum() == pytest.approx(getattr(found, name)[0])
    assert found.high[0] - found.low[0] < (found.high - found.low)[1:].sum()  # together they are surer
    assert (found.low < found.high).all()
    # a stretch, and the rest of it
    start = world.hour(48).start
    late, early = model.matured(known, groups, since=start), model.matured(known, groups, until=start)
    assert late.spend[0] == pytest.approx(world.spend[:, 48:60].sum())
    np.testing.assert_allclose(late.gmv + early.gmv, found.gmv)
    assert late.gmv[0] / late.reported[0] > found.gmv[0] / found.reported[0]  # of young clicks less is told


def test_what_was_told_stays_and_is_certain_once_all_is(worlds) -> None:
    world = worlds(104, n=30, tail_hours=3.0)
    model, known = SteadyModel(calendar=world.calendar), world.known(110)
    groups = Groups.single(world.n)
    young = model.matured(known, groups, since=world.hour(100).start)
    old = model.matured(known, groups, until=world.hour(60).start)
    width = [float((m.high[0] - m.low[0]) / m.reported[0]) for m in (young, old)]
    assert width[1] < 0.2 * width[0]
    assert old.low[0] <= old.reported[0] * (1 + 1e-9)
    assert old.high[0] == pytest.approx(old.reported[0], rel=0.01)
    assert young.low[0] > young.reported[0] * 0.99


def test_a_day_that_is_known_longer_has_a_narrower_band(worlds) -> None:
    world = worlds(105, n=40, clicks_per_hour=4.0)
    model, until = SteadyModel(calendar=world.calendar), world.hour(48).start
    widths = []
    for h in (48, 60, 84, 110):
        found = model.matured(world.known(h), Groups.single(world.n), until=until)
        widths.append(float(found.high[0] - found.low[0]))
    assert (np.diff(widths) < 0).all()


def test_final_roi_counts_the_money_that_stays(worlds) -> None:
    world = worlds(106, n=30)
    known = world.known(60)
    rows = known.performance.filter((pl.col("start_utc") < world.hour(40).start) & (pl.col("spend") > 0))
    back = rows.select(
        "unit", "start_utc", (pl.col("start_utc") + pl.duration(hours=20)).alias("learned_at"),
        (-0.05 * pl.col("clicks")).alias("clicks"), (-0.05 * pl.col("spend")).alias("spend"),
    )  # fmt: skip
    credited = replace(known, credits=back.select(list(CREDITS)).cast(dict(CREDITS)))
    groups, model = Groups.single(world.n), SteadyModel(calendar=world.calendar)
    since = world.hour(45).start  # of these nothing has come back yet
    plain, found = (model.matured(k, groups, since=since) for k in (known, credited))
    assert plain.final_spend[0] == pytest.approx(plain.spend[0])
    assert 0.95 < found.final_spend[0] / found.spend[0] < 0.97
    row = found.table().row(0, named=True)
    assert row["roi"] == pytest.approx(found.gmv[0] / found.final_spend[0])
    assert row["reported_roi"] == pytest.approx(found.reported[0] / found.spend[0])
    assert row["roi_low"] < row["roi"] < row["roi_high"]


def test_groups_without_spend_have_no_ratio_and_an_account_without_rows_none(worlds) -> None:
    columns = ([2.0, 0.0], [6.0, 0.0], [2.0, 0.0], [7.0, 0.0], [6.5, 0.0], [7.5, 0.0])
    table = Matured(("a", "b"), *(np.array(c) for c in columns)).table()
    assert table["roi"].to_list() == [3.5, None]
    assert table["roi_low"].to_list() == [3.25, None]
    assert Matured.none().table().height == 0
    world = worlds(106, n=30)
    nothing = SteadyModel(calendar=world.calendar).matured(world.known(0), Groups.single(world.n))
    assert nothing.table()["roi"].to_list() == [None]
    assert np.isfinite([nothing.low[0], nothing.high[0]]).all()
