"""`steadybid explain`: one unit's bid, what a bid 10 % off would do, and why it moved."""

import math

NOON = "2026-03-16T12:00+05:30"


def test_a_bid_is_explained_with_its_neighbours_and_its_change(done, shop):
    units = done("plan", "-a", shop, "--at", NOON, "--json").json["units"]
    unit = max(units, key=lambda u: u["spend"] or 0.0)
    record = done("explain", "-a", shop, "--unit", unit["unit_id"], "--at", NOON, "--json").json
    assert record["unit"] == unit["unit_id"]
    assert record["bid"] == unit["bid"]
    assert record["why"] == unit["reason"]
    low, high = record["nearby"]
    assert low["spend"] <= 0 <= high["spend"]
    assert low["clicks"] <= 0 <= high["clicks"]
    if record["change"] is not None:
        assert math.isclose(sum(record["parts"].values()), record["change"], abs_tol=1e-9)
    said = done("explain", "-a", shop, "--unit", unit["unit_id"], "--at", NOON).out
    assert "10% lower" in said
    assert "10% higher" in said


def test_a_unit_that_is_not_there_is_a_wrong_call(run, shop):
    said = run("explain", "-a", shop, "--unit", "nobody", "--at", NOON)
    assert said.status == 2
    assert "no unit 'nobody'" in said.err
