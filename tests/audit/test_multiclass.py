"""Classification as a bandit: the truth by enumeration, and the published errors on the digits."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from lersbench.audit import multiclass
from lersbench.errors import MissingPackage


class Rounded:
    """Predicts the class that its column says."""

    def __init__(self, column: int) -> None:
        self.column = column

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        self.rows = len(y)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x[:, self.column].astype(np.int64)


def small() -> multiclass.World:
    """400 rows of 4 classes: the logger's column is right in half of them, the target's in 4 of 5."""
    rng = np.random.default_rng(0)
    label = rng.integers(4, size=400)
    x = np.stack([np.where(rng.random(400) < p, label, (label + 1) % 4) for p in (0.5, 0.8)], axis=1)
    return multiclass.world(x.astype(np.float64), label, Rounded(0), Rounded(1))


def test_the_truth_is_the_chance_of_the_label() -> None:
    world = small()
    assert len(world.label) == 280
    np.testing.assert_allclose(world.logging.sum(axis=1), 1)
    right = (world.context[:, 1] == world.label).mean()
    assert world.truth == pytest.approx(0.9 * right + 0.1 / 4)
    assert world.logged == pytest.approx(0.4 * (world.context[:, 0] == world.label).mean() + 0.6 / 4)


def test_draws_follow_the_logger_and_estimates_the_truth() -> None:
    world = small()
    draws = [multiclass.draw(world, np.random.default_rng(seed)) for seed in range(400)]
    shown = np.mean([d.action[:, None] == np.arange(4) for d in draws], axis=0)
    np.testing.assert_allclose(shown, world.logging, atol=5 * 0.5 / 20)
    rows = np.array([multiclass._estimates(world, d, None)["ips"].value() for d in draws])
    assert abs(rows.mean() - world.truth) < 3 * rows.std() / 20
    assert draws[0].reward.sum() == (draws[0].action == world.label).sum()


def test_a_model_of_the_labels_leaves_doubly_robust_little_to_do() -> None:
    world = small()
    log = multiclass.draw(world, np.random.default_rng(0))

    class Knows:
        def fit(self, x: np.ndarray, y: np.ndarray) -> None:
            pass

        def predict(self, x: np.ndarray) -> np.ndarray:
            hit = x[:, 2:].argmax(axis=1) == x[:, 1]
            return hit.astype(np.float64)

    q, dm = multiclass.predictions(world, log, Knows())
    np.testing.assert_array_equal(q, log.action == world.context[:, 1])
    np.testing.assert_allclose(dm, 0.9 + 0.1 / 4)
    errors = multiclass.relative_errors(world, 20, model=Knows())
    assert errors["dr"].mean() < errors["ips"].mean()
    assert set(errors) == {"ips", "snips", "dm", "dr", "sndr"}
    w = log.chance / log.propensity
    assert errors["ips"].shape == (20,) and w.mean() == pytest.approx(1, abs=0.3)


def test_digits_without_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"pip install 'lersbench\[pictures\]'"):
        multiclass.digits()


@pytest.mark.slow
def test_digits_give_the_published_errors() -> None:
    """Over 30 runs: published .0303 for IPS and .0228 for SNIPS, whose spread over runs is .025 and .018."""
    pytest.importorskip("sklearn")
    errors = multiclass.relative_errors(multiclass.digits(), 300)
    for runs in (30, 300):
        assert errors["ips"][:runs].mean() == pytest.approx(0.030, abs=0.005)
        assert errors["snips"][:runs].mean() == pytest.approx(0.024, abs=0.004)
