"""How far to shrink: SLOPE by hand and by its definition, and no choice that knows the rows it is used on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy import doubly_robust as est
from lersbench.offpolicy import shrinkage


def test_slope_by_hand() -> None:
    """The fourth is .40 from the first, further than .01 + 1.4495 * .20 = .2999; the third passes."""
    assert shrinkage.slope(np.array([0.50, 0.47, 0.36, 0.10]), np.array([0.20, 0.10, 0.04, 0.01])) == 2
    assert shrinkage.slope(np.array([0.10, 0.36, 0.50, 0.47]), np.array([0.01, 0.04, 0.20, 0.10])) == 1
    assert shrinkage.slope(np.array([0.50, 0.10, 0.49]), np.array([0.20, 0.04, 0.01])) == 0  # it stops at the first
    assert shrinkage.slope(np.array([3.0]), np.array([0.0])) == 0
    with pytest.raises(DataError, match="finite"):
        shrinkage.slope(np.array([3.0, math.nan]), np.array([0.1, 0.1]))


def test_the_grid_is_that_of_the_weights() -> None:
    w = np.arange(1001) / 10
    np.testing.assert_allclose(shrinkage.clip_grid(w), [50, 75, 90, 95, 99, 99.9, math.inf])
    np.testing.assert_allclose(shrinkage.clip_grid(7 * w), 7 * shrinkage.clip_grid(w))
    sparse = np.where(np.arange(1000) < 960, 0.0, 25.0)
    np.testing.assert_array_equal(shrinkage.clip_grid(sparse), [25, math.inf])  # no clip at 0, none twice
    np.testing.assert_array_equal(shrinkage.clip_grid(np.zeros(9)), [math.inf])


def heavy(seed: int, n: int = 600) -> tuple[np.ndarray, ...]:
    """40 actions under a skewed logger, a uniform target; q is half right; (w, r, q, dm, fold). The value is .3."""
    rng = np.random.default_rng(seed)
    p = np.exp(-np.arange(40) / 4.0)
    p /= p.sum()
    a = rng.choice(40, size=n, p=p)
    r = (rng.random(n) < 0.3).astype(np.float64)
    q = np.full(n, 0.25)
    return 1 / 40 / p[a], r, q, q, rng.integers(3, size=n)


def test_along_the_grid_stand_the_estimates_themselves() -> None:
    w, r, q, dm, _ = heavy(0)
    at = shrinkage.clip_grid(w)
    grid = shrinkage.along(w, r, q, dm, at)
    for j, most in enumerate(at):
        cut = np.minimum(w, most)
        terms = est.dr(cut, r, q, dm)
        assert grid.values[j] == pytest.approx(terms.value())
        assert grid.errors[j] == pytest.approx(terms.error())
        assert grid.cut[j] == pytest.approx(1 - cut.sum() / w.sum())
        log = math.log(2 / 0.05)
        unsure = math.sqrt(2 * (w**2).mean() * log / 600) + 2 * w.max() * log / 1800
        bias = abs(((w - cut) * (r - q)).mean())
        assert grid.bounds[j] == pytest.approx(terms.error() ** 2 + (bias + unsure) ** 2)
    assert grid.cut[-1] == 0 and (np.diff(grid.errors) >= 0).all()
    users = np.arange(600) // 3
    clustered = shrinkage.along(w, r, q, dm, at, group=users)
    assert clustered.groups == 200
    psi = np.bincount(users, weights=est.dr(w, r, q, dm).influence())
    assert clustered.errors[-1] == pytest.approx(math.sqrt(200 / 199 * (psi**2).sum()) / 600)
    dros = shrinkage.along(w, r, q, dm, np.array([2.0, math.inf]), "dros")
    assert dros.values[0] == pytest.approx(est.dr(est.optimistic(w, 4.0), r, q, dm).value())
    assert dros.values[1] == pytest.approx(grid.values[-1])


@pytest.mark.parametrize("rule", ["slope", "mse"])
@pytest.mark.parametrize("name", ["clip", "switch", "dros"])
def test_no_choice_knows_the_rows_it_is_used_on(rule: str, name: str) -> None:
    w, r, q, dm, fold = heavy(1)
    before = shrinkage.tuned(w, r, q, dm, fold, rule, name)
    changed = False
    for f in range(3):
        other = np.where(fold == f, 5.0 * (w > 3), r)
        after = shrinkage.tuned(w, other, q, dm, fold, rule, name)
        assert after.chosen[f] == before.chosen[f]
        changed |= bool((after.chosen != before.chosen).any())
    assert changed or rule == "mse"  # whose bound is far above any of its differences here
    shrunk = np.concatenate(
        [shrinkage.SHRINKAGES[name](w[fold == f], before.chosen[f]) * (r - q)[fold == f] for f in range(3)]
    )
    assert before.terms.weighted.sum() == pytest.approx(shrunk.sum())


def test_the_rule_mse_takes_the_least_bound() -> None:
    three = np.array([1.0, 2.0, 3.0])
    grid = shrinkage.Grid(three, three, three, three, np.array([0.3, 0.1, 0.2]), 10)
    assert shrinkage.choose(grid, "mse") == 2


def test_the_unshrunk_estimate_stands_beside_the_shrunk_one() -> None:
    w, r, q, dm, fold = heavy(2)
    tuned = shrinkage.tuned(w, r, q, dm, fold)
    assert tuned.unshrunk.value() == est.dr(w, r, q, dm).value()
    assert 0 < tuned.cut < 1
    assert tuned.cut == pytest.approx(1 - np.minimum(w, tuned.chosen[fold]).sum() / w.sum())


def test_slope_helps_where_tails_are_heavy() -> None:
    """300 logs: the root mean squared error falls by a third at least."""
    shrunk, whole = np.array(
        [(t.terms.value(), t.unshrunk.value()) for t in (shrinkage.tuned(*heavy(seed)) for seed in range(300))]
    ).T
    rmse = lambda values: math.sqrt(((values - 0.3) ** 2).mean())  # noqa: E731
    assert rmse(shrunk) < rmse(whole) * 2 / 3


def test_what_cannot_be_chosen() -> None:
    w, r, q, dm, fold = heavy(3)
    with pytest.raises(ConfigError, match=r"no rule 'slop' .* did you mean 'slope'"):
        shrinkage.tuned(w, r, q, dm, fold, "slop")
    with pytest.raises(ConfigError, match="no shrinkage 'clop'; did you mean 'clip'"):
        shrinkage.tuned(w, r, q, dm, fold, "slope", "clop")
    with pytest.raises(ConfigError, match="at least 2 folds"):
        shrinkage.tuned(w, r, q, dm, np.zeros(600, dtype=np.int64))
    with pytest.raises(DataError, match="fewer than two users"):
        shrinkage.tuned(w, r, q, dm, fold, group=fold // 2)
