"""Which nightly fit an account uses: a book of challenges, promotions and rollbacks beside its facts.

A fit is named by the instant before which its rows begin; nothing else need be kept, because facts stay and a fit of the
same rows is the same. `challenge_tonight` tries a newer fit on the day that both have not seen, `roll_back` returns to the
champion before the present one, and `fitted` is what the hours ask for.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from data import Workspace
from domain.errors import ConfigError
from domain.protocols import ResponseModel
from domain.tables import Known
from domain.time import Hour, Window
from engine.promotions import past_phases
from predictors import SteadyModel
from predictors.champion import Verdict, challenge, fit_until

#: The day that fits are tried on ends so long ago that most of its orders are told.
_SETTLED = timedelta(hours=24)
#: Challenges that the book remembers.
_LONG = 400


@dataclass(frozen=True, slots=True)
class Fit:
    """One fit as the book tells of it.

    Attributes
    ----------
    until
        Instant before which its rows begin: the fit's name.
    tried_at
        When it was tried.
    state
        ``champion``, ``earlier champion``, ``turned down`` or ``rolled back``.
    reason
        Why, for a person.
    loss, champion_loss, error
        Log loss per click of its own, of the champion then (``None``: there was none), and the error of their difference.
    clicks
        Clicks it was judged by.
    coverage, bands
        Share of its 80 % bands that held on that day, and how many there were; ``None`` where none was counted.
    alarms
        What a person should look at.
    """

    until: datetime
    tried_at: datetime
    state: str
    reason: str
    loss: float
    champion_loss: float | None
    error: float
    clicks: float
    coverage: float | None
    bands: int
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FitBook:
    """The book of one account.

    Attributes
    ----------
    path
        JSON file; made with the first entry.
    """

    path: Path

    @classmethod
    def of(cls, home: Path, account: str) -> "FitBook":
        """Book of an account of the workspace in `home`."""
        return cls(home / "fits" / f"{account}.json")

    def history(self) -> list[dict[str, Any]]:
        """Entries, oldest first."""
        if not self.path.exists():
            return []
        try:
            return list(json.loads(self.path.read_text(encoding="utf-8"))["history"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{self.path}: not a book of fits, or a damaged one; remove it to begin anew") from error

    def champion(self) -> datetime | None:
        """Instant before which the champion's rows begin; ``None`` = none yet, all rows are used."""
        stack = self._stack()
        return stack[-1] if stack else None

    def fits(self, at: datetime | None = None) -> list[Fit]:
        """Every fit that was tried, oldest first, with what it is by now; of an earlier instant, what it was then."""
        found: list[Fit] = []
        stack: list[int] = []
        for entry in self.history():
            if at is not None and datetime.fromisoformat(entry["at"]) > at:
                continue
            if entry["action"] == "rollback":
                if stack:
                    gone = stack.pop()
                    who = f" by {entry['by']}" if entry.get("by") else ""
                    why = f"rolled back {entry['at'][:16]}{who}: {entry['reason']}"
                    found[gone] = replace(found[gone], state="rolled back", reason=why)
                continue
            if entry["action"] == "promote":
                stack.append(len(found))
            found.append(
                Fit(
                    datetime.fromisoformat(entry["until"]), datetime.fromisoformat(entry["at"]), "turned down",
                    entry["reason"], entry["challenger_loss"], entry["champion_loss"], entry["error"], entry["clicks"],
                    entry.get("coverage"), entry.get("bands", 0), tuple(entry["alarms"]),
                )
            )  # fmt: skip
        for place in stack:
            found[place] = replace(found[place], state="champion" if place == stack[-1] else "earlier champion")
        return found

    def enter(self, at: datetime, until: datetime, verdict: Verdict) -> None:
        """Write down a challenge of the fit of rows before `until`."""
        action = "promote" if verdict.promoted else "keep"
        self._write({"at": at.isoformat(), "action": action, "until": until.isoformat(), **asdict(verdict)})

    def doubted(self, at: datetime) -> bool:
        """Whether a person has rolled a fit back within the last week: newer ones must then be better, not only newer."""
        back = [e for e in self.history() if e["action"] == "rollback"]
        return bool(back) and at - datetime.fromisoformat(back[-1]["at"]) < timedelta(days=7)

    def roll_back(self, at: datetime, reason: str, by: str = "") -> datetime:
        """Return to the champion before the present one; `ConfigError` where there is none."""
        stack = self._stack()
        if len(stack) < 2:
            raise ConfigError("there is no earlier fit to return to: fits are promoted by the nights")
        self._write(
            {"at": at.isoformat(), "action": "rollback", "until": stack[-2].isoformat(), "reason": reason, "by": by}
        )
        return stack[-2]

    def _stack(self) -> list[datetime]:
        stack: list[datetime] = []
        for entry in self.history():
            if entry["action"] == "promote":
                stack.append(datetime.fromisoformat(entry["until"]))
            elif entry["action"] == "rollback" and stack:
                stack.pop()
        return stack

    def _write(self, entry: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".tmp")
        with part.open("w", encoding="utf-8") as file:
            json.dump({"history": [*self.history(), entry][-_LONG:]}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)


def fitted(model: ResponseModel, known: Known, book: FitBook) -> ResponseModel:
    """Model as its champion was fitted: on the rows of `known` that begin before the champion's instant.

    A book that cannot be read does not keep an hour from being decided: all rows are used, and the night tells.
    """
    if not isinstance(model, SteadyModel):
        return model.fit(known)
    try:
        until = book.champion()
    except ConfigError:
        until = None
    return fit_until(model, known, until if until is not None and until < known.hour.start else None)


def challenge_tonight(workspace: Workspace, account: str, hour: Hour) -> Verdict | None:
    """Try the fit on all rows before the last settled local day on that day, and enter what comes of it.

    ``None`` where there is nothing to try: no unit, no rows before that day, or a fit that was tried already.
    """
    book, asof = FitBook.of(workspace.home, account), workspace.asof(account)
    tz = workspace.account(account).tz
    today = (hour.start - _SETTLED).astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)
    end, begin = (Hour.containing(day.astimezone(UTC), tz) for day in (today, today - timedelta(days=1)))
    tried = [e for e in book.history() if e["action"] != "rollback"]
    if any(datetime.fromisoformat(e["until"]) >= begin.start for e in tried):
        return None
    before = asof.at(begin)
    if not before.n_units or before.performance["clicks"].sum() < 1:
        return None
    calendar = workspace.phases(account)
    model = SteadyModel(calendar=calendar, past=past_phases(workspace, account, begin, calendar))
    hours = list(Window(begin.start, end.start).hours())
    verdict = challenge(model, before, asof.at(hour), hours, book.champion(), doubted=book.doubted(hour.start))
    book.enter(hour.start, begin.start, verdict)
    return verdict


def roll_back(workspace: Workspace, account: str, now: datetime, reason: str, by: str = "") -> datetime:
    """Return an account to the fit before the present one; the next hour uses it."""
    return FitBook.of(workspace.home, workspace.account(account).name).roll_back(now, reason, by)
