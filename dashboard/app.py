"""Entry of the dashboard: the pages, and one place where every error becomes words instead of a traceback."""

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from dashboard import bids, merchant, overview, session, stability, targets
from dashboard.session import Sight
from dashboard.words import plain
from domain.errors import SteadyBidError

ICON = str(Path(__file__).with_name("icon.png"))
LOGO = str(Path(__file__).with_name("logo.svg"))
#: Less empty space above a page than Streamlit leaves.
STYLE = "<style>.stMainBlockContainer { padding-top: 2.6rem; padding-bottom: 3rem; max-width: 1500px; }</style>"
#: Title, icon and content of each page, by its address.
PAGES = {
    "overview": ("Overview", ":material/monitoring:", overview.show),
    "cost-stability": ("Cost stability", ":material/ssid_chart:", stability.show),
    "targets": ("Targets", ":material/tune:", targets.show),
    "bids": ("Bids", ":material/gavel:", bids.show),
    "merchant": ("Merchant", ":material/storefront:", merchant.show),
}


def guarded(draw: Callable[[], None]) -> None:
    """Draw something, and say in words what goes wrong."""
    try:
        draw()
    except SteadyBidError as error:
        st.error(plain(error), icon=":material/error:")
    except Exception as error:
        where = session.keep_trace(traceback.format_exc())
        logging.getLogger(__name__).exception("a page failed")
        words = f"This is an error of SteadyBid itself ({type(error).__name__}). {where}"
        st.error(plain(words), icon=":material/bug_report:")


def main() -> None:
    """Draw the page that was asked for."""
    # an icon of our own: that of a page would be fetched from elsewhere
    st.set_page_config(page_title="SteadyBid", page_icon=ICON, layout="wide", initial_sidebar_state="expanded")
    st.logo(LOGO, size="large", icon_image=ICON)
    st.html(STYLE)
    seen: list[Sight] = []

    def content(show: Callable[[Sight], None]) -> Callable[[], None]:
        return lambda: guarded(lambda: show(seen[0]))

    pages = {
        address: st.Page(content(show), title=title, icon=icon, url_path=address, default=address == "overview")
        for address, (title, icon, show) in PAGES.items()
    }
    shown = st.navigation(list(pages.values()), expanded=True)
    asked = st.query_params.get("page")  # from the door: see dashboard.server
    if asked in pages:
        del st.query_params["page"]
        if pages[asked].url_path != shown.url_path:
            st.switch_page(pages[asked])
    # chosen here and not in a page, so that account and hour stay chosen from page to page
    guarded(lambda: seen.append(session.chosen()))
    if seen:
        session.watch(seen[0])
        shown.run()


if __name__ == "__main__":
    main()
