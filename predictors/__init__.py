"""Predicts what bids buy: click and conversion rates, order value, conversion delay, price landscape, traffic.

The room offers `SteadyModel` (the `ResponseModel` of live and simulated runs) with its `PredictorSettings`, and rates
on their own: `fit_rates` and `score_rates` for any log, `save_bundle` and `load_bundle` to keep what was fitted. Where
single auctions are told, `fit_win_rates` learns win rates and prices from won and lost ones.
"""

from predictors.bundle import load_bundle, manifest_of, save_bundle
from predictors.columns import Log
from predictors.logs import RateBundle, fit_rates, judge_rates, missing_columns, score_rates
from predictors.model import SteadyModel
from predictors.registry import Registry, drift
from predictors.settings import PredictorSettings
from predictors.win_rate import Auctions, WinRates, fit_win_rates

__all__ = [
    "Auctions",
    "Log",
    "PredictorSettings",
    "RateBundle",
    "Registry",
    "SteadyModel",
    "WinRates",
    "drift",
    "fit_rates",
    "fit_win_rates",
    "judge_rates",
    "load_bundle",
    "manifest_of",
    "missing_columns",
    "save_bundle",
    "score_rates",
]
