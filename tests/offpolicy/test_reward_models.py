"""Reward models: naive twins of the regressions; no model sees the fold it predicts; what comes of one that does."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError, DataError, MissingPackage, RunError
from lersbench.offpolicy import additive_model, calibration, folds
from lersbench.offpolicy import doubly_robust as est
from lersbench.offpolicy.cross_fitting import CrossFitted
from lersbench.offpolicy.reward_models import Inputs, Shape, fit_sums, reward_model, weighted_r2


def single(item: Any, context: np.ndarray | None = None) -> Inputs:
    """One entry a row, at the only place."""
    item = np.asarray(item, dtype=np.int64)
    context = np.empty((len(item), 0)) if context is None else context
    return Inputs(context, np.arange(len(item)), item, np.zeros(len(item), dtype=np.int64), np.empty((len(item), 0)))


def fitted(model: CrossFitted, inputs: Inputs, r: np.ndarray, fold: np.ndarray, keys: np.ndarray) -> CrossFitted:
    while not model.fitted:
        model.add(inputs, r, fold, keys)
        model.end_pass()
    return model


class Means:
    """The mean reward of each item, from one-hot columns."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        self.means = x.T @ y / np.maximum(x.sum(axis=0), 1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x @ self.means


def test_four_rows_by_hand() -> None:
    """(action, reward, fold) = (0, 1, A), (0, 0, B), (1, 1, A), (1, 1, B); p = 1/2, the target always shows 0."""
    item, r, fold = np.array([0, 0, 1, 1]), np.array([1.0, 0.0, 1.0, 1.0]), np.array([0, 1, 0, 1])
    model = fitted(reward_model(Means(), Shape(2), 2, calibrate=False), single(item), r, fold, np.arange(4))
    w = np.where(item == 0, 2.0, 0.0)
    q, dm = model.predict(single(item), fold), model.predict(single([0, 0, 0, 0]), fold)
    terms = est.dr(w, r, q, dm)
    np.testing.assert_allclose(terms.direct + terms.weighted, [2, -1, 0, 1])
    assert terms.value() == pytest.approx(1 / 2)
    assert np.var(terms.influence(), ddof=1) == pytest.approx(5 / 3)
    seen = np.array([0.5, 0.5, 1, 1])  # of all rows: what a model in one fold would say
    terms = est.dr(w, r, seen, np.full(4, 0.5))
    np.testing.assert_allclose(terms.direct + terms.weighted, [3 / 2, -1 / 2, 1 / 2, 1 / 2])
    assert np.var(terms.influence(), ddof=1) == pytest.approx(2 / 3)


@pytest.mark.parametrize("model", ["auto", "ridge", "logistic", Means()])
def test_one_fold_is_refused(model: Any) -> None:
    with pytest.raises(ConfigError, match=r"folds = 1: .* rows it was fitted on.*Set folds = 3"):
        reward_model(model, Shape(2), folds=1)


def world(seed: int, n: int = 600) -> tuple[Shape, Inputs, np.ndarray, np.ndarray, np.ndarray]:
    """Two places a row; context, item features and joint features on scales far from 1."""
    rng = np.random.default_rng(seed)
    shape = Shape(6, 2, 2, 1, rng.standard_normal((6, 2)) * 30)
    context = rng.standard_normal((n, 2)) * [1.0, 500.0] + [0.0, 9000.0]
    row, place = np.repeat(np.arange(n), 2), np.tile([0, 1], n)
    item, features = rng.integers(6, size=2 * n), rng.standard_normal((2 * n, 1)) * 0.01
    z = context[row, 0] + (context[row, 1] - 9000) / 500 - place + shape.items[item, 0] / 40 + 50 * features[:, 0]
    reward = (rng.random(2 * n) < 1 / (1 + np.exp(1.5 - z))).astype(np.float64)
    keys = rng.integers(n // 4, size=n)
    return shape, Inputs(context, row, item, place, features), reward, folds.folds_of(keys, 3), keys


def design(shape: Shape, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """The dense twin: standardised columns, and which of them are penalised."""
    context, table = inputs.context[inputs.row], shape.items[inputs.item]
    numeric = np.concatenate([context, inputs.features], axis=1)
    numeric = (numeric - numeric.mean(axis=0)) / numeric.std(axis=0)
    table = (table - shape.items.mean(axis=0)) / shape.items.std(axis=0)
    hot = [inputs.item[:, None] == np.arange(shape.n_items), inputs.place[:, None] == np.arange(shape.places)]
    x = np.concatenate([np.ones((len(table), 1)), numeric, table, *hot], axis=1)
    return x, np.diag([0.0] + [1.0] * (x.shape[1] - 1))


def test_ridge_is_the_dense_solution() -> None:
    shape, inputs, r, fold, keys = world(0)
    q = fitted(reward_model("ridge", shape, ridge=2.5), inputs, r, fold, keys)
    assert q.name == "ridge"
    x, penalty = design(shape, inputs)
    at = fold[inputs.row]
    for f in range(3):
        held = folds.held_of(keys)[inputs.row]
        learns = (at != f) & ~held
        beta = np.linalg.solve(x[learns].T @ x[learns] + 2.5 * penalty, x[learns].T @ r[learns])
        np.testing.assert_allclose(q.predict(inputs, fold)[at == f], (x @ beta)[at == f], atol=1e-9)


def test_logistic_is_where_the_likelihood_is_flat() -> None:
    """At the optimum X'(r - mu) = ridge * coefficients: solved here by plain Newton on the dense columns."""
    shape, inputs, r, fold, keys = world(1)
    model = fitted(reward_model("auto", shape, calibrate=False), inputs, r, fold, keys)
    assert model.name == "logistic"
    x, penalty = design(shape, inputs)
    at, got = fold[inputs.row], model.predict(inputs, fold)
    for f in range(3):
        a, y, beta = x[at != f], r[at != f], np.zeros(x.shape[1])
        for _ in range(20):
            mu = 1 / (1 + np.exp(-a @ beta))
            step = a.T @ (y - mu) - penalty @ beta
            beta += np.linalg.solve(a.T @ (a * (mu * (1 - mu))[:, None]) + penalty, step)
        np.testing.assert_allclose(got[at == f], 1 / (1 + np.exp(-x[at == f] @ beta)), atol=1e-7)


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize("name", ["ridge", "logistic"])
def test_chunks_and_parts_are_one_pass(name: str, one_hot: bool) -> None:
    shape, inputs, r, fold, keys = world(2, 300)
    whole = fitted(reward_model(name, shape, one_hot=one_hot), inputs, r, fold, keys)
    parts = reward_model(name, shape, one_hot=one_hot)
    while not parts.fitted:
        for start in range(0, 300, 70):
            mine = (inputs.row >= start) & (inputs.row < start + 70)
            some = Inputs(inputs.context[start : start + 70], inputs.row[mine] - start, *(c[mine] for c in inputs[2:]))
            worker = parts.part()
            worker.add(some, r[mine], fold[start : start + 70], keys[start : start + 70])
            parts.merge(worker)
        parts.end_pass()
    np.testing.assert_allclose(parts.predict(inputs, fold), whole.predict(inputs, fold), rtol=1e-9)
    back = np.arange(len(r))[::-1]  # candidates come in any order, and only those that are asked for
    turned = Inputs(inputs.context, *(column[back] for column in inputs[1:]))
    np.testing.assert_allclose(whole.predict(turned, fold), whole.predict(inputs, fold)[back])


def named(name: str) -> Any:
    for model, package in (("lightgbm", "lightgbm"), ("forest", "sklearn")):
        if name == model:
            pytest.importorskip(package)
    return Means() if name == "means" else name


@pytest.mark.parametrize("past", [False, True], ids=["users", "past"])
@pytest.mark.parametrize("name", ["ridge", "logistic", "forest", "lightgbm", "means"])
def test_no_reward_of_a_fold_reaches_its_predictions(name: str, past: bool) -> None:
    """Nor, where the past alone may be learned from, any later one: calibration included."""
    shape, inputs, r, fold, keys = world(3)
    if past:
        fold = folds.blocks_of(np.arange(600), np.array([200, 400]))
    before = fitted(reward_model(named(name), shape, past=past), inputs, r, fold, keys).predict(inputs, fold)
    at = fold[inputs.row]
    for f in (0, 1):
        other = r.copy()
        hidden = (at >= f) if past else (at == f)
        other[hidden] = 1 - other[hidden]
        after = fitted(reward_model(named(name), shape, past=past), inputs, other, fold, keys).predict(inputs, fold)
        np.testing.assert_array_equal(after[at == f], before[at == f])
        assert (after[at == f + 1] != before[at == f + 1]).any()
    if past:
        assert (before[at == 0] == 0).all()


@pytest.mark.parametrize("name", ["auto", "forest", "lightgbm", "means"])
def test_one_class_predicts_itself_and_says_so(name: str) -> None:
    item, fold = np.arange(60) % 3, np.arange(60) % 2
    r = np.where((fold == 0) & (np.arange(60) % 5 == 0), 1.0, 0.0)  # fold 0's model learns from zeros alone
    model = fitted(reward_model(named(name), Shape(3), 2, calibrate=False), single(item), r, fold, np.arange(60))
    q = model.predict(single(item), fold)
    assert (q[fold == 0] == 0).all() and (q[fold == 1] > 0).all()
    assert model.notes == ["All rewards that fold 0's model can learn from are 0: it predicts nothing else."]


def test_one_user_cannot_be_cross_fitted() -> None:
    keys = np.zeros(10, dtype=np.int64)
    for name in ("auto", Means()):
        with pytest.raises(ConfigError, match=r"no rows to learn from: all rows belong .* cluster = 'none'"):
            fitted(reward_model(name, Shape(1)), single(keys), np.ones(10), folds.folds_of(keys, 3), keys)


def test_what_is_no_reward_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no reward model 'lightgm'; did you mean 'lightgbm'"):
        reward_model("lightgm", Shape(1))
    with pytest.raises(ConfigError, match="needs fit"):
        reward_model(object(), Shape(1))
    with pytest.raises(ConfigError, match="5000 items one-hot make 5000 columns"):
        reward_model(Means(), Shape(5000))
    with pytest.raises(ConfigError, match="must be above 0, not 0"):
        reward_model("ridge", Shape(1), ridge=0.0)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name, extra in (("forest", "pictures"), ("lightgbm", "ltr")):
        with pytest.raises(MissingPackage, match=rf"not installed: pip install 'lersbench\[{extra}\]'"):
            reward_model(name, Shape(1))


def test_broken_rows_are_named() -> None:
    fold = np.array([0, 1])
    for inputs, r, message in (
        (single([0, 3]), [0, 1], r"item of entry 1 is 3, but must be in 0..2"),
        (single([0, 1]), [0, math.nan], "reward of entry 1, column 0 is nan"),
        (
            single([0, 1], np.array([[1.0], [math.inf]])),
            [0, 1],
            "context or joint features of entry 1, column 0 is inf",
        ),
    ):
        for name in ("auto", Means()):
            model = reward_model(name, Shape(3, d=inputs.context.shape[1]), 2)
            with pytest.raises(DataError, match=message):
                model.add(inputs, np.array(r, dtype=float), fold, fold)
    with pytest.raises(ConfigError, match="'logistic' needs rewards of 0 and 1"):
        fitted(reward_model("logistic", Shape(3), 2), single([0, 1]), np.array([0.5, 1]), fold, fold)

    class Broken(Means):
        def predict(self, x: np.ndarray) -> np.ndarray:
            return np.full(len(x), math.nan)

    model = fitted(
        reward_model(Broken(), Shape(3), 2, calibrate=False), single([0, 1, 2, 0]), np.array([0, 2.0, 1, 1]),
        np.array([0, 1, 0, 1]), np.arange(4),
    )  # fmt: skip
    with pytest.raises(RunError, match="Broken predicted"):
        model.predict(single([0, 1]), fold)


def test_collected_rows_are_those_of_users_chosen_by_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lersbench.offpolicy.collected_model.ROWS", 500)
    keys = np.repeat(np.arange(1000), 2)
    fold, item = folds.folds_of(keys, 3), np.zeros(2000, dtype=np.int64)

    class Sizes(Means):
        def fit(self, x: np.ndarray, y: np.ndarray) -> None:
            super().fit(x, y)
            learned.append(y)

    runs = []
    for size in (2000, 130):
        learned: list[np.ndarray] = []
        model = reward_model(Sizes(), Shape(1), calibrate=False)
        for start in range(0, 2000, size):
            cut = slice(start, start + size)
            model.add(single(item[cut]), keys[cut] / 7, fold[cut], keys[cut])
        model.end_pass()
        assert "of the users, chosen by hash" in model.notes[0]
        runs.append(learned)
        for values in learned:
            assert len(values) <= 500 and (np.unique(values, return_counts=True)[1] == 2).all()
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_folds_are_whole_users_of_equal_shares() -> None:
    keys = np.random.default_rng(0).integers(0, 20_000, size=100_000)
    fold, held = folds.folds_of(keys, 3), folds.held_of(keys)
    users, first = np.unique(keys, return_index=True)
    np.testing.assert_array_equal(fold, fold[first][np.searchsorted(users, keys)])
    shares = np.bincount(fold[first]) / len(users)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.015)
    for f in range(3):  # what is held back does not depend on the fold
        assert held[first][fold[first] == f].mean() == pytest.approx(0.2, abs=0.02)
    far = np.array([1, 1 + 2**31, 1 + 2**40, 1 + 2**62, -1, -(2**62)])
    assert len(np.unique(folds.marks_of(far, 0))) == 6
    assert (folds.folds_of(keys, 3, seed=1) != fold).any()
    np.testing.assert_array_equal(folds.blocks_of(np.array([0, 9, 10, 25]), np.array([10, 20])), [0, 0, 1, 2])


def test_calibration_finds_the_two_numbers() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 200_000)
    r = (rng.random(200_000) < 1 / (1 + np.exp(0.7 - 0.5 * odds))).astype(np.float64)
    bins, halves = calibration.new_bins(), [calibration.new_bins(), calibration.new_bins()]
    calibration.count(bins, odds, r)
    for half, cut in zip(halves, (slice(None, 9), slice(9, None)), strict=True):
        calibration.count(half, odds[cut], r[cut])
    np.testing.assert_allclose(bins, halves[0] + halves[1], atol=1e-6)
    assert calibration.platt(bins) == pytest.approx((-0.7, 0.5), abs=0.03)
    few = calibration.new_bins()
    calibration.count(few, odds[:30], np.repeat([1.0, 0.0], [19, 11]))
    assert calibration.platt(few) is None
    turned = calibration.new_bins()
    calibration.count(turned, -odds, r)
    assert calibration.platt(turned) is None
    apart = calibration.new_bins()  # separated rewards: finite all the same; infinite log-odds count as 20
    calibration.count(apart, np.repeat([-math.inf, math.inf], 50), np.repeat([0.0, 1.0], 50))
    found = calibration.platt(apart)
    assert found is not None and np.isfinite(found).all() and found[1] > 0


def test_chances_that_are_too_sure_are_calibrated() -> None:
    class Sure(Means):
        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            odds = 3 * np.log(self.means / (1 - self.means)) @ x.T
            return np.stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))], axis=1)

    rng = np.random.default_rng(1)
    item = rng.integers(4, size=20_000)
    r = (rng.random(20_000) < np.array([0.1, 0.3, 0.6, 0.8])[item]).astype(np.float64)
    keys = np.arange(20_000)
    fold = folds.folds_of(keys, 3)
    model = fitted(reward_model(Sure(), Shape(4)), single(item), r, fold, keys)
    np.testing.assert_allclose(model.platt[:, 1], 1 / 3, atol=0.03)
    q = model.predict(single([0, 1, 2, 3], None), np.array([0, 1, 2, 0]))
    np.testing.assert_allclose(q, [0.1, 0.3, 0.6, 0.8], atol=0.03)


def test_weighted_r2_by_fold() -> None:
    rng = np.random.default_rng(0)
    w, r, q, fold = rng.random(50) * 3, rng.random(50), rng.random(50), rng.integers(2, size=50)
    sums = fit_sums(w[:20], r[:20], q[:20], fold[:20], 2) + fit_sums(w[20:], r[20:], q[20:], fold[20:], 2)
    for f in range(2):
        k = fold == f
        naive = 1 - (w[k] ** 2 * (r[k] - q[k]) ** 2).sum() / (w[k] ** 2 * (r[k] - r[k].mean()) ** 2).sum()
        assert weighted_r2(sums)[f] == pytest.approx(naive)
    assert weighted_r2(fit_sums(w, r, r, fold, 2)) == pytest.approx([1, 1])
    assert np.isnan(weighted_r2(fit_sums(w, np.full(50, 0.3), q, fold, 2))).all()
    whole = weighted_r2(sums.sum(axis=0))
    assert whole == pytest.approx(1 - (w**2 * (r - q) ** 2).sum() / (w**2 * (r - r.mean()) ** 2).sum())


def test_coefficients_of_many_items_need_no_square_matrix() -> None:
    shape = Shape(20_000, d=1)
    sums = additive_model.new_sums(additive_model.new_coefficients(shape, 3, True, np.zeros(1), np.ones(1)))
    assert sum(part.nbytes for part in sums) < 3 * 20_000 * 8 * 6


def trap(seed: int, k: int) -> list[tuple[float, float]]:
    """DR of a tree with 2 rows a leaf, (estimate less truth, standard error): across k folds, and on its own rows."""
    tree = pytest.importorskip("sklearn.tree")
    rng = np.random.default_rng(seed)
    n, arms = 1000, 5
    context = rng.standard_normal((n, 3))
    item = rng.integers(arms, size=n)
    best = (context @ np.array([[1, -1, 0, 0.5, 0], [0, 1, -1, 0.5, 0], [0, 0, 1, -1, 0]])).argmax(axis=1)
    click = lambda a: 0.3 + 0.15 * (a == best)  # noqa: E731
    r = (rng.random(n) < click(item)).astype(np.float64)
    w = np.where(item == best, float(arms), 0.0)  # the target shows the best arm for sure: its value is .45
    keys = np.arange(n)
    fold = folds.folds_of(keys, k)
    make = tree.DecisionTreeRegressor(min_samples_leaf=2, random_state=0)
    model = fitted(reward_model(make, Shape(arms, d=3), k, calibrate=False), single(item, context), r, fold, keys)
    crossed = est.dr(w, r, model.predict(single(item, context), fold), model.predict(single(best, context), fold))
    x = np.concatenate([context, item[:, None] == np.arange(arms)], axis=1)
    own = make.fit(x, r)
    x_best = np.concatenate([context, best[:, None] == np.arange(arms)], axis=1)
    inside = est.dr(w, r, own.predict(x), own.predict(x_best))
    return [(terms.value() - 0.45, terms.error()) for terms in (crossed, inside)]


def test_a_tree_on_its_own_rows_is_biased_and_across_folds_is_not() -> None:
    """Nor does its interval cover: it reports a fraction of its error."""
    off, error = np.moveaxis(np.array([trap(seed, 3) for seed in range(120)]), -1, 0)
    mean, spread = off.mean(axis=0), off.std(axis=0, ddof=1)
    covered = (np.abs(off) < 1.96 * error).mean(axis=0)
    assert abs(mean[0]) < 3 * spread[0] / math.sqrt(120)
    assert abs(mean[1]) > 10 * spread[1] / math.sqrt(120)
    assert covered[0] > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 120)
    assert covered[1] < 0.7
