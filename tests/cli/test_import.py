"""The contract of `steadybid import`: one record per file, counts that add up, and nothing but words."""

import gzip
import zlib
from datetime import timedelta
from pathlib import Path

import pytest

KEYS = {"file", "report", "rows_read", "rows_accepted", "rows_quarantined", "reasons", "error", "warnings"}


def adds_up(record):
    parts = sum(v for k, v in record.items() if k.startswith("rows_") and k != "rows_read")
    counted = sum(record["reasons"].values()) == record["rows_quarantined"]
    return set(record) >= KEYS and parts == record["rows_read"] and counted


def test_every_file_named_has_its_record_in_order_and_a_refused_one_stops_nobody(run, targeting, budgets, tmp_path):
    good = targeting()
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(good.read_bytes())[:-400])
    bomb = tmp_path / "bomb.csv.gz"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb.write_bytes(b"".join(packer.compress(bytes(2**20)) for _ in range(520)) + packer.flush())
    empty = tmp_path / "empty.xlsx"
    empty.touch()
    foreign = tmp_path / "latin.csv"
    foreign.write_bytes(good.read_bytes().replace(b"Tea 0", b"Th\xe9 0"))
    catalog = tmp_path / "catalog.csv"
    catalog.write_text(
        "sku,price,margin rate,category,business type,stock\nA1,100,0.3,tea,home,5\nA2,-1,0.3,tea,home,5\n"
    )
    other = tmp_path / "other.csv"
    other.write_text("name,colour\nx,red\n")
    named = [cut, good, bomb, empty, foreign, catalog, other, tmp_path / "absent.csv", tmp_path, "", budgets, good]
    said = run("import", *named, "--account", "shop", "--json")
    records = said.json["files"]
    assert [r["file"] for r in records] == [str(n) for n in named]
    assert all(adds_up(r) for r in records)
    assert [r["error"] is None for r in records] == [n in (good, catalog, budgets) for n in named]
    assert said.status == 1
    assert [records[k]["report"] for k in (1, 5, 10)] == ["targeting", "catalog", "campaign"]
    assert records[5]["reasons"] == {"price not positive": 1}
    assert records[11]["rows_unchanged"] == records[11]["rows_read"] == 84
    assert all(r["error"] and len(r["error"]) > 20 for r in records if r["error"] is not None)


def test_json_stands_alone_on_stdout(run, targeting, tmp_path):
    said = run("import", targeting(), tmp_path / "absent.csv", "--json")
    assert said.json["files"]  # would not parse with anything before or after it
    assert said.err == ""


def test_an_unknown_account_is_made_with_the_currency_of_the_file_and_marked_assumed(done, targeting):
    said = done("import", targeting(), "--account", "new", "--json")
    (account,) = done("accounts", "--json").json["accounts"]
    assert (account["account"], account["currency"], account["timezone"]) == ("new", "INR", "UTC")
    assert set(account["assumed"]) == {"currency", "timezone"}
    assert any("assumed" in w and "init" in w for w in said.json["files"][0]["warnings"])


def test_importing_twice_changes_nothing_even_where_bytes_differ(done, targeting, shop):
    before = done("plan", "-a", shop, "--at", "2026-03-16T09:00", "--json").json
    again = targeting("again.csv", change=lambda lines: [f"{line}\r" for line in reversed(lines)])
    (record,) = done("import", again, "--account", shop, "--json").json["files"]
    assert (record["rows_accepted"], record["rows_unchanged"]) == (0, 84)
    assert done("plan", "-a", shop, "--at", "2026-03-16T09:00", "--json").json == before


def test_a_corrected_file_supersedes_and_the_earlier_value_stays_as_history(done, targeting, shop, home):
    from data import Workspace

    def corrected(lines):
        cells = lines[0].split(",")
        cells[9] = str(float(cells[9]) + 1)
        return [",".join(cells), *lines[1:]]

    said = done("import", targeting("late.csv", change=corrected), "--account", shop, "--json")
    (record,) = said.json["files"]
    assert (record["rows_accepted"], record["rows_unchanged"]) == (1, 83)
    assert any("correct" in w for w in record["warnings"])
    workspace = Workspace.open(home)
    history = workspace.fact_history(shop)
    first = history.filter((history["row_number"] == 2) & (history["report"] == "targeting"))
    assert first.height == 2
    assert first["spend"][1] == first["spend"][0] + 1
    assert abs(workspace.facts(shop).filter(report="targeting")["spend"].sum() - _total(targeting) - 1) < 1e-6
    assert "differs from campaign by +1.00 in 1 place" in " ".join(said.json["reconciliation"])


def _total(targeting):
    return sum(float(line.split(",")[9]) for line in targeting("whole.csv").read_text().splitlines()[1:])


@pytest.mark.parametrize(("changed", "words"), [({"currency": "USD"}, "USD"), ({"window": 7}, "7 days")])
def test_other_money_or_another_attribution_window_is_refused_and_nothing_stored(run, targeting, shop, changed, words):
    before = run("plan", "-a", shop, "--at", "2026-04-01T09:00", "--json").json["known"]
    file = targeting("foreign.csv", days=range(14, 20), **changed)
    said = run("import", file, "--account", shop, "--json")
    (record,) = said.json["files"]
    assert said.status == 1
    assert words in record["error"]
    assert "--account" in record["error"]
    assert adds_up(record)
    assert record["rows_accepted"] == 0
    assert run("plan", "-a", shop, "--at", "2026-04-01T09:00", "--json").json["known"] == before


def test_rows_that_cannot_be_are_set_aside_and_the_rest_is_kept(done, run, targeting, home):
    def spoilt(lines):
        bad = lines[3].split(",")
        bad[9] = "-5"
        undated = lines[4].split(",")
        undated[0] = "someday"
        return [*lines[:3], ",".join(bad), ",".join(undated), *lines[5:], lines[0]]

    said = run("import", targeting(change=spoilt), "--account", "shop", "--json")
    (record,) = said.json["files"]
    assert said.status == 0
    assert adds_up(record)
    assert (record["rows_read"], record["rows_accepted"], record["rows_quarantined"]) == (85, 82, 3)
    listed = done("quarantine", "--account", "shop", "--json").json["quarantine"]
    assert {r["reason"] for r in listed} == set(record["reasons"])
    assert all(r["file"].endswith("targeting.csv") and r["row_number"] > 1 and r["detail"] for r in listed)
    assert "negative spend" in done("quarantine").out
    assert run("quarantine", "--account", "nobody").status == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--platform", "nowhere"),
        ("--account", "a/b"),
        ("--account", ""),
        ("--learned-at", "someday"),
        ("--learned-at", "2099-01-01T00:00Z"),
        ("--report-lag-hours", "inf"),
        ("--report-lag-hours", "-1"),
        ("--colour", "red"),
    ],
)
def test_a_wrong_call_is_refused_as_a_whole_and_makes_nothing(run, targeting, home, words):
    said = run("import", targeting(), *words)
    assert said.status == 2
    assert said.err
    assert run("accounts", "--json").out.strip() in ("", '{\n  "accounts": []\n}')


def test_no_file_named_is_a_wrong_call(run):
    assert run("import").status == 2


def test_a_simulated_account_takes_no_reports(run, done, targeting):
    done("init", "--account", "sim", "--currency", "INR", "--platform", "sim")
    said = run("import", targeting(), "--account", "sim")
    assert said.status == 2
    assert "platform" in said.err


def test_a_file_name_that_is_no_text_is_imported_all_the_same(run, targeting, tmp_path):
    odd = Path(str(tmp_path) + "/the\udce9.csv")
    targeting().rename(odd)
    said = run("import", odd, "--account", "shop")
    assert said.status == 0
    assert "84 accepted" in said.out


def test_an_assumed_time_zone_can_be_stated_later_and_moves_the_days(done, targeting):
    done("import", targeting(), "--account", "late")
    early = "2026-03-14T20:00Z"  # 15 March 01:30 in India
    before = done("plan", "-a", "late", "--at", early, "--json").json["known"]["clicks"]
    done("init", "--account", "late", "--currency", "INR", "--timezone", "Asia/Kolkata")
    (account,) = done("accounts", "--json").json["accounts"]
    assert account["assumed"] == []
    later = done("plan", "-a", "late", "--at", "2026-03-15T06:35Z", "--json").json["known"]["clicks"]
    assert later >= before
    assert done("plan", "-a", "late", "--at", early, "--json").json["hour_local"].endswith("+05:30")


def test_a_bulk_sheet_brings_live_bids_once(done, run, shop, tmp_path):
    sheet = tmp_path / "bulk.csv"
    header = (
        "Product,Entity,Operation,Campaign ID,Ad Group ID,Keyword ID,Product Targeting ID,Campaign Name,Ad Group Name,"
        "Campaign Name (Informational only),Ad Group Name (Informational only),State,Daily Budget,Ad Group Default Bid,"
        "Bid,Keyword Text,Match Type,Product Targeting Expression"
    )
    lines = [f"Sponsored Products,Campaign,,C{c},,,,Tea {c},,,,enabled,{900 if c == 0 else 400},,,,," for c in (0, 1)]
    lines += [f"Sponsored Products,Ad Group,,C{k % 2},G{k},,,,Group {k},,,enabled,,3,,,," for k in range(6)]
    lines += [
        f"Sponsored Products,Keyword,,C{k % 2},G{k},K{k},,,,Tea {k % 2},Group {k},enabled,,,{4 + k},green tea {k},Exact,"
        for k in range(6)
    ]
    bad = "Sponsored Products,Keyword,,C0,G0,1.5E+10,,,,Tea 0,Group 0,enabled,,,4,black tea,Exact,"
    sheet.write_text("\n".join([header, *lines, bad]) + "\n", encoding="utf-8")
    assert run("import", sheet, "--account", "nobody").status == 1  # a sheet names no currency
    first = done("import", sheet, "--account", shop, "--json").json["files"][0]
    assert first["report"] == "bulk_sheet"
    assert adds_up(first)
    assert first["rows_quarantined"] == 1
    assert first["rows_accepted"] > 0
    second = done("import", sheet, "--account", shop, "--json").json["files"][0]
    assert adds_up(second)
    assert second["rows_accepted"] == 0
    assert len(done("quarantine", "--json").json["quarantine"]) == 1
    soon = _next_hour()
    units = done("plan", "-a", shop, "--at", soon, "--json").json["units"]
    assert {u["live_bid"] for u in units} == {4.0 + k for k in range(6)}
    assert not any(u["action"] == "bid_unknown" for u in units)
    said = done("export-bids", "-a", shop, "--at", soon, "--out", tmp_path / "out")
    assert list((tmp_path / "out").glob("audit-*.csv"))
    assert ("upload:" in said.out) == bool(list((tmp_path / "out").glob("bulk-*.xlsx")))
    assert "are unknown" not in said.out


def _next_hour():
    from cli.workspace import SystemClock

    return (SystemClock().now() + timedelta(hours=1)).isoformat(timespec="minutes")


def test_people_read_counts_and_the_reconciliation(done, targeting, budgets):
    said = done("import", targeting(), budgets, "--account", "shop")
    assert "targeting, 84 rows: 84 accepted" in said.out
    assert "2 files, 0 refused" in said.out
    assert "agree" in said.out
