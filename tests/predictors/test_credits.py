"""Properties of the law of credits: what stays of an hour's clicks and money."""

import numpy as np
import pytest

from predictors.credits import LAST_AGE, learn_credits


def _told(seed: int, share: float, hours: int = 120, clicks: float = 2000.0, price: float = 2.0):
    """Hourly rows of an account of which a share of clicks comes back, evenly over ages 6 to 72; all known now."""
    rng = np.random.default_rng(seed)
    age = np.arange(1, hours + 1)
    bad = rng.binomial(int(clicks), share, hours)
    waits = [rng.integers(6, 73, k) for k in bad]
    back = [w[w <= a] for w, a in zip(waits, age, strict=True)]
    now = clicks - np.array([b.size for b in back], float)
    changed = np.concatenate(back)
    final = clicks - bad
    return age, now, changed, -np.ones(changed.size), final, price


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_what_stays_is_found_at_every_age(share: float) -> None:
    age, now, changed, change, final, price = _told(1, share)
    law = learn_credits(age, now, price * now, changed, change, price * change)
    assert law.clicks_kept == pytest.approx(1 - share, abs=0.1 * share)
    assert law.spend_kept == pytest.approx(law.clicks_kept, rel=1e-9)
    matured = now * law.clicks[np.clip(age, 0, LAST_AGE)]
    assert matured.sum() == pytest.approx(final.sum(), rel=0.05 * share)
    assert abs(now.sum() - final.sum()) > 0.2 * share * final.sum()  # what is told alone would miss it


def test_old_rows_stay_as_they_are_and_young_ones_lose_most() -> None:
    age, now, changed, change, _, price = _told(2, 0.05)
    law = learn_credits(age, now, price * now, changed, change, price * change)
    assert (np.diff(law.spend) >= 0).all()
    assert law.spend[80] == 1.0
    assert law.spend[30] > law.spend[2]


def test_nothing_told_anew_means_nothing_changes() -> None:
    none = np.zeros(0)
    law = learn_credits(np.arange(50), np.ones(50), np.ones(50), none.astype(np.int64), none, none)
    assert (law.clicks == 1).all()
    assert (law.spend == 1).all()


def test_one_credit_of_a_small_account_is_no_law() -> None:
    """A single click that came back among twenty says little; a few per mille of it are believed."""
    law = learn_credits(
        np.arange(1, 21), np.ones(20), np.full(20, 3.0), np.array([10]), np.array([-1.0]), np.array([-3.0])
    )
    assert 0.99 < law.spend_kept < 1.0


def test_hours_told_in_parts_grow() -> None:
    """Where a third of an hour is told one hour later than the rest, young hours end higher than they stand."""
    hours = 60
    age = np.arange(1, hours + 1)
    whole = 3000.0
    now = np.where(age == 1, 2000.0, whole)
    late = age[age >= 2]
    law = learn_credits(age, now, now, np.full(late.size, 2), np.full(late.size, 1000.0), np.full(late.size, 1000.0))
    assert law.clicks[1] == pytest.approx(1.5, rel=0.01)
    assert law.clicks[2] == 1.0
