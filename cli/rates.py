"""`steadybid rates`: a calibrated click or conversion model of any log, for other systems."""

import gzip
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.accounts import JsonFlag
from cli.output import print_json, say, table, warn
from cli.workspace import SystemClock
from domain.errors import ConfigError, FileRefused, SchemaMismatch

if TYPE_CHECKING:
    import polars as pl

    from predictors import Log, RateBundle

rates_app = typer.Typer(help="Click and conversion rates of any log.", no_args_is_help=True, rich_markup_mode=None)

LogArgument = Annotated[Path, typer.Argument(metavar="LOG", help="Log: parquet, csv or csv.gz.")]
BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `steadybid rates fit` wrote.")]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="COLUMN", help="Column known only afterwards. Repeatable.")
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="COLUMN=ROLE",
        help="Role of a column that is not what it looks like: number, category, both, tags, time, ignore. Repeatable.",
    ),
]


@rates_app.command("fit")
def fit(
    log: LogArgument,
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="Column to learn: 0/1, or counts of trials.")],
    out: Annotated[Path, typer.Option("--out", metavar="BUNDLE", help="File to write.")],
    weight: Annotated[
        str | None,
        typer.Option("--weight", metavar="COLUMN", help="Weight of a row, or the trials that a counting label counts."),
    ] = None,
    trials: Annotated[
        str | None,
        typer.Option("--trials", metavar="COLUMN", help="Trials of a row; the label counts its successes (clicks of "
                     "impressions, orders of clicks)."),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", help="Time of a row: models are then judged on later rows.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="COLUMN", help="Rows that belong together, such as a user's.")
    ] = None,
    label_time: Annotated[
        str | None, typer.Option("--label-time", metavar="COLUMN", help="When a success became known; needs --time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Learn only what was known before; needs --time.")
    ] = None,
    ignore: Ignore = None,
    types: Types = None,
    as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Learn the rate of a label from the other columns of a log, judge it on rows it has not seen, and keep it."""
    from predictors import fit_rates, manifest_of, save_bundle

    _writable(out)
    bundle = fit_rates(
        _read(log),
        label,
        weight=weight,
        trials=trials,
        time=time,
        group=group,
        label_time=label_time,
        until=until,
        ignore=ignore or (),
        types=_types(types or []),
    )
    save_bundle(bundle, out)
    record = manifest_of(bundle) | {"bundle": str(out), "log": str(log)}
    if as_json:
        print_json(record)
        return
    for note in bundle.notes:
        say(f"note: {note}")
    _say_fit(record)


@rates_app.command("score")
def score(
    bundle: BundleArgument,
    log: LogArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write: parquet, csv or csv.gz.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a log that lacks a column, instead of counting it as missing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write row, mean, low and high for each row of a log, in its order. Where the log has labels, judge the rates."""
    from predictors import judge_rates, load_bundle, missing_columns, score_rates

    _ending(out)
    _writable(out)
    fitted = load_bundle(bundle)
    rows = _read(log, fitted)
    gone = missing_columns(fitted, rows)
    if gone and (strict or len(gone) == len(fitted.model.encoder.roles)):
        raise SchemaMismatch(
            f"{log} lacks {', '.join(map(repr, gone))}, which {bundle} learned from; add the columns"
            + (", or leave out --strict" if strict and len(gone) < len(fitted.model.encoder.roles) else "")
        )
    scored = score_rates(fitted, rows)
    _write(scored, out)
    judged = judge_rates(fitted, rows, scored["mean"].to_numpy())
    words = [f"column {name!r} is not in {log}: taken as missing everywhere" for name in gone]
    if as_json:
        print_json(
            {
                "bundle": str(bundle),
                "log": str(log),
                "out": str(out),
                "rows": scored.height,
                "mean": scored["mean"].mean() if scored.height else None,
                "missing_columns": list(gone),
                "scores": judged,
                "notes": words,
            }
        )
        return
    for line in words:
        warn(f"note: {line}")
    average = f", mean rate {scored['mean'].mean():.6g}" if scored.height else ""
    say(f"{out}: {scored.height:,} rows{average}")
    if judged is not None:
        _say_judged(judged)


@rates_app.command("show")
def show(bundle: BundleArgument, as_json: JsonFlag = False) -> None:
    """Show what a bundle learned, from what, and how well it did on rows it had not seen."""
    from predictors import load_bundle, manifest_of

    fitted = load_bundle(bundle)
    record = manifest_of(fitted) | {"bundle": str(bundle)}
    if as_json:
        print_json(record)
        return
    for note in fitted.notes:
        say(f"note: {note}")
    _say_fit(record)


RegistryOption = Annotated[Path, typer.Option("--registry", metavar="FOLDER", help="Folder of the bundles in use.")]


@rates_app.command("promote")
def promote(
    bundle: BundleArgument,
    log: Annotated[Path, typer.Argument(metavar="LOG", help="Later rows with labels, to judge by.")],
    registry: RegistryOption,
    as_json: JsonFlag = False,
) -> None:
    """Put a bundle in use where it scores better on later rows than the one in use. Exit status 1: it does not."""
    from predictors import Registry, load_bundle

    fitted = load_bundle(bundle)
    verdict = Registry(registry).challenge(fitted, _read(log, fitted), SystemClock().now())
    if as_json:
        print_json(asdict(verdict) | {"champion": Registry(registry).champion()})
    else:
        say(f"{bundle}: {'promoted' if verdict.promoted else 'not promoted'}: {verdict.reason}")
        say(f"in use: {Registry(registry).champion() or 'nothing yet'}")
    if not verdict.promoted:
        raise typer.Exit(1)


@rates_app.command("rollback")
def rollback(
    registry: RegistryOption, reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = ""
) -> None:
    """Put the bundle before the one in use back."""
    from predictors import Registry

    say(f"in use: {Registry(registry).rollback(SystemClock().now(), reason)}")


@rates_app.command("drift")
def drift(bundle: BundleArgument, log: LogArgument, as_json: JsonFlag = False) -> None:
    """Tell how far a log has moved from what a bundle learned from. Exit status 1: there is an alarm."""
    from predictors import drift as measure
    from predictors import load_bundle

    fitted = load_bundle(bundle)
    found = measure(fitted, _read(log, fitted))
    if as_json:
        print_json(asdict(found))
    else:
        moved = sorted(found.columns.items(), key=lambda pair: -pair[1])[:10]
        table(("column", "stability index"), [(name, f"{index:.3f}") for name, index in moved], right=(1,))
        if found.off is not None:
            say(f"predicted less seen successes: {found.off:+.1f} standard errors")
        for alarm in found.alarms:
            warn(f"alarm: {alarm}")
    if found.alarms:
        raise typer.Exit(1)


def _say_fit(record: dict[str, Any]) -> None:
    kind = "constant rate" if record["kind"] == "constant" else "blend of regression and LightGBM"
    say(
        f"{record['bundle']}: {kind} of {record['label']!r} from {record['rows']:,} rows, "
        f"{record['successes']:,.6g} successes of {record['trials']:,.6g} trials"
    )
    scores = record["scores"]
    if scores is None:
        return
    say(f"judged on {record['split']}:")
    names = ("constant", "logistic", "trees", "blend")
    table(("log loss of", "per trial"), [(n, f"{scores[n]:.6f}") for n in names], right=(1,))
    check = record["calibration"]
    if check is not None:
        say(
            f"predicted / seen {check['ratio']:.3f} (standard error {check['ratio_error']:.3f}), calibration error "
            f"(ECE) {check['ece']:.5f}, AUC {check['auc']:.3f}"
        )


def _say_judged(judged: dict[str, float]) -> None:
    say(
        f"labels of the log: log loss {judged['log_loss']:.6f} (constant rate of the training log "
        f"{judged['log_loss_constant']:.6f}), predicted / seen {judged['ratio']:.3f} (standard error "
        f"{judged['ratio_error']:.3f}), ECE {judged['ece']:.5f}, AUC {judged['auc']:.3f}"
    )


def _types(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, role = text.rpartition("=")
        if not equals or not name:
            raise ConfigError(f"--type {text!r}: write COLUMN=ROLE, such as --type hour=category")
        found[name] = role
    return found


def _read(path: Path, fitted: "RateBundle | None" = None) -> "Log":
    """Log in a file, told by its first bytes; texts that a bundle knows as texts stay texts."""
    import polars as pl

    from predictors import Log

    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise FileRefused(f"{path}: cannot be read ({error.strerror}); name a log: parquet, csv or csv.gz") from error
    if not head:
        raise FileRefused(f"{path}: the file is empty; name a log with a header and rows")
    try:
        if head == b"PAR1":
            return Log.of(path)
        source: Any = path
        if head[:2] == b"\x1f\x8b":
            source = gzip.decompress(path.read_bytes())
        texts = {} if fitted is None else {c: pl.String for c, kind in fitted.columns.items() if kind == "String"}
        rows = pl.read_csv(
            source,
            separator="\t" if ".tsv" in path.suffixes else ",",
            try_parse_dates=True,
            infer_schema_length=None,
            null_values=["", "NA", "NaN", "nan", "null", "NULL", "None"],
            schema_overrides={c: kind for c, kind in texts.items() if c in _header(source, path)},
        )
        return Log.of(rows)
    except (pl.exceptions.PolarsError, OSError, EOFError) as error:
        what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileRefused(f"{path}: not a readable log ({what}); name a parquet, csv or csv.gz file") from error


def _header(source: Any, path: Path) -> list[str]:
    import polars as pl

    separator = "\t" if ".tsv" in path.suffixes else ","
    return pl.read_csv(source, n_rows=0, separator=separator, infer_schema=False).columns


def _ending(path: Path) -> str:
    """Format that a file's name asks for."""
    name = path.name.lower()
    for ending in (".parquet", ".csv", ".csv.gz"):
        if name.endswith(ending):
            return ending
    raise ConfigError(f"--out {path}: the name must end in .parquet, .csv or .csv.gz")


def _writable(path: Path) -> None:
    """Refuse at once what could not be written after minutes of work."""
    if path.is_dir():
        raise ConfigError(f"--out {path} is a folder; name a file")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: there is no folder {path.parent}; make it, or name another file")


def _write(scored: "pl.DataFrame", path: Path) -> None:
    """Write a table; an unfinished file never bears the name."""
    part = path.with_name(f"{path.name}.tmp")
    ending = _ending(path)
    if ending == ".parquet":
        scored.write_parquet(part)
    elif ending == ".csv":
        scored.write_csv(part)
    else:
        with gzip.open(part, "wb", compresslevel=6) as file:
            for rows in scored.iter_slices(200_000):
                file.write(rows.write_csv(include_header=rows["row"][0] == 0).encode())
            if not scored.height:
                file.write(scored.write_csv().encode())
    part.replace(path)
