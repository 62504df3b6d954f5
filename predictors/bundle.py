"""Keeps fitted rates in a file: a zip with a manifest that people can read and arrays that need no code to load.

The manifest tells what was learned when and from how much: training window, hash of the columns, versions of the
libraries, scores. Nothing in a bundle is executed when it is read.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from domain.errors import ConfigError
from predictors.features import Encoder
from predictors.judging import Judgement
from predictors.logistic import Logistic, OneHot
from predictors.logs import RateBundle
from predictors.rates import Member, RateModel, Scores

FORMAT = 2
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
    arrays: dict[str, np.ndarray] = {"blend": model.blend}
    for k, member in enumerate(model.members):
        arrays[f"weights{k}"] = member.logistic.weights
        arrays[f"intercept{k}"] = np.array([member.logistic.intercept])
        for c, table in enumerate(member.statistics):
            arrays[f"statistics{k}_{c}"] = table
    for name, edges in model.encoder.edges.items():
        arrays[f"edges:{name}"] = edges
    numbers = io.BytesIO()
    np.savez_compressed(numbers, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    state = {
        "roles": list(model.encoder.roles.items()),
        "levels": {name: list(levels) for name, levels in model.encoder.levels.items()},
        "edges": list(model.encoder.edges),
        "sizes": list(model.one_hot.sizes),
        "tag_sizes": list(model.one_hot.tag_sizes),
        "rate": model.rate,
        "evidence": model.evidence,
        "members": len(model.members),
        "statistics": [len(member.statistics) for member in model.members],
    }
    part = path.with_name(path.name + ".tmp")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.json", json.dumps(manifest_of(bundle), indent=2))
        file.writestr("model.json", json.dumps(state))
        file.writestr("arrays.npz", numbers.getvalue())
        for k, member in enumerate(model.members):
            file.writestr(f"trees{k}.txt", member.trees)
    part.replace(path)


def load_bundle(path: Path) -> RateBundle:
    """Read a bundle; `ConfigError` says what to do with one that cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            manifest = json.loads(file.read("manifest.json"))
            if manifest.get("format") != FORMAT:
                raise ConfigError(
                    f"{path}: bundle of format {manifest.get('format')!r}, this version reads {FORMAT}; fit it anew with "
                    "`steadybid rates fit`"
                )
            state = json.loads(file.read("model.json"))
            with np.load(io.BytesIO(file.read("arrays.npz")), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            trees = [file.read(f"trees{k}.txt").decode() for k in range(state["members"])]
        members = tuple(
            Member(
                Logistic(float(arrays[f"intercept{k}"][0]), arrays[f"weights{k}"]),
                trees[k],
                tuple(arrays[f"statistics{k}_{c}"] for c in range(state["statistics"][k])),
            )
            for k in range(state["members"])
        )
        encoder = Encoder(
            dict(state["roles"]),
            manifest["left_out"],
            {name: tuple(levels) for name, levels in state["levels"].items()},
            {name: arrays[f"edges:{name}"] for name in state["edges"]},
        )
        model = RateModel(
            encoder,
            OneHot(tuple(state["sizes"]), tuple(state["tag_sizes"])),
            members,
            arrays["blend"],
            state["rate"],
            state["evidence"],
            None if manifest["scores"] is None else Scores(**manifest["scores"]),
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
