"""What all tests share: where the real logs lie, whether there is a browser, and what was left out and why."""

import os
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def _real_data() -> Path | None:
    given = os.environ.get("STEADYBID_REAL_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data" / "real"
    return folder if folder.is_dir() else None


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real advertising logs."""
    folder = _real_data()
    assert folder is not None, "tests that ask for real_data must be marked real_data"
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    path = _chromium()
    assert path is not None, "tests that ask for chromium must be marked browser"
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_data, no_browser = _real_data() is None, _chromium() is None
    for item in items:
        if no_data and item.get_closest_marker("real_data"):
            item.add_marker(pytest.mark.skip(reason="real logs not found; set STEADYBID_REAL_DATA"))
        if no_browser and item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="no chromium on this machine"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _chromium() is None:
        terminalreporter.write_line(
            "browser tests were skipped: there is no chromium on this machine (Debian: apt-get install chromium)"
        )
    if _real_data() is None:
        terminalreporter.write_line("real-data tests were skipped: set STEADYBID_REAL_DATA to the folder of the logs")
