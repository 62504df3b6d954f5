"""What an import changes: new rows, corrections, and nothing where nothing is new."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data import IngestResult, Workspace
from domain.errors import ConfigError, DataError
from domain.tables import CATALOG, FACTS, QUARANTINE

Facts = Callable[..., pl.DataFrame]
Take = Callable[..., IngestResult]
IST = timedelta(hours=5, minutes=30)


def counts(result: IngestResult) -> tuple[int, int, int, int]:
    return (result.rows_new, result.rows_unchanged, result.rows_superseded, result.rows_quarantined)


def learned(workspace: Workspace, account: str = "shop") -> list[datetime]:
    return workspace.fact_history(account)["learned_at"].to_list()


def test_the_same_file_again_changes_nothing(workspace: Workspace, facts: Facts, take: Take) -> None:
    rows = facts({}, {"target": "boots"})
    assert counts(take(rows)) == (2, 0, 0, 0)
    before, files = workspace.fact_history("shop"), workspace.files()
    assert counts(take(rows)) == (0, 2, 0, 0)
    assert_frame_equal(workspace.fact_history("shop"), before)
    assert_frame_equal(workspace.files(), files)


def test_the_same_rows_in_another_file_change_nothing(workspace: Workspace, facts: Facts, take: Take) -> None:
    take(facts({}, {"target": "boots", "spend": 31.35}))
    turned = facts({"target": "boots", "spend": 31.349999999999998}, {})
    assert counts(take(turned, "resaved.xlsx")) == (0, 2, 0, 0)
    assert workspace.fact_history("shop").height == 2


def test_a_corrected_row_supersedes_and_its_history_stays(workspace: Workspace, facts: Facts, take: Take) -> None:
    take(facts({}, {"target": "boots"}))
    later = datetime(2026, 3, 5, tzinfo=UTC)
    assert counts(take(facts({"orders": 3.0}, {"target": "boots"}), "b.csv", now=later)) == (0, 1, 1, 0)
    now_known = workspace.facts("shop").filter(pl.col("target") == "shoes")
    assert now_known["orders"].to_list() == [3.0]
    assert workspace.facts("shop", later - timedelta(seconds=1))["orders"].to_list() == [2.0, 2.0]
    history = workspace.fact_history("shop").filter(pl.col("target") == "shoes")
    assert history["orders"].to_list() == [2.0, 3.0]
    assert history["assumed"].to_list() == [True, False]
    assert history["learned_at"].to_list()[1] == later


def test_reading_an_old_file_again_does_not_undo_its_correction(workspace: Workspace, facts: Facts, take: Take) -> None:
    take(facts({}), "old.csv")
    take(facts({"orders": 3.0}), "corrected.csv")
    again = take(facts({}), "old.csv")
    assert counts(again) == (0, 1, 0, 0)
    assert "corrected since" in again.warnings[0]
    assert workspace.facts("shop")["orders"].to_list() == [3.0]


def test_a_number_that_goes_back_in_a_later_file_is_a_correction_too(
    workspace: Workspace, facts: Facts, take: Take
) -> None:
    for orders, file in ((2.0, "1.csv"), (3.0, "2.csv"), (2.0, "3.csv")):
        take(facts({"orders": orders}), file)
    assert workspace.facts("shop")["orders"].to_list() == [2.0]
    assert workspace.fact_history("shop").height == 3


def test_a_reader_that_improves_may_correct_what_it_read_from_the_same_file(
    workspace: Workspace, facts: Facts, take: Take
) -> None:
    take(facts({"gmv": 2.0}), "same.csv")
    assert counts(take(facts({"gmv": 2000.0}), "same.csv")) == (0, 0, 1, 0)
    assert workspace.facts("shop")["gmv"].to_list() == [2000.0]


def test_history_counts_as_learned_at_the_end_of_its_day_plus_the_lag(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    take(facts({}))
    assert learned(workspace) == [datetime(2026, 2, 2, 12, tzinfo=UTC)]
    assert workspace.fact_history("shop")["assumed"].to_list() == [True]


def test_nothing_is_learned_later_than_it_is_imported(
    facts: Facts, take: Take, workspace: Workspace, now: datetime
) -> None:
    take(facts({"start_local": datetime(2026, 2, 28)}))
    assert learned(workspace) == [now]


def test_a_stated_time_of_learning_holds_for_all_rows(facts: Facts, take: Take, workspace: Workspace) -> None:
    stated = datetime(2026, 2, 20, tzinfo=UTC)
    take(facts({}, {"target": "boots"}), learned_at=stated)
    assert learned(workspace) == [stated, stated]
    assert not workspace.fact_history("shop")["assumed"].any()
    with pytest.raises(ConfigError, match="lies ahead"):
        take(facts({}), "b.csv", learned_at=datetime(2027, 1, 1, tzinfo=UTC))


def test_files_told_in_the_wrong_order_end_in_the_right_history(facts: Facts, take: Take, workspace: Workspace) -> None:
    second, first = datetime(2026, 2, 20, tzinfo=UTC), datetime(2026, 2, 10, tzinfo=UTC)
    take(facts({"orders": 5.0}), "second.csv", learned_at=second)
    take(facts({"orders": 2.0}), "first.csv", learned_at=first)
    assert workspace.facts("shop", first)["orders"].to_list() == [2.0]
    assert workspace.facts("shop", second)["orders"].to_list() == [5.0]
    assert workspace.facts("shop")["orders"].to_list() == [5.0]


def test_rows_that_turn_up_for_an_imported_day_are_learned_when_they_turn_up(
    facts: Facts, take: Take, workspace: Workspace, now: datetime
) -> None:
    take(facts({}), "a.csv")
    late = take(facts({}, {"target": "late"}, {"campaign": "C2"}), "b.csv")
    assert counts(late) == (2, 1, 0, 0)
    assert "1 new rows of days that were imported before" in late.warnings[0]
    by_target = dict(
        workspace.fact_history("shop").select(pl.format("{} {}", "campaign", "target"), "learned_at").iter_rows()
    )
    assert by_target["C1 late"] == now
    assert by_target["C2 shoes"] == datetime(2026, 2, 2, 12, tzinfo=UTC)


def test_a_correction_holds_even_when_the_clock_stands_behind(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({}), "a.csv", learned_at=datetime(2026, 2, 20, tzinfo=UTC))
    take(facts({"orders": 7.0}), "b.csv", now=datetime(2026, 2, 10, tzinfo=UTC))
    assert workspace.facts("shop")["orders"].to_list() == [7.0]


def test_another_currency_is_refused_and_nothing_of_the_file_is_imported(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    with pytest.raises(DataError, match=r"USD.*INR.*--account"):
        take(facts({}), currency="USD")
    assert workspace.facts("shop").height == 0
    assert workspace.files().height == 0


def test_another_attribution_window_of_the_same_report_is_refused(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    take(facts({}), "14.csv")
    with pytest.raises(DataError, match=r"7 days.*14\.csv.*within 14"):
        take(facts({"orders": 1.0}), "7.csv", attribution_days=7)
    assert workspace.facts("shop")["orders"].to_list() == [2.0]
    other = take(
        facts({"report": "campaign", "ad_group": None, "target": None, "match_type": None}), "c.csv", attribution_days=7
    )
    assert "cannot be compared" in other.warnings[0]


def test_a_duplicate_within_a_file_is_set_aside_with_both_lines(facts: Facts, take: Take, workspace: Workspace) -> None:
    result = take(facts({}, {"spend": 99.0}, {"target": "boots"}))
    assert counts(result) == (2, 0, 0, 1)
    assert result.reasons == {"duplicate row": 1}
    aside = workspace.quarantine("shop").row(0, named=True)
    assert (aside["row_number"], aside["file"]) == (3, "a.csv")
    assert "line 3" in aside["detail"]
    assert "line 2" in aside["detail"]
    assert '"spend":99.0' in aside["raw"]
    assert workspace.facts("shop")["spend"].to_list() == [50.0, 50.0]


def test_quarantined_rows_are_listed_once_however_often_the_file_is_read(
    facts: Facts, take: Take, workspace: Workspace
) -> None:
    bad = pl.DataFrame([(7, "negative spend", "line 7: ...", "{}")], schema=dict(QUARANTINE), orient="row")
    for _ in range(2):
        assert counts(take(facts({}), quarantined=bad))[3] == 1
    take(facts().clear(), "only_bad.csv", quarantined=bad)
    assert workspace.quarantine().select("account", "file", "row_number", "reason").rows() == [
        ("shop", "a.csv", 7, "negative spend"),
        ("shop", "only_bad.csv", 7, "negative spend"),
    ]


def test_a_wall_clock_hour_that_was_skipped_is_set_aside(
    facts: Facts, workspace: Workspace, take: Take, now: datetime
) -> None:
    from domain.account import Account

    workspace.create_account(Account("berlin", "EUR", "Europe/Berlin"), now)
    hours = [{"grain": "hour", "start_local": datetime(2026, 3, 29, h)} for h in (1, 2, 3)]
    result = take(
        facts(*hours), account="berlin", currency="EUR", now=datetime(2026, 4, 1, tzinfo=UTC), report_lag_hours=0.0
    )
    assert counts(result) == (2, 0, 0, 1)
    assert "skipped 2026-03-29 02:00" in workspace.quarantine("berlin")["detail"][0]
    assert learned(workspace, "berlin") == [datetime(2026, 3, 29, h, tzinfo=UTC) for h in (1, 2)]


def test_the_list_of_imports_tells_what_each_file_brought(facts: Facts, take: Take, workspace: Workspace) -> None:
    take(facts({}, {"start_local": datetime(2026, 2, 3), "spend": 1.0}))
    listed = workspace.files("shop").row(0, named=True)
    assert (listed["file"], listed["report"], listed["rows_new"]) == ("a.csv", "targeting", 2)
    assert (listed["first_day"], listed["last_day"]) == ("2026-02-01", "2026-02-03")
    assert (listed["currency"], listed["attribution_days"]) == ("INR", 14)


def test_facts_come_back_as_they_went_in(facts: Facts, take: Take, workspace: Workspace) -> None:
    rows = facts(
        {"daily_budget": 12.5, "portfolio": "P", "campaign": "Läden / 鞋"}, {"target": None, "match_type": None}
    )
    take(rows)
    assert_frame_equal(workspace.facts("shop").sort("row_number"), rows)
    assert workspace.facts("shop").schema == pl.Schema(FACTS)


# -- catalog ---------------------------------------------------------------------------------------------------------


def goods(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict(CATALOG), orient="row")


def put(workspace: Workspace, rows: pl.DataFrame, file: str, now: datetime) -> tuple[int, int, int, int]:
    bad = pl.DataFrame(schema=dict(QUARANTINE))
    return counts(workspace.ingest_catalog("shop", rows, file=file, sha256=file, quarantined=bad, now=now))


def test_a_catalog_says_what_is_new_and_keeps_what_it_does_not_name(workspace: Workspace, now: datetime) -> None:
    first = goods(("s1", 10.0, 0.3, "shoes", "home", 5.0), ("s2", 20.0, None, None, None, None))
    assert put(workspace, first, "1.csv", now) == (2, 0, 0, 0)
    assert put(workspace, first, "1.csv", now) == (0, 2, 0, 0)
    changed = goods(("s1", 12.0, 0.3, "shoes", "home", 5.0))
    later = now + timedelta(days=1)
    assert put(workspace, changed, "2.csv", later) == (0, 0, 1, 0)
    assert workspace.catalog("shop")["price"].to_list() == [12.0, 20.0]
    assert workspace.catalog("shop", now)["price"].to_list() == [10.0, 20.0]
    assert put(workspace, first, "1.csv", later) == (0, 2, 0, 0)
    assert workspace.catalog("shop")["price"].to_list() == [12.0, 20.0]
    assert workspace.files()["report"].to_list() == ["catalog", "catalog"]


def test_a_good_that_is_told_of_first_counts_as_always_known(workspace: Workspace, now: datetime) -> None:
    put(workspace, goods(("s1", 10.0, 0.3, "shoes", "home", 5.0)), "1.csv", now)
    assert workspace.catalog("shop", datetime(2020, 1, 1, tzinfo=UTC)).height == 1


def test_a_catalog_before_any_report_makes_an_account_that_takes_the_first_files_currency(
    tmp_path: object, workspace: Workspace, facts: Facts, take: Take, now: datetime
) -> None:
    bad = pl.DataFrame(schema=dict(QUARANTINE))
    workspace.ingest_catalog(
        "fresh", goods(("s1", 1.0, None, None, None, None)), file="c", sha256="c", quarantined=bad, now=now
    )
    assert set(workspace.account("fresh").assumed) == {"currency", "timezone"}
    take(facts({}), account="fresh", currency="GBP")
    assert workspace.account("fresh").currency == "GBP"
    with pytest.raises(DataError, match="GBP"):
        take(facts({}), "b.csv", account="fresh", currency="USD")
