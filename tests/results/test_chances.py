"""The chance to be the best and the expected rank, against closed forms."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from lersbench.distributions import t_beyond
from lersbench.results.chances import chances
from lersbench.results.customers import Sums, crowd, separate
from lersbench.results.separation import Spread
from lersbench.results.separation import separate as by_seeds


def spread(mean: list[float], variance: list[float], df: float) -> Spread:
    n = len(mean)
    return Spread(np.array(mean), np.array(variance), np.full(n, df), np.full(n, True))


def test_two_normal_means_in_closed_form() -> None:
    """P(1 + N(0, 1) > N(0, 3)) = Phi(1 / 2); the expected rank is 2 less that."""
    known = spread([1.0, 0.0], [1.0, 3.0], 1e9)
    found = chances(known.mean, known, True)
    better = NormalDist().cdf(0.5)
    assert found.best == pytest.approx([better, 1 - better], abs=0.012)
    assert found.rank == pytest.approx([2 - better, 1 + better], abs=0.012)
    lower = chances(known.mean, known, False)
    assert lower.best == pytest.approx(found.best[::-1], abs=0.012)


def test_a_t_mean_against_a_known_one() -> None:
    """P(T_2 > -1) by t's own distribution, far from the normal 0.841."""
    known = spread([1.0, 0.0], [1.0, 0.0], 2.0)
    assert chances(known.mean, known, True).best[0] == pytest.approx(1 - t_beyond(1.0, 2) / 2, abs=0.012)


def test_equal_contenders_share_and_unknown_ones_are_left_out() -> None:
    same = spread([0.5, 0.5, 0.5, 0.4], [0.0, 0.0, math.nan, 0.0], 4.0)
    found = chances(same.mean, same, True)
    assert found.best == pytest.approx([0.5, 0.5, math.nan, 0], nan_ok=True)
    assert found.rank == pytest.approx([1.5, 1.5, math.nan, 3], nan_ok=True)
    four = chances(np.zeros(4), spread([0.0] * 4, [1.0] * 4, 5.0), True)
    assert four.best == pytest.approx([0.25] * 4, abs=0.015) and four.best.sum() == pytest.approx(1)
    assert four.rank.sum() == pytest.approx(10)


def test_draws_repeat_themselves() -> None:
    known = spread([0.0, 0.1, 0.2], [1.0, 2.0, 3.0], 5.0)
    first, second = (chances(known.mean, known, True) for _ in range(2))
    assert np.array_equal(np.stack(first), np.stack(second))


def test_customers_that_lift_all_do_not_blur_who_is_best() -> None:
    """Blocks differ by 30 points, the two policies by 2 in every block: surely, though intervals are 4 points wide."""
    rng = np.random.default_rng(1)
    rounds = np.full((10, 256), 100.0)
    base = rng.normal(0.5, 0.3, (1, 256)) + np.zeros((10, 1))
    rates = [base + more + rng.normal(0, 0.01, base.shape) for more in (0.0, 0.02)]
    seeds = by_seeds(np.array([rate.mean(axis=1) for rate in rates]))
    people = crowd([Sums(rate * rounds, rounds) for rate in rates])
    found = separate(people, seeds)
    assert chances(seeds.spread.mean, found.spread, True, people).best[1] > 0.999
    assert chances(seeds.spread.mean, found.spread, True).best[1] < 0.9
