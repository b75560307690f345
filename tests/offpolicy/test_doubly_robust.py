"""Estimators of one action a row: three rows by hand, properties, and a world all of whose logs are enumerated."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError
from lersbench.offpolicy import doubly_robust as est

P, PI, R = np.array([1 / 2, 1 / 4, 4 / 5]), np.array([1 / 4, 1 / 2, 4 / 5]), np.array([1.0, 0.0, 1.0])
W = PI / P
Q, DM = np.array([2 / 5, 1 / 5, 3 / 5]), np.array([3 / 10, 2 / 5, 1 / 2])


def rows(terms: est.Terms) -> np.ndarray:
    return terms.direct + terms.weighted


def test_the_weights_of_three_rows() -> None:
    np.testing.assert_allclose(W, [1 / 2, 2, 1])
    assert est.ips(W, R).value() == pytest.approx(1 / 2)
    assert est.ips(W, R).error() == pytest.approx(0.288675, abs=1e-6)
    assert est.snips(W, R).value() == pytest.approx(3 / 7)
    np.testing.assert_allclose(est.snips(W, R).influence(), np.array([12, -36, 24]) / 49)
    assert est.snips(W, R).error() == pytest.approx(0.374088, abs=1e-6)


def test_doubly_robust_by_hand() -> None:
    terms = est.dr(W, R, Q, DM)
    np.testing.assert_allclose(rows(terms), [3 / 5, 0, 9 / 10], atol=1e-15)
    assert terms.value() == pytest.approx(1 / 2)
    assert np.var(terms.influence(), ddof=1) == pytest.approx(21 / 100)
    assert terms.error() == pytest.approx(0.264575, abs=1e-6)
    assert est.direct_method(DM).value() == pytest.approx(2 / 5)
    assert est.sndr(W, R, Q, DM).value() == pytest.approx(17 / 35)


def test_clipped_and_switched_by_hand() -> None:
    cut = est.clipped(W, 1.0)
    assert est.ips(cut, R).value() == pytest.approx(1 / 2)
    assert est.snips(cut, R).value() == pytest.approx(3 / 5)
    assert est.dr(cut, R, Q, DM).value() == pytest.approx(17 / 30)
    assert est.mass_cut(W, cut) == pytest.approx(2 / 7)
    terms = est.dr(est.switched(W, 1.0), R, Q, DM)
    np.testing.assert_allclose(rows(terms), [3 / 5, 2 / 5, 9 / 10])
    assert terms.value() == pytest.approx(19 / 30)


def test_shrunk_weights_by_hand() -> None:
    np.testing.assert_allclose(est.optimistic(W, 1.0), [2 / 5, 2 / 5, 1 / 2])
    assert est.dr(est.optimistic(W, 1.0), R, Q, DM).value() == pytest.approx(13 / 25)
    np.testing.assert_allclose(est.optimistic(W, 4.0), [8 / 17, 1, 4 / 5])
    assert est.dr(est.optimistic(W, 4.0), R, Q, DM).value() == pytest.approx(227 / 425)
    np.testing.assert_allclose(est.sub_gaussian(W, 0.1), [10 / 19, 20 / 11, 1])
    assert est.ips(est.sub_gaussian(W, 0.1), R).value() == pytest.approx(29 / 57)


def test_the_ends_of_the_shrinkages() -> None:
    w = np.array([0.0, 0.3, 1.0, 7.0])
    r = np.array([1.0, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(est.optimistic(w, math.inf), w)
    np.testing.assert_array_equal(est.optimistic(w, 0.0), np.zeros(4))
    np.testing.assert_allclose(est.optimistic(w, 1e12), w, rtol=1e-9)
    assert est.optimistic(np.array([3.0]), 9.0)[0] == 1.5  # the peak: sqrt(l) / 2 at sqrt(l)
    np.testing.assert_array_equal(est.sub_gaussian(w, 0.0), w)
    np.testing.assert_array_equal(est.sub_gaussian(w, 1.0), [0, 1, 1, 1])
    assert est.sub_gaussian(np.array([1e11]), 0.25)[0] <= 4
    for bad in (lambda: est.clipped(w, 0.0), lambda: est.switched(w, math.nan), lambda: est.optimistic(w, -1.0)):
        with pytest.raises(ConfigError):
            bad()
    with pytest.raises(ConfigError, match=r"\[0, 1\], not 1.5"):
        est.sub_gaussian(w, 1.5)
    assert est.snips(np.zeros(2), r[:2]).value() != est.snips(np.zeros(2), r[:2]).value()  # NaN: no weight at all
    assert est.mass_cut(np.zeros(2), np.zeros(2)) == 0


def test_switch_lets_the_model_speak_for_heavy_actions() -> None:
    """Two rows of two actions; weights of all: (1/2, 2), (4, 1/3)."""
    chances, propensities = np.array([0.4, 0.6, 0.8, 0.2]), np.array([0.8, 0.3, 0.2, 0.6])
    predicted, first, out = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 2, 4]), np.empty(2)
    est.direct_part(chances, predicted, first, out)
    np.testing.assert_allclose(out, [0.4 * 0.1 + 0.6 * 0.2, 0.8 * 0.3 + 0.2 * 0.4])
    est.direct_above(chances, propensities, predicted, first, 1.5, out)
    np.testing.assert_allclose(out, [0.6 * 0.2, 0.8 * 0.3])
    w, r = np.array([0.5, 4.0]), np.array([1.0, 1.0])
    assert est.switch(w, r, out, 1.5).value() == pytest.approx((0.5 + 0.12 + 0.24) / 2)
    est.direct_above(chances, np.array([0.8, 0.0, 0.2, 0.6]), predicted, first, 1e9, out)
    np.testing.assert_allclose(out, [0.12, 0])  # an action without support has no other voice


def test_a_constant_added_to_the_rewards() -> None:
    """It moves the normalised and the doubly robust by itself, plain IPS by the mean weight times it."""
    assert est.ips(W, R + 1).value() - est.ips(W, R).value() == pytest.approx(7 / 6)
    assert est.snips(W, R + 1).value() - est.snips(W, R).value() == pytest.approx(1)
    for family in (est.dr, est.sndr):
        assert family(W, R + 1, Q + 1, DM + 1).value() - family(W, R, Q, DM).value() == pytest.approx(1)
    assert est.ips_cv(W, R + 1).value() - est.ips_cv(W, R).value() == pytest.approx(1)


def some(seed: int, n: int = 400) -> tuple[np.ndarray, ...]:
    """Weights of two targets, rewards and a model's predictions on one log."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.1, 1, n)
    a, b = rng.uniform(0, 1, n), rng.uniform(0, 1, n)
    return a / p, b / p, rng.random(n), rng.random(n), rng.random(n), rng.random(n)


def test_mixtures_and_differences_of_targets() -> None:
    """IPS and DR are linear in the target."""
    a, b, r, q, dm_a, dm_b = some(0)
    mixed, dm_mixed = 0.3 * a + 0.7 * b, 0.3 * dm_a + 0.7 * dm_b
    np.testing.assert_allclose(
        rows(est.dr(mixed, r, q, dm_mixed)), 0.3 * rows(est.dr(a, r, q, dm_a)) + 0.7 * rows(est.dr(b, r, q, dm_b))
    )
    np.testing.assert_allclose(est.ips(a - b, r).value(), est.ips(a, r).value() - est.ips(b, r).value())


def test_influences_sum_to_nothing_and_are_the_derivative() -> None:
    """Leaving one row of many out moves the estimate by its influence over n, to first order."""
    w, _, r, q, dm, _ = some(1, 4000)
    w /= w.mean()  # as that of right propensities; the estimated control variate has its influence there only
    made: list[Any] = [
        lambda k: est.ips(w[k], r[k]),
        lambda k: est.ips_cv(w[k], r[k]),
        lambda k: est.snips(w[k], r[k]),
        lambda k: est.dr(w[k], r[k], q[k], dm[k]),
        lambda k: est.sndr(w[k], r[k], q[k], dm[k]),
        lambda k: est.direct_method(dm[k]),
    ]
    for one in made:
        whole = one(slice(None))
        assert abs(whole.influence().sum()) < 1e-9
        for row in (0, 17, 3999):
            without = one(np.arange(4000) != row)
            assert whole.value() - without.value() == pytest.approx(whole.influence()[row] / 4000, abs=3e-6)


def test_the_control_variate_takes_out_what_the_weights_explain() -> None:
    w = np.array([0.5, 2.0, 1.0, 0.5])
    assert est.ips_cv(w, np.full(4, 3.0)).value() == pytest.approx(3)  # w r = 3 w: all of it
    assert est.ips_cv(w, np.full(4, 3.0)).error() == pytest.approx(0, abs=1e-12)
    assert est.ips_cv(w, w, b=0.5).value() == pytest.approx(est.ips(w, w).value())  # the mean weight is 1
    assert est.ips_cv(np.ones(3), R).value() == pytest.approx(2 / 3)


# The enumerated world: 2 contexts x 3 arms, n = 3 rows, all numbers sums of powers of 1/2, so floats are exact.
SHARE = (Fraction(1, 4), Fraction(3, 4))
LOGGING = ((Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)), (Fraction(1, 8), Fraction(1, 2), Fraction(3, 8)))
TARGET = ((Fraction(0), Fraction(1, 4), Fraction(3, 4)), (Fraction(1, 2), Fraction(1, 2), Fraction(0)))
TRUE = ((Fraction(1, 2), Fraction(1, 4), Fraction(3, 4)), (Fraction(1, 8), Fraction(1), Fraction(1, 2)))
WRONG = ((Fraction(7), Fraction(-1, 2), Fraction(1, 4)), (Fraction(0), Fraction(3, 8), Fraction(-2)))
VALUE = sum(SHARE[x] * TARGET[x][a] * TRUE[x][a] for x in range(2) for a in range(3))
ROWS = list(itertools.product(range(2), range(3), (0, 1)))


def chance_of(row: tuple[int, int, int]) -> Fraction:
    x, a, r = row
    return SHARE[x] * LOGGING[x][a] * (TRUE[x][a] if r else 1 - TRUE[x][a])


def expected(estimate: Any, propensities: Any) -> Fraction:
    """E[sum of the three rows' values] / 3 over all 12^3 logs."""
    total = Fraction(0)
    for log in itertools.product(ROWS, repeat=3):
        weight = math.prod((chance_of(row) for row in log), start=Fraction(1))
        if weight:
            w = np.array([float(TARGET[x][a]) / propensities(x, a) for x, a, _ in log])
            total += weight * Fraction(float(rows(estimate(log, w, np.array([float(r) for *_, r in log]))).sum()))
    return total / 3


def model(q: Any) -> Any:
    def estimate(log: Any, w: np.ndarray, r: np.ndarray) -> est.Terms:
        predicted = np.array([float(q[x][a]) for x, a, _ in log])
        dm = np.array([float(sum(TARGET[x][b] * q[x][b] for b in range(3))) for x, _, _ in log])
        return est.dr(w, r, predicted, dm)

    return estimate


def test_doubly_robust_is_exactly_unbiased_where_propensities_or_model_are_right() -> None:
    right = lambda x, a: float(LOGGING[x][a])  # noqa: E731
    wrong = lambda x, a: 2.0 ** -(1 + a)  # noqa: E731
    assert expected(lambda _, w, r: est.ips(w, r), right) == VALUE
    assert expected(lambda _, w, r: est.ips_cv(w, r, b=0.25), right) == VALUE
    assert expected(model(WRONG), right) == VALUE
    assert expected(model(TRUE), wrong) == VALUE
    assert expected(model(WRONG), wrong) != VALUE
    assert expected(lambda _, w, r: est.ips(w, r), wrong) != VALUE


def test_clipping_is_biased_by_exactly_what_it_cuts() -> None:
    """-E[(w - M)+ (r - q)]: all of it where there is no model, none where the model is right."""
    right = lambda x, a: float(LOGGING[x][a])  # noqa: E731
    bias = sum(
        SHARE[x] * LOGGING[x][a] * -max(TARGET[x][a] / LOGGING[x][a] - 1, Fraction(0)) * TRUE[x][a]
        for x in range(2)
        for a in range(3)
    )
    assert bias < 0
    assert expected(lambda _, w, r: est.ips(est.clipped(w, 1.0), r), right) == VALUE + bias
    assert expected(lambda log, w, r: model(TRUE)(log, est.clipped(w, 1.0), r), right) == VALUE


def test_a_model_of_the_other_rows_leaves_doubly_robust_unbiased() -> None:
    """q of a row: the mean reward of its action in the other two rows, 0 without one. With its own row: biased."""

    def crossed(own: bool) -> Any:
        def estimate(log: Any, w: np.ndarray, r: np.ndarray) -> est.Terms:
            def q(i: int, b: int) -> float:
                seen = [r[j] for j in range(3) if log[j][1] == b and (own or j != i)]
                return sum(seen) / len(seen) if seen else 0.0

            predicted = np.array([q(i, log[i][1]) for i in range(3)])
            dm = np.array([sum(float(TARGET[log[i][0]][b]) * q(i, b) for b in range(3)) for i in range(3)])
            return est.dr(w, r, predicted, dm)

        return estimate

    right = lambda x, a: float(LOGGING[x][a])  # noqa: E731
    assert expected(crossed(own=False), right) == VALUE
    assert expected(crossed(own=True), right) != VALUE
