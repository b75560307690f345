"""Weights by which clicks are carried from place to place: their values, their error, and when they cannot be had."""

from __future__ import annotations

import numpy as np
import pytest

from lersbench.clicks.carry import Carry, carry, covariance
from lersbench.clicks.fit import count_arrays


def world(seed: int, n: int = 4000, items: int = 40, fall: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items (n, 5) by a noisy ranker, clicks of a position-based model, and its weights."""
    rng = np.random.default_rng(seed)
    p, w = 1 / (1 + np.exp(-rng.normal(-1, 1, items))), fall ** np.arange(5)
    shown = rng.permuted(np.tile(np.arange(items), (n, 1)), axis=1)[:, :5]
    order = np.argsort(-np.log(p / (1 - p))[shown] - rng.gumbel(size=shown.shape), axis=1)
    shown = np.take_along_axis(shown, order, axis=1)
    return shown, (rng.random(shown.shape) < p[shown] * w).astype(float), w


def carried(shown: np.ndarray, clicks: np.ndarray, items: int = 40) -> Carry:
    return carry(count_arrays(shown, clicks, items))


def test_the_covariance_of_two_places_and_one_item_by_hand() -> None:
    """Displays 100 and 50, w = (1, 1/2), a = 1/5: 100 (1/5)/(4/5) = 25 and 50 (1/10)/(9/10) = 50/9 of information; of
    ln w_2, with ln a free, 50/9 - (50/9)^2 / (25 + 50/9) = 50/11, the harmonic sum of both."""
    found = covariance(np.array([[100, 50]]), np.array([1.0, 0.5]), np.array([0.2]))
    np.testing.assert_allclose(found, [[0, 0], [0, 1 / 25 + 9 / 50]])
    np.testing.assert_allclose(found[1, 1], 11 / 50)


def test_items_add_up_and_one_that_stands_at_one_place_tells_nothing() -> None:
    one = covariance(np.array([[100, 50]]), np.array([1.0, 0.5]), np.array([0.2]))
    two = covariance(np.array([[100, 50], [100, 50], [900, 0]]), np.array([1.0, 0.5]), np.full(3, 0.2))
    np.testing.assert_allclose(two, one / 2)


def test_the_error_is_the_spread_over_logs() -> None:
    found = [carried(*world(seed)[:2]) for seed in range(40)]
    logs = np.log([one.weights for one in found])
    told = np.mean([one.errors for one in found], axis=0)
    np.testing.assert_allclose(logs.std(axis=0, ddof=1)[1:], told[1:], rtol=0.35)  # 40 logs: +- 11 % at one sigma
    off = (logs.mean(axis=0) - np.log(world(0)[2]))[1:]
    assert (np.abs(off) < 4 * told[1:] / np.sqrt(40)).all()
    assert all(one.fault == "" and one.fit.converged and not one.doubts for one in found)


def test_places_without_a_common_item_cannot_be_compared() -> None:
    shown = np.tile([[0, 1]], (200, 1))
    clicks = (np.random.default_rng(0).random((200, 2)) < 0.3).astype(float)
    assert "share no items" in carried(shown, clicks, 2).fault


def test_a_place_that_was_never_clicked_has_no_say() -> None:
    shown, clicks, _ = world(1)
    clicks[:, 3] = 0
    found, others = carried(shown, clicks), carried(np.delete(shown, 3, axis=1), np.delete(clicks, 3, axis=1))
    assert found.fault == "" and 0 < found.weights[3] < 1e-3 and not found.covariance[3].any()
    kept = [0, 1, 2, 4]
    np.testing.assert_allclose(found.weights[kept], others.weights, rtol=1e-3)
    np.testing.assert_allclose(found.covariance[np.ix_(kept, kept)], others.covariance, rtol=1e-2, atol=1e-9)


def test_examination_that_does_not_fall_is_doubted() -> None:
    shown, clicks, _ = world(2)
    flat = carried(shown, (np.random.default_rng(3).random(clicks.shape) < 0.3).astype(float))
    assert flat.doubts and "place" in flat.doubts[0]
    rising = carried(shown, clicks[:, ::-1].copy())
    assert "above it" in rising.doubts[0]


@pytest.mark.parametrize("fall", [0.9, 0.5])
def test_examination_that_falls_is_not_doubted(fall: float) -> None:
    shown, clicks, weights = world(4, fall=fall)
    found = carried(shown, clicks)
    assert found.doubts == []
    np.testing.assert_allclose(np.log(found.weights), np.log(weights), atol=4 * found.errors.max())
