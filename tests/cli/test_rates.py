"""`steadybid rates`: any log in, calibrated rates out, in the order of the rows; clear words where that cannot be."""

import gzip
import json
import zipfile
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from predictors import fit_rates, save_bundle

SEED = 7


def clicks(seed: int, n: int = 1000) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    site = rng.integers(0, 10, n)
    p = 1 / (1 + np.exp(2.0 - 1.3 * np.random.default_rng(SEED).standard_normal(10)[site]))
    start = datetime(2026, 3, 1)
    return pl.DataFrame(
        {
            "at": [start + timedelta(minutes=20 * i) for i in range(n)],
            "site": [f"s{i}" for i in site],
            "size": rng.standard_normal(n),
            "click": (rng.random(n) < p).astype(np.int8),
        }
    )


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    clicks(0).write_csv(folder / "train.csv")
    clicks(0).write_parquet(folder / "train.parquet")
    clicks(1, 600).write_parquet(folder / "later.parquet")
    (folder / "later.csv.gz").write_bytes(gzip.compress(clicks(1, 600).write_csv().encode()))
    return folder


@pytest.fixture(scope="module")
def bundle(logs):
    save_bundle(fit_rates(pl.read_parquet(logs / "train.parquet"), "click"), logs / "ctr.bundle")
    return logs / "ctr.bundle"


def test_rates_come_for_each_row_in_its_order_and_csv_and_parquet_agree(done, logs, bundle, tmp_path):
    said = done("rates", "score", bundle, logs / "later.parquet", "--out", tmp_path / "a.parquet", "--json").json
    one = pl.read_parquet(tmp_path / "a.parquet")
    assert one.columns == ["row", "mean", "low", "high"]
    assert one["row"].to_list() == list(range(600))
    assert said["rows"] == 600
    assert said["scores"]["log_loss"] < said["scores"]["log_loss_constant"]
    done("rates", "score", bundle, logs / "later.csv.gz", "--out", tmp_path / "b.csv.gz")
    two = pl.read_csv(tmp_path / "b.csv.gz")
    assert two["mean"].to_list() == pytest.approx(one["mean"].to_list())
    unlabelled = pl.read_parquet(logs / "later.parquet").drop("click")
    unlabelled.write_csv(tmp_path / "plain.csv")
    said = done("rates", "score", bundle, tmp_path / "plain.csv", "--out", tmp_path / "c.csv", "--json").json
    assert said["scores"] is None
    assert pl.read_csv(tmp_path / "c.csv")["mean"].to_list() == pytest.approx(one["mean"].to_list())


def test_a_fit_tells_its_scores_its_split_and_what_it_left_out(done, logs, tmp_path):
    rows = pl.read_csv(logs / "train.csv", try_parse_dates=True)
    told = rows.with_columns(
        paid=pl.when(pl.col("click") == 1).then(pl.col("size").abs() + 1.5), later=pl.int_range(pl.len()) % 7
    )
    told.write_csv(tmp_path / "told.csv")
    record = done(
        "rates", "fit", tmp_path / "told.csv", "--label", "click", "--ignore", "later", "--time", "at",
        "--out", tmp_path / "x.bundle", "--json",
    ).json  # fmt: skip
    assert record["leaks"] == ["paid"]
    assert record["ignored"] == ["later"]
    assert "time" in record["split"]
    assert record["scores"]["blend"] < record["scores"]["constant"]
    assert record["calibration"]["ratio"] == pytest.approx(1.0, abs=0.1)
    shown = done("rates", "show", tmp_path / "x.bundle", "--json").json
    assert shown == {key: value for key, value in record.items() if key != "log"}
    assert "a leak" in done("rates", "show", tmp_path / "x.bundle").out


def test_report_rows_are_read_as_successes_of_trials(done, tmp_path):
    rng = np.random.default_rng(3)
    n = 400
    trials, target = rng.integers(0, 60, n), rng.integers(0, 20, n)
    rate = np.random.default_rng(4).beta(2, 20, 20)[target]
    report = pl.DataFrame({"target": [f"t{i}" for i in target], "clicks": trials, "orders": rng.binomial(trials, rate)})
    report.write_csv(tmp_path / "report.csv")
    for option in ("--weight", "--trials"):
        record = done("rates", "fit", tmp_path / "report.csv", "--label", "orders", option, "clicks",
                      "--out", tmp_path / "cvr.bundle", "--json").json  # fmt: skip
        assert record["successes"] == report["orders"].sum()
        assert record["trials"] == report["clicks"].sum()
    said = done(
        "rates", "score", tmp_path / "cvr.bundle", tmp_path / "report.csv", "--out", tmp_path / "r.csv", "--json"
    )
    mean = pl.read_csv(tmp_path / "r.csv")["mean"].to_numpy()
    assert float(mean @ trials) == pytest.approx(report["orders"].sum(), rel=0.05)
    assert said.json["scores"]["log_loss"] < said.json["scores"]["log_loss_constant"]


def test_rows_after_the_cut_change_nothing(done, logs, tmp_path):
    rows = pl.read_parquet(logs / "train.parquet")
    cut = rows["at"][700]
    after = pl.col("at") >= cut
    rows.with_columns(click=pl.when(after).then(1 - pl.col("click")).otherwise(pl.col("click")).cast(pl.Int8),
                      site=pl.when(after).then(pl.lit("strange")).otherwise("site")).write_parquet(tmp_path / "b.parquet")  # fmt: skip
    for name, log in (("a", logs / "train.parquet"), ("b", tmp_path / "b.parquet")):
        done(
            "rates",
            "fit",
            log,
            "--label",
            "click",
            "--time",
            "at",
            "--until",
            str(cut),
            "--out",
            tmp_path / f"{name}.bundle",
        )
        done("rates", "score", tmp_path / f"{name}.bundle", logs / "later.parquet", "--out", tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_labels_from_before_their_row_or_after_the_cut_do_not_teach(done, logs, tmp_path):
    rows = pl.read_parquet(logs / "train.parquet")
    lag = pl.when(pl.int_range(pl.len()) % 50 == 0).then(pl.duration(hours=-1)).otherwise(pl.duration(hours=30))
    rows.with_columns(known=pl.when(pl.col("click") == 1).then(pl.col("at") + lag)).write_parquet(
        tmp_path / "k.parquet"
    )
    record = done("rates", "fit", tmp_path / "k.parquet", "--label", "click", "--time", "at", "--label-time", "known",
                  "--until", "2026-03-08", "--out", tmp_path / "k.bundle", "--json").json  # fmt: skip
    notes = " ".join(record["notes"])
    assert "from before the row" in notes
    assert "count as not yet seen" in notes
    assert "known" in record["ignored"]


def test_labels_that_became_known_after_the_cut_change_nothing(done, logs, tmp_path):
    rows = pl.read_parquet(logs / "train.parquet").head(400)
    rows = rows.with_columns(known=pl.when(pl.col("click") == 1).then(pl.col("at") + pl.duration(hours=30)))
    late = pl.col("known") >= datetime(2026, 3, 5)
    other = rows.with_columns(
        click=pl.when(late).then(0).otherwise(pl.col("click")),
        known=pl.when(late).then(None).otherwise(pl.col("known")),
    )
    assert (rows["click"] - other["click"]).sum() > 10
    for name, log in (("a", rows), ("b", other)):
        log.write_parquet(tmp_path / "log.parquet")
        done("rates", "fit", tmp_path / "log.parquet", "--label", "click", "--time", "at", "--label-time", "known",
             "--until", "2026-03-05", "--out", tmp_path / "k.bundle")  # fmt: skip
        done("rates", "score", tmp_path / "k.bundle", logs / "later.parquet", "--out", tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_clocks_that_are_off_numbers_beyond_all_measure_and_weights_of_any_scale_still_give_rates(done, logs, tmp_path):
    rows = pl.read_parquet(logs / "train.parquet").head(300)
    k = pl.int_range(pl.len())
    odd = rows.with_columns(
        at=pl.when(k == 7).then(datetime(2099, 1, 1)).when(k == 8).then(datetime(1970, 1, 1)).otherwise(pl.col("at")),
        size=pl.when(k % 9 == 0).then(float("inf")).otherwise(pl.col("size") * 1e300),
        clock=pl.col("at").dt.time(),
        empty=pl.lit(None, pl.String),
        worth=1e-9 * (1.5 + k % 3),
    )
    odd.write_parquet(tmp_path / "odd.parquet")
    record = done("rates", "fit", tmp_path / "odd.parquet", "--label", "click", "--weight", "worth", "--time", "at",
                  "--out", tmp_path / "odd.bundle", "--json").json  # fmt: skip
    assert record["left_out"]["empty"] == "no value in any row"
    assert record["trials"] == pytest.approx(300)
    nothing = odd.with_columns(pl.lit(None, odd.schema[name]).alias(name) for name in odd.columns)
    for log in (odd, nothing):
        log.write_parquet(tmp_path / "score.parquet")
        done("rates", "score", tmp_path / "odd.bundle", tmp_path / "score.parquet", "--out", tmp_path / "r.csv")
        scored = pl.read_csv(tmp_path / "r.csv").select("low", "mean", "high").to_numpy()
        assert ((scored > 0) & (scored < 1)).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.with_columns(click=pl.lit(0)), "too few"),
        (lambda rows: rows.with_columns(click=pl.lit(1)), "too few"),
        (lambda rows: rows.head(10), "too few"),
        (
            lambda rows: rows.with_columns(site=pl.lit("a"), size=pl.lit(None, pl.Float64)).drop("at"),
            "no column varies",
        ),
    ],
    ids=["no click", "only clicks", "ten rows", "constant and empty columns"],
)
def test_a_log_that_teaches_no_more_than_a_rate_says_why(done, logs, tmp_path, change, reason):
    change(pl.read_parquet(logs / "train.parquet")).write_csv(tmp_path / "odd.csv")
    out = tmp_path / "odd.bundle"
    record = done("rates", "fit", tmp_path / "odd.csv", "--label", "click", "--out", out, "--json").json
    assert record["kind"] == "constant"
    assert reason in record["notes"][-1]
    done("rates", "score", out, logs / "later.parquet", "--out", tmp_path / "r.parquet")
    scored = pl.read_parquet(tmp_path / "r.parquet").select("low", "mean", "high").to_numpy()
    assert np.isfinite(scored).all()
    assert ((scored > 0) & (scored < 1)).all()


def test_a_missing_column_is_told_and_a_foreign_log_refused(run, done, logs, bundle, tmp_path):
    out = tmp_path / "r.csv"
    pl.read_parquet(logs / "later.parquet").drop("site").write_csv(tmp_path / "less.csv")
    said = done("rates", "score", bundle, tmp_path / "less.csv", "--out", out)
    assert "'site' is not in" in said.err
    assert np.isfinite(pl.read_csv(out)["mean"].to_numpy()).all()
    strict = run("rates", "score", bundle, tmp_path / "less.csv", "--out", out, "--strict")
    assert strict.status == 1
    assert "add the columns" in strict.err
    pl.DataFrame({"weather": [1, 2]}).write_csv(tmp_path / "foreign.csv")
    assert run("rates", "score", bundle, tmp_path / "foreign.csv", "--out", out).status == 1


def test_unseen_categories_nulls_and_odd_types_still_get_a_rate(done, bundle, tmp_path):
    strange = pl.DataFrame({"at": ["2027-01-01", None], "site": [None, "never seen"], "size": ["big", "1e400"]})
    strange.write_parquet(tmp_path / "strange.parquet")
    done("rates", "score", bundle, tmp_path / "strange.parquet", "--out", tmp_path / "r.csv")
    assert np.isfinite(pl.read_csv(tmp_path / "r.csv").to_numpy()).all()


def test_a_log_without_rows_gives_a_file_without_rows(done, logs, bundle, tmp_path):
    pl.read_parquet(logs / "later.parquet").head(0).write_parquet(tmp_path / "none.parquet")
    done("rates", "score", bundle, tmp_path / "none.parquet", "--out", tmp_path / "r.csv")
    assert pl.read_csv(tmp_path / "r.csv").height == 0


def test_wrong_calls_and_unreadable_files_are_refused_in_words(run, logs, bundle, tmp_path):
    train, later, out = logs / "train.csv", logs / "later.parquet", tmp_path / "o.bundle"
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "torn.parquet").write_bytes(later.read_bytes()[:400])
    rows = pl.read_parquet(later).with_columns(shown=pl.lit(0), both=pl.concat_list("click", "click"))
    rows.write_parquet(tmp_path / "zero.parquet")
    for status, words, expected in (
        (1, ("fit", train, "--label", "conversion", "--out", out), "not in the log"),
        (1, ("fit", train, "--label", "site", "--out", out), "must hold 0 and 1"),
        (1, ("fit", tmp_path / "zero.parquet", "--label", "click", "--trials", "shown", "--out", out), "has a trial"),
        (1, ("fit", tmp_path / "zero.parquet", "--label", "both", "--out", out), "must hold 0 and 1"),
        (1, ("fit", train, "--label", "at", "--out", out), "must hold 0 and 1"),
        (1, ("fit", tmp_path / "empty.csv", "--label", "click", "--out", out), "empty"),
        (1, ("fit", tmp_path / "torn.parquet", "--label", "click", "--out", out), "not a readable log"),
        (1, ("fit", tmp_path / "gone.csv", "--label", "click", "--out", out), "cannot be read"),
        (2, ("fit", train, "--label", "click", "--out", tmp_path / "no" / "o.bundle"), "there is no folder"),
        (2, ("fit", train, "--label", "click", "--out", out, "--type", "site"), "COLUMN=ROLE"),
        (2, ("fit", train, "--label", "click", "--out", out, "--type", "site=name"), "none of number"),
        (2, ("fit", train, "--label", "click", "--out", out, "--until", "2026-03-05"), "--time"),
        (2, ("fit", train, "--label", "click", "--out", out, "--time", "at", "--until", "soon"), "cannot be compared"),
        (2, ("score", train, later, "--out", tmp_path / "r.csv"), "not a bundle"),
        (2, ("score", bundle, later, "--out", tmp_path / "r.xlsx"), "must end in"),
    ):
        said = run("rates", *words)
        assert said.status == status, said.err
        assert expected in said.err
        assert not out.exists()


def test_a_bundle_of_another_version_says_what_to_do(run, logs, bundle, tmp_path):
    with zipfile.ZipFile(bundle) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    manifest = json.loads(parts["manifest.json"]) | {"format": 0}
    old = tmp_path / "old.bundle"
    with zipfile.ZipFile(old, "w") as file:
        for name, content in parts.items():
            file.writestr(name, json.dumps(manifest) if name == "manifest.json" else content)
    said = run("rates", "score", old, logs / "later.parquet", "--out", tmp_path / "r.csv")
    assert said.status == 2
    assert "fit it anew" in said.err


def test_bundles_are_promoted_rolled_back_and_watched(run, done, logs, bundle, tmp_path):
    folder, later = tmp_path / "registry", logs / "later.parquet"
    assert "promoted: there was no champion" in done("rates", "promote", bundle, later, "--registry", folder).out
    again = run("rates", "promote", bundle, later, "--registry", folder, "--json")
    assert again.status == 1
    assert not again.json["promoted"]
    assert run("rates", "rollback", "--registry", folder).status == 2
    assert done("rates", "drift", bundle, later, "--json").json["alarms"] == []
    pl.read_parquet(later).with_columns(site=pl.lit("new")).write_csv(tmp_path / "moved.csv")
    moved = run("rates", "drift", bundle, tmp_path / "moved.csv")
    assert moved.status == 1
    assert "'site' has moved" in moved.err
