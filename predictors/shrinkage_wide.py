"""A round of `shrinkage` over so many units that some of them have told already what all of them share.

The mixture's weights are known then but for their last digits, and one EM step takes the place of the dozen that small accounts
take: no likelihood is looked at twice, and none needs to be kept. Units are gone through in blocks that stay in the cache,
component by component, since NumPy's logarithms and exponentials of whole arrays take a sixth of the time of single ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Floats, Ints
from predictors.shrinkage_design import DOUBT, SCALES, WEIGHT_STRENGTH, Design
from predictors.shrinkage_steps import PARTS, Pulls, Seen, State, base_of, stepped

#: Units of a block: what 13 components make of them is half a megabyte, which second-level caches hold.
BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Block:
    """What the mixture's components make of some units.

    Attributes
    ----------
    units
        Which they are.
    count, due
        (n,) as in `Seen`.
    factor
        (2, n) true rate over forecast by the components that believe it, and by those that doubt it.
    rate
        (n_components, n) k_j + events due, the rate of the gamma posterior.
    fit
        (n_components, n) likelihood times weight, as a multiple of the likeliest component's.
    """

    units: slice
    count: Floats
    due: Floats
    factor: Floats
    rate: Floats
    fit: Floats


def newton(state: State, seen: Seen, design: Design, campaign: Ints, level_sd: float) -> State:
    """One round: an EM step of the weights, and one Newton step of alpha, the slopes, campaigns and kin."""
    n = seen.count.size
    pulls = Pulls(np.empty(n), np.empty(n), np.empty(n), np.empty(n))
    total = np.zeros(PARTS)
    for block in _blocks(state, seen, design, campaign):
        _pull(block.count, block.due, block.factor, block.rate, block.fit, total, *(p[block.units] for p in pulls))
    weights = (WEIGHT_STRENGTH * design.weights + total) / (n + WEIGHT_STRENGTH)
    return stepped(state, weights, pulls, design, campaign, level_sd)


def posterior(state: State, seen: Seen, design: Design, campaign: Ints) -> tuple[Floats, Floats, float]:
    """What `shrinkage_steps.posterior` gives."""
    n, information = seen.count.size, 0.0
    ratio, own = np.empty(n), np.empty(n)
    for block in _blocks(state, seen, design, campaign):
        information += _moments(
            block.count, block.due, block.factor, block.rate, block.fit, ratio[block.units], own[block.units]
        )
    return ratio, own, information


def _blocks(state: State, seen: Seen, design: Design, campaign: Ints) -> Iterator[Block]:
    """Blocks of units, each in the memory of the one before."""
    n, log_weights = seen.count.size, np.log(state.weights)
    base, fixed = base_of(state, design, campaign), np.ascontiguousarray(seen.fixed.T)
    log_factors, factors = np.empty((2, 2, BLOCK))
    rates, fits = np.empty((2, PARTS, BLOCK))
    for start in range(0, n, BLOCK):
        units = slice(start, min(start + BLOCK, n))
        size = units.stop - start
        log_factor, factor, rate, fit = (a[:, :size] for a in (log_factors, factors, rates, fits))
        count, due = seen.count[units], seen.due[units]
        _log_factors(
            base[units], design.believe[units], design.doubt[units], design.doubt_base[units], state.slope, log_factor
        )
        np.exp(log_factor, out=factor)
        _rates(due, factor, rate)
        np.log(rate, out=fit)
        _log_fits(count, seen.case[units], fixed, design.odd[units], log_weights, log_factor, fit)
        np.exp(fit, out=fit)
        yield Block(units, count, due, factor, rate, fit)


@njit(cache=True)
def _log_factors(base, believe, doubt, doubt_base, slope, out):
    """Writes (2, n) log means per event due."""
    for i in range(base.size):
        trusting, doubting = base[i], base[i] + doubt_base[i]
        for j in range(slope.size):
            trusting += believe[i, j] * slope[j]
            doubting += doubt[i, j] * slope[j]
        out[0, i], out[1, i] = trusting, doubting


@njit(cache=True)
def _rates(due, factor, rate):
    """Writes (n_components, n) k_j + events due."""
    for j in range(rate.shape[0]):
        k, mine = 1.0 / SCALES[j] ** 2, factor[1 if DOUBT[j] else 0]
        for i in range(due.size):
            rate[j, i] = k + due[i] * mine[i]


@njit(cache=True)
def _log_fits(count, case, fixed, odd, log_weights, log_factor, fit):
    """Puts log likelihoods times weights, less the likeliest component's, in the place of the rates' logarithms."""
    top = np.full(count.size, -np.inf)
    for j in range(fit.shape[0]):
        k, doubt, mine = 1.0 / SCALES[j] ** 2, 1.0 if DOUBT[j] else 0.0, log_factor[1 if DOUBT[j] else 0]
        for i in range(count.size):
            own = fixed[j, case[i]] + log_weights[j] + doubt * odd[i] + count[i] * mine[i] - (k + count[i]) * fit[j, i]
            fit[j, i] = own
            top[i] = max(top[i], own)
    for j in range(fit.shape[0]):
        for i in range(count.size):
            fit[j, i] -= top[i]


@njit(cache=True, error_model="numpy")
def _pull(count, due, factor, rate, fit, total, pull_believe, curve_believe, pull_doubt, curve_doubt):
    """Writes pull (gradient) and curve (information) of each unit's log means; adds shares of components to `total`."""
    per_whole = np.zeros(count.size)
    for j in range(fit.shape[0]):
        for i in range(count.size):
            per_whole[i] += fit[j, i]
    for i in range(count.size):
        per_whole[i] = 1 / per_whole[i]
        pull_believe[i], curve_believe[i], pull_doubt[i], curve_doubt[i] = 0.0, 0.0, 0.0, 0.0
    for j in range(fit.shape[0]):
        k, mine = 1.0 / SCALES[j] ** 2, factor[1 if DOUBT[j] else 0]
        pull, curve = (pull_doubt, curve_doubt) if DOUBT[j] else (pull_believe, curve_believe)
        for i in range(count.size):
            share, mean, scale = fit[j, i] * per_whole[i], due[i] * mine[i], 1 / rate[j, i]
            total[j] += share
            share *= k * scale
            pull[i] += share * (count[i] - mean)
            # observed information; the negative binomial is concave in the log mean
            curve[i] += share * mean * (k + count[i]) * scale


@njit(cache=True, error_model="numpy")
def _moments(count, due, factor, rate, fit, ratio, own):
    """Writes mean and relative standard error of each unit's gamma mixture; gives what units tell of the common level."""
    whole, first, second, told = np.zeros((4, count.size))
    for j in range(fit.shape[0]):
        k, mine = 1.0 / SCALES[j] ** 2, factor[1 if DOUBT[j] else 0]
        for i in range(count.size):
            share, scale = fit[j, i], 1 / rate[j, i]
            mean = mine[i] * scale * (k + count[i])
            whole[i] += share
            first[i] += share * mean
            second[i] += share * mean * (mean + mine[i] * scale)
            told[i] += share * due[i] * mine[i] * k * scale
    information = 0.0
    for i in range(count.size):
        ratio[i] = first[i] / whole[i]
        own[i] = np.sqrt(max(second[i] / whole[i] / ratio[i] ** 2 - 1, 0.0))
        information += told[i] / whole[i]
    return information
