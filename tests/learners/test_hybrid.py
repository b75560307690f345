"""Hybrid models beside the one dense regression that they are, on the features z and x of each item in a place of its
own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.learners import hybrid, hybrid_per_position

ITEMS, D, M, RIDGE, ALPHA = 4, 3, 2, 0.6, 0.7


class Joint:
    """A += w^2 y y', b += w r y, y holding z and, in the item's place, x."""

    def __init__(self) -> None:
        size = M + ITEMS * D
        self.A, self.b = RIDGE * np.eye(size), np.zeros(size)

    def row(self, item: int, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        y = np.zeros(self.b.size)
        y[:M], y[M + item * D : M + (item + 1) * D] = z, x
        return y

    def learn(self, item: int, x: np.ndarray, z: np.ndarray, weight: float, reward: float) -> None:
        y = self.row(item, x, z)
        self.A += weight**2 * np.outer(y, y)
        self.b += weight * reward * y

    def mean_and_variance(self, item: int, x: np.ndarray, z: np.ndarray) -> tuple[float, float]:
        y, inverse = self.row(item, x, z), np.linalg.inv(self.A)
        return float(y @ inverse @ self.b), float(y @ inverse @ y)


@pytest.mark.parametrize("weighted", [False, True])
def test_both_halves_are_one_joint_regression(weighted: bool) -> None:
    rng, joint, u = np.random.default_rng(0), Joint(), np.zeros(M)
    items, A0, b0 = hybrid.new_items(ITEMS, D, M, RIDGE), RIDGE * np.eye(M), np.zeros(M)
    for _ in range(120):
        item, x, z = int(rng.integers(ITEMS)), rng.normal(size=D), rng.normal(size=M)
        weight, reward = rng.random() if weighted else 1.0, rng.random()
        beta, inverse = np.linalg.solve(A0, b0), np.linalg.inv(A0)
        for other in range(ITEMS):  # before the item's first observation and after it
            mean, square = hybrid.explain(items, other, x, z, x @ x / RIDGE, u)
            found = mean + u @ beta, square + u @ inverse @ u
            assert found == pytest.approx(joint.mean_and_variance(other, x, z), abs=1e-9)
        error, q = hybrid.observe_item(items, item, x, z, weight, reward, u)
        A0, b0 = A0 + weight**2 / q * np.outer(u, u), b0 + weight / q * error * u
        joint.learn(item, x, z, weight, reward)
    assert items.plays.sum() == 120


def test_each_position_is_a_joint_regression_of_its_own() -> None:
    """No item of a position is one of another, the first and the last of a position least of all."""
    rng, positions = np.random.default_rng(1), 3
    joints = [Joint() for _ in range(positions)]
    models = hybrid_per_position.new_hybrids(positions, ITEMS, D, M, RIDGE)
    for _ in range(150):
        k, item, x, z = int(rng.integers(positions)), int(rng.integers(ITEMS)), rng.normal(size=D), rng.normal(size=M)
        weight, reward = rng.random(), rng.random()
        for at, joint in enumerate(joints):
            for other in range(ITEMS):
                mean, variance = joint.mean_and_variance(other, x, z)
                bound = hybrid_per_position.bound(models, at, other, x, z, ALPHA)
                assert bound == pytest.approx(mean + ALPHA * math.sqrt(variance), abs=1e-9)
        hybrid_per_position.learn(models, k, item, x, z, weight, reward)
        joints[k].learn(item, x, z, weight, reward)
