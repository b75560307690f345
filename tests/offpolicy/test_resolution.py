"""The sample of distinct propensities, and the grid they lie on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.offpolicy import resolution
from lersbench.offpolicy.resolution import Sample, add_to_sample, is_whole, kept, merge_into, new_sample, step


def sample_of(p: np.ndarray, w: np.ndarray | None = None) -> Sample:
    out = new_sample()
    w = np.ones(len(p)) if w is None else w
    add_to_sample(*out, p.view(np.int64), p, w, np.empty(0), np.empty(0, np.int64))
    return out


def softmax_rows(n: int, arms: int, seed: int) -> np.ndarray:
    """Propensities of the arms that a softmax of normal scores drew."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, arms))
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return p[np.arange(n), (p.cumsum(1) > rng.random((n, 1))).argmax(1)]


def test_few_propensities_are_all_kept_with_their_rows_and_weights() -> None:
    rng = np.random.default_rng(0)
    levels = rng.random(300)
    p = rng.choice(levels, 20_000)
    w = rng.exponential(size=20_000)
    sample = sample_of(p, w)
    assert is_whole(sample)
    found = kept(sample)
    values, where, rows = np.unique(p, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[1], rows)
    np.testing.assert_allclose(found[2], np.bincount(where, w), rtol=1e-13)


def test_a_sample_of_many_is_exact_for_what_it_holds_and_fair() -> None:
    rng = np.random.default_rng(1)
    p = rng.choice(rng.random(20_000), 100_000)
    sample = sample_of(p)
    values, counts, weights = kept(sample)
    level = int(sample.state[resolution.LEVEL])
    assert not is_whole(sample)
    assert resolution.KEPT / 2 * 0.8 < len(values) <= resolution.KEPT
    distinct, rows = np.unique(p, return_counts=True)
    np.testing.assert_array_equal(counts, rows[np.searchsorted(distinct, values)])
    np.testing.assert_array_equal(weights, counts)
    assert len(values) * 2**level == pytest.approx(len(distinct), rel=0.2)
    assert values.mean() == pytest.approx(0.5, abs=4 * 0.29 / math.sqrt(len(values)))


@pytest.mark.parametrize("distinct", [50, 500, 30_000])
def test_order_and_parts_do_not_matter(distinct: int) -> None:
    rng = np.random.default_rng(2)
    p = rng.choice(rng.random(distinct), 40_000)
    w = rng.random(40_000)
    whole, order = sample_of(p, w), rng.permutation(40_000)
    parts = sample_of(p[:500], w[:500])
    merge_into(parts, sample_of(p[500:], w[500:]))
    other = sample_of(p[500:], w[500:])
    merge_into(other, sample_of(p[:500], w[:500]))
    for one in (sample_of(p[order], w[order]), parts, other):
        for mine, theirs in zip(kept(one), kept(whole), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-12)
        np.testing.assert_array_equal(one.state, whole.state)


@pytest.mark.parametrize("draws", [300, 10_000, 200_000, 1_000_000])
def test_the_number_of_simulated_draws_is_found(draws: int) -> None:
    rng = np.random.default_rng(draws)
    p = rng.binomial(draws, softmax_rows(8000, 12, draws)) / draws
    assert step(sample_of(p[p > 0])) == pytest.approx(1 / draws, rel=1e-12)


def test_strangers_beside_the_grid_do_not_hide_it() -> None:
    p = np.maximum(np.round(softmax_rows(8000, 12, 5), 4), 1e-4)
    p[::2000] = 1 / 34
    p[5] = 1e-6
    g = step(sample_of(p))
    assert g == pytest.approx(1e-4, rel=1e-12)
    assert resolution.off_grid(np.array([1 / 34, 1e-6, 0.0123, 0.9999, 0.00015]), g).tolist() == [
        True,
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    "p",
    [
        softmax_rows(8000, 12, 6),
        1.0 / np.random.default_rng(7).integers(2, 200, 5000),  # uniform over as many candidates as there are
        np.random.default_rng(8).choice([0.0125, 0.9125], 5000),  # epsilon-greedy: two levels always have a step
        np.full(5000, 1 / 34),
    ],
    ids=["softmax", "uniform", "epsilon", "constant"],
)
def test_exact_propensities_lie_on_no_grid(p: np.ndarray) -> None:
    assert step(sample_of(p)) == 0.0
