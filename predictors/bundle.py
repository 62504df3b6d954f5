"""Keeps fitted rates in a file: a zip with a manifest that people can read and arrays that need no code to load.

The manifest tells what was learned when and from how much: training window, hash of the columns, versions of the
libraries, scores. Nothing in a bundle is executed when it is read.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from domain.errors import ConfigError
from predictors.calibration import Calibration
from predictors.features import Encoder
from predictors.judging import Judgement
from predictors.logistic import Design, Logistic
from predictors.logs import RateBundle
from predictors.rate_model import Member, RateModel, Scores
from predictors.rate_spread import Law, Spread
from predictors.rate_units import UnitRates
from predictors.trees import Trees

#: Format of what is written, and those that are read: 4 is the same without bands of single products and units, 3 without their rates too.
FORMAT, READABLE = 5, (3, 4, 5)
_LIBRARIES = ("lightgbm", "numpy", "scipy", "polars")


def manifest_of(bundle: RateBundle) -> dict[str, Any]:
    """What a person (or a registry) needs to know of a bundle."""
    model = bundle.model
    return {
        "format": FORMAT,
        "kind": model.kind,
        "label": bundle.label,
        "weight": bundle.weight,
        "counts": bundle.counts,
        "columns": dict(bundle.columns),
        "roles": dict(model.encoder.roles),
        "feature_hash": hashlib.sha256(json.dumps(dict(model.encoder.roles), sort_keys=True).encode()).hexdigest()[:16],
        "left_out": dict(model.encoder.left_out),
        "ignored": list(bundle.ignored),
        "leaks": list(bundle.leaks),
        "rows": bundle.rows,
        "trials": bundle.trials,
        "successes": bundle.successes,
        "window": list(bundle.window) if bundle.window else None,
        "split": model.split,
        "scores": None if model.scores is None else asdict(model.scores),
        "calibration": None if model.check is None else asdict(model.check),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "notes": list(bundle.notes),
    }


def save_bundle(bundle: RateBundle, path: Path) -> None:
    """Write a bundle; an unfinished file never bears the name."""
    model = bundle.model
    arrays: dict[str, np.ndarray] = {"blend": model.blend, "calibration": model.calibration.numbers}
    arrays |= {"scale": model.design.scale, "values": model.design.values}
    texts: dict[str, str] = {}
    every = [*model.members, *([] if model.final is None else [model.final])]
    for k, member in enumerate(every):
        arrays[f"weights{k}"] = member.logistic.weights
        arrays[f"intercept{k}"] = np.array([member.logistic.intercept])
        if member.units is not None:
            arrays |= {f"units{k}": member.units.names, f"unit_rates{k}": member.units.known}
            arrays[f"unit_columns{k}"] = np.array(member.units.columns, np.int64)
            arrays[f"unit_mean{k}"] = np.array([member.units.mean])
        for t, trees in enumerate(trees for kind in member.trees for trees in kind):
            texts[f"trees{k}_{t}.txt"] = trees.text
            for c, statistics in enumerate(trees.statistics):
                arrays[f"statistics{k}_{t}_{c}"] = statistics
    for k, law in enumerate(model.spread.laws):
        arrays |= {f"levels{k}": law.names, f"trials{k}": law.trials}
    for name, edges in model.encoder.edges.items():
        arrays[f"edges:{name}"] = edges
    numbers = io.BytesIO()
    np.savez_compressed(numbers, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    state = {
        "roles": list(model.encoder.roles.items()),
        "levels": {name: list(levels) for name, levels in model.encoder.levels.items()},
        "edges": list(model.encoder.edges),
        "sizes": list(model.design.sizes),
        "tag_sizes": list(model.design.tag_sizes),
        "rate": model.rate,
        "evidence": model.evidence,
        "spread": model.spread.sd,
        "drift": model.spread.drift,
        "laws": [[law.sd, law.share, list(law.columns)] for law in model.spread.laws],
        "calibration": model.calibration.kind,
        "final": model.final is not None,
        "profile": {name: list(shares) for name, shares in bundle.profile.items()},
        "trees": [[len(kind) for kind in member.trees] for member in every],
        "statistics": len(every[0].trees[0][0].statistics) if every else 0,
    }
    part = path.with_name(path.name + ".tmp")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.json", json.dumps(manifest_of(bundle), indent=2))
        file.writestr("model.json", json.dumps(state))
        file.writestr("arrays.npz", numbers.getvalue())
        for name, text in texts.items():
            file.writestr(name, text)
    part.replace(path)


def _units(arrays: Mapping[str, np.ndarray], k: int) -> UnitRates | None:
    if f"units{k}" not in arrays:
        return None
    columns = tuple(arrays[f"unit_columns{k}"].tolist())
    return UnitRates(columns, arrays[f"units{k}"], arrays[f"unit_rates{k}"], float(arrays[f"unit_mean{k}"][0]))


def _spread(arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> Spread:
    laws = (
        Law(sd, share, tuple(columns), arrays[f"levels{k}"], arrays[f"trials{k}"])
        for k, (sd, share, columns) in enumerate(state.get("laws", []))
    )
    return Spread(state["spread"], state.get("drift", 0.0), tuple(laws))


def load_bundle(path: Path) -> RateBundle:
    """Read a bundle; `ConfigError` says what to do with one that cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            manifest = json.loads(file.read("manifest.json"))
            if manifest.get("format") not in READABLE:
                raise ConfigError(
                    f"{path}: bundle of format {manifest.get('format')!r}, this version reads "
                    f"{' and '.join(str(number) for number in READABLE)}; fit it anew with "
                    "`steadybid rates fit`"
                )
            state = json.loads(file.read("model.json"))
            with np.load(io.BytesIO(file.read("arrays.npz")), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            every = [
                Member(
                    Logistic(float(arrays[f"intercept{k}"][0]), arrays[f"weights{k}"]),
                    tuple(
                        tuple(
                            Trees(
                                file.read(f"trees{k}_{t}.txt").decode(),
                                tuple(arrays[f"statistics{k}_{t}_{c}"] for c in range(state["statistics"])),
                            )
                            for t in range(sum(kinds[:kind]), sum(kinds[: kind + 1]))
                        )
                        for kind in range(len(kinds))
                    ),
                    _units(arrays, k),
                )
                for k, kinds in enumerate(state["trees"])
            ]
        encoder = Encoder(
            dict(state["roles"]),
            manifest["left_out"],
            {name: tuple(levels) for name, levels in state["levels"].items()},
            {name: arrays[f"edges:{name}"] for name in state["edges"]},
        )
        model = RateModel(
            encoder,
            Design(tuple(state["sizes"]), tuple(state["tag_sizes"]), arrays["values"], arrays["scale"]),
            tuple(every[:-1] if state["final"] else every),
            every[-1] if state["final"] else None,
            arrays["blend"],
            Calibration(state["calibration"], arrays["calibration"]),
            state["rate"],
            state["evidence"],
            _spread(arrays, state),
            None
            if manifest["scores"] is None
            else Scores(**manifest["scores"] | {"n_trees": tuple(manifest["scores"]["n_trees"])}),
            np.zeros(0),
            tuple(manifest["notes"]),
            manifest["split"],
            None if manifest["calibration"] is None else Judgement(**manifest["calibration"]),
        )
        window = manifest["window"]
        return RateBundle(
            model,
            manifest["label"],
            manifest["columns"],
            manifest["rows"],
            manifest["trials"],
            manifest["successes"],
            manifest["weight"],
            manifest["counts"],
            None if window is None else (window[0], window[1]),
            tuple(manifest["ignored"]),
            tuple(manifest["leaks"]),
            tuple(manifest["notes"]),
            {name: tuple(shares) for name, shares in state["profile"].items()},
        )
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); name a bundle of `steadybid rates fit`"
        ) from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{path}: not a bundle, or a damaged one ({type(error).__name__}); fit it anew with `steadybid rates fit`"
        ) from error
