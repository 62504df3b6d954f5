"""`steadybid targets` and `steadybid phases`: what may be said, and what is answered to what may not."""

import pytest

GOOD = """
[[phase]]
name = "store"
kind = "warm-up"
start = 2026-03-16T00:00:00
end = 2026-03-18T00:00:00
budget = 800

[[phase]]
name = "burst"
kind = "burst"
start = "2026-03-18T00:00+05:30"
end = 2026-03-19
traffic = 2.0
"""


@pytest.mark.parametrize("kind", ["--roi", "--cpc", "--cpa", "--budget", "--daily-budget"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "many", "", "4,0", "1e999"])
def test_a_target_that_cannot_be_is_refused_with_what_is_allowed(run, shop, kind, value):
    said = run("targets", "set", "-a", shop, f"{kind}={value}")
    assert said.status == 2
    assert "need a positive" in said.err
    assert run("targets", "list", "-a", shop, "--json").json["targets"] == []


@pytest.mark.parametrize("group", ["--campaign", "--business-type", "--unit"])
@pytest.mark.parametrize("name", ["nobody's", "", " "])
def test_a_target_on_a_group_that_is_not_there_is_refused(run, shop, group, name):
    said = run("targets", "set", "-a", shop, "--cpc", "3", group, name)
    assert said.status == 2
    assert run("targets", "list", "-a", shop, "--json").json["targets"] == []


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--roi", "4", "--cpc", "-2"),
        ("--cpc", "3", "--campaign", "Tea 0", "--business-type", "home"),
        ("--roi", "1e9"),
    ],
)
def test_a_call_is_taken_whole_or_not_at_all(run, shop, words):
    assert run("targets", "set", "-a", shop, *words).status == 2
    assert run("targets", "list", "-a", shop, "--json").json["targets"] == []


def test_a_target_is_listed_replaced_and_removed(run, done, shop):
    done("targets", "set", "-a", shop, "--roi", "4", "--by", "Asha", "--reason", "month end")
    done("targets", "set", "-a", shop, "--roi", "2.2", "--cpc", "3.5", "--campaign", "Tea 0")
    done("targets", "set", "-a", shop, "--roi", "3", "--by", "Asha", "--reason", "month end")
    listed = done("targets", "list", "-a", shop, "--json").json["targets"]
    assert {(t["kind"], t["scope"], t["key"], t["value"]) for t in listed} == {
        ("roi", "account", "", 3.0),
        ("roi", "campaign", "Tea 0", 2.2),
        ("cpc", "campaign", "Tea 0", 3.5),
    }
    assert ("Asha", "month end") in {(t["author"], t["reason"]) for t in listed}
    assert "campaign:Tea 0" in done("targets", "list", "-a", shop).out
    done("targets", "remove", "roi", "-a", shop)
    assert run("targets", "remove", "roi", "-a", shop).status == 2
    assert run("targets", "remove", "profit", "-a", shop).status == 2
    assert len(done("targets", "list", "-a", shop, "--json").json["targets"]) == 2


def test_daily_budgets_are_taken_from_the_reports(done, run, shop, targeting):
    done("targets", "set", "-a", shop, "--budgets-from-reports")
    listed = done("targets", "list", "-a", shop, "--json").json["targets"]
    assert {(t["key"], t["value"], t["period"]) for t in listed} == {("Tea 0", 900, "day"), ("Tea 1", 400, "day")}
    done("import", targeting("other.csv"), "--account", "other")
    said = run("targets", "set", "-a", "other", "--budgets-from-reports")
    assert said.status == 2
    assert "campaign report" in said.err


@pytest.mark.parametrize("words", [("targets", "list"), ("targets", "set", "--roi", "3"), ("phases", "show")])
def test_an_unknown_account_is_a_wrong_call(run, shop, words):
    assert run(*words, "-a", "nobody").status == 2


def test_phases_are_set_and_shown_in_the_account_s_time(done, shop, tmp_path):
    file = tmp_path / "phases.toml"
    file.write_text(GOOD)
    said = done("phases", "set", file, "-a", shop)
    assert "2026-03-16 00:00 to 2026-03-18 00:00, budget 800.00 INR" in said.out
    shown = done("phases", "show", "-a", shop, "--json").json["phases"]
    assert [(p["name"], p["start"], p["end"]) for p in shown] == [
        ("store", "2026-03-16T00:00:00+05:30", "2026-03-18T00:00:00+05:30"),
        ("burst", "2026-03-18T00:00:00+05:30", "2026-03-19T00:00:00+05:30"),
    ]
    assert "burst" in done("phases", "show", "-a", shop).out
    record = done("plan", "-a", shop, "--at", "2026-03-16T12:00", "--json").json
    assert record["units"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("[[phase]]", "[[phase", "TOML"),
        ('kind = "warm-up"', 'kind = "party"', "warm-up"),
        ('name = "store"', 'name = "store"\ncolour = "red"', "colour"),
        ('name = "store"', "", "name"),
        ("2026-03-18T00:00:00\nbudget", "2026-03-18T05:00:00\nbudget", "overlap"),
        ("2026-03-18T00:00:00\nbudget", "2026-03-15T00:00:00\nbudget", "ends before"),
        ("budget = 800", "budget = -800", "budget"),
        ("budget = 800", "budget = nan", "budget"),
        ("budget = 800", 'budget = "much"', "number"),
        ("2026-03-16T00:00:00", "2026-03-16T00:30:00", "full hour"),
        ("2026-03-16T00:00:00", "0001-01-01T00:00:00", "years"),
        ('name = "store"', 'name = "burst"', "differ"),
    ],
)
def test_a_calendar_that_contradicts_itself_is_refused_and_the_old_one_stays(
    run, done, shop, tmp_path, before, after, words
):
    file = tmp_path / "phases.toml"
    file.write_text(GOOD)
    done("phases", "set", file, "-a", shop)
    assert before in GOOD
    file.write_text(GOOD.replace(before, after, 1))
    said = run("phases", "set", file, "-a", shop)
    assert said.status == 2
    assert words in said.err
    assert len(done("phases", "show", "-a", shop, "--json").json["phases"]) == 2


def test_a_phase_file_that_cannot_be_read_is_a_wrong_call(run, shop, tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'name = "th\xe9"')
    for path in (tmp_path / "absent.toml", tmp_path, tmp_path / "latin.toml"):
        assert run("phases", "set", path, "-a", shop).status == 2
