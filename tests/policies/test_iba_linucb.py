"""IBA-LinUCB beside its definition, written out plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.errors import ConfigError
from lersbench.learners.per_position import estimates
from lersbench.policies.iba_linucb import IBALinUCB
from lersbench.policy import Round, Spec

RNG = np.random.default_rng(0)  # IBA-LinUCB draws nothing


class Naive:
    """One A and b a position; the pool of a position is what was not taken above it."""

    def __init__(self, positions: int, m: int, alpha: float, prior: float):
        self.alpha = alpha
        self.A = np.tile(prior * np.eye(m), (positions, 1, 1))
        self.b = np.zeros((positions, m))

    def scores(self, k: int, x: np.ndarray) -> np.ndarray:
        inverse = np.linalg.inv(self.A[k])
        return x @ inverse @ self.b[k] + self.alpha * np.sqrt(np.einsum("cm,mn,cn->c", x, inverse, x))

    def check(self, x: np.ndarray, slate: np.ndarray) -> None:
        """Every item of the slate is a best one of its position's pool, up to rounding."""
        for k, chosen in enumerate(slate):
            scores = self.scores(k, x)
            pool = np.setdiff1d(np.arange(len(x)), slate[:k])
            assert chosen in pool
            assert scores[chosen] >= scores[pool].max() - 1e-9

    def learn(self, k: int, x: np.ndarray, reward: float) -> None:
        self.A[k] += np.outer(x, x)
        self.b[k] += reward * x


def round_of(features: np.ndarray, slate: int, ties: int = 0) -> Round:
    n = len(features)
    outputs = np.zeros(n), np.zeros(slate), np.zeros(slate, np.int64)
    return Round(0, -1, np.zeros(0), np.arange(n), features, ties, *outputs)


@pytest.mark.parametrize(
    ("width", "positions", "m", "alpha", "prior"),
    [(12, 6, 10, 0.3, 1.0), (5, 5, 3, 1.0, 0.2), (20, 9, 4, 0.5, 2.0), (8, 1, 1, 0.3, 1.0), (9, 3, 7, 0.0, 1.0)],
)
def test_slates_and_estimates_follow_the_definition(
    width: int, positions: int, m: int, alpha: float, prior: float
) -> None:
    rng = np.random.default_rng(width)
    policy = IBALinUCB(alpha, prior)
    state, naive = policy.init(Spec(width, width, positions, 0, m)), Naive(positions, m, alpha, prior)
    for t in range(100):
        x = rng.standard_normal((width, m))
        if t % 10 == 0:
            x[rng.integers(width)] = 0.0
        round, slate = round_of(x, positions, t), np.zeros(positions, np.int64)
        policy.select(state, RNG, round, slate)
        naive.check(x, slate)
        np.testing.assert_allclose(round.scores, naive.scores(positions - 1, x), rtol=1e-9, atol=1e-9)
        rewards, seen = rng.random(positions), rng.random(positions) < 0.8
        policy.update(state, round, slate, rewards, seen)
        for k in np.flatnonzero(seen):
            naive.learn(k, x[slate[k]], rewards[k])
    theta = np.einsum("kij,kj->ki", np.linalg.inv(naive.A), naive.b)
    np.testing.assert_allclose(estimates(state.learners), theta, atol=1e-9)
    unused = state.learners.theta.reshape(-1, m, 8)[-1, :, (positions - 1) % 8 + 1 :]
    assert not unused.any()  # unused lanes stay empty


def test_items_beyond_the_last_position_teach_nobody() -> None:
    policy, rng = IBALinUCB(), np.random.default_rng(1)
    one, other = (policy.init(Spec(6, 6, 2, 0, 3)) for _ in range(2))
    for _ in range(5):
        round, rewards = round_of(rng.standard_normal((6, 3)), 6), rng.random(6)
        policy.update(one, round, np.arange(6), rewards, np.ones(6, bool))
        policy.update(other, round, np.arange(2), rewards[:2], np.ones(2, bool))
    for left, right in zip(one.learners, other.learners, strict=True):
        np.testing.assert_array_equal(left, right)


def test_candidates_that_are_alike_are_taken_in_the_random_tie_order() -> None:
    policy = IBALinUCB()
    state = policy.init(Spec(10, 10, 4, 0, 2))
    slates = []
    for ties in range(40):
        slate = np.zeros(4, np.int64)
        policy.select(state, RNG, round_of(np.ones((10, 2)), 4, ties), slate)
        assert np.unique(slate).size == 4
        slates.append(tuple(slate))
    assert len(set(slates)) > 30


@pytest.mark.parametrize("params", [{"alpha": -1.0}, {"alpha": math.inf}, {"ridge": -2.0}, {"ridge": math.nan}])
def test_impossible_hyper_parameters_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(params))):
        IBALinUCB(**params)
