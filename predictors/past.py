"""What clicks that are paid already cost and sold in the end: the one estimate that decisions, pages and bands share.

Each report row's clicks bring orders that are told by and by (`conversions`), worth what an order of the unit is worth
(`value`), and cost what is not credited back (`credits`). What was told beyond or below belief counts in part: see
`luck_kept`.
"""

from dataclasses import dataclass, replace

import numpy as np

from domain.tables import Floats
from predictors.conversions import Conversions, UnitBeliefs, learn_conversions
from predictors.credits import LAST_AGE, Credits, learn_credits
from predictors.evidence import Evidence
from predictors.settings import PredictorSettings
from predictors.sums import summed
from predictors.value import Sales, order_value

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
    due, believed
        (n_rows,) final orders and gmv that the clicks should bring by what is believed of them.
    orders, gmv, spend
        (n_rows,) estimated final orders, gmv and spend: what `Outlook` calls matured.
    """

    credits: Credits
    conversions: Conversions
    sales: Sales
    worth: Floats
    worth_cv: Floats
    unpriced: int
    due: Floats
    believed: Floats
    orders: Floats
    gmv: Floats
    spend: Floats


def learn_past(evidence: Evidence, beliefs: UnitBeliefs, settings: PredictorSettings) -> Past:
    """Past clicks of the evidence, as far as they can be known."""
    rows, n = evidence.rows, evidence.n_units
    credits = _credits(evidence)
    age = np.where(rows.daily, LAST_AGE, np.clip(rows.age, 0, LAST_AGE))
    # nobody orders after an invalid click: conversions are learned of the clicks that stay
    staying = rows.clicks * credits.clicks[age]
    conversions = learn_conversions(replace(evidence, rows=replace(rows, clicks=staying)), beliefs, settings)
    unit_orders = summed(rows.unit, rows.orders, n)
    # deposits are put on the footing of orders that are paid in full
    usual = np.divide(conversions.told, conversions.money, out=np.ones_like(rows.gmv), where=conversions.money > 0.02)
    unit_gmv = summed(rows.unit, rows.gmv * usual, n)
    # what has only paid a deposit so far does not tell what a single order is worth
    whole = usual == 1.0
    sales = Sales(rows.unit[whole], rows.orders[whole], rows.gmv[whole])
    worth, worth_cv, unpriced = order_value(
        unit_orders, unit_gmv, beliefs.order_value, settings.default_order_value, sales
    )
    due = staying * conversions.factor * conversions.cvr[rows.unit]
    believed = due * worth[rows.unit]
    kept = luck_kept(float(unit_orders.sum()))
    return Past(
        credits, conversions, sales, worth, worth_cv, unpriced, due, believed,
        orders=due + kept * (rows.orders - due * conversions.told),
        gmv=believed * conversions.final + kept * (rows.gmv - believed * conversions.money),
        spend=rows.spend * credits.spend[age],
    )  # fmt: skip


def luck_kept(orders: float) -> float:
    """Share of the gap between what was told and what was believed to be told by then that counts as bought.

    Of n orders the gap is luck with variance (1 + cv^2) / n, and error of the model with a variance of its own: the share
    is their credibility. With some thousand orders nearly all of it counts; with a hundred, a lucky day is no reason to
    spend more than the next one's clicks are worth, and an unlucky one none to starve.
    """
    return orders / (orders + (1 + _BASKET_CV**2) / _MODEL_ERROR**2)


def _credits(evidence: Evidence) -> Credits:
    rows = evidence.rows
    mine = slice(None) if not rows.daily.any() else np.flatnonzero(~rows.daily)
    return learn_credits(
        rows.age[mine], rows.clicks[mine], rows.spend[mine],
        evidence.credit_age, evidence.credit_clicks, evidence.credit_spend,
    )  # fmt: skip
