"""Predicts what bids buy: click and conversion rates, order value, conversion delay, price landscape, traffic.

The room offers `SteadyModel` (the `ResponseModel` of live and simulated runs) and its `PredictorSettings`.
"""

from predictors.model import SteadyModel
from predictors.settings import PredictorSettings

__all__ = ["PredictorSettings", "SteadyModel"]
