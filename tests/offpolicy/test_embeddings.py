"""Weights of categories: by hand, beside a naive twin, and what has no support is told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lersbench.errors import DataError
from lersbench.offpolicy.embeddings import category_weights


def test_four_items_in_two_categories_by_hand() -> None:
    p, pi, category = np.array([0.4, 0.1, 0.4, 0.1]), np.array([0.1, 0.4, 0.25, 0.25]), np.array([0, 0, 1, 1])
    first, logged = np.arange(0, 17, 4), np.arange(4)
    weights = category_weights(np.tile(pi, 4), np.tile(p, 4), np.tile(category, 4), first, logged)
    np.testing.assert_allclose(weights.w, 1)
    np.testing.assert_array_equal(weights.unsupported, 0)
    fine = category_weights(np.tile(pi, 4), np.tile(p, 4), np.tile(np.arange(4), 4), first, logged)
    np.testing.assert_allclose(fine.w, [1 / 4, 4, 5 / 8, 5 / 2])


def test_rows_of_any_length_are_their_own() -> None:
    """Beside the formula written down, each row alone."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, size=60)
    first = np.concatenate([[0], np.cumsum(lengths)])
    pi, p, category = rng.random(first[-1]), rng.random(first[-1]), rng.integers(4, size=first[-1])
    p[(category == 3) | (rng.random(first[-1]) < 0.2)] = 0
    logged = rng.integers(lengths)
    p[first[:-1] + logged] = rng.uniform(0.1, 1, size=60)
    weights = category_weights(pi, p, category, first, logged)
    missing = 0
    for i, (a, b) in enumerate(itertools.pairwise(first)):
        e = category[a:b]
        mine = e == e[logged[i]]
        assert weights.w[i] == pytest.approx(pi[a:b][mine].sum() / p[a:b][mine].sum())
        lost = sum(pi[a:b][e == k].sum() for k in set(e.tolist()) if p[a:b][e == k].sum() == 0)
        assert weights.unsupported[i] == pytest.approx(lost)
        missing += lost > 0
    assert missing > 10


def test_no_support_is_counted_or_refused() -> None:
    pi, first = np.array([0.5, 0.3, 0.2]), np.array([0, 3])
    weights = category_weights(pi, np.array([1.0, 0.0, 0.0]), np.array([0, 1, 1]), first, np.array([0]))
    assert (weights.w[0], weights.unsupported[0]) == (0.5, 0.5)
    with pytest.raises(DataError, match="row 5: the category of the logged item has the weight inf"):
        category_weights(pi, np.array([1.0, 0.0, 0.0]), np.array([0, 1, 1]), first, np.array([2]), start=5)
    with pytest.raises(DataError, match=r"row 0, candidate 1: propensity is -0.1, but must be in \[0, 1\]"):
        category_weights(pi, np.array([1.0, -0.1, 0.1]), np.array([0, 1, 1]), first, np.array([0]))


def test_unbiased_where_only_the_category_matters() -> None:
    """Expectation over the logged item, in closed form; plain IPS has the same with the larger variance."""
    p, pi = np.array([0.7, 0.05, 0.05, 0.2]), np.array([0.1, 0.3, 0.4, 0.2])
    category, worth = np.array([0, 0, 1, 1]), np.array([0.9, 0.9, 0.2, 0.2])
    first, logged = np.arange(0, 17, 4), np.arange(4)
    w = category_weights(np.tile(pi, 4), np.tile(p, 4), np.tile(category, 4), first, logged).w
    assert p @ (w * worth) == pytest.approx(pi @ worth)
    own = pi / p
    assert p @ (own * worth) == pytest.approx(pi @ worth)
    assert p @ (w * worth) ** 2 < p @ (own * worth) ** 2
    uneven = np.array([0.9, 0.1, 0.2, 0.2])
    assert p @ (w * uneven) != pytest.approx(pi @ uneven)  # a direct effect is its bias
