"""The tie rule, and the best and the top K by it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.kernels import ties


def in_the_tie_order(scores: np.ndarray, key: int) -> list[int]:
    """All candidates, best first: by score, then by the pseudo-random priority, then by index."""
    return sorted(range(len(scores)), key=lambda i: (-scores[i], -ties.scramble(key, i), i))


@pytest.mark.parametrize("size", [1, 2, 5, 16, 17, 40])
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_top_k_is_the_head_of_the_whole_order(size: int, levels: int) -> None:
    rng = np.random.default_rng(size)
    for key in range(8):
        scores = rng.integers(0, levels, 40) / levels
        slate = np.zeros(size, np.int64)
        ties.top_k(scores, key, slate)
        assert slate.tolist() == in_the_tie_order(scores, key)[:size]
        assert ties.best(scores, key) == slate[0]


def test_top_k_with_infinite_scores() -> None:
    scores = np.array([0.5, math.inf, -math.inf, math.inf, 2.0])
    for size in (1, 2, 5):
        slate = np.zeros(size, np.int64)
        ties.top_k(scores, 9, slate)
        assert slate.tolist() == in_the_tie_order(scores, 9)[:size]


def test_ties_are_uniform_and_never_follow_the_file() -> None:
    n, wide = 4000, 5
    first = np.zeros(wide)
    for t in range(n):
        first[ties.best(np.zeros(wide), int(ties.scramble(12345, t)))] += 1
    assert np.abs(first / n - 1 / wide).max() < 4 * math.sqrt(0.2 * 0.8 / n)


def test_the_tie_order_does_not_depend_on_who_else_is_there() -> None:
    """Of two tied candidates the same one stands first, whatever the scores of the others."""
    for key in range(50):
        alone = ties.best(np.array([1.0, 1.0, 0.0, 0.0]), key)
        slate = np.zeros(4, np.int64)
        ties.top_k(np.array([1.0, 1.0, 2.0, 1.0]), key, slate)
        pair = [i for i in slate.tolist() if i in (0, 1)]
        assert pair[0] == alone


def test_scramble_stays_in_32_bits() -> None:
    values = [int(ties.scramble(key, index)) for key in (0, 1, 2**32 - 1) for index in (0, 1, 10**6)]
    assert all(0 <= v < 2**32 for v in values)
    assert len(set(values[1:])) == len(values) - 1
