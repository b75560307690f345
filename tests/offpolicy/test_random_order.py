"""Tests of random order: calibrated on lists that are, and certain of rankers that look at items."""

from __future__ import annotations

import numpy as np
import pytest

from lersbench.offpolicy.random_order import LIMIT, Places


def p_of(lists: list[np.ndarray], items: int, parts: int = 1) -> float:
    places = Places(items, max(map(len, lists)))
    for part in np.array_split(np.arange(len(lists)), parts):
        some = [lists[i] for i in part]
        places.add(np.concatenate(some), np.array([len(one) for one in some]))
    return places.test().p


def test_two_items_that_never_change_places_by_hand() -> None:
    """12 lists (0, 1): of each item X = 12^2 / 6 - 12 = 12 of 1 df, 24 in all of 2, held against twice a chi-squared
    of 1: P(chi2_1 > 12) = .000532. Mean places: two times z^2 = (12 / 2)^2 / (12 / 4) = 12, the same. Doubled."""
    assert p_of([np.array([0, 1])] * 12, 2) == pytest.approx(2 * 0.000532, rel=1e-3)


@pytest.mark.parametrize(("items", "shortest"), [(5, 5), (40, 5), (40, 1)])
def test_random_order_is_rarely_doubted(items: int, shortest: int) -> None:
    """The items of all lists alike, different ones, and lists of different lengths: p below .05 in no more than 5 %."""
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found.append(p_of([rng.permutation(items)[: rng.integers(shortest, 6)] for _ in range(150)], items))
    assert np.mean(np.array(found) < 0.05) < 0.09 and min(found) > 1e-4


def test_a_noisy_ranker_is_noticed_where_no_item_is_shown_often() -> None:
    rng = np.random.default_rng(0)
    liked, lists = rng.normal(size=200), [rng.permutation(200)[:8] for _ in range(600)]
    ranked = [one[np.argsort(-(liked[one] + rng.gumbel(size=8)))] for one in lists]
    assert p_of(ranked, 200) < LIMIT < p_of(lists, 200)
    assert p_of(ranked[:100], 200, parts=7) == p_of(ranked[:100], 200)


def test_the_worst_item_is_named_with_its_place() -> None:
    rng = np.random.default_rng(1)
    places = Places(6, 6)
    lists = np.stack([np.r_[rng.permutation(3), 3, 4 + rng.permutation(2)] for _ in range(200)])
    lists[:100] = rng.permuted(np.tile(np.arange(6), (100, 1)), axis=1)
    lists[100:, 0] = 5
    lists[100:, 1:] = np.stack([rng.permutation(5) for _ in range(100)])
    places.add(lists.ravel(), np.full(200, 6))
    found = places.test()
    assert (found.item, found.lists, found.due) == (5, 200, 3.5)
    assert found.place == pytest.approx(1 + np.mean(np.argwhere(lists == 5)[:, 1])) and found.p < LIMIT


def test_a_place_that_is_shunned_without_a_change_of_the_mean_is_noticed() -> None:
    """One item is always first or last: its mean place is the middle, its shares are not."""
    rng = np.random.default_rng(2)
    lists = [np.r_[0, 1 + rng.permutation(4)] if i % 2 else np.r_[1 + rng.permutation(4), 0] for i in range(200)]
    assert p_of(lists, 5) < LIMIT


def test_lists_of_one_item_say_nothing() -> None:
    assert p_of([np.array([0])] * 50, 3) == 1.0
    assert p_of([np.array([0, 1])] * 4, 3) == 1.0
