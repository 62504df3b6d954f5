"""What the person looks at: the workspace, one account and one hour of it; and what was read of them, kept warm.

The only module of the dashboard that asks for the environment and the clock.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NoReturn

import polars as pl
import streamlit as st

from dashboard.words import moment, plain
from data import Views, Workspace
from data.kept import SIMULATED
from domain.account import Account, Mode
from domain.errors import ConfigError
from domain.goals import Goals
from domain.phases import PromotionCalendar
from domain.plans import Decision
from domain.time import ONE_HOUR, Hour
from engine.accounts import Preview, preview
from engine.what_if import Study, study

#: Newest data older than this: the account is looked at as of its data, not as of the clock.
_STALE = timedelta(days=2)
#: How often an open page looks whether something has changed.
WATCH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Sight:
    """One account at one hour.

    Attributes
    ----------
    workspace, views
        Where everything is read from.
    account
        The account.
    hour
        Hour that is looked at: what is known, is known at its start.
    past
        Whether an earlier hour was chosen; the present one is looked at otherwise.
    decisions
        Decisions for hours up to `hour`, newest first (`Views.decisions`).
    mark
        Changes whenever anything stored of the account changes.
    """

    workspace: Workspace
    views: Views
    account: Account
    hour: Hour
    past: bool
    decisions: pl.DataFrame
    mark: str

    @property
    def currency(self) -> str:
        """ISO code of the account's money."""
        return self.account.currency

    @property
    def cut(self) -> datetime | None:
        """Instant at which rows are cut; ``None`` = now."""
        return self.hour.start if self.past else None

    def local(self, instant: datetime) -> datetime:
        """Wall clock of the account."""
        return instant.astimezone(self.account.tz)

    @property
    def known(self) -> str:
        """What is known, in words: as of the hour for a past one, else all there is."""
        when = f"{self.when(self.hour.start)}, {self.local(self.hour.start).year}"
        return f"as known at {when}" if self.past else f"up to {when}"

    def when(self, instant: datetime) -> str:
        """Wall clock of the account in words."""
        return moment(self.local(instant))

    def goals(self) -> Goals:
        """Targets as saved; of a past hour, as they were then."""
        return self.workspace.goals(self.account.name, known_at=self.cut)

    def calendar(self) -> PromotionCalendar:
        """Phases as saved; of a past hour, as they were then."""
        return self.workspace.phases(self.account.name, known_at=self.cut)

    def decision(self) -> Decision | None:
        """Newest decision up to the hour, with its plan."""
        if not self.decisions.height:
            return None
        hour = Hour(self.decisions["hour"][0])
        return self.kept("decision", hour.start, lambda: self.workspace.journal(self.account.name).find(hour))

    def series(self, per: Literal["hour", "day"]) -> pl.DataFrame:
        """Spend and sales per ``hour`` or ``day``, before the hour."""
        end, at = self.hour.start if self.past else None, self.cut
        return self.kept(
            f"series per {per}", end, lambda: self.views.series(self.account.name, per=per, end=end, at=at)
        )

    def study(self) -> Study:
        """What is expected from the hour on; raises `PredictionError` where nothing can be."""
        name, calendar = self.account.name, self.calendar()
        made = lambda: study(self.workspace, name, self.hour, calendar=calendar)  # noqa: E731
        return _kept_large(self._place, "study", self.hour.start, made)

    def preview(self) -> Preview:
        """What would be decided for the hour; raises `PredictionError` likewise."""
        made = lambda: preview(self.workspace, self.account.name, self.hour)  # noqa: E731
        return _kept_large(self._place, "preview", self.hour.start, made)

    def kept(self, what: str, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for each `key` until anything stored of the account changes."""
        return _kept(self._place, what, key, make)

    @property
    def _place(self) -> tuple[str, ...]:
        return (str(self.workspace.home), self.account.name, self.mark)


class SystemClock:
    """The machine's clock, or the instant in `STEADYBID_NOW` (ISO 8601 with offset) for a look at other times."""

    def now(self) -> datetime:
        """Present instant, UTC."""
        return now()


def now() -> datetime:
    """Present instant; see `SystemClock`."""
    told = os.environ.get("STEADYBID_NOW")
    if not told:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(told)
    except ValueError:
        instant = datetime.min
    if instant.tzinfo is None:
        raise ConfigError(f"STEADYBID_NOW is {told!r}; write it as 2026-11-11T20:00+08:00, or leave it out")
    return instant.astimezone(UTC)


def keep_trace(text: str) -> str:
    """Write a traceback where a developer finds it; gives the words that say where."""
    try:
        folder = home() / "log"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"dashboard-{os.getpid()}.txt"
        path.write_text(text, encoding="utf-8")
    except OSError:
        return "Its details could not be written down."
    return f"Please report it with the file {path}."


def home() -> Path:
    """Folder of the workspace: `STEADYBID_HOME`, else `var/` below the current folder."""
    return Path(os.environ.get("STEADYBID_HOME") or "var").absolute()


def sight(name: str, at: datetime | None = None) -> Sight:
    """An account as one looks at it: at its present hour, or at an earlier one."""
    workspace, views = _opened()
    account, mark = workspace.account(name), views.mark(name)
    place = (str(workspace.home), name, mark)
    decisions: pl.DataFrame = _kept(place, "decisions", None, lambda: views.decisions(name))
    # the clock moves on while nothing is stored: the hour of the clock is part of the key
    hour = Hour.containing(now(), account.tz).start
    present: Hour = _kept(place, "present", hour, lambda: _present(views, account, decisions))
    shown = present if at is None else min(present, Hour(at))
    upto = decisions.filter(pl.col("hour") <= shown.start)
    return Sight(workspace, views, account, shown, shown < present, upto, mark)


def accounts() -> list[Account]:
    """Accounts of the workspace; `ConfigError` where there is no workspace."""
    return _opened()[0].accounts()


def chosen() -> Sight:
    """Draw the sidebar and give what was chosen in it. Stops the page, with what to do, where there is nothing."""
    found = _accounts()
    names = [a.name for a in found]
    with st.sidebar:
        if st.session_state.get("account") not in names:
            st.session_state["account"] = names[0]
        name = st.selectbox("Account", names, key="account")
        seen = sight(name)
        seen = sight(name, _earlier(seen))
        _about(seen)
    return seen


def _accounts() -> list[Account]:
    """Accounts of the workspace; a page that says what to do where there are none."""
    try:
        found = accounts()
    except ConfigError as error:
        return _nothing(str(error), "make demo")
    return found or _nothing(
        "This workspace holds no account yet.", "steadybid init --account NAME --currency CODE --timezone ZONE"
    )


def _earlier(seen: Sight) -> datetime | None:
    """A look at an earlier hour, where hours were decided; ``None`` = the present one."""
    hours = seen.decisions["hour"].sort().to_list()
    name = seen.account.name
    if len(hours) < 2 or not st.toggle(
        "Look at an earlier hour", key=f"replay-{name}", help="See the account as it was: only what was known then."
    ):
        return None
    middle = hours[len(hours) // 2]
    picked: Any = st.select_slider("Hour", hours, value=middle, format_func=seen.when, key=f"hour-{name}")
    return picked


@st.fragment(run_every=WATCH_SECONDS)
def watch(seen: Sight) -> None:
    """Draw the page anew when something of the account was stored, or a new hour has begun."""
    if not seen.past and (fresh := sight(seen.account.name)) and (fresh.mark, fresh.hour) != (seen.mark, seen.hour):
        st.rerun()


_MODES = {
    Mode.SHADOW: ("gray", "shadow: decides, sends nothing"),
    Mode.APPROVE: ("orange", "approve: a person confirms"),
    Mode.LIVE: ("green", "live: decisions go out"),
    Mode.PAUSED: ("red", "paused: nothing is decided"),
}


def _about(seen: Sight) -> None:
    account = seen.account
    colour, words = _MODES[account.mode]
    if account.platform == SIMULATED and account.mode is Mode.PAUSED:
        colour, words = "blue", "a finished simulation"
    st.badge(words, color=colour)  # type: ignore[arg-type]
    st.caption(f"{plain(account.currency)} · {plain(account.timezone)} · {plain(account.platform)}")
    if account.assumed:
        st.caption(f"Assumed, not stated: {plain(', '.join(account.assumed))}")


def _nothing(why: str, command: str) -> NoReturn:
    st.title("Nothing to show yet")
    st.write(plain(why))
    st.write("Run this in a terminal, then reload the page:")
    st.code(command, language=None)
    st.stop()


# -- what is kept warm --------------------------------------------------------------------------------------------


@st.cache_resource(show_spinner=False, max_entries=4)
def _open(folder: str, url: str | None) -> tuple[Workspace, Views]:
    workspace = Workspace.open(Path(folder), database_url=url)
    return workspace, Views(workspace)


def _opened() -> tuple[Workspace, Views]:
    return _open(str(home()), os.environ.get("STEADYBID_DATABASE_URL"))


@st.cache_resource(show_spinner=False, max_entries=200)
def _kept(place: tuple[str, ...], what: str, key: Any, _make: Callable[[], Any]) -> Any:
    return _make()


@st.cache_resource(show_spinner="Working out what to expect …", max_entries=4)
def _kept_large(place: tuple[str, ...], what: str, key: Any, _make: Callable[[], Any]) -> Any:
    return _make()


def _present(views: Views, account: Account, decisions: pl.DataFrame) -> Hour:
    """Hour that counts as the present: the clock's, or where data ends long before (or after) it, the data's."""
    ends = [decisions["hour"][0]] if decisions.height else []
    hours = views.series(account.name, per="hour")
    if hours.height:
        ends.append(hours["start_utc"].max() + ONE_HOUR)  # type: ignore[operator]
    elif (learned := views.learned_until(account.name)) is not None:  # a day can be used once its report is there
        ends.append(Hour.containing(learned - timedelta(microseconds=1), account.tz).end)
    clock = Hour.containing(now(), account.tz)
    newest = max(ends, default=clock.start)
    return clock if newest <= clock.start <= newest + _STALE else Hour(newest)
