"""What people look at is what the store knows: sums agree, corrections count once, changes are told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data import IngestResult, Views, Workspace
from domain.account import Account
from domain.plans import BidPlan, Receipts
from domain.tables import BIDS, REPORT, UNITS, BidTable, Known, ReportBatch, empty
from domain.time import Hour

Facts = Callable[..., pl.DataFrame]
Take = Callable[..., IngestResult]
CAMPAIGN = {"report": "campaign", "ad_group": None, "target": None, "match_type": None}
HOUR = Hour(datetime(2026, 2, 3, 5, tzinfo=UTC))


def report(workspace: Workspace, account: str, *rows: tuple[str, datetime, datetime, float]) -> None:
    """Rows (unit, start, learned, spend) of a platform whose units u1, u2 lie in C1, C2."""
    columns = {"unit_id": ["u1", "u2"], "campaign": ["C1", "C2"]}
    rest = {n: [None, None] for n in UNITS if n not in columns}
    units = pl.DataFrame({**columns, **rest}, schema_overrides=dict(UNITS)).select(list(UNITS))
    store = workspace.asof(account)
    if not workspace.units(account).height:
        store.declare_units(units, datetime(2026, 1, 1, tzinfo=UTC))
    told = [
        {"unit_id": u, "start_utc": start, "grain": "hour", "hours": 1.0, "impressions": 10.0, "clicks": 2.0, "spend": spend,
         "orders": 1.0, "gmv": 4 * spend, "bid_cpc": 1.0, "learned_at": learned}
        for u, start, learned, spend in rows
    ]  # fmt: skip
    store.append(ReportBatch(pl.DataFrame(told, schema=dict(REPORT))), BidTable(empty(BIDS)), HOUR.start)


def test_a_day_of_an_account_is_told_once_however_many_reports_tell_of_it(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    take(facts({"spend": 30.0}, {"target": "boots", "spend": 20.0}, {"campaign": "C2", "spend": 7.0}))
    take(facts({**CAMPAIGN, "spend": 50.0, "daily_budget": 100.0}), "campaign.csv")
    take(facts({**CAMPAIGN, "report": "performance_over_time", "campaign": None, "spend": 57.0}), "over.csv")
    views = Views(workspace)
    day = views.series("shop").row(0, named=True)
    assert (day["spend"], day["daily_budget"], day["start_local"]) == (57.0, 100.0, datetime(2026, 2, 1))
    assert day["cpc"] == pytest.approx(57.0 / day["clicks"])
    assert day["roi"] == pytest.approx(day["gmv"] / 57.0)
    by_campaign = views.series("shop", by="campaign").select("campaign", "spend", "daily_budget").rows()
    assert by_campaign == [("C1", 50.0, 100.0), ("C2", 7.0, None)]
    assert views.series("shop", per="hour").height == 0


def test_a_correction_counts_instead_of_what_it_corrects(facts: Facts, take: Take, workspace: Workspace) -> None:
    views = Views(workspace)
    take(facts({"spend": 30.0}))
    assert views.series("shop")["spend"].to_list() == [30.0]
    take(facts({"spend": 33.0}), "fix.csv")
    assert views.series("shop")["spend"].to_list() == [33.0]


def test_sums_agree_with_the_cut(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({"spend": 30.0}, {"start_local": datetime(2026, 2, 2), "orders": 9.0}, {"campaign": "C2"}))
    known = workspace.asof("shop").at(Hour(datetime(2026, 3, 2, tzinfo=UTC))).totals()
    series = Views(workspace).series("shop")
    assert {n: series[n].sum() for n in known} == known


def test_hours_are_summed_into_local_days(workspace: Workspace, now: datetime) -> None:
    workspace.create_account(Account("in", "INR", "Asia/Kolkata"), now)
    half = timedelta(minutes=30)
    midnight = datetime(2026, 2, 1, 18, tzinfo=UTC) + half
    learned = datetime(2026, 2, 3, tzinfo=UTC)
    report(workspace, "in", ("u1", midnight - timedelta(hours=1), learned, 1.0), ("u1", midnight, learned, 2.0),
           ("u2", midnight + timedelta(hours=3), learned, 4.0))  # fmt: skip
    views = Views(workspace)
    assert views.series("in").select("start_local", "start_utc", "spend").rows() == [
        (datetime(2026, 2, 1), midnight - timedelta(days=1), 1.0),
        (datetime(2026, 2, 2), midnight, 6.0),
    ]
    hours = views.series("in", per="hour", by="campaign", start=midnight)
    assert hours.select("start_local", "campaign", "spend").rows() == [
        (datetime(2026, 2, 2), "C1", 2.0),
        (datetime(2026, 2, 2, 3), "C2", 4.0),
    ]


def test_a_restated_hour_is_told_as_it_is_known_now(workspace: Workspace) -> None:
    start = datetime(2026, 2, 3, tzinfo=UTC)
    views = Views(workspace)
    report(workspace, "shop", ("u1", start, start + timedelta(hours=1), 1.0))
    assert views.series("shop", per="hour")["spend"].to_list() == [1.0]
    report(workspace, "shop", ("u1", start, start + timedelta(hours=2), 5.0))
    assert views.series("shop", per="hour")["spend"].to_list() == [5.0]


def test_a_view_that_grows_with_new_files_equals_one_that_starts_anew(workspace: Workspace) -> None:
    start = datetime(2026, 2, 1, tzinfo=UTC)
    rng = np.random.default_rng(8)
    grown = Views(workspace)
    for n in range(6):
        hours = {(str(rng.choice(["u1", "u2"])), int(h)) for h in rng.integers(max(0, n - 3), n + 1, 4)}
        rows = [
            (u, start + timedelta(hours=h), start + timedelta(hours=n + 1), float(rng.integers(9)))
            for u, h in sorted(hours)
        ]
        report(workspace, "shop", *rows)
        assert_frame_equal(
            grown.series("shop", per="hour", by="campaign"), Views(workspace).series("shop", per="hour", by="campaign")
        )
    workspace.compact("shop", start)
    assert_frame_equal(grown.series("shop", per="hour"), Views(workspace).series("shop", per="hour"))


def test_an_account_without_anything_has_empty_views(workspace: Workspace) -> None:
    views = Views(workspace)
    assert views.series("shop").height == views.decisions("shop").height == 0
    assert views.latest("shop") is None
    assert views.changes("shop").height == 0
    assert views.planned_and_real("shop").height == 0


def test_decisions_are_listed_with_what_they_planned_and_what_came(
    workspace: Workspace, plan: Callable[..., BidPlan], known: Callable[..., Known], receipts: Receipts
) -> None:
    journal = workspace.journal("shop")
    for n in range(3):
        hour = HOUR.plus(n)
        journal.close(journal.open(plan(hour, bids=(0.7 + n, 0.0)), known(hour)), receipts if n < 2 else None)
    report(workspace, "shop", ("u1", HOUR.start, HOUR.plus(4).start, 3.0))
    views = Views(workspace)
    listed = views.decisions("shop")
    assert listed["hour"].to_list() == [HOUR.plus(n).start for n in (2, 1, 0)]
    assert listed["state"].to_list() == ["shadow", "published", "published"]
    assert listed.select("units_set", "units_pause", "units_hold", "expected_spend").row(0) == (1, 1, 0, 1.5)
    assert views.decisions("shop", limit=1).height == 1
    newest = views.latest("shop")
    assert newest is not None
    assert newest.hour == HOUR.plus(2)
    both = views.planned_and_real("shop").select("start_utc", "expected_spend", "spend").rows()
    assert both == [(HOUR.start, 1.5, 3.0), (HOUR.plus(1).start, 1.5, None), (HOUR.plus(2).start, 1.5, None)]
    changes = views.changes("shop")
    assert changes.select("unit_id", "bid_cpc_before", "bid_cpc", "action").rows() == [("u1", 1.7, 2.7, "set")]
    first = views.changes("shop", HOUR)
    assert first["unit_id"].sort().to_list() == ["u1", "u2"]
    assert first["bid_cpc_before"].null_count() == 2
