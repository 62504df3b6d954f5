"""What was bought and what it will have sold, from the shell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
AT = "2026-03-15T00:00"


def test_reported_and_final_roi_are_told_with_a_band(done: Run, shop: str) -> None:
    told = done("status", "--account", shop, "--at", AT, "--json").json
    assert told["currency"] == "INR"
    whole, *campaigns = told["groups"]
    assert whole["group"] == "account"
    assert whole["roi_low"] < whole["roi_high"]
    assert whole["roi_high"] > whole["reported_roi"]  # yesterday's orders are still coming in
    assert [c["group"] for c in campaigns] == ["campaign:Tea 0", "campaign:Tea 1"]
    for name in ("spend", "gmv", "gmv_reported"):
        assert sum(c[name] for c in campaigns) == pytest.approx(whole[name])
    shown = done("status", "--account", shop, "--at", AT, "--days", "3").out
    assert "over the last 3 days" in shown
    assert "Tea 0" in shown
    assert f"{whole['roi']:.2f}" in done("status", "--account", shop, "--at", AT).out


def test_while_a_promotion_runs_it_is_told_of_the_promotion(done: Run, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "phases.toml"
    file.write_text(
        '[[phase]]\nname = "burst"\nkind = "burst"\nstart = 2026-03-10T00:00:00\nend = 2026-03-20T00:00:00\n'
    )
    done("phases", "set", file, "--account", shop)
    told = done("status", "--account", shop, "--at", AT, "--json").json
    assert told["since"] == "2026-03-09T18:30:00+00:00"
    assert "since the promotion began" in done("status", "--account", shop, "--at", AT).out


def test_where_nothing_was_bought_there_is_no_ratio(done: Run, shop: str) -> None:
    at = ("status", "--account", shop, "--at", "2026-04-20T00:00", "--days", "2")
    whole = done(*at, "--json").json["groups"][0]
    assert whole["spend"] == 0
    assert whole["roi"] is None
    assert "–" in done(*at).out


def test_an_account_without_a_report_is_told_what_to_do(done: Run, run: Run) -> None:
    done("init", "--account", "new", "--currency", "INR", "--timezone", "Asia/Kolkata")
    said = run("status", "--account", "new")
    assert said.status == 1
    assert "Import reports" in said.err
