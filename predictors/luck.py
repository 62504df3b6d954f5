"""How much of what was told beyond belief, or below it, was bought: the rest is luck.

Clicks were believed to bring m orders by now, n were told. The gap is luck with variance m (1 + cv^2), cv the spread of an
order's value, and error of the model, which will be met again. Of the account's whole gap the part that counts is the
credibility n / (n + (1 + cv^2) / 0.06^2) of a model that may be off by 6 %: nearly all of it with some thousand orders,
little with a hundred, since a lucky day is no reason to spend more than the next one's clicks are worth, and an unlucky
one none to starve.

What campaigns depart from the account's gap is another matter. Their units' rates have learned of the same orders, and took
the share w = m s^2 / (1 + m s^2) of each unit's surprise (s the error before); what is left over is (1 - w) of it, with
variance (1 - w) m if nothing but units is wrong. How wrong campaigns are besides, tau, is learned from how far their gaps
spread beyond that, by moments around a prior (Morris, JASA 78, 1983). So where nothing speaks for it a campaign that was
lucky is not made to look better than its clicks were, and one whose phase was misjudged is corrected by what it sells.
"""

import numpy as np

from domain.tables import Floats, Ints
from predictors.sums import summed

#: Spread of an order's value over its mean.
BASKET_CV = 1.0
#: Relative error that the model may have in all: of the account, and of a campaign beside it.
MODEL_ERROR, CAMPAIGN_ERROR = 0.06, 0.015
#: Campaigns that the belief in the latter is worth, and the least error that is ever believed.
_WORTH, _LEAST = 4.0, 0.003


def account_kept(orders: float) -> float:
    """Share of the account's gap that counts as bought, of so many orders."""
    return orders / (orders + (1 + BASKET_CV**2) / MODEL_ERROR**2)


def campaign_kept(told: Floats, expected: Floats, own_cv: Floats, campaign: Ints) -> Floats:
    """(n_units,) share of what the unit's campaign departs from the account's gap that counts as bought.

    Parameters
    ----------
    told, expected
        (n_units,) orders told, and those that were believed to be told by now.
    own_cv
        (n_units,) relative error of units' rates after these orders.
    campaign
        (n_units,) position of the campaign, -1 for none.
    """
    group = campaign + 1
    n = int(group.max(initial=0)) + 1
    mean = summed(group, expected, n)
    left_over = expected * np.clip(1 - expected * own_cv**2, 0.02, 1.0)
    luck = np.divide(summed(group, left_over, n), mean**2, out=np.full(n, np.inf), where=mean > 0)
    all_expected = float(mean.sum())
    if all_expected <= 0 or n < 2:
        return np.zeros(campaign.size)
    common = float(told.sum()) / all_expected
    off = np.divide(summed(group, told, n), mean, out=np.full(n, common), where=mean > 0) - common
    tau2 = CAMPAIGN_ERROR**2
    for _ in range(3):
        weight = (tau2 / (tau2 + luck)) ** 2
        seen = np.where(weight > 0, weight * (off**2 - np.where(weight > 0, luck, 0.0)), 0.0)
        tau2 = max((_WORTH * CAMPAIGN_ERROR**2 + float(seen.sum())) / (_WORTH + float(weight.sum())), _LEAST**2)
    return (tau2 / (tau2 + (1 + BASKET_CV**2) * luck))[group]
