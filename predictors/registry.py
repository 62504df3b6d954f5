"""Keeps which bundle is in use: a challenger is promoted where it scores better on later rows, and can be rolled back.

A registry is a folder: bundles under names of their own that are never overwritten, and ``registry.json`` with every
decision in order. `challenge` compares champion and challenger on the same labelled rows by log loss, `rollback` puts
the champion before the present one back, and `drift` tells how far a log has moved from what a bundle learned from.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from domain.errors import ConfigError, SchemaMismatch
from domain.tables import Floats
from predictors.bundle import load_bundle, manifest_of, save_bundle
from predictors.calibration import trial_loss
from predictors.columns import Log
from predictors.judging import judge
from predictors.logs import RateBundle, labels_of, profile_of, score_rates

#: Population stability index from which a column counts as moved: the usual bound of credit scoring.
MOVED = 0.25
#: Standard errors by which predicted and seen successes may differ.
OFF = 3.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a challenge said.

    Attributes
    ----------
    promoted
        Whether the challenger is now the champion.
    reason
        Why, for a person.
    champion_loss, challenger_loss
        Log loss per trial on the rows judged; ``None`` for a champion that was not there.
    difference_error
        Standard error of their difference.
    ratio, ratio_error
        Predicted / seen of the challenger.
    rows
        Rows judged.
    """

    promoted: bool
    reason: str
    champion_loss: float | None
    challenger_loss: float
    difference_error: float
    ratio: float
    ratio_error: float
    rows: int


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a log is from what a bundle learned from.

    Attributes
    ----------
    columns
        Population stability index of each column; 0: the same shares.
    off
        Standard errors by which predicted and seen successes differ; ``None`` without labels.
    alarms
        What a person should look at; empty where all is well.
    """

    columns: Mapping[str, float]
    off: float | None
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registry:
    """A folder of bundles with a history."""

    folder: Path

    def history(self) -> list[dict[str, Any]]:
        """Decisions, oldest first."""
        path = self.folder / "registry.json"
        if not path.exists():
            return []
        try:
            return list(json.loads(path.read_text(encoding="utf-8"))["history"])
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(
                f"{path}: not a registry, or a damaged one; restore it, or begin in another folder"
            ) from error

    def champion(self) -> Path | None:
        """Bundle in use."""
        names = [entry["champion"] for entry in self.history()]
        return self.folder / names[-1] if names else None

    def challenge(self, challenger: RateBundle, source: pl.DataFrame | Path | Log, now: datetime) -> Verdict:
        """Promote a bundle where it scores better on labelled rows that neither learned from.

        A challenger is promoted where there is no champion, or its log loss is lower; never where its predicted
        successes are off by more than 10 % and three standard errors. Raises `SchemaMismatch` without labels.
        """
        log = Log.of(source)
        share, weight = labels_of(challenger, log)
        if weight.sum() <= 0:
            raise SchemaMismatch(f"the log has no labelled row to judge by; column {challenger.label!r} is empty")
        mean = score_rates(challenger, log)["mean"].to_numpy()
        told = judge(mean, share, weight, challenger.model.rate)
        now_used = self.champion()
        before: float | None = None
        error = 0.0
        if now_used is None:
            promoted, reason = True, "there was no champion"
        else:
            rival = load_bundle(now_used)
            if rival.label != challenger.label:
                raise ConfigError(
                    f"{now_used} predicts {rival.label!r}, the challenger {challenger.label!r}; use another registry"
                )
            theirs = _losses(score_rates(rival, log)["mean"].to_numpy(), share, weight)
            ours = _losses(mean, share, weight)
            trials = float(weight.sum())
            before = float(theirs.sum()) / trials
            error = float(np.sqrt(ours.size) * (theirs - ours).std()) / trials
            promoted = told.log_loss < before
            reason = f"log loss {told.log_loss:.6f} against {before:.6f} of the champion (+- {error:.6f})"
        if abs(told.ratio - 1.0) > max(0.1, OFF * told.ratio_error):
            promoted = False
            reason += f"; but predicted / seen is {told.ratio:.3f}, so it is not used"
        verdict = Verdict(
            promoted, reason, before, told.log_loss, error, told.ratio, told.ratio_error, int((weight > 0).sum())
        )
        if promoted:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{len(self.history()):04d}-{manifest_of(challenger)['feature_hash']}.bundle"
            save_bundle(challenger, self.folder / name)
            self._enter({"at": now.isoformat(), "action": "promote", "champion": name, **asdict(verdict)})
        return verdict

    def rollback(self, now: datetime, reason: str) -> Path:
        """Put the champion before the present one back in use."""
        past = self.history()
        stack: list[str] = []
        for entry in past:
            if entry["action"] == "promote":
                stack.append(entry["champion"])
            elif stack:
                stack.pop()
        if len(stack) < 2:
            raise ConfigError(f"{self.folder}: there is no champion before the present one; promote another bundle")
        self._enter({"at": now.isoformat(), "action": "rollback", "champion": stack[-2], "reason": reason})
        return self.folder / stack[-2]

    def _enter(self, entry: dict[str, Any]) -> None:
        path = self.folder / "registry.json"
        part = path.with_name("registry.json.tmp")
        with part.open("w", encoding="utf-8") as file:
            json.dump({"history": [*self.history(), entry]}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def drift(bundle: RateBundle, source: pl.DataFrame | Path | Log) -> Drift:
    """How far a log is from what a bundle learned from, column by column, and in its labels where it has them."""
    log = Log.of(source)
    if not log.height:
        raise SchemaMismatch("the log has no rows; there is nothing to compare")
    now = profile_of(bundle.model.encoder, log)
    columns = {name: _stability(np.asarray(shares), now[name]) for name, shares in bundle.profile.items()}
    alarms = [
        f"column {name!r} has moved (population stability index {index:.2f}, alarm from {MOVED:g})"
        for name, index in columns.items()
        if index > MOVED
    ]
    off: float | None = None
    try:
        share, weight = labels_of(bundle, log)
    except SchemaMismatch:
        share, weight = np.zeros(0), np.zeros(0)
    if weight.sum() > 0:
        mean = score_rates(bundle, log)["mean"].to_numpy()
        told = judge(mean, share, weight, bundle.model.rate)
        # judged by what was predicted, so that a log without any success can still alarm
        noise = float(np.sqrt(weight @ (mean * (1 - mean))))
        off = float(weight @ (mean - share)) / max(noise, 1e-12)
        if abs(off) > OFF:
            alarms.append(
                f"predicted successes are {abs(off):.1f} standard errors {'above' if off > 0 else 'below'} those seen "
                f"(predicted / seen {told.ratio:.3f}); fit anew"
            )
    return Drift(columns, off, tuple(alarms))


def _losses(mean: Floats, share: Floats, weight: Floats) -> Floats:
    p = np.clip(mean, 1e-12, 1 - 1e-12)
    return trial_loss(np.log(p) - np.log1p(-p), share, weight)


def _stability(before: Floats, now: Floats) -> float:
    """Population stability index of two lists of shares."""
    a, b = np.maximum(before, 1e-4), np.maximum(now, 1e-4)
    return float(((b - a) * np.log(b / a)).sum())
