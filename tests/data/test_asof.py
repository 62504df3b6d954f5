"""What a cut at an hour shows of imported reports: only what was known then, in units of bids."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from data import IngestResult, Workspace
from domain.account import Account
from domain.tables import BIDS, BUDGETS, CATALOG, QUARANTINE, BidTable, Known, empty
from domain.time import Hour

Facts = Callable[..., pl.DataFrame]
Take = Callable[..., IngestResult]
CAMPAIGN = {"report": "campaign", "ad_group": None, "target": None, "match_type": None}
GOODS = {"report": "advertised_product", "target": None, "match_type": None}


def at(workspace: Workspace, *when: int, account: str = "shop") -> Known:
    return workspace.asof(account).at(Hour(datetime(*when, tzinfo=UTC)))


def names(known: Known) -> list[str]:
    return known.units["unit_id"].to_list()


def assert_same(one: Known, two: Known) -> None:
    for name in ("units", "performance", "arrivals", "budgets"):
        assert_frame_equal(getattr(one, name), getattr(two, name))
    assert_frame_equal(one.live_bids.rows, two.live_bids.rows)


def test_a_unit_is_campaign_ad_group_target_and_match_type(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({}, {"match_type": "BROAD"}, {"campaign": "Home / Garden", "start_local": datetime(2026, 2, 3)}))
    known = at(workspace, 2026, 2, 10)
    assert names(known) == ["C1 / G1 / shoes / BROAD", "C1 / G1 / shoes / EXACT", "Home // Garden / G1 / shoes / EXACT"]
    assert known.units["campaign"].to_list() == ["C1", "C1", "Home / Garden"]
    assert known.performance.select("unit", "hours", "spend").rows() == [
        (0, 24.0, 50.0),
        (1, 24.0, 50.0),
        (2, 24.0, 50.0),
    ]


def test_units_and_rows_appear_when_they_were_learned(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({}, {"start_local": datetime(2026, 2, 2), "target": "boots"}))
    assert names(at(workspace, 2026, 2, 2, 11)) == []
    assert names(at(workspace, 2026, 2, 2, 12)) == ["C1 / G1 / shoes / EXACT"]
    assert names(at(workspace, 2026, 2, 3, 11)) == ["C1 / G1 / shoes / EXACT"]
    assert len(names(at(workspace, 2026, 2, 3, 12))) == 2


def test_search_terms_are_summed_where_there_is_no_targeting_report(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    terms = {"report": "search_term", "spend": 3.0}
    take(facts({**terms, "search_term": "red shoes"}, {**terms, "search_term": "blue shoes"}))
    take(facts({"campaign": "C2", "spend": 9.0}), "t.csv")
    take(facts({**terms, "campaign": "C2", "search_term": "x"}), "s2.csv", attribution_days=14)
    store = workspace.asof("shop")
    known = store.at(Hour(datetime(2026, 3, 2, tzinfo=UTC)))
    assert dict(
        known.performance.join(known.units.with_row_index("unit"), on="unit").select("campaign", "spend").iter_rows()
    ) == {
        "C1": 6.0,
        "C2": 9.0,
    }
    assert any("search-term report" in note for note in store.notes(known.hour))


def test_campaigns_are_units_of_their_own_where_nothing_finer_is_known(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    take(facts({**CAMPAIGN, "spend": 70.0}, {**CAMPAIGN, "campaign": "C2"}))
    take(facts({}), "t.csv")
    known = at(workspace, 2026, 2, 10)
    assert names(known) == ["C1 / G1 / shoes / EXACT", "C2"]
    assert known.performance["spend"].to_list() == [50.0, 50.0]
    notes = workspace.asof("shop").notes(known.hour)
    assert any("1 campaigns are units of their own" in note for note in notes)


def test_spend_of_days_without_a_unit_report_is_told(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts(CAMPAIGN, {**CAMPAIGN, "start_local": datetime(2026, 2, 2)}))
    take(facts({}), "t.csv")
    assert any("1 campaign days" in n for n in workspace.asof("shop").notes(Hour(datetime(2026, 2, 10, tzinfo=UTC))))


def test_a_report_without_campaigns_gives_no_units_but_says_so(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({**CAMPAIGN, "report": "performance_over_time", "campaign": None}))
    store, hour = workspace.asof("shop"), Hour(datetime(2026, 2, 10, tzinfo=UTC))
    assert store.at(hour).n_units == 0
    assert "name no campaigns" in store.notes(hour)[0]


def test_a_corrected_row_is_seen_from_its_correction_on(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({}))
    before = at(workspace, 2026, 2, 27)
    take(facts({"orders": 5.0, "gmv": 500.0}), "b.csv", now=datetime(2026, 2, 28, tzinfo=UTC))
    assert_same(before, at(workspace, 2026, 2, 27))
    after = at(workspace, 2026, 2, 28)
    assert after.performance["orders"].to_list() == [5.0]
    assert after.arrivals.select("orders", "gmv", "learned_at").rows() == [
        (3.0, 300.0, datetime(2026, 2, 28, tzinfo=UTC))
    ]


def test_stated_times_of_learning_tell_of_all_arrivals_assumed_ones_of_none(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    take(facts({}), "assumed.csv")
    take(facts({"start_local": datetime(2026, 2, 2)}), "stated.csv", learned_at=datetime(2026, 2, 3, tzinfo=UTC))
    known = at(workspace, 2026, 2, 10)
    assert known.performance.height == 2
    assert known.arrivals["start_utc"].to_list() == [datetime(2026, 2, 2, tzinfo=UTC)]


@pytest.mark.parametrize(("day", "hours"), [(28, 24.0), (29, 23.0)])
def test_days_have_their_true_length_in_spring(
    facts: Facts, take: Take, workspace: Workspace, now: datetime, day: int, hours: float
) -> None:
    workspace.create_account(Account("berlin", "EUR", "Europe/Berlin"), now)
    take(
        facts({"start_local": datetime(2026, 3, day)}),
        account="berlin",
        currency="EUR",
        now=datetime(2026, 5, 1, tzinfo=UTC),
    )
    row = at(workspace, 2026, 4, 10, account="berlin").performance.row(0, named=True)
    assert (row["hours"], row["start_utc"]) == (hours, datetime(2026, 3, day - 1, 23, tzinfo=UTC))
    assert row["learned_at"] == row["start_utc"] + timedelta(hours=hours + 12)


def test_days_have_their_true_length_in_autumn(facts: Facts, take: Take, workspace: Workspace, now: datetime) -> None:
    workspace.create_account(Account("berlin", "EUR", "Europe/Berlin"), now)
    take(facts({"start_local": datetime(2025, 10, 26)}), account="berlin", currency="EUR")
    assert at(workspace, 2025, 11, 10, account="berlin").performance["hours"].to_list() == [25.0]


def test_an_account_of_half_past_is_cut_at_half_past(
    facts: Facts, take: Take, workspace: Workspace, now: datetime
) -> None:
    workspace.create_account(Account("in", "INR", "Asia/Kolkata"), now)
    take(facts({}), account="in", report_lag_hours=0.0)
    store = workspace.asof("in")
    midnight = Hour(datetime(2026, 2, 1, 18, 30, tzinfo=UTC))
    assert store.at(midnight.plus(-1)).n_units == 0
    row = store.at(midnight).performance.row(0, named=True)
    assert (row["start_utc"], row["learned_at"]) == (datetime(2026, 1, 31, 18, 30, tzinfo=UTC), midnight.start)


def test_hourly_rows_stay_hours(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({"grain": "hour", "start_local": datetime(2026, 2, 1, 7)}), report_lag_hours=1.0)
    assert at(workspace, 2026, 2, 1, 8).n_units == 0
    row = at(workspace, 2026, 2, 1, 9).performance.row(0, named=True)
    assert (row["grain"], row["hours"], row["start_utc"]) == ("hour", 1.0, datetime(2026, 2, 1, 7, tzinfo=UTC))


# -- goods, budgets, bids --------------------------------------------------------------------------------------------


def put_goods(workspace: Workspace, *rows: tuple[object, ...], **given: datetime) -> None:
    frame = pl.DataFrame(list(rows), schema=dict(CATALOG), orient="row")
    options = {"now": datetime(2026, 3, 1, tzinfo=UTC), **given}
    workspace.ingest_catalog(
        "shop", frame, file="c", sha256=str(hash(str(rows))), quarantined=empty(QUARANTINE), **options
    )


def test_a_units_good_is_the_one_with_most_clicks_so_far(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({}, {"ad_group": "G2"}))
    take(
        facts(
            {**GOODS, "sku": "s1", "clicks": 5.0},
            {**GOODS, "sku": "s2", "clicks": 3.0},
            {**GOODS, "sku": "s2", "clicks": 9.0, "start_local": datetime(2026, 2, 5)},
        ),
        "goods.csv",
    )
    put_goods(workspace, ("s1", 10.0, 0.3, "shoes", "home", 5.0), ("s2", 20.0, 0.5, "boots", "away", 6.0))
    early, late = at(workspace, 2026, 2, 4).units, at(workspace, 2026, 2, 8).units
    assert early["sku"].to_list() == ["s1", None]
    assert late["sku"].to_list() == ["s2", None]
    assert late.row(0, named=True) | {"price": 20.0, "margin_rate": 0.5, "category": "boots", "stock": 6.0} == late.row(
        0, named=True
    )
    assert late["price"].to_list() == [20.0, None]


def test_a_campaign_has_one_business_type_that_of_most_of_its_spend(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    take(facts({}, {"ad_group": "G2"}, {"campaign": "C2"}))
    take(
        facts(
            {**GOODS, "sku": "s1", "spend": 10.0, "clicks": 50.0},
            {**GOODS, "sku": "s2", "spend": 30.0, "ad_group": "G2"},
            {**GOODS, "sku": "unknown", "spend": 90.0, "ad_group": "G2"},
        ),
        "goods.csv",
    )
    put_goods(workspace, ("s1", 10.0, 0.3, "shoes", "home", 5.0), ("s2", 20.0, 0.5, "boots", "away", 6.0))
    assert at(workspace, 2026, 2, 8).units["business_type"].to_list() == ["away", "away", None]


def test_daily_budgets_are_those_of_the_newest_known_day(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(
        facts(
            {**CAMPAIGN, "daily_budget": 100.0},
            {**CAMPAIGN, "daily_budget": 200.0, "start_local": datetime(2026, 2, 5)},
        )
    )
    take(facts({**CAMPAIGN, "daily_budget": 999.0}), "fix.csv", now=datetime(2026, 2, 20, tzinfo=UTC))
    assert at(workspace, 2026, 2, 4).budgets["daily_budget"].to_list() == [100.0]
    assert at(workspace, 2026, 2, 8).budgets["daily_budget"].to_list() == [200.0]
    assert at(workspace, 2026, 2, 21).budgets["daily_budget"].to_list() == [200.0]
    told = pl.DataFrame([("C1", 300.0, datetime(2026, 2, 22, tzinfo=UTC))], schema=dict(BUDGETS), orient="row")
    workspace.store_budgets("shop", told)
    assert workspace.reported_budgets("shop") == {"C1": 300.0}
    assert at(workspace, 2026, 2, 21).budgets["daily_budget"].to_list() == [200.0]


def live(*rows: tuple[str, float | None]) -> BidTable:
    columns = [(u, b, "enabled", b is not None, 0) for u, b in rows]
    return BidTable(pl.DataFrame(columns, schema=dict(BIDS), orient="row"))


def test_bids_are_unknown_until_a_bulk_sheet_tells_them(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({}, {"start_local": datetime(2026, 2, 6)}))
    unit = "C1 / G1 / shoes / EXACT"
    before = at(workspace, 2026, 2, 4)
    assert before.live_bids.rows.row(0) == (unit, None, "enabled", False, 0)
    ids = pl.DataFrame({"unit_id": [unit], "campaign_id": ["123456789012345678"], "keyword_id": ["987"]})
    workspace.store_bids(
        "shop", live((unit, 12.5), ("not a unit yet", 1.0)), ids, learned_at=datetime(2026, 2, 5, tzinfo=UTC)
    )
    known = at(workspace, 2026, 2, 8)
    assert known.live_bids.rows.row(0) == (unit, 12.5, "enabled", True, 0)
    assert known.performance["bid_cpc"].to_list() == [None, 12.5]
    assert_same(before, at(workspace, 2026, 2, 4))
    assert workspace.entities("shop").row(0, named=True) == {
        "unit_id": unit,
        "campaign_id": "123456789012345678",
        "keyword_id": "987",
    }
    assert workspace.entities("shop", datetime(2026, 2, 4, tzinfo=UTC)).height == 0


# -- honesty ---------------------------------------------------------------------------------------------------------

CUT = datetime(2026, 2, 6, 3, tzinfo=UTC)
_row = st.fixed_dictionaries(
    {
        "report": st.sampled_from(["targeting", "search_term", "campaign", "advertised_product"]),
        "start_local": st.integers(1, 8).map(lambda d: datetime(2026, 2, d)),
        "campaign": st.sampled_from(["C1", "C2"]),
        "target": st.sampled_from(["shoes", "boots"]),
        "sku": st.sampled_from(["s1", "s2"]),
        "search_term": st.sampled_from(["x", "y"]),
        "spend": st.integers(0, 3).map(float),
        "orders": st.integers(0, 3).map(float),
        "daily_budget": st.sampled_from([100.0, 200.0]),
    }
)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(_row, min_size=1, max_size=8), later=st.lists(_row, min_size=1, max_size=8))
def test_whatever_is_imported_later_changes_nothing_in_an_earlier_cut(
    tmp_path_factory: pytest.TempPathFactory, facts: Facts, before: list, later: list
) -> None:
    workspace = Workspace.open(tmp_path_factory.mktemp("honest") / Path("home"), create=True)
    workspace.create_account(Account("shop", "INR", "Asia/Kolkata"), CUT)

    def take(rows: list[dict[str, object]], file: str, learned_at: datetime | None, now: datetime) -> None:
        frame = facts(*rows)
        for (report,), part in frame.group_by("report"):
            workspace.ingest(
                "shop", part, report=report, file=file, sha256=f"{file}{report}", currency="INR", attribution_days=14,
                quarantined=empty(QUARANTINE), now=now, report_lag_hours=0.0, learned_at=learned_at,
            )  # fmt: skip

    hour = Hour(CUT - timedelta(minutes=30))
    take(before, "before", None, CUT - timedelta(hours=5))
    known = workspace.asof("shop").at(hour)
    take(later, "later", CUT, CUT + timedelta(days=3))
    live_bids = live(*((u, 1.0) for u in known.units["unit_id"]))
    workspace.store_bids("shop", live_bids, learned_at=CUT)
    goods = pl.DataFrame([("s1", 1.0, 0.1, "k", "b", 1.0)], schema=dict(CATALOG), orient="row")
    workspace.ingest_catalog(
        "shop", goods, file="c", sha256="c", quarantined=empty(QUARANTINE), now=CUT, learned_at=CUT
    )
    assert_same(known, workspace.asof("shop").at(hour))
    workspace.close()


@pytest.mark.real_data
def test_the_real_reports_give_the_account_that_they_tell_of(real_data: Path, workspace: Workspace) -> None:
    """Spend, clicks and orders of 22 days, as the README of the logs states them."""
    source = pl.read_csv(real_data / "amazon_sp_IN_targeting.csv.gz", try_parse_dates=True)
    names = {
        "Campaign Name": "campaign", "Ad Group Name": "ad_group", "Targeting": "target", "Match Type": "match_type",
        "Impressions": "impressions", "Clicks": "clicks", "Spend": "spend", "14 Day Total Orders (#)": "orders",
        "14 Day Total Sales (₹)": "gmv", "14 Day Total Units (#)": "units_sold",
    }  # fmt: skip
    from domain.tables import FACTS

    rows = source.rename(names).with_columns(
        pl.col("Date").cast(pl.Datetime("us")).alias("start_local"),
        pl.lit("day").alias("grain"),
        pl.lit("targeting").alias("report"),
        pl.int_range(2, pl.len() + 2).alias("row_number"),
    )
    missing = [pl.lit(None, t).alias(n) for n, t in FACTS.items() if n not in rows.columns]
    rows = rows.with_columns(missing).cast(dict(FACTS)).select(list(FACTS))  # type: ignore[arg-type]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    workspace.create_account(Account("in", "INR", "Asia/Kolkata"), now)
    workspace.ingest(
        "in", rows, report="targeting", file="t", sha256="t", currency="INR", attribution_days=14,
        quarantined=empty(QUARANTINE), now=now, report_lag_hours=12.0,
    )  # fmt: skip
    totals = at(workspace, 2020, 3, 1, account="in").totals()
    assert totals["spend"] == pytest.approx(22337.77)
    assert (totals["clicks"], totals["orders"]) == (1180.0, 146.0)
    through_the_21st = rows.filter(pl.col("start_local") <= datetime(2020, 2, 21))
    then = workspace.asof("in").at(Hour(datetime(2020, 2, 22, 18, 30, tzinfo=UTC)))
    assert then.totals()["spend"] == pytest.approx(through_the_21st["spend"].sum())
