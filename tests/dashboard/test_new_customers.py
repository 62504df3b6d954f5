"""New customers on the merchant's page: told where reports tell them, and not spoken of elsewhere."""

from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl
from streamlit.testing.v1 import AppTest

from data import Workspace
from domain.tables import FACTS, QUARANTINE, empty
from domain.time import Hour

Open = Callable[..., AppTest]
STRANGE = "<b>Reach</b> [x](http://evil.example)"


def told(test: AppTest) -> list[str]:
    return [str(e.value) for e in test.info]


def bring(workspace: Workspace, now: datetime) -> None:
    """Import ten days of two campaigns: one wins new customers, one brings earlier ones back."""
    plain = {"report": "campaign", "grain": "day", "impressions": 900.0, "clicks": 90.0, "spend": 90.0, "gmv": 900.0}
    rows = [
        {**plain, "start_local": datetime(2026, 10, 1) + timedelta(days=day), "campaign": name, "orders": 20.0,
         "new_customer_orders": new, "row_number": 2 * day + k}
        for day in range(10)
        for k, (name, new) in enumerate(((STRANGE, 14.0), ("Back", 2.0)))
    ]  # fmt: skip
    frame = pl.DataFrame([{name: row.get(name) for name in FACTS} for row in rows], schema=dict(FACTS))
    account = workspace.account("shop")
    workspace.ingest(
        "shop", frame, report="campaign", file="brands.csv", sha256="brands", currency=account.currency,
        attribution_days=14, quarantined=empty(QUARANTINE), now=now, report_lag_hours=12.0,
    )  # fmt: skip


def test_the_merchant_reads_who_orders_and_which_campaign_wins_them(
    page: Open, workspace: Workspace, next_hour: Hour
) -> None:
    assert not any("new customers" in t for t in told(page("merchant")))
    bring(workspace, next_hour.start)
    test = page("merchant")
    assert not test.exception
    (words,) = [t for t in told(test) if "new customers" in t]
    assert words.startswith("**40 % of the orders came from new customers**")
    assert "fewest in Back (11 %)" in words
    assert "<b>" not in words.replace("\\<", "")
    assert "](http" not in words.replace("\\]", "")
