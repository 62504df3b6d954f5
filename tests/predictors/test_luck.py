"""What was told beyond belief counts where the model may be wrong, and is luck where it is not."""

import numpy as np
import pytest

from predictors.luck import account_kept, campaign_kept

CAMPAIGN = np.repeat(np.arange(12) - 1, 20)  # the first has none


def kept(wrong, orders_a_unit=100.0, seed=17):
    """Mean share over worlds whose campaigns are off by so much, beside units that are off by 15 % and have learned."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(40):
        due = np.full(CAMPAIGN.size, orders_a_unit)
        rate = rng.gamma(1 / 0.15**2, 0.15**2, due.size)
        told = rng.poisson(due * rate * (1 + wrong * rng.standard_normal(12))[CAMPAIGN + 1]).astype(float)
        shape = 1 / 0.15**2
        believed = due * (shape + told) / (shape + due)
        own_cv = 1 / np.sqrt(shape + told)
        found.append(campaign_kept(told, believed, own_cv, CAMPAIGN).mean())
    return float(np.mean(found))


def test_campaigns_that_only_had_luck_are_hardly_believed_to_be_better():
    assert kept(wrong=0.0) < 0.45


def test_campaigns_that_were_misjudged_count_by_what_they_sold():
    assert kept(wrong=0.3) > 0.75
    assert kept(wrong=0.3) > kept(wrong=0.1) > kept(wrong=0.0)


def test_few_orders_say_little():
    assert kept(wrong=0.3, orders_a_unit=0.5) < 0.1


@pytest.mark.parametrize("case", ["no clicks", "no units", "one campaign"])
def test_where_nothing_can_be_told_apart_no_departure_counts(case):
    n = {"no units": 0}.get(case, 5)
    told = np.zeros(n) if case == "no clicks" else np.full(n, 3.0)
    campaign = np.full(n, -1) if case == "one campaign" else np.arange(n)
    share = campaign_kept(told, np.zeros(n) if case == "no clicks" else told, np.full(n, 0.2), campaign)
    assert share.shape == (n,)
    assert (share == 0).all()


def test_a_campaign_without_clicks_has_a_share_of_zero_and_disturbs_no_other():
    told, due, cv = np.array([300.0, 500.0, 0.0]), np.array([200.0, 600.0, 0.0]), np.array([0.05, 0.05, 0.3])
    share = campaign_kept(told, due, cv, np.arange(3))
    assert np.isfinite(share).all()
    assert share[2] == 0
    assert share[:2] == pytest.approx(campaign_kept(told[:2], due[:2], cv[:2], np.arange(2)))


def test_nearly_all_counts_with_thousands_of_orders_and_little_with_a_hundred():
    assert account_kept(0.0) == 0
    assert account_kept(100.0) < 0.2
    assert account_kept(20_000.0) > 0.95
