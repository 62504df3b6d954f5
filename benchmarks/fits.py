"""Draws how near the market's prices and traffic come to those of real logs: python -m benchmarks.fits DATA docs/images

DATA is a folder with `ipinyou_2259.parquet`, `ipinyou_1458_a.parquet` (a column ``price``) and
`avito_traffic_share_a.parquet` (``dow``, ``hour``, ``traffic_share``). Only distributions are drawn, relative to their
medians: no row of a log leaves it. The figures below the plots go to stdout.
"""

import argparse
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import polars as pl
import vl_convert

from domain.tables import Floats
from evaluation.charts import style
from evaluation.fits import SHARES, compare, cut_at, market_prices
from market import load_scenario, make_world
from market.contested import ContestedWorld

LOGS = {"iPinYou 2259": "ipinyou_2259", "iPinYou 1458": "ipinyou_1458_a"}
SEED = 100
_WIDTH = 420


def prices(folder: Path) -> Any:
    """Log density of prices over their median: log, market cut alike, and the log-normal law of the log."""
    world = make_world(load_scenario("four-phase-roi"), SEED)
    assert isinstance(world, ContestedWorld)
    market = market_prices(world, 200_000)
    panels: list[Any] = []
    told: list[str] = []
    for name, file in LOGS.items():
        log = pl.read_parquet(folder / f"{file}.parquet", columns=["price"])["price"].to_numpy().astype(np.float64)
        log = log[log > 0]
        fit = compare(log, market)
        cut = float(log.max() / np.median(log))
        normal = np.exp(np.log(log).mean() + np.log(log).std() * np.random.default_rng(0).standard_normal(200_000))
        drawn = {name: log, "market": cut_at(market, cut), "log-normal": cut_at(normal, cut)}
        for label, values in drawn.items():
            q = np.quantile(values / np.median(values), SHARES)
            print(f"{name:14} {label:12} {np.round(q, 2)}  sd of log {np.log(values).std():.2f}")
        print(f"{name:14} distance: market {fit.distance:.3f}, log-normal {fit.lognormal_distance:.3f}")
        told.append(f"{name} {fit.distance:.2f} (log-normal {fit.lognormal_distance:.2f})")
        frame = pl.concat([_distribution(label, values) for label, values in drawn.items()])
        hue = alt.Color(
            "of:N", title=None, scale=alt.Scale(domain=list(drawn), range=["#22313f", "#0b7a75", "#c8553d"])
        )
        panels.append(
            alt.Chart(frame, title=name)
            .mark_line(interpolate="monotone", strokeWidth=2)
            .encode(
                x=alt.X("price:Q", title="price over median").scale(type="log", domain=[0.08, 6]),
                y=alt.Y("share:Q", title="share of auctions that are cheaper"),
                color=hue,
                strokeDash=alt.condition("datum.of == 'log-normal'", alt.value([4, 3]), alt.value([1, 0])),
            )
            .properties(width=_WIDTH, height=300)
        )
    what = "The market's prices are spread like those of real auctions"
    return style(alt.hconcat(*panels), what, "Largest distance between the distributions: " + "; ".join(told) + ".")


def _distribution(name: str, values: Floats) -> pl.DataFrame:
    """Distribution over the median, at 1 % to 99 %."""
    share = np.linspace(0.01, 0.99, 99)
    at = np.quantile(values / np.median(values), share)
    return pl.DataFrame({"of": [name] * share.size, "price": at, "share": share})


def traffic(folder: Path) -> Any:
    """Traffic by hour of the week: mean of the log's regions, and the profile of the ordinary week."""
    rows = pl.read_parquet(folder / "avito_traffic_share_a.parquet")
    real = rows.group_by("dow", "hour").agg(pl.col("traffic_share").mean()).sort("dow", "hour")
    real = real["traffic_share"].to_numpy()
    ours = np.array(load_scenario("ordinary-week").demand.hour_of_week)
    both = {"mean of 57 regions (Avito)": real / real.mean(), "ordinary-week": ours / ours.mean()}
    off = float(np.abs(both["ordinary-week"] - both["mean of 57 regions (Avito)"]).max())
    print(f"traffic: largest difference {off:.4f} of the mean hour")
    frame = pl.concat(pl.DataFrame({"of": [n] * 168, "hour": np.arange(168), "traffic": x}) for n, x in both.items())
    hue = alt.Color("of:N", title=None, scale=alt.Scale(domain=list(both), range=["#22313f", "#0b7a75"]))
    chart = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("hour:Q", title="hour of the week, Monday 00:00 first").scale(domain=[0, 168], nice=False),
            y=alt.Y("traffic:Q", title="traffic over the mean hour"),
            color=hue,
            strokeDash=alt.condition("datum.of == 'ordinary-week'", alt.value([5, 4]), alt.value([1, 0])),
        )
        .properties(width=2 * _WIDTH, height=260)
    )
    return style(chart, "The ordinary week has the traffic of a real one", f"Largest difference {off:.4f}.")


def main() -> None:
    """Write both figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path, help="folder of the logs")
    arguments.add_argument("out", type=Path, help="folder of the figures")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name, chart in (("fit-prices", prices(given.data)), ("fit-traffic", traffic(given.data))):
        (given.out / f"{name}.png").write_bytes(vl_convert.vegalite_to_png(chart.to_json(), scale=1.5))
        print(given.out / f"{name}.png")


if __name__ == "__main__":
    main()
