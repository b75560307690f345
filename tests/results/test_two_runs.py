"""Two runs beside each other: the test against SciPy's, Holm by hand, and what is no question of chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lersbench.results import two_runs
from lersbench.results.two_runs import ALONE, CHANCE, MOVED, SAME, UNKNOWN, Value, Values


def value(values: np.ndarray, stored: str = "") -> Value:
    return Value(float(values.mean()), float(values.var(ddof=1) / len(values)), len(values) - 1, stored)


@pytest.mark.parametrize(("n", "m", "apart"), [(10, 10, 0.5), (3, 40, 1.0), (20, 5, 0.0), (2, 2, 3.0)])
def test_the_test_and_the_interval_are_those_of_welch(n: int, m: int, apart: float) -> None:
    rng = np.random.default_rng([n, m])
    old, new = rng.normal(0, 1, n), rng.normal(apart, 3, m)
    (move,) = two_runs.moves([("", "a", value(old), value(new))])
    found = stats.ttest_ind(new, old, equal_var=False)
    assert move.verdict == (MOVED if found.pvalue <= 0.05 else CHANCE)
    wanted = found.confidence_interval(0.95)
    assert (float(move.difference.low), float(move.difference.high)) == pytest.approx(tuple(wanted))
    assert float(move.difference.mean) == pytest.approx(new.mean() - old.mean())


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, then what 0.03 x 2 is behind that, and 0.04; what is no test does not count."""
    found = two_runs.holm(np.array([0.03, math.nan, 0.01, 0.04, 0.02]))
    assert found == pytest.approx([0.06, math.nan, 0.04, 0.06, 0.06], nan_ok=True)
    assert two_runs.holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert two_runs.holm(np.empty(0)).shape == (0,)
    assert np.isnan(two_runs.holm(np.array([math.nan]))).all()


def test_of_many_contenders_at_once_fewer_have_moved_than_each_by_itself() -> None:
    """A difference of 2.5 standard errors: p = 0.012 alone, 0.25 as one of twenty."""
    pairs = [("", str(i), Value(0.0, 0.5, math.inf), Value(2.5 * (i == 7), 0.5, math.inf)) for i in range(20)]
    pairs = [(*pair[:3], pair[3]._replace(mean=pair[3].mean + 0.01)) for pair in pairs]
    assert [move.verdict for move in two_runs.moves(pairs)] == [ALONE] + [CHANCE] * 19
    assert two_runs.moves(pairs)[0].name == "7"
    assert two_runs.moves(pairs[7:8])[0].verdict == MOVED


def test_the_share_of_false_alarms_is_five_percent() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        old, new = rng.normal(1, 1, (6, 8)), rng.normal(1, 2, (6, 12))
        pairs = [("", str(i), value(a), value(b)) for i, (a, b) in enumerate(zip(old, new, strict=True))]
        alarms += any(move.verdict == MOVED for move in two_runs.moves(pairs))
    assert 0.02 <= alarms / 400 <= 0.08


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (Value(0.5, 0.0, 9), Value(0.5, 0.0, 9), SAME),
        (Value(0.5, 0.0, 9), Value(0.5001, 0.0, 9), MOVED),  # nothing is drawn
        (Value(0.5, math.nan, math.nan), Value(0.9, 0.1, 9), UNKNOWN),  # one seed
        (Value(0.5, 0.01, 9, "k"), Value(0.6, 0.001, 99, "k"), SAME),  # more seeds of the same
        (Value(0.5, 0.0, 9), Value(0.9, 1e-4, 9), MOVED),
        (Value(math.nan, 0.0, 9), Value(0.9, 0.0, 9), UNKNOWN),
    ],
)
def test_what_is_no_question_of_chance(before: Value, after: Value, verdict: str) -> None:
    assert two_runs.moves([("", "a", before, after)])[0].verdict == verdict


def test_what_changed_is_told_once() -> None:
    """The parameters and the code of a contender that is new or gone say nothing more than that."""
    old = {"policies": {"a": "a {}", "b": "b {}"}, "code": {"a": "1", "b": "1"}, "versions": {"numpy": "2.3"}}
    new = {"policies": {"a": "a {}", "c": "c {}"}, "code": {"a": "2", "c": "1"}, "versions": {"numpy": "2.4", "x": "1"}}
    nothing = Value(0.0, 1.0, 9)
    found = two_runs.compare(
        (old, Values("Misses", 100, {("", "a"): nothing, ("", "b"): nothing})),
        (new, Values("Misses", 100, {("", "a"): nothing, ("K=3", "c"): nothing})),
    )
    assert [tuple(one) for one in found.changes] == [
        ("code", "a", "1", "2"),
        ("versions", "numpy", "2.3", "2.4"),
        ("versions", "x", "-", "1"),
    ]
    assert (found.new, found.gone, found.other_data) == (["c (K=3)"], ["b"], False)
