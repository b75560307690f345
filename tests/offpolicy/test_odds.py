"""Bounds under odds that are wrong by a factor, against all vertices of what that allows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lersbench.offpolicy import odds


def _cells(chance: np.ndarray, p: np.ndarray, r: np.ndarray) -> np.ndarray:
    cells = odds.new_cells()
    odds.add(cells, chance, chance / p, r, 0.0, 1.0)
    return cells


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("binary", [True, False])
def test_extremes_are_those_of_all_vertices(seed: int, binary: bool) -> None:
    rng = np.random.default_rng(seed)
    chance, p = rng.random(7), rng.uniform(0.1, 1, 7)
    r = rng.integers(2, size=7).astype(float) if binary else rng.integers(0, 257, 7) / 256
    for factor in (1.0, 1.5, 4.0):
        ends = np.stack([1 + (1 / p - 1) / factor, 1 + (1 / p - 1) * factor]) * chance
        values = [
            float((w * r).sum() / w.sum())
            for pick in itertools.product((0, 1), repeat=7)
            for w in [ends[list(pick), np.arange(7)]]
        ]
        assert odds.extremes(_cells(chance, p, r), factor) == pytest.approx((min(values), max(values)), rel=1e-12)


def test_a_hand_worked_turning_point() -> None:
    """Two sure choices at p = 1/2, rewards 1 and 0: weights within 1 + 1/G .. 1 + G, the least value (1 + 1/G) over
    (2 + G + 1/G), which is 1 / (1 + G). It reaches 1/4 at G = 3."""
    cells = _cells(np.ones(2), np.full(2, 0.5), np.array([1.0, 0.0]))
    assert odds.extremes(cells, 3.0) == pytest.approx((0.25, 0.75))
    assert odds.turning(cells, 0.25) == pytest.approx(3.0) and odds.turning(cells, 0.75) == pytest.approx(3.0)
    assert odds.turning(cells, 0.5) == 1.0


def test_sure_propensities_cannot_be_wrong() -> None:
    cells = _cells(np.ones(2), np.ones(2), np.array([1.0, 0.0]))
    assert odds.turning(cells, 0.4) == np.inf


def test_parts_add_up() -> None:
    rng = np.random.default_rng(3)
    chance, p, r = rng.random(50), rng.uniform(0.1, 1, 50), rng.random(50)
    whole = _cells(chance, p, r)
    parts = _cells(chance[:20], p[:20], r[:20]) + _cells(chance[20:], p[20:], r[20:])
    assert parts == pytest.approx(whole, rel=1e-12)


def test_no_weight_says_nothing() -> None:
    assert np.isnan(odds.extremes(odds.new_cells(), 2.0)).all()
