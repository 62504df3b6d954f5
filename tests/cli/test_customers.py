"""New customers, from the shell: by campaign where reports tell them, and why not where they do not."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]
HEADER = (
    "Date,Currency,Campaign Name,Ad Group Name,Advertised SKU,Advertised ASIN,Impressions,Clicks,Spend,"
    "14 Day Total Sales (₹),14 Day Total Orders (#),14 Day Total Units (#),14 Day New-to-brand Orders (#)"
)
SEED = 20260305


@pytest.fixture
def display(tmp_path: Path) -> Path:
    """A Sponsored Display report: campaign Reach wins new customers, Back brings earlier ones back."""
    rng = np.random.default_rng(SEED)
    lines = [HEADER]
    for day in range(20):
        for campaign, chance in (("Reach", 0.7), ("Back", 0.1)):
            for sku in range(3):
                orders = int(rng.poisson(3))
                new = int(rng.binomial(orders, chance))
                when = date(2026, 2, 1) + timedelta(days=day)
                lines.append(
                    f"{when},INR,{campaign},G,S{sku},B{sku},900,30,90.0,{orders * 120.0},{orders},{orders},{new}"
                )
    path = tmp_path / "display.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_campaigns_differ_and_bands_hold_them_apart(done: Run, shop: str, display: Path) -> None:
    done("import", display, "--account", shop)
    told = done("new-customers", "--account", shop, "--json").json
    by = {c["campaign"]: c for c in told["campaigns"]}
    assert set(by) == {"Reach", "Back"}
    assert by["Reach"]["low"] < 0.7 < by["Reach"]["high"]
    assert by["Back"]["high"] < 0.25
    assert by["Reach"]["orders"] + by["Back"]["orders"] == sum(
        float(line.split(",")[10]) for line in display.read_text().splitlines()[1:]
    )
    assert by["Back"]["rate"] < told["told"]["rate"] < by["Reach"]["rate"]
    shown = done("new-customers", "--account", shop).out
    assert "Reach" in shown
    assert "orders were new customers'" in shown


def test_as_known_before_the_import_nothing_is_told(done: Run, shop: str, display: Path) -> None:
    done("import", display, "--account", shop)
    earlier = done("new-customers", "--account", shop, "--at", "2026-02-03T00:00", "--json").json
    later = done("new-customers", "--account", shop, "--at", "2026-02-15T00:00", "--json").json
    orders = [sum(c["orders"] for c in told["campaigns"]) for told in (earlier, later)]
    assert 0 < orders[0] < orders[1]


def test_where_no_report_tells_them_the_answer_says_which_would(done: Run, shop: str) -> None:
    told = done("new-customers", "--account", shop, "--json").json
    assert told["told"] is None
    assert told["campaigns"] == []
    assert "Sponsored Display" in done("new-customers", "--account", shop).out
