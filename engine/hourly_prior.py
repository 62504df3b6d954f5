"""What is believed of a campaign's market before its first hour: how much traffic there is, and what it costs."""

import math

from engine.hourly_belief import Belief, Prior
from engine.hourly_charge import USUAL_CTR, Charge
from engine.hourly_horizon import HourlyHorizon
from engine.hourly_target import Target

#: Log of volume in a mean hour, and its error.
USUAL_VOLUME, USUAL_SD = math.log(10.0 / USUAL_CTR), 3.0
#: Chance that a told volume counts what we count, and its error then; otherwise it is as unsure as an untold one.
TOLD_CHANCE, TOLD_SD = 0.3, 0.7
#: All traffic at the median price costs exp(1.2 +- 1) budgets: advertisers do not bring money for everything.
DEPTH, DEPTH_SD = 1.2, 1.0
#: A target CPC tells the median price, with this error in the logarithm.
TARGET_SD = 1.2
#: Errors of the day's form, without and with a forecast.
WAVE_SD, TOLD_WAVE_SD = 0.4, 0.15


def first_belief(horizon: HourlyHorizon, charge: Charge, target: Target) -> Belief:
    """Belief before the first hour; money counts in budgets."""
    told = horizon.expected is not None
    level = math.log(horizon.expected) if horizon.expected is not None else USUAL_VOLUME
    balance = DEPTH - math.log(horizon.n_hours * charge.per_volume)
    depth_var = DEPTH_SD**2 * (1 if target.empty else 4)  # with a target, the budget may be ample
    level_sd = math.sqrt(USUAL_SD**2 * depth_var / (USUAL_SD**2 + depth_var))
    parts: list[Prior] = []
    for story, volume_sd in ((TOLD_CHANCE, TOLD_SD), (1 - TOLD_CHANCE, USUAL_SD)) if told else ((1.0, USUAL_SD),):
        chance, price, price_var, volume = story, balance - level, volume_sd**2 + depth_var, level
        follow = -(volume_sd**2) / price_var
        if target.cpc is not None:
            known = math.log(target.cpc * charge.clicks_per_volume / charge.per_volume)
            error_var = price_var + TARGET_SD**2
            share = price_var / error_var
            chance *= math.exp(-0.5 * (known - price) ** 2 / error_var) / math.sqrt(error_var)
            volume += follow * share * (known - price)
            price += share * (known - price)
            price_var *= 1 - share
        parts.append(Prior(chance, price, math.sqrt(price_var), volume, follow))
    return Belief(parts, level_sd, TOLD_WAVE_SD if horizon.told else WAVE_SD)
