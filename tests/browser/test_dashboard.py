import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

import polars as pl
import pytest

from dashboard.server import ADDRESSES
from data import Views
from domain.plans import DecisionState
from domain.time import FixedClock
from engine.hourly import run_hour

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

Visit = Callable[..., Any]


def outside(watched: Any) -> list[str]:
    """Addresses beyond this machine that were asked for."""
    return [
        u for u in watched.asked if urlparse(u).scheme not in ("data", "blob") and urlparse(u).hostname != "127.0.0.1"
    ]


def touch(page: Any, x: float, y: float) -> None:
    """Click into the first table of the page, which is drawn on a canvas."""
    table = page.locator("[data-testid=stDataFrame]").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)


def test_every_page_loads_without_an_error_and_asks_nobody_outside(visit: Visit, served: Any) -> None:
    watched = visit()
    page = watched.page
    titles = set()
    for address in ADDRESSES:
        page.goto(f"{served.url}/{address}")
        watched.settle()
        titles.add(page.locator("h1").inner_text())
        assert page.locator("[data-testid=stException]").count() == 0, address
        assert page.get_by_text("error of SteadyBid itself").count() == 0, address
        assert watched.errors == [], address
        assert outside(watched) == [], address
    assert len(titles) == len(ADDRESSES)
    assert len(watched.asked) > 3 * len(ADDRESSES)  # the watch works


def test_pages_are_reached_by_their_names_in_the_sidebar(visit: Visit) -> None:
    watched = visit()
    watched.page.get_by_text("Look at an earlier hour").click()
    watched.page.get_by_text("as known at").wait_for()
    titles = []
    for name in ("Cost stability", "Targets", "Bids", "Merchant", "Overview"):
        watched.page.get_by_role("link", name=name).click()
        watched.page.wait_for_timeout(300)
        watched.settle()
        titles.append(watched.page.locator("h1").inner_text())
        assert watched.page.get_by_role("slider").count() == 1  # the hour stays chosen
    assert len(set(titles)) == 5
    assert watched.errors == []
    assert outside(watched) == []


def test_charts_are_drawn_and_show_the_accounts_own_clock(visit: Visit) -> None:
    watched = visit("/cost-stability")
    page = watched.page
    page.wait_for_selector("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
    assert page.locator("[data-testid=stVegaLiteChart]").count() == 2
    assert "up to Mon 9 Nov 06:00" in page.locator("[data-testid=stMain]").inner_text()  # of Shanghai, not New York


@pytest.mark.parametrize(("host", "answer"), [("127.0.0.1", 101), ("localhost", 101), ("shop.example", 403)])
def test_a_site_that_gives_itself_our_address_is_not_answered(served: Any, host: str, answer: int) -> None:
    at = urlparse(served.url)
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}:{at.port}\r\nOrigin: http://{host}:{at.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: streamlit\r\n\r\n"
    )
    with socket.create_connection((at.hostname, at.port), timeout=30) as line:
        line.sendall(request.encode())
        assert line.recv(64).startswith(f"HTTP/1.1 {answer}".encode())


def test_a_name_that_looks_like_a_script_stays_a_name(visit: Visit) -> None:
    watched = visit("/bids")
    page = watched.page
    search = page.get_by_role("textbox", name="Search")
    search.fill("<script>")
    search.press("Enter")
    page.wait_for_timeout(500)
    watched.settle()
    touch(page, x=18, y=55)
    page.get_by_text("Expected in the hour, with 80 % bands").wait_for()
    assert "<script>document.title='hacked'</script>" in page.locator("[data-testid=stMain]").inner_text()
    assert page.title() != "hacked"
    assert page.evaluate("[...document.scripts].some(s => s.textContent.includes('hacked'))") is False
    assert watched.errors == []


def test_a_target_edited_in_the_browser_is_in_the_next_decision(visit: Visit, served: Any) -> None:
    watched = visit("/targets")
    page = watched.page
    cell = page.locator("#portal input")
    for _ in range(5):  # a table that has just been drawn may miss a key
        touch(page, x=120, y=55)  # first row: the budget
        for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
            page.keyboard.press(key, delay=30)
        page.wait_for_timeout(300)
        if cell.count() and float(cell.input_value().replace(",", "")) < 100:  # the ROI, not the budget above it
            break
        page.keyboard.press("Escape")
    cell.fill("3.75")
    cell.press("Enter")
    page.get_by_text("Predicted effect").wait_for()
    assert page.get_by_text("ROI at least on account").inner_text().endswith("3.75")
    page.get_by_label("Your name").fill("Ana")
    page.get_by_label("Your name").press("Tab")
    page.get_by_label("Reason").fill("end of season")
    page.get_by_label("Reason").press("Tab")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved by Ana").wait_for()
    history = served.workspace.target_history("shop").filter(pl.col("author") == "Ana")
    assert history.select("kind", "value", "reason").rows() == [("roi", 3.75, "end of season")]
    decision = run_hour(served.workspace, "shop", served.hour, clock=FixedClock(served.hour.start)).decision
    assert {r.kind: r.target for r in decision.plan.targets.rows if r.group == "account"}["roi"] == 3.75
    assert watched.errors == []
    assert outside(watched) == []


def test_a_decision_is_approved_in_the_browser(visit: Visit, served: Any) -> None:
    watched = visit("/bids", account="waits")
    page = watched.page
    page.get_by_text("This plan waits for you").wait_for()
    assert page.get_by_role("button", name="Approve and send").is_disabled()
    page.get_by_label("Your name").fill("Ben")
    page.get_by_label("Your name").press("Tab")
    page.locator("button:has-text('Approve and send'):not([disabled])").click()
    page.get_by_text("This plan waits for you").wait_for(state="detached")
    approval = served.workspace.journal("waits").approval(served.hour)
    assert approval is not None
    assert approval.who == "Ben"
    assert Views(served.workspace).decisions("waits", 1)["state"].to_list() == [DecisionState.PUBLISHED.value]
    assert watched.errors == []
    assert outside(watched) == []
