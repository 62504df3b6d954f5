"""The command in this process, a workspace of its own for each test, and invented reports of a small shop."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TARGETING = (
    "Date,Portfolio name,Currency,Campaign Name,Ad Group Name,Targeting,Match Type,Impressions,Clicks,Spend,"
    "14 Day Total Sales (₹),14 Day Total Orders (#),14 Day Total Units (#)"
)
CAMPAIGN = (
    "Date,Portfolio name,Campaign Name,Status,Currency,Budget,Bidding strategy,Impressions,Clicks,Spend,"
    "14 Day Total Orders (#),14 Day Total Sales (₹)"
)
FIRST_DAY = date(2026, 3, 1)
SEED = 20260301


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]
Report = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "workspace"
    monkeypatch.setenv("STEADYBID_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("plan", "--account", "shop")``: the command line as the shell would call it."""
    from cli.main import app

    def call(*words: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["steadybid", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            app()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Said(end.value.code if isinstance(end.value.code, int) else 0, said.out, said.err)

    return call


@pytest.fixture
def done(run: Run) -> Run:
    """As `run`, for calls that must succeed."""

    def call(*words: str | Path) -> Said:
        said = run(*words)
        assert said.status == 0, said.err
        return said

    return call


def rows(days: range, currency: str = "INR") -> list[str]:
    """Targeting rows: two campaigns, three keywords each; a unit's rates are the same on all days."""
    lines = []
    for day in days:
        rng = np.random.default_rng((SEED, day))
        for k in range(6):
            clicks = int(rng.poisson(12 - k)) if k < 5 else 0
            spend, orders = round(clicks * (4 + k), 2), int(rng.binomial(clicks, 0.15))
            lines.append(
                f"{FIRST_DAY + timedelta(days=day)},Not grouped,{currency},Tea {k % 2},Group {k},green tea {k},EXACT,"
                f"{40 * clicks + 7},{clicks},{spend},{orders * 120.0},{orders},{orders}"
            )
    return lines


@pytest.fixture
def targeting(tmp_path: Path) -> Report:
    """``targeting("a.csv", days=range(14), currency="INR", window=14)`` writes a targeting report."""

    def write(
        name: str = "targeting.csv", *, days: range = range(14), currency: str = "INR", window: int = 14,
        change: Callable[[list[str]], list[str]] = lambda lines: lines,
    ) -> Path:  # fmt: skip
        sign = {"INR": "₹", "USD": "$"}[currency]
        header = TARGETING.replace("14 Day", f"{window} Day").replace("₹", sign)
        path = tmp_path / name
        path.write_text("\n".join([header, *change(rows(days, currency))]) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def budgets(tmp_path: Path) -> Path:
    """A campaign report that agrees with the targeting report of the same 14 days; 900 and 400 a day."""
    sums: dict[tuple[str, str], list[float]] = {}
    for line in rows(range(14)):
        cells = line.split(",")
        found = sums.setdefault((cells[0], cells[3]), [0.0] * 5)
        for at, column in enumerate((7, 8, 9, 11, 10)):
            found[at] += float(cells[column])
    path = tmp_path / "campaign.csv"
    lines = [
        f"{day},Not grouped,{name},ENABLED,INR,{900 if name == 'Tea 0' else 400},Fixed bids,"
        f"{s[0]:.0f},{s[1]:.0f},{s[2]:.2f},{s[3]:.0f},{s[4]:.2f}"
        for (day, name), s in sums.items()
    ]
    path.write_text("\n".join([CAMPAIGN, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def shop(done: Run, targeting: Report, budgets: Path) -> str:
    """An account with 14 days of reports and daily budgets."""
    done("init", "--account", "shop", "--currency", "INR", "--timezone", "Asia/Kolkata")
    done("import", targeting(), budgets, "--account", "shop")
    return "shop"
