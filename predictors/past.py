"""What clicks that are paid already cost and sold in the end: the one estimate that decisions, pages and bands share.

Each report row's clicks bring orders that are told by and by (`conversions`), worth what an order of the unit is worth
(`value`), and cost what is not credited back (`credits`). What was told beyond or below belief counts in part: see
`luck_kept`.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Floats, Ints
from predictors.conversions import Conversions, UnitBeliefs, learn_conversions
from predictors.credits import LAST_AGE, NO_CREDITS, Credits, learn_credits
from predictors.evidence import Evidence
from predictors.rows import Rows
from predictors.settings import PredictorSettings
from predictors.value import LEAST_ORDERS, Sales, order_value

#: What clicks brought beyond belief is luck but for what the model may be wrong: its relative error, and the spread of an
#: order's value over its mean.
_MODEL_ERROR, _BASKET_CV = 0.06, 1.0


@dataclass(frozen=True, slots=True)
class Past:
    """What was learned of past clicks.

    Attributes
    ----------
    credits, conversions
        What stays of clicks and spend, and what the clicks that stay order; the latter learned of those alone.
    sales
        Rows that tell what an order is worth.
    worth, worth_cv
        (n_units,) gmv per order, and its relative error.
    unpriced
        Units that had to take the account's mean order value.
    orders, gmv, spend
        (n_rows,) estimated final orders, gmv and spend: what `Outlook` calls matured.
    """

    credits: Credits
    conversions: Conversions
    sales: Sales
    worth: Floats
    worth_cv: Floats
    unpriced: int
    orders: Floats
    gmv: Floats
    spend: Floats

    def due(self, rows: Rows, at: Ints) -> Floats:
        """Final orders that the clicks of some rows, (n_chosen,), should bring by what is believed of them."""
        laws = self.conversions
        return rows.clicks[at] * laws.per_click[rows.cohort[at]] * laws.cvr[rows.unit[at]]


def learn_past(evidence: Evidence, beliefs: UnitBeliefs, settings: PredictorSettings) -> Past:
    """Past clicks of the evidence, as far as they can be known."""
    rows, n = evidence.rows, evidence.n_units
    credits = _credits(evidence)
    age = np.where(rows.cohorts.daily, LAST_AGE, np.clip(rows.cohorts.age, 0, LAST_AGE))
    # nobody orders after an invalid click: conversions are learned of the clicks that stay
    conversions = learn_conversions(evidence, beliefs, settings, credits.clicks[age])
    told, money = conversions.told, conversions.money
    # deposits are put on the footing of orders that are paid in full
    usual = np.divide(told, money, out=np.ones_like(told), where=money > 0.02)
    unit_gmv = rows.by_unit(rows.gmv, usual, n)
    # what has only paid a deposit so far does not tell what a single order is worth
    sold = np.flatnonzero(rows.orders >= LEAST_ORDERS)
    sold = sold[(usual == 1.0)[rows.cohort[sold]]]
    sales = Sales(rows.unit[sold].astype(np.int64), rows.orders[sold], rows.gmv[sold])
    worth, worth_cv, unpriced = order_value(
        conversions.orders, unit_gmv, beliefs.order_value, settings.default_order_value, sales
    )
    kept = luck_kept(float(conversions.orders.sum()))
    orders, gmv = _final(
        rows.unit, rows.cohort, rows.clicks, rows.orders, rows.gmv,
        conversions.per_click, told, money, conversions.final, conversions.cvr, worth, kept,
    )  # fmt: skip
    stays = credits.spend[age]
    spend = rows.spend if (stays == 1.0).all() else rows.spend * stays[rows.cohort]
    return Past(credits, conversions, sales, worth, worth_cv, unpriced, orders, gmv, spend)


@njit(cache=True)
def _final(unit, cohort, clicks, orders, gmv, per_click, told, money, final, cvr, worth, kept):
    """Orders and gmv of each row in the end: what is believed, and what was told beyond it as far as it counts."""
    n = unit.size
    final_orders, final_gmv = np.empty(n), np.empty(n)
    for r in range(n):
        u, c = unit[r], cohort[r]
        due = clicks[r] * per_click[c] * cvr[u]
        believed = due * worth[u]
        final_orders[r] = due + kept * (orders[r] - due * told[c])
        final_gmv[r] = believed * final[c] + kept * (gmv[r] - believed * money[c])
    return final_orders, final_gmv


def luck_kept(orders: float) -> float:
    """Share of the gap between what was told and what was believed to be told by then that counts as bought.

    Of n orders the gap is luck with variance (1 + cv^2) / n, and error of the model with a variance of its own: the share
    is their credibility. With some thousand orders nearly all of it counts; with a hundred, a lucky day is no reason to
    spend more than the next one's clicks are worth, and an unlucky one none to starve.
    """
    return orders / (orders + (1 + _BASKET_CV**2) / _MODEL_ERROR**2)


def _credits(evidence: Evidence) -> Credits:
    if not evidence.credit_age.size:
        return NO_CREDITS
    rows = evidence.rows
    mine = ~rows.cohorts.daily
    return learn_credits(
        rows.cohorts.age[mine], rows.by_cohort(rows.clicks)[mine], rows.by_cohort(rows.spend)[mine],
        evidence.credit_age, evidence.credit_clicks, evidence.credit_spend,
    )  # fmt: skip
