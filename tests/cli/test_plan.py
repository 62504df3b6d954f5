"""`steadybid plan`: every unit, from what was known then, in words and numbers that fit together."""

import math
from pathlib import Path

import pytest

FIGURES = ("spend", "clicks", "orders", "gmv")
NOON = "2026-03-16T12:00+05:30"


def test_every_unit_has_a_bid_or_an_explicit_hold_with_figures_bands_and_a_reason(done, shop):
    record = done("plan", "-a", shop, "--at", NOON, "--json").json
    units = record["units"]
    assert len(units) == 6  # one of them without a click ever
    for unit in units:
        assert unit["reason"]
        assert unit["action"] in {"set", "keep", "pause", "hold", "bid_unknown"}
        if unit["action"] == "hold":
            continue
        assert 1.0 <= unit["bid"] <= 5000.0
        assert math.isclose(unit["bid"] * 100, round(unit["bid"] * 100), abs_tol=1e-6)
        for name in FIGURES:
            assert 0 <= unit[f"{name}_low"] <= unit[name] + 1e-12 <= unit[f"{name}_high"] + 2e-12
    for name in FIGURES:
        assert math.isclose(record["expected"][name], sum(u[name] or 0.0 for u in units))
    assert sum(record["counts"].values()) == len(units)
    assert {"spend", "clicks", "orders"} <= set(record["known"])


def test_without_targets_the_daily_budgets_of_the_reports_hold_and_the_plan_says_so(done, shop):
    record = done("plan", "-a", shop, "--at", NOON, "--json").json
    assert any("no targets are set" in n and "daily budgets" in n for n in record["notes"])
    assert {(t["kind"], t["on"], t["target"]) for t in record["targets"]} == {
        ("budget", "campaign:Tea 0", 900.0),
        ("budget", "campaign:Tea 1", 400.0),
    }


def test_the_same_instant_in_any_offset_is_the_same_plan(done, shop):
    plans = [
        done("plan", "-a", shop, "--at", at, "--json").json
        for at in (NOON, "2026-03-16T06:30Z", "2026-03-16 12:00", "2026-03-15T22:30-08:00", "2026-03-16T12:59:59")
    ]
    assert all(plan == plans[0] for plan in plans)


def test_before_any_report_there_is_nothing_to_plan_and_it_says_what_to_do(done, shop):
    record = done("plan", "-a", shop, "--at", "2026-02-01", "--json").json
    assert record["units"] == []
    assert (record["known"]["spend"], record["known"]["clicks"]) == (0.0, 0.0)
    assert "import" in record["reason"]


def test_what_was_known_grows_with_the_hour_and_never_holds_the_day_itself(done, shop, targeting):
    spend = {}
    for line in targeting("x.csv").read_text().splitlines()[1:]:
        cells = line.split(",")
        spend[cells[0]] = spend.get(cells[0], 0.0) + float(cells[9])
    known = [
        done("plan", "-a", shop, "--at", f"2026-03-{day:02}T00:00", "--json").json["known"]["spend"]
        for day in (3, 8, 15)
    ]
    assert known == sorted(known)
    # a report is read half a day after its day ends: at midnight the day before is not there yet
    assert math.isclose(known[1], sum(v for d, v in spend.items() if d < "2026-03-07"))


def test_rows_imported_later_leave_an_earlier_plan_as_it_was(done, targeting):
    done("init", "--account", "first", "--currency", "INR", "--timezone", "Asia/Kolkata")
    done("import", targeting("early.csv", days=range(10)), "--account", "first")
    at = ("plan", "-a", "first", "--at", "2026-03-11T15:00", "--json")
    before = done(*at).json
    done("import", targeting("late.csv", days=range(10, 14)), "--account", "first")

    def doubled(lines):
        cells = [line.split(",") for line in lines]
        return [",".join([*c[:9], str(2 * float(c[9])), *c[10:]]) for c in cells]

    done("import", targeting("corrected.csv", days=range(5), change=doubled), "--account", "first")
    assert done(*at).json == before
    assert done("plan", "-a", "first", "--json").json["known"]["spend"] > before["known"]["spend"]


@pytest.mark.parametrize("at", ["2027-01-01", "2099-12-31T23:00"])
def test_long_after_the_last_report_the_plan_says_how_old_it_is(done, shop, at):
    record = done("plan", "-a", shop, "--at", at, "--json").json
    assert len(record["units"]) == 6
    assert any("old" in n and "days" in n for n in record["notes"])


@pytest.mark.parametrize(
    "at", ["someday", "2026-02-30T00:00", "", "0001-01-01T00:00", "9999-12-31T23:00", "2026-03-16T12:00+99:00"]
)
def test_a_time_that_cannot_be_is_a_wrong_call(run, shop, at):
    said = run("plan", "-a", shop, "--at", at)
    assert said.status == 2
    assert "time" in said.err


def test_an_unknown_account_is_a_wrong_call_that_names_the_known_ones(run, shop):
    said = run("plan", "-a", "shopp")
    assert said.status == 2
    assert shop in said.err


def test_an_account_with_impressions_and_no_click_holds_everything(done, targeting):
    def without_clicks(lines):
        return [",".join([*line.split(",")[:7], "50,0,0,0,0,0"]) for line in lines]

    done("import", targeting(change=without_clicks), "--account", "quiet")
    record = done("plan", "-a", "quiet", "--at", NOON, "--json").json
    assert {u["action"] for u in record["units"]} == {"hold"}
    assert all(u["reason"] for u in record["units"])
    done("plan", "-a", "quiet", "--at", NOON)


def test_a_roi_target_above_what_stands_cuts_spend_and_says_that_it_binds(done, shop):
    free = done("plan", "-a", shop, "--at", NOON, "--json").json["expected"]["spend"]
    done("targets", "set", "-a", shop, "--roi", "12")
    tight = done("plan", "-a", shop, "--at", NOON, "--json").json
    assert tight["expected"]["spend"] < free
    (row,) = [t for t in tight["targets"] if t["kind"] == "roi"]
    assert row["binds"]
    done("targets", "set", "-a", shop, "--roi", "900")
    none = done("plan", "-a", shop, "--at", NOON, "--json").json
    assert none["status"] in {"starved", "unreachable"}
    assert none["expected"]["spend"] < 0.05 * free
    assert not any("lifted" in u["reason"] for u in none["units"] if not u["bid"])


def test_a_cpc_cap_of_one_campaign_holds_there_and_takes_nothing_from_the_other(done, shop):
    free = done("plan", "-a", shop, "--at", NOON, "--json").json
    done("targets", "set", "-a", shop, "--cpc", "3.5", "--campaign", "Tea 1")
    capped = done("plan", "-a", shop, "--at", NOON, "--json").json

    def cpc(record):
        inside = [u for u in record["units"] if u["campaign"] == "Tea 1"]
        return sum(u["spend"] for u in inside) / sum(u["clicks"] for u in inside)

    assert cpc(free) > 3.6
    assert cpc(capped) <= 3.5 * 1.03
    others = [[u["bid"] for u in r["units"] if u["campaign"] == "Tea 0"] for r in (free, capped)]
    assert all(after >= before for before, after in zip(*others, strict=True))


@pytest.mark.parametrize("columns", [60, 100, 160])
def test_the_table_fits_the_page_and_ends_with_the_totals(done, shop, monkeypatch, columns):
    monkeypatch.setattr("cli.output.WIDTH_ELSEWHERE", columns)
    monkeypatch.setattr("cli.bids.width", lambda: columns)
    said = done("plan", "-a", shop, "--at", NOON)
    lines = said.out.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("unit "))
    assert all(len(line) <= columns for line in lines[start:])
    assert any(line.startswith("all") for line in lines[-3:])
    if columns >= 100:
        spend = done("plan", "-a", shop, "--at", NOON, "--json").json["expected"]["spend"]
        assert f"{spend:,.2f}" in next(line for line in reversed(lines) if line.startswith("all units"))


def test_top_shows_the_units_that_spend_most_and_tells_of_the_others(done, shop):
    said = done("plan", "-a", shop, "--at", NOON, "--top", "2")
    assert "4 more units" in said.out


def test_export_writes_the_audit_and_says_which_download_it_needs(done, run, shop, home, tmp_path):
    said = done("export-bids", "-a", shop, "--at", NOON)
    (audit,) = (home / "outbox" / shop).glob("audit-*.csv")
    assert str(audit) in said.out
    assert len(audit.read_text(encoding="utf-8-sig").splitlines()) == 7
    assert "bulk sheet" in said.out
    (tmp_path / "file").touch()
    assert run("export-bids", "-a", shop, "--at", NOON, "--out", tmp_path / "file").status != 0


@pytest.mark.real_data
def test_the_plan_says_when_its_units_were_summed_from_search_terms(done, home):
    done("init", "-a", "shop", "--currency", "EUR", "--timezone", "Europe/Berlin")
    reports = Path(__file__).parents[2] / "examples" / "reports"
    at = ("plan", "-a", "shop", "--at", "2026-11-05T10:00+01:00", "--json")
    done("import", reports / "search-term.csv", "-a", "shop")
    assert any("search-term report" in note for note in done(*at).json["notes"])
    done("import", reports / "targeting.csv", "-a", "shop")
    assert not any("search-term report" in note for note in done(*at).json["notes"])


def test_the_real_account_is_planned_within_limits_under_every_target(done, run, real_data):
    done("init", "--account", "in", "--currency", "INR", "--timezone", "Asia/Kolkata")
    files = sorted(real_data.glob("amazon_sp_IN_*.csv.gz"))
    told = done("import", *files, "--platform", "amazon-sp", "--account", "in", "--json").json
    assert len(told["files"]) == 6
    assert "22,337.77" in told["reconciliation"][0]
    at = ("plan", "-a", "in", "--at", "2020-02-23T00:00+05:30")
    spends = {}
    for name, words in {
        "none": (),
        "roi 4": ("--roi", "4.0"),
        "cap": ("--cpc", "3", "--campaign", "Campaign 001"),
        "roi 2.2": ("--roi", "2.2"),
    }.items():
        if words:
            done("targets", "set", "-a", "in", *words)
        record = done(*at, "--json").json
        assert record["reason"]
        assert record["status"] != "slack" or name == "none"
        assert all(u["reason"] for u in record["units"])
        bids = [u["bid"] for u in record["units"] if u["bid"] is not None]
        assert all(1.0 <= b <= 5000.0 for b in bids)
        assert {u["action"] for u in record["units"]} == {"bid_unknown"}
        spends[name] = record["expected"]["spend"]
        if name in ("cap", "roi 2.2"):
            inside = [u for u in record["units"] if u["campaign"] == "Campaign 001"]
            assert sum(u["spend"] for u in inside) <= 3.1 * sum(u["clicks"] for u in inside)
    assert spends["roi 4"] < spends["none"]
    assert spends["cap"] < spends["roi 2.2"]
    assert record["known"]["spend"] < 22_337.77
    done(*at)
