import re
from pathlib import Path

import pytest

from domain.errors import ConfigError
from domain.phases import PhaseKind
from market import load_scenario

EDITS = {
    "an unknown key": ("cold_share = 0.10", "cold_share = 0.10\ncolour = 3", r"unknown key units\.colour"),
    "an unknown table": ("[limits]", "[weather]\nrain = 1\n\n[limits]", r"unknown key weather"),
    "a missing key": ("ctr = 0.02\n", "", r"demand\.ctr is missing"),
    "a budget of 0": ("budget = 607500.0", "budget = 0", r"goals\.budget: must lie between"),
    "a negative budget": ("budget = 607500.0", "budget = -5", r"goals\.budget: must lie between"),
    "a budget that is no number": ("budget = 607500.0", "budget = nan", r"goals\.budget: must lie between"),
    "a text for a number": ("count = 200", 'count = "many"', r"units\.count: expected a whole number"),
    "a broken count": ("count = 200", "count = 20.5", r"units\.count: expected a whole number"),
    "a truth value for a number": ("drift = 0.06", "drift = true", r"rivals\.drift: expected a number"),
    "overlapping phases": ("end = 2026-11-10T00:00:00", "end = 2026-11-10T05:00:00", r"phases: .*overlap"),
    "a phase that ends before it starts": ("end = 2026-11-12T00:00:00", "end = 2026-11-10T00:00:00", r"phases\[2\]"),
    "a phase outside the scenario": ("end = 2026-11-13T00:00:00\n\n[units]", "end = 2026-11-12T12:00:00\n\n[units]", r"phases\[3\]"),
    "an unknown kind of phase": ('kind = "burst"', 'kind = "boom"', r"phases\[2\]\.kind: 'boom' is none of"),
    "a time with an offset": ("start = 2026-11-08T00:00:00", "start = 2026-11-08T00:00:00Z", r"start: expected a local time"),
    "a broken hour": ("rise_at = 2026-11-10T12:00:00", "rise_at = 2026-11-10T12:30:00", r"rivals\.rise_at: write a whole hour"),
    "an unknown time zone": ("Asia/Shanghai", "Asia/Atlantis", r"timezone: unknown time zone"),
    "23 hours of the day": ("hour_of_day = [\n  0.55,", "hour_of_day = [\n ", r"demand\.hour_of_day: write 24"),
    "more campaigns than units": ("campaigns = 10", "campaigns = 300", r"units: name at least"),
    "no business type": ('["home", "beauty"]', "[]", r"units: name at least one business type"),
    "an impossible delay": ("mean_lag_hours = 10.0", "mean_lag_hours = 0.2", r"conversion\.mean_lag_hours"),
    "a floor above the cap": ("cap = 100.0", "cap = 0.01", r"limits: .*floor"),
    "a phase without a name": ('name = "burst"', 'name = ""', r"phases\[2\]\.name: expected a text"),
    "a currency in small letters": ('currency = "CNY"', 'currency = "cny"', r"name or currency: .*ISO 4217"),
    "a name that no account can bear": ('name = "demo"', 'name = "a/b"', r"name or currency: .*letters"),
    "no TOML": ("[units]", "[units", r"not valid TOML"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITS)
def test_a_scenario_that_makes_no_sense_is_refused_with_file_and_key(case: str, shipped: Path, tmp_path: Path) -> None:
    old, new, words = EDITS[case]
    text = shipped.read_text()
    assert old in text, f"the shipped file no longer holds {old!r}"
    edited = tmp_path / "edited.toml"
    edited.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as refusal:
        load_scenario(edited)
    assert str(edited) in str(refusal.value)
    assert re.search(words, str(refusal.value)), str(refusal.value)


def test_a_scenario_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load_scenario(tmp_path / "nowhere.toml")


def test_a_shipped_scenario_is_found_by_its_name_and_an_unknown_name_lists_them(shipped: Path) -> None:
    assert load_scenario("demo") == load_scenario(shipped) == load_scenario(str(shipped))
    with pytest.raises(ConfigError, match=r"no scenario 'four-phase'; .*four-phase-budget, four-phase-roi"):
        load_scenario("four-phase")


def test_every_shipped_scenario_loads_and_says_what_it_is_for(shipped: Path) -> None:
    files = sorted(shipped.parent.glob("*.toml"))
    assert {"four-phase-roi", "four-phase-budget"} <= {f.stem for f in files}
    for file in files:
        scenario = load_scenario(file)
        assert scenario.name == file.stem
        assert len(scenario.purpose) > 20


def test_the_four_phases_stand_in_the_order_of_a_promotion_and_fill_five_days(shipped: Path) -> None:
    scenario = load_scenario(shipped)
    calendar = scenario.calendar()
    assert scenario.n_hours == 120
    assert [p.kind for p in calendar.phases] == [
        PhaseKind.WARM_UP,
        PhaseKind.PRE_SALE,
        PhaseKind.BURST,
        PhaseKind.RETURN,
    ]
    window = calendar.window
    assert window is not None
    assert sum(1 for _ in window.hours()) == 120
    assert calendar.phases[2].window.start.astimezone(scenario.tz).isoformat() == "2026-11-11T00:00:00+08:00"


def test_two_scenarios_of_the_same_world_differ_only_in_what_is_asked_of_the_account(shipped: Path) -> None:
    roi, budget = load_scenario(shipped), load_scenario(shipped.parent / "demo-budget.toml")
    same = ("units", "demand", "value", "rivals", "conversion", "prior", "limits", "phases", "peaks", "start", "end")
    assert all(getattr(roi, part) == getattr(budget, part) for part in same)
    assert roi.goals != budget.goals
