"""What waits for the burst, what a deposit leaves to pay, and what comes back.

Clicks before a burst may bring carts that are paid only when it starts: of the orders of a warm-up click a share w
waits for the burst and comes within T hours of its start, the rest follows the delay law F. With m the orders that
clicks should bring, kappa the level they miss by, a the age and u the hours since the burst began,

    orders told   kappa m [ (1 - w) F(a) + w G_T(u) ],     G_T(u) = min(u / T, 1)

Before the burst w and kappa look alike; other kinds of phases tell kappa, a prior holds w (mean 1/9), and the error that
is left is stated. In the burst the arrivals say which rows they belong to, so w and T are known within hours:
Poisson counts by hour since the burst, on a grid of (w, T), kappa integrated out under its gamma prior.

A pre-sale order counts at once with its deposit, a share d of its value; the balance comes in the burst, but for orders
that are forfeited (prior 7 %). d is the ratio of money to orders against other phases, kept on its own grid.

Orders come back: a share rho of them (prior 3 %, worth one return), told as negative restatements after an
exponential time after the order itself was told, whose mean is averaged over a grid, as is the end of the window: what
is still to come back then comes at once, and must not pass for a sign of slow returns. Returns by the hour are a
convolution of orders by the hour: neither the orders' own delay nor those that waited enter. Everything after this
module speaks of orders and money net of what comes back, so that the share told may exceed one for a while.
"""

from dataclasses import dataclass

import numpy as np

from domain.phases import PhaseKind
from domain.tables import Floats

KINDS = tuple(PhaseKind)
WARM_UP, PRE_SALE = KINDS.index(PhaseKind.WARM_UP), KINDS.index(PhaseKind.PRE_SALE)
#: Beta priors (a, b) of the share that waits, by kind of phase.
WAIT_PRIOR = {WARM_UP: (1.0, 8.0), PRE_SALE: (1.0, 60.0)}
#: Beta prior of the share of balances that are paid.
PAID_PRIOR = (13.0, 1.0)
#: Hours from the burst's start within which all that waited comes.
WITHIN = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0])
#: Shares that are tried, denser where little waits, and their spacing.
_STEP = (np.arange(48) + 0.5) / 48.0
_WAIT, _SPACING = 0.8 * _STEP**2, _STEP
#: Relative spread of a kind's conversion level around the account's.
KIND_LEVEL_SD = 0.07
#: Prior of the share of orders that comes back: mean, and returns it is worth.
RETURN_MEAN, RETURN_WORTH = 0.03, 1.0
#: Mean hours until an order comes back, and hours after which what is still to come back is told at once: windows end.
RETURN_HOURS, WINDOW_HOURS = np.array([6.0, 9.0, 13.0, 18.0, 24.0, 30.0, 38.0, 50.0]), np.array([48, 72, 96, 168])
LATEST_RETURN = int(WINDOW_HOURS[-1])
#: Laws less likely than this against the likeliest are let go.
_UNLIKELY = 1e-3
#: Hours that their law is tabulated over.
LAW_HOURS = 336
#: Hours since the burst that are looked at one by one.
_HOURS_IN = 48


@dataclass(frozen=True, slots=True)
class Waiting:
    """Orders of one kind of phase that wait for the burst.

    Attributes
    ----------
    share, share_sd
        w, and its error.
    come
        (n,) expected w G(u) at u = 0, 1, ... hours since the burst began.
    """

    share: float
    share_sd: float
    come: Floats


@dataclass(frozen=True, slots=True)
class Returns:
    """Orders that come back.

    Attributes
    ----------
    share, share_sd
        rho, and its error.
    law
        (n_hours,) share of returns that is told so many hours after the order was.
    learned_from
        Returned orders that were seen.
    laws, shares, weights
        (n_laws, n_hours), (n_laws,) and (n_laws,): laws that were tried, rho under each, and how likely each is.
    """

    share: float
    share_sd: float
    law: Floats
    learned_from: float
    laws: Floats
    shares: Floats
    weights: Floats


NO_WAITING = Waiting(0.0, 0.0, np.zeros(1))


def waiting(
    kind: int,
    before: tuple[float, float],
    after: tuple[Floats, Floats],
    due: float,
    level: tuple[float, float],
    hours_in: int,
) -> Waiting:
    """Share that waits, from one kind's arrivals.

    Parameters
    ----------
    before
        Orders told before the burst, and those that were due by then at level 1 if none waited.
    after
        (n,) the same by hour since the burst, of which `hours_in` have passed.
    due
        Orders that all clicks of the kind should bring at level 1.
    level
        Mean and relative error of the level, as other kinds tell it.
    hours_in
        Hours since the burst began; 0 before it.
    """
    a, b = WAIT_PRIOR[kind]
    w, t = _WAIT[:, None], WITHIN[None, :]
    log_prior = ((a - 1) * np.log(_WAIT) + (b - 1) * np.log1p(-_WAIT) + np.log(_SPACING))[:, None] + np.zeros(
        WITHIN.size
    )
    shape = 1.0 / (level[1] ** 2 + KIND_LEVEL_SD**2)
    n_before, due_before = before
    orders, plain = after[0][:hours_in], after[1][:hours_in]
    hour = np.arange(orders.size)
    step = np.clip(hour[:, None] + 1, 0, WITHIN) - np.clip(hour[:, None], 0, WITHIN)  # (n, n_T) hours of T
    mean = (1 - w)[None] * plain[:, None, None] + w[None] * due * (step / WITHIN)[:, None, :]
    fit = n_before * np.log1p(-w) + (orders[:, None, None] * np.log(np.maximum(mean, 1e-9))).sum(0)
    total = (1 - w) * due_before + mean.sum(0)
    fit = log_prior + fit - (shape + n_before + orders.sum()) * np.log(shape / level[0] + total)
    weight = np.exp(fit - fit.max())
    weight /= weight.sum()
    share = float((weight * w).sum())
    hours = np.arange(_HOURS_IN + 1)
    come = np.einsum("wt,ht->h", weight * w, np.clip(hours[:, None] / t, 0.0, 1.0))
    return Waiting(share, float(np.sqrt(max((weight * w**2).sum() - share**2, 0.0))), come)


def returns(came: Floats, back: Floats) -> Returns:
    """Share of orders that comes back, by the clock on which they were told.

    Parameters
    ----------
    came
        (n_hours,) orders by the hour in which they were told; those sold for a deposit by that of their balance, since
        nothing is taken back before it is paid in full.
    back
        (n_hours,) orders that were told to have come back; the last hour is the one before the cut.
    """
    back_at = np.flatnonzero(back > 0)
    steps = np.diff(_LAWS[:, : LATEST_RETURN + 1], prepend=0.0)
    # (n_hours, n_ages): orders told so many hours before
    padded = np.concatenate([np.zeros(LATEST_RETURN), came])
    before = np.lib.stride_tricks.sliding_window_view(padded, LATEST_RETURN + 1)[:, ::-1]
    due_in_all = came @ _LAWS[:, np.minimum(np.arange(came.size)[::-1], LATEST_RETURN)].T
    due = before[back_at] @ steps.T
    shape = RETURN_WORTH + float(back.sum())
    rate = RETURN_WORTH / RETURN_MEAN + due_in_all
    fit = back[back_at] @ np.log(np.maximum(due, 1e-12)) - shape * np.log(rate)
    shares = shape / rate
    weight = np.exp(fit - fit.max())
    likely = weight > _UNLIKELY
    laws, shares, weight = _LAWS[likely], shares[likely], weight[likely] / weight[likely].sum()
    share = float(weight @ shares)
    spread = float(np.sqrt(weight @ (shares - share) ** 2 + share**2 / shape))
    return Returns(min(share, 0.5), spread, weight @ laws, float(back.sum()), laws, np.minimum(shares, 0.5), weight)


def _return_laws() -> Floats:
    """(n_laws, LAW_HOURS) share of returns that is told within so many hours: each mean with each end."""
    hours = np.arange(LAW_HOURS)
    means, ends = (x.ravel() for x in np.meshgrid(RETURN_HOURS, WINDOW_HOURS))
    return np.where(hours >= ends[:, None], 1.0, 1 - np.exp(-hours / means[:, None]))


_LAWS = _return_laws()


def paid(orders: float, balances: Floats, hours_in: int) -> Waiting:
    """Share of balances that are paid in the burst, from (n,) balances by hour since it began of so many orders."""
    a, b = PAID_PRIOR
    f, t = (np.arange(40) + 0.5)[:, None] / 40.0, WITHIN[None, :]
    seen = balances[:hours_in]
    hour = np.arange(seen.size)
    step = np.clip(hour[:, None] + 1, 0, WITHIN) - np.clip(hour[:, None], 0, WITHIN)
    mean = orders * f[None] * (step / WITHIN)[:, None, :]
    fit = (seen[:, None, None] * np.log(np.maximum(mean, 1e-9))).sum(0) - mean.sum(0)
    fit = fit + (a - 1) * np.log(f) + (b - 1) * np.log1p(-f)
    weight = np.exp(fit - fit.max())
    weight /= weight.sum()
    share = float((weight * f).sum())
    hours = np.arange(_HOURS_IN + 1)
    come = np.einsum("ft,ht->h", weight * f, np.clip(hours[:, None] / t, 0.0, 1.0))
    return Waiting(share, float(np.sqrt(max((weight * f**2).sum() - share**2, 0.0))), come)


def deposit(orders: float, ratio: float) -> float:
    """Share of an order's value that is paid with it: the ratio of money to orders where it speaks of a deposit.

    `ratio` is money over the value of so many orders, against what other phases show. Two beliefs are averaged: all is
    paid at once (the ratio is 1 but for the spread of baskets), or a part of it, whatever part.
    """
    if orders < 3 or not np.isfinite(ratio):
        return 1.0
    sd = 0.5 / np.sqrt(orders)
    whole = 0.7 * np.exp(-0.5 * ((ratio - 1) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    part = 0.3 / 0.85 if 0.02 < ratio < 0.9 else 0.0
    if part == 0.0:
        return 1.0
    return float((whole + part * ratio) / (whole + part))
