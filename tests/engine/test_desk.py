"""Properties of the desk: the tree of units follows the units."""

from dataclasses import replace

import polars as pl

from engine.cycle import know
from evaluation.desks import desk_for
from market import load_scenario, make_platform, make_world

SEED = 5


def test_tree_is_made_once_for_a_table_of_units_and_anew_for_another() -> None:
    """A store that hands out the same table gets the same tree; units that move to another campaign move in the tree."""
    world = make_world(load_scenario("thin-account"), SEED)
    desk = desk_for("steadybid", world, make_platform(world))
    known = know(world.hours[0], desk)
    tree = desk.groups_of(known)
    assert desk.groups_of(known) is tree
    moved = known.units.with_columns(pl.lit("elsewhere").alias("campaign"), pl.lit("other").alias("business_type"))
    assert desk.groups_of(replace(known, units=moved)).names == (
        "account", "business_type:other", "campaign:elsewhere",
    )  # fmt: skip
    assert desk.groups_of(known).names == tree.names
