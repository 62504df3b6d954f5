"""What clicks that are paid already cost and sold in the end: the one estimate that decisions, pages and bands share.

Each report row's clicks bring orders that are told by and by (`conversions`), worth what an order of the unit is worth
(`value`), and cost what is not credited back (`credits`). What was told beyond or below belief counts in part: see
`luck`.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Floats, Ints
from predictors.conversions import Conversions, UnitBeliefs, learn_conversions
from predictors.credits import LAST_AGE, NO_CREDITS, Credits, learn_credits
from predictors.evidence import Evidence
from predictors.luck import account_kept, campaign_kept
from predictors.rows import Rows
from predictors.settings import PredictorSettings
from predictors.value import Sales, order_value


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
    sold, whole = conversions.counted.sold, usual == 1.0
    if not whole.all():
        sold = sold[whole[rows.cohort[sold]]]
    sales = Sales(rows.unit[sold].astype(np.int64), rows.orders[sold], rows.gmv[sold])
    worth, worth_cv, unpriced = order_value(
        conversions.orders, unit_gmv, beliefs.order_value, settings.default_order_value, sales
    )
    clicks = (rows.unit, rows.cohort, rows.clicks, conversions.per_click, conversions.cvr)
    expected, due, believed, paid = _believed(*clicks, told, money, worth)
    sold_all = float(conversions.orders.sum())
    orders, gmv = np.empty(rows.unit.size), np.empty(rows.unit.size)
    _final(
        *clicks, rows.orders, rows.gmv, told, money, conversions.final, worth,
        _share(sold_all - float(expected.sum()), due), _share(float(rows.gmv.sum()) - paid, believed),
        account_kept(sold_all),
        campaign_kept(conversions.orders, expected, conversions.shrunk.own_cv, beliefs.campaign), orders, gmv,
    )  # fmt: skip
    stays = credits.spend[age]
    spend = rows.spend if (stays == 1.0).all() else rows.spend * stays[rows.cohort]
    return Past(credits, conversions, sales, worth, worth_cv, unpriced, orders, gmv, spend)


def _share(gap: float, whole: float) -> float:
    return gap / whole if whole > 0 else 0.0


@njit(cache=True)
def _believed(unit, cohort, clicks, per_click, cvr, told, money, worth):
    """(n_units,) orders believed to be told by now; in all rows: final orders, their gmv, and what is paid of it by now."""
    expected = np.zeros(cvr.size)
    due, believed, paid = 0.0, 0.0, 0.0
    for r in range(unit.size):
        u, c = unit[r], cohort[r]
        mine = clicks[r] * per_click[c] * cvr[u]
        expected[u] += mine * told[c]
        due += mine
        believed += mine * worth[u]
        paid += mine * worth[u] * money[c]
    return expected, due, believed, paid


@njit(cache=True)
def _final(
    unit,
    cohort,
    clicks,
    per_click,
    cvr,
    orders,
    gmv,
    told,
    money,
    final,
    worth,
    more_orders,
    more_gmv,
    account,
    campaign,
    final_orders,
    final_gmv,
):
    """Writes orders and gmv of each row in the end: what is believed, and what was told beyond it as far as it counts.

    The account's whole gap is shared out in proportion to what the clicks should bring (`more_orders`, `more_gmv` of it); of
    that the share `account` counts, and the share `campaign`, (n_units,), of what a row departs from it.
    """
    for r in range(unit.size):
        u, c = unit[r], cohort[r]
        due = clicks[r] * per_click[c] * cvr[u]
        believed = due * worth[u]
        common, value = due * more_orders, believed * more_gmv
        final_orders[r] = due + account * (common + campaign[u] * (orders[r] - due * told[c] - common))
        final_gmv[r] = believed * final[c] + account * (value + campaign[u] * (gmv[r] - believed * money[c] - value))


def _credits(evidence: Evidence) -> Credits:
    if not evidence.credit_age.size:
        return NO_CREDITS
    rows = evidence.rows
    mine = ~rows.cohorts.daily
    return learn_credits(
        rows.cohorts.age[mine], rows.by_cohort(rows.clicks)[mine], rows.by_cohort(rows.spend)[mine],
        evidence.credit_age, evidence.credit_clicks, evidence.credit_spend,
    )  # fmt: skip
