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


def summed(
    w: np.ndarray, r: np.ndarray, q: np.ndarray, dm: np.ndarray, fold: np.ndarray, name: str = "clip"
) -> shrinkage.GridSums:
    """Each row a bucket of its own."""
    sums = shrinkage.new_sums(shrinkage.clip_grid(w), 3)
    shrinkage.add(sums, w, r, q, dm, fold, np.arange(len(w)), name)
    return sums


def test_along_the_grid_stand_the_estimates_themselves() -> None:
    w, r, q, dm, fold = heavy(0)
    sums = summed(w, r, q, dm, fold)
    for without, rows in ((-1, fold >= 0), (1, fold != 1)):
        grid, n = shrinkage.grid_of(sums, without), int(rows.sum())
        for j, most in enumerate(sums.at):
            cut = np.minimum(w, most)
            terms = est.dr(cut[rows], r[rows], q[rows], dm[rows])
            assert grid.values[j] == pytest.approx(terms.value())
            assert grid.errors[j] == pytest.approx(terms.error())
            assert grid.cut[j] == pytest.approx(1 - cut[rows].sum() / w[rows].sum())
            log = math.log(2 / 0.05)
            unsure = math.sqrt(2 * (w[rows] ** 2).mean() * log / n) + 2 * w[rows].max() * log / (3 * n)
            bias = abs(((w - cut) * (r - q))[rows].mean())
            assert grid.bounds[j] == pytest.approx(terms.error() ** 2 + (bias + unsure) ** 2)
        assert grid.cut[-1] == 0 and (np.diff(grid.errors) >= 0).all()


def test_errors_are_those_of_users_in_their_buckets() -> None:
    w, r, q, dm, fold = heavy(0)
    sums, users = shrinkage.new_sums(np.array([math.inf]), 3), np.arange(600) // 3
    shrinkage.add(sums, w, r, q, dm, fold, users)
    grid = shrinkage.grid_of(sums)
    psi = np.bincount(users, weights=est.dr(w, r, q, dm).influence())
    assert grid.groups == 200
    assert grid.errors[0] == pytest.approx(math.sqrt(200 / 199 * (psi**2).sum()) / 600)


def test_dros_is_highest_where_the_grid_says() -> None:
    w, r, q, dm, fold = heavy(0)
    sums = shrinkage.new_sums(np.array([2.0, math.inf]), 3)
    shrinkage.add(sums, w, r, q, dm, fold, np.arange(600), "dros")
    grid = shrinkage.grid_of(sums)
    assert grid.values[0] == pytest.approx(est.dr(est.optimistic(w, 4.0), r, q, dm).value())
    assert grid.values[1] == pytest.approx(est.dr(w, r, q, dm).value())


def test_parts_merge() -> None:
    w, r, q, dm, fold = heavy(4)
    whole, parts = summed(w, r, q, dm, fold), shrinkage.new_sums(shrinkage.clip_grid(w), 3)
    for cut in (slice(None, 7), slice(7, 400), slice(400, None)):
        part = shrinkage.new_sums(whole.at, 3)
        shrinkage.add(part, w[cut], r[cut], q[cut], dm[cut], fold[cut], np.arange(600)[cut])
        shrinkage.merge(parts, part)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", ["slope", "mse"])
@pytest.mark.parametrize("name", ["clip", "switch", "dros"])
def test_no_choice_knows_the_rewards_it_is_used_on(rule: str, name: str) -> None:
    w, r, q, dm, fold = heavy(1)
    before = shrinkage.tuned(summed(w, r, q, dm, fold, name), rule)
    changed = False
    for f in range(3):
        other = np.where(fold == f, 5.0 * (w > 3), r)
        after = shrinkage.tuned(summed(w, other, q, dm, fold, name), rule)
        assert after.chosen[f] == before.chosen[f]
        changed |= bool((after.chosen != before.chosen).any())
    assert changed or rule == "mse"  # whose bound is far above any of its differences here


@pytest.mark.parametrize("name", ["clip", "switch", "dros"])
def test_the_unshrunk_estimate_stands_beside_the_shrunk_one(name: str) -> None:
    w, r, q, dm, fold = heavy(2)
    tuned = shrinkage.tuned(summed(w, r, q, dm, fold, name))
    shrunk = np.empty(600)
    for f in range(3):
        shrunk[fold == f] = shrinkage.SHRINKAGES[name](w[fold == f], tuned.chosen[f])
    for terms, value, influence in (
        (est.dr(shrunk, r, q, dm), tuned.value, tuned.influence),
        (est.dr(w, r, q, dm), tuned.unshrunk, tuned.unshrunk_influence),
    ):
        assert value == pytest.approx(terms.value())
        np.testing.assert_allclose(influence[:600], terms.influence(), atol=1e-12)
    assert 0 < tuned.cut < 1
    assert tuned.cut == pytest.approx(1 - shrunk.sum() / w.sum())


def test_the_rule_mse_takes_the_least_bound() -> None:
    three = np.array([1.0, 2.0, 3.0])
    grid = shrinkage.Grid(three, three, three, three, np.array([0.3, 0.1, 0.2]), 10)
    assert shrinkage.choose(grid, "mse") == 1


def test_slope_helps_where_tails_are_heavy() -> None:
    """300 logs: the root mean squared error falls by a third at least."""
    shrunk, whole = np.array(
        [(t.value, t.unshrunk) for t in (shrinkage.tuned(summed(*heavy(seed))) for seed in range(300))]
    ).T
    rmse = lambda values: math.sqrt(((values - 0.3) ** 2).mean())  # noqa: E731
    assert rmse(shrunk) < rmse(whole) * 2 / 3


def test_what_cannot_be_chosen() -> None:
    w, r, q, dm, fold = heavy(3)
    sums = summed(w, r, q, dm, fold)
    with pytest.raises(ConfigError, match=r"no rule 'slop' .* did you mean 'slope'"):
        shrinkage.tuned(sums, "slop")
    with pytest.raises(ConfigError, match="no shrinkage 'clop'; did you mean 'clip'"):
        shrinkage.add(sums, w, r, q, dm, fold, np.arange(600), "clop")
    with pytest.raises(ConfigError, match="at least 2 folds"):
        shrinkage.tuned(summed(w, r, q, dm, np.ones(600, dtype=np.int64)))
    for grid in ([], [1.0], [0.0, math.inf], [math.nan, math.inf]):
        with pytest.raises(ConfigError, match="ends with infinity"):
            shrinkage.new_sums(np.array(grid), 3)
    two_users = shrinkage.new_sums(np.array([math.inf]), 3)
    shrinkage.add(two_users, w, r, q, dm, fold // 2, fold // 2)
    with pytest.raises(DataError, match="fewer than two users"):
        shrinkage.tuned(two_users)
