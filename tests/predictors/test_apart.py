"""Categories whose rivals bid otherwise are told apart by clicks alone, and those that are alike share one price."""

import numpy as np
import pytest
from scipy.special import ndtr

from predictors.apart import Groups
from predictors.bid_rows import BidRows
from predictors.won_level import follow_won

UNITS, HOURS, CATEGORIES, AHEAD = 200, 60, 5, 30
CATEGORY = np.arange(UNITS, dtype=np.int32) % CATEGORIES
DAY = np.arange(HOURS + AHEAD) // 24


def rows(seed: int, apart=None, people=None, category=CATEGORY):
    """Clicks at bids that stay; `apart` and `people` (n_categories, n_hours): log price and traffic of categories."""
    rng = np.random.default_rng(seed)
    apart = np.zeros((CATEGORIES, HOURS)) if apart is None else apart
    people = np.ones((CATEGORIES, HOURS)) if people is None else people
    hour, unit = (a.ravel() for a in np.mgrid[0:HOURS, 0:UNITS])
    bid = np.exp(0.4 * rng.standard_normal(UNITS)[unit] + 0.05 * rng.standard_normal(unit.size))
    size = 12.0 * np.exp(0.8 * rng.standard_normal(UNITS))
    traffic = np.exp(0.2 * rng.standard_normal(HOURS))
    luck = rng.gamma(1 / 0.09, 0.09, unit.size) * np.exp(0.2 * rng.standard_normal(UNITS))[unit]
    at = (category[unit], hour)
    clicks = rng.poisson(size[unit] * luck * traffic[hour] * people[at] * ndtr((np.log(bid) - apart[at]) / 0.55))
    return BidRows(
        unit, hour, clicks.astype(float), clicks * bid, bid, np.zeros(UNITS), np.full(UNITS, 0.55), size,
        np.zeros(HOURS), np.ones(HOURS),
    )  # fmt: skip


def follow(told: BidRows, category=CATEGORY):
    return follow_won(told, AHEAD, 0.3, None, Groups(category, int(category.max()) + 1, DAY))


def fallen(at: int, by: float):
    apart = np.zeros((CATEGORIES, HOURS))
    apart[2, at:] = by
    return apart


@pytest.mark.parametrize("by", [-0.25, 0.25])
def test_a_category_whose_rivals_change_is_followed_and_the_others_stay(by):
    found = [follow(rows(seed, fallen(50, by)))[1].past[:, -1] for seed in range(6)]
    mean = np.mean(found, axis=0)
    beside = mean[2] - np.delete(mean, 2).mean()
    assert 0.4 < beside / by < 1.05  # ten hours in: part of it may still be people of that category alone
    assert np.abs(np.delete(mean, 2)).max() < 0.06


def test_a_price_apart_is_nearer_the_truth_than_one_price_for_all():
    rng = np.random.default_rng(7)
    truth = np.repeat(0.12 * rng.standard_normal((CATEGORIES, HOURS // 12)), 12, axis=1)
    truth -= truth.mean(0)
    level, apart = follow(rows(7, truth))
    one = follow_won(rows(7, truth), AHEAD, 0.3)[0]
    before = np.sqrt(((one.past - truth) ** 2).mean())
    after = np.sqrt(((level.past + apart.past - truth) ** 2).mean())
    assert after < 0.7 * before


def test_where_categories_are_alike_they_share_one_price():
    for seed in range(4):
        told = rows(seed)
        level, apart = follow(told)
        assert np.sqrt((apart.past**2).mean()) < 0.015
        assert np.abs(level.ahead[0] - follow_won(told, AHEAD, 0.3)[0].ahead[0]) < 0.02


def test_people_who_come_to_one_category_are_mostly_not_taken_for_prices():
    people = np.ones((CATEGORIES, HOURS))
    people[2, 50:] = 1.2
    read = np.mean([follow(rows(seed, None, people))[1].past[2, 50:].mean() for seed in range(6)])
    # as a price alone, a fifth more clicks would be a market cheaper by 0.2 / 1.5
    assert abs(read) < 0.5 * 0.2 / 1.5


def test_what_was_seen_in_the_evening_is_mostly_forgotten_after_midnight():
    _, apart = follow(rows(3, fallen(50, 0.3)))
    hours = np.arange(HOURS, HOURS + AHEAD)
    evening, morning = apart.ahead[2, hours == 71], apart.ahead[2, hours == 72]
    assert apart.ahead[2, 0] > 0.05
    assert morning == pytest.approx(0.3 * evening)


def test_the_names_of_categories_do_not_matter():
    told = rows(5, fallen(30, 0.2))
    names = np.array([3, 0, 4, 1, 2], np.int32)
    one, other = follow(told)[1], follow(told, names[CATEGORY])[1]
    assert np.allclose(one.past, other.past[names], atol=1e-12)
    assert np.allclose(one.ahead[one.of_unit], other.ahead[other.of_unit], atol=1e-12)
