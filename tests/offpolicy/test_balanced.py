"""Logs of several loggers: by hand, unbiased and never of larger variance in a world that is enumerated."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from lersbench.errors import DataError
from lersbench.offpolicy import balanced


def test_two_loggers_by_hand() -> None:
    """Shares 1/4 and 3/4, propensities 1/2 and 1/10: the mixture is 1/5, a sure target weighs 5, by logger 2 or 10."""
    logger = np.array([0, 1, 1, 1])
    shares = balanced.shares_of(logger, 2)
    np.testing.assert_array_equal(shares, [1 / 4, 3 / 4])
    p, sure = np.tile([1 / 2, 1 / 10], (4, 1)), np.ones(4)
    np.testing.assert_allclose(balanced.mixture(p, shares, logger), 1 / 5)
    np.testing.assert_allclose(balanced.balanced_weight(sure, p, shares, logger), 5)
    np.testing.assert_allclose(balanced.weight_by_logger(sure, p, logger), [2, 10, 10, 10])


def test_balanced_is_unbiased_and_never_varies_more() -> None:
    """One row of logger 0 and two of logger 1, three arms, the rewards of arms fixed: all 27 logs."""
    loggers = np.array([0, 1, 1])
    logging = np.array([[1 / 2, 1 / 4, 1 / 4], [1 / 8, 3 / 8, 1 / 2]])
    target, worth = np.array([1 / 4, 1 / 2, 1 / 4]), np.array([1.0, 3.0, -2.0])
    shares = balanced.shares_of(loggers, 2)
    moments = {"balanced": [0.0, 0.0], "by logger": [0.0, 0.0]}
    for log in itertools.product(range(3), repeat=3):
        a = np.array(log)
        chance = float(math.prod(Fraction(float(logging[m, b])) for m, b in zip(loggers, log, strict=True)))
        p = logging[:, a].T
        for name, w in (
            ("balanced", balanced.balanced_weight(target[a], p, shares, loggers)),
            ("by logger", balanced.weight_by_logger(target[a], p, loggers)),
        ):
            value = float((w * worth[a]).mean())
            moments[name][0] += chance * value
            moments[name][1] += chance * value**2
    truth = float(target @ worth)
    for mean, _ in moments.values():
        assert mean == pytest.approx(truth, abs=1e-14)
    assert moments["balanced"][1] < moments["by logger"][1]


def test_support_by_one_logger_is_enough() -> None:
    p = np.array([[0.0, 0.5], [0.5, 0.0]])
    w = balanced.balanced_weight(np.ones(2), p, np.array([0.5, 0.5]), np.array([1, 0]))
    np.testing.assert_allclose(w, 4)


def test_broken_loggers_are_named() -> None:
    p, half = np.array([[0.5, 0.5], [0.5, 1.5]]), np.array([0.5, 0.5])
    with pytest.raises(DataError, match=r"row 8: propensity of logger 1 is 1.5, but must be in \[0, 1\]"):
        balanced.mixture(p, half, np.array([0, 1]), start=7)
    with pytest.raises(DataError, match="row 1: logger 0 showed an action to which its propensity is 0"):
        balanced.mixture(np.array([[0.5, 0.5], [0.0, 0.5]]), half, np.array([0, 0]))
    with pytest.raises(DataError, match=r"row 1: logger is 2, but must be in 0..1"):
        balanced.shares_of(np.array([0, 2]), 2)
    with pytest.raises(DataError, match="without rows"):
        balanced.shares_of(np.array([], dtype=np.int64), 2)
