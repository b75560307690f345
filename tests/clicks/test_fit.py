"""Fits recover what clicks were drawn from, EM never loses likelihood, and diagnostics tell what data cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lersbench.clicks import counts as click_counts
from lersbench.clicks import em as click_em
from lersbench.clicks.cells import filled
from lersbench.clicks.fit import Counts, Fit, count, count_arrays, fit, fit_both, fit_counts
from lersbench.clicks.model import expected
from lersbench.errors import ConfigError, DataError
from lersbench.log import write

RECORDS, ITEMS, LENGTH = 60_000, 15, 6
PBM = np.array([0.9, 0.8, 0.65, 0.5, 0.4, 0.3])
K, J = np.arange(LENGTH)[:, None], np.arange(LENGTH + 1)[None]
UBM = np.tril(0.95 * 0.93**K * 0.85 ** (K - np.maximum(J - 1, -1) - 1))


class World(NamedTuple):
    slate: np.ndarray
    clicks: np.ndarray
    attraction: np.ndarray
    weights: np.ndarray


def world(weights: np.ndarray, n: int = RECORDS, items: int = ITEMS, seed: int = 0, high: float = 0.6) -> World:
    """Lists in random order and the clicks of users who follow `weights` (L, L + 1), drawn with NumPy alone."""
    rng = np.random.default_rng(seed)
    length = len(weights)
    attraction = rng.uniform(0.05, high, items)
    slate = rng.random((n, items)).argsort(axis=1)[:, :length]
    clicks, last = np.zeros((n, length)), np.zeros(n, np.int64)
    for k in range(length):
        clicks[:, k] = rng.random(n) < weights[k, last] * attraction[slate[:, k]]
        last = np.where(clicks[:, k] > 0, k + 1, last)
    return World(slate, clicks, attraction, weights)


def flat(examination: np.ndarray) -> np.ndarray:
    return np.tril(np.repeat(examination[:, None], len(examination) + 1, axis=1))


def kept(w: World) -> World:
    """The world's log with clickless records removed."""
    some = w.clicks.any(axis=1)
    return w._replace(slate=w.slate[some], clicks=w.clicks[some])


def fitted(w: World, model: str, filtered: bool | None = None, **settings: Any) -> Fit:
    return fit_counts(count_arrays(w.slate, w.clicks, len(w.attraction), filtered), model, **settings)


def miss(found: Fit, w: World, displays: int = 0) -> float:
    """The largest relative error of a weight, over cells with more than so many displays."""
    cells = np.tri(*w.weights.shape, dtype=bool)
    seen = found.displays if found.name == "ubm" else np.repeat(found.displays[:, None], cells.shape[1], axis=1)
    cells &= seen > displays
    return float(np.abs(found.table[cells] / (w.weights / w.weights[0, 0])[cells] - 1).max())


@pytest.fixture(scope="module")
def position_based() -> World:
    return world(flat(PBM))


def test_the_position_based_model_is_recovered_within_two_percent(position_based: World) -> None:
    found = fitted(position_based, "pbm")
    assert found.converged
    assert not found.filtered
    assert found.weights[0] == 1
    assert miss(found, position_based) < 0.02
    assert np.abs(found.attraction - 0.9 * position_based.attraction).max() < 0.015


def test_user_browsing_weights_are_recovered_within_two_percent_where_there_are_data() -> None:
    """By chance alone, cells of 6,000 displays miss by four percent in 60,000 lists; all must be within their noise."""
    w = world(UBM, high=0.9)
    found = fitted(w, "ubm")
    assert found.converged
    assert found.weights[0, 0] == 1
    assert (found.displays > 15_000).sum() >= 8
    assert miss(found, w, 15_000) < 0.02
    seen = np.tri(LENGTH, LENGTH + 1, dtype=bool)
    error = np.abs(found.weights - UBM / UBM[0, 0])[seen]
    assert (error < 4 * 0.7 / np.sqrt(found.displays[seen])).all()  # a weight is a click rate over about 0.45
    assert not found.weights[~seen].any()


@pytest.mark.parametrize("model", ["pbm", "ubm"])
def test_only_the_truncated_fit_stands_the_removal_of_clickless_records(model: str) -> None:
    whole = world(flat(0.6 * PBM), 300_000, high=0.5) if model == "pbm" else world(0.7 * UBM, 400_000, seed=2, high=0.9)
    part = kept(whole)
    assert len(part.slate) < 0.7 * len(whole.slate)
    right, naive = fitted(part, model), fitted(part, model, filtered=False)
    assert right.filtered
    assert not naive.filtered
    top = whole.weights[0, 0]
    assert right.removed == pytest.approx(len(whole.slate) - len(part.slate), rel=0.05)
    rich = 60_000 if model == "ubm" else 0
    assert miss(right, whole, rich) < 0.02 < miss(naive, whole, rich)
    assert np.abs(right.attraction - top * whole.attraction).max() < 0.01
    assert np.abs(naive.attraction - top * whole.attraction).max() > 0.05


@pytest.mark.parametrize("model", ["pbm", "ubm"])
@pytest.mark.parametrize("filtered", [False, True])
def test_the_likelihood_never_falls(model: str, filtered: bool) -> None:
    for seed in range(8):
        w = world(flat(PBM), 300, seed=seed) if seed % 2 else world(UBM, 300, seed=seed, high=1.0)
        found = fitted(kept(w) if filtered else w, model, filtered, tolerance=1e-13)
        assert len(found.trace) > 3
        assert (np.diff(found.trace) >= -1e-9 * np.abs(found.trace[1:])).all()


def naive_em(w: World, model: str, filtered: bool, steps: int) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """EM record by record, as it is written in the literature; weights (L, L + 1) and attraction unnormalised."""
    length, n_items = len(w.weights), len(w.attraction)
    weights, attraction, trace = np.full((length, length + 1), 0.5), np.full(n_items, 0.5), []
    for _ in range(steps):
        up_w, down_w = np.zeros_like(weights), np.zeros_like(weights)
        up_a, down_a = np.zeros(n_items), np.zeros(n_items)
        total = 0.0
        for slate, clicks in zip(w.slate, w.clicks, strict=True):
            records = [(clicks, 1.0)]
            if filtered:
                quiet = np.prod(1 - weights[np.arange(length), 0] * attraction[slate])
                records.append((np.zeros(length), quiet / (1 - quiet)))
                total -= np.log(1 - quiet)
            for row, times in records:
                last = 0
                for k, (item, click) in enumerate(zip(slate, row, strict=True)):
                    j = last if model == "ubm" else 0
                    e, a = weights[k, j], attraction[item]
                    if times == 1.0 and row is clicks:
                        total += np.log(e * a if click else 1 - e * a)
                    up_w[k, j] += times * (1 if click else e * (1 - a) / (1 - e * a))
                    up_a[item] += times * (1 if click else a * (1 - e) / (1 - e * a))
                    down_w[k, j] += times
                    down_a[item] += times
                    last = k + 1 if click else last
        trace.append(total)
        weights = np.divide(up_w, down_w, out=weights.copy(), where=down_w > 0)
        attraction = up_a / down_a
    return weights, attraction, trace


@pytest.mark.parametrize("model", ["pbm", "ubm"])
@pytest.mark.parametrize("filtered", [False, True])
def test_a_step_on_counts_is_a_step_on_records(model: str, filtered: bool) -> None:
    w = world(UBM, 200, seed=5)
    w = kept(w) if filtered else w
    weights, attraction, trace = naive_em(w, model, filtered, 2)
    found = fitted(w, model, filtered, iterations=2, smoothing=0.0)  # the first two steps are plain EM
    np.testing.assert_allclose(found.trace[:2], trace)
    np.testing.assert_allclose(found.attraction, attraction * weights[0, 0])
    if model == "pbm":
        np.testing.assert_allclose(found.weights, weights[:, 0] / weights[0, 0])
    else:
        smooth = filled(np.tril(weights / weights[0, 0]), found.displays)
        unseen = (found.displays == 0) & np.tri(*weights.shape, dtype=bool)
        np.testing.assert_allclose(found.weights, np.where(unseen, np.nan, smooth))
        np.testing.assert_allclose(found.filled, smooth)


@pytest.mark.parametrize("model", ["pbm", "ubm"])
@pytest.mark.parametrize("filtered", [False, True])
def test_likelihood_and_perplexity_are_those_of_the_records(model: str, filtered: bool) -> None:
    w = world(UBM, 400, seed=6)
    w = kept(w) if filtered else w
    found = fitted(w, model, filtered, smoothing=0.0)
    bits = np.zeros(LENGTH)
    for slate, clicks in zip(w.slate, w.clicks, strict=True):
        last = 0
        chance = found.table[:, 0] * found.attraction[slate]
        for k in range(LENGTH):
            p = found.table[k, last] * found.attraction[slate[k]]
            if filtered and last == 0:  # given that a click comes here or below
                p /= 1 - np.prod(1 - chance[k:])
            bits[k] -= np.log2(p if clicks[k] else 1 - p)
            last = k + 1 if clicks[k] else last
    np.testing.assert_allclose(found.perplexity, 2 ** (bits / len(w.slate)), rtol=1e-9)
    assert found.log_likelihood == pytest.approx(-bits.sum() * np.log(2))
    if model == "pbm":
        assert found.log_likelihood == pytest.approx(found.trace[-1], rel=1e-6)


def test_the_fit_is_the_best_there_is() -> None:
    """No small change of the parameters has a higher likelihood."""
    w = kept(world(flat(PBM), 3000))
    found = fitted(w, "pbm", tolerance=1e-14, iterations=20_000, smoothing=0.0)
    counts = count_arrays(w.slate, w.clicks, ITEMS)

    def likelihood(weights: np.ndarray, attraction: np.ndarray) -> float:
        p = weights * attraction[counts.slates]
        return float(np.log(np.where(w.clicks > 0, p, 1 - p)).sum() - np.log(1 - np.prod(1 - p, axis=1)).sum())

    best, rng = likelihood(found.weights, found.attraction), np.random.default_rng(0)
    assert best == pytest.approx(found.log_likelihood)
    for _ in range(100):
        change = 1 + 1e-3 * rng.standard_normal(LENGTH), 1 + 1e-3 * rng.standard_normal(ITEMS)
        assert likelihood(found.weights * change[0], np.minimum(found.attraction * change[1], 1)) <= best + 1e-6


@pytest.mark.parametrize("length", [1, 20])
def test_any_list_length(length: int) -> None:
    examination = 0.95 ** np.arange(length)
    w = world(flat(examination), 30_000, items=25)
    for model in ("pbm", "ubm"):
        found = fitted(w, model, filtered=False)
        assert found.weights.shape == ((length,) if model == "pbm" else (length, length + 1))
        assert found.converged
    assert np.abs(fitted(w, "pbm", filtered=False).weights / examination - 1).max() < 0.06


def test_more_weight_below_the_first_position_is_told_and_made_a_probability() -> None:
    w = world(flat(np.array([0.4, 0.8, 0.2])), 20_000)
    for name in ("pbm", "ubm"):
        found = fitted(w, name)
        assert found.scale == pytest.approx(2, rel=0.1)
        assert any("Position 2 is examined" in note for note in found.notes)
        assert found.model.weights.max() == 1
        assert (found.attraction * found.scale).max() <= 1
        shown = found.attraction[w.slate[0]] * found.scale
        total, _ = expected(*found.model[:2], shown, np.empty(4), np.empty(3))
        if name == "pbm":
            assert total == pytest.approx(found.weights @ found.attraction[w.slate[0]])


def test_positions_that_share_no_items_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    slate = np.column_stack([rng.integers(0, 3, 4000), rng.integers(3, 6, 4000), rng.integers(6, 9, 4000)])
    slate[:, :2] = np.where(rng.random(4000)[:, None] < 0.5, slate[:, :2], slate[:, 1::-1])
    clicks = (rng.random((4000, 3)) < 0.3).astype(float)
    found = fit_counts(count_arrays(slate, clicks, 10), "pbm")
    assert found.components == ((0, 1), (2,))
    assert found.effective[2] == 0
    assert found.effective[0] == pytest.approx(2000, rel=0.05)  # of 4000 displays of items that are shown as often at 2
    told = " ".join(found.notes)
    assert "2 groups" in told
    assert "positions [3]" in told
    assert "1 of 10 items were never shown" in told
    assert found.attraction[9] == pytest.approx(np.average(found.attraction[:9], weights=found.shown[:9]))
    browsing = fit_counts(count_arrays(slate, clicks, 10), "ubm")
    assert {len(group) for group in browsing.components} == {3}  # (1; none), (2; none), (2; 1) and the three cells of 3


def test_cells_nobody_saw_have_no_estimate_but_policies_get_a_finite_one() -> None:
    w = world(flat(PBM), 3000)
    clicks = w.clicks.copy()
    clicks[:, 1] = 0  # so no last click is at position 2
    clicks[0, 3:] = 0
    found = fitted(w._replace(clicks=clicks), "ubm")
    assert (found.displays[2:, 2] == 0).all()
    assert np.isnan(found.weights[2:, 2]).all()
    assert np.isnan(found.weights).sum() == 4
    assert np.isfinite(found.filled).all() and np.isfinite(found.model.weights).all()
    near = found.weights[2:, [1, 3]]  # of the same position, after a click nearer and farther
    assert ((found.filled[2:, 2] > 0.6 * np.nanmin(near, axis=1)) & (found.filled[2:, 2] < 1.2)).all()
    assert any("4 of 21 cells were never seen" in note for note in found.notes)


def test_smoothing_makes_a_rare_item_a_usual_one_and_is_overwhelmed_by_data() -> None:
    w = world(flat(0.2 * PBM), 20_000)
    plain, weak, strong = (fitted(w, "pbm", smoothing=s) for s in (0.0, 1.0, 1e7))
    np.testing.assert_array_equal(weak.weights, plain.weights)
    np.testing.assert_allclose(weak.attraction, plain.attraction, atol=1e-4)
    np.testing.assert_allclose(fitted(w, "pbm", smoothing=1e-9).attraction, plain.attraction, rtol=1e-3)
    mean = np.average(plain.attraction, weights=plain.shown)
    np.testing.assert_allclose(strong.attraction, mean, rtol=0.01)
    rare = w._replace(attraction=np.append(w.attraction, 0.0), slate=w.slate.copy())
    rare.slate[:3, 0], rare.clicks[:3, 0] = ITEMS, 0  # an item that is shown three times and never clicked
    usual = fitted(rare, "pbm").attraction
    assert fitted(rare, "pbm", smoothing=0.0).attraction[-1] < 1e-3
    assert 0.1 < usual[-1] / usual.mean() < 0.6  # a quarter of its four displays are usual ones


def test_smoothing_is_the_best_attraction_with_the_displays_added() -> None:
    """Of one item, at each position, by a fine search over the log-likelihood written out."""
    displays, clicks = np.array([[7, 3], [5, 5]]), np.array([[2, 1], [0, 1]])
    weights, attraction, nothing = np.array([0.9, 0.4]), np.array([0.5, 0.2]), np.empty((0, 2), np.int32)
    problem = click_em.Problem(displays, clicks, np.full(2, -1), np.arange(2), nothing, np.zeros((2, 2)))
    found = attraction.copy()
    click_em.smooth(problem, weights, found, 1.5)
    a, usual = np.linspace(1e-6, 1 - 1e-6, 1_000_001), 0.35
    for i in range(2):
        value = 1.5 * (usual * np.log(a) + (1 - usual) * np.log(1 - a))
        for c in range(2):
            value += clicks[i, c] * np.log(a) + (displays - clicks)[i, c] * np.log(1 - weights[c] * a)
        assert found[i] == pytest.approx(a[value.argmax()], abs=2e-6)


def folder(tmp_path: Path, w: World, **more: np.ndarray) -> Any:
    half = len(w.slate) // 2
    columns = {"candidates": w.slate[:, ::-1], "slate": w.slate, "clicks": w.clicks, **more}
    parts = [{name: values[rows] for name, values in columns.items()} for rows in (slice(half), slice(half, None))]
    return write(tmp_path / "log", parts, name="clicks", items=ITEMS)


def same(one: Counts, other: Counts) -> None:
    for name in ("displays", "clicks", "last", "slates", "first"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_log_gives_the_counts_of_its_rows(tmp_path: Path) -> None:
    w = world(UBM, 2000)
    examined = np.maximum(w.clicks, np.random.default_rng(1).random(w.clicks.shape) < 0.5)
    log = folder(tmp_path, w, examined=examined)
    same(count(log), count_arrays(w.slate, w.clicks, ITEMS))
    some = slice(301, 1717)
    part = count(log, some.start, some.stop)
    same(part, count_arrays(w.slate[some], w.clicks[some], ITEMS))
    np.testing.assert_array_equal(part.unseen[0], (examined[some] == 0).sum(axis=0))
    clicked = w.clicks[some].any(axis=1)
    np.testing.assert_array_equal(part.unseen[1], (examined[some][clicked] == 0).sum(axis=0))
    one, both = fit(log, "ubm", some.start, some.stop), fit_both(log, some.start, some.stop)
    np.testing.assert_array_equal(one.weights, both[1].weights)
    assert (both[0].name, both[1].name) == ("pbm", "ubm")
    np.testing.assert_array_equal(both[0].weights, fit(log, "pbm", some.start, some.stop).weights)


def test_small_chunks_give_the_same_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w = kept(world(UBM, 3000))
    log = folder(tmp_path, w)
    whole, read = count(log, 100, 2000), type(log).read
    monkeypatch.setattr(type(log), "read", lambda self, **more: read(self, chunk_bytes=10_000, **more))
    same(count(log, 100, 2000), whole)
    assert len(whole.slates) == 1900


def test_lists_are_kept_only_while_they_are_needed() -> None:
    w = world(UBM, 2000)
    assert len(count_arrays(w.slate, w.clicks, ITEMS).slates) == 0
    part = kept(w)
    counts = count_arrays(part.slate, part.clicks, ITEMS)
    np.testing.assert_array_equal(counts.slates, part.slate)
    np.testing.assert_array_equal(counts.first, part.clicks.argmax(axis=1))
    assert len(count_arrays(part.slate, part.clicks, ITEMS, filtered=False).slates) == 0


def test_plain_python_counts_and_steps_like_the_compiled_kernels() -> None:
    w = kept(world(UBM, 60))
    results = []
    for plain in (False, True):
        call: Callable[[Any], Any] = (lambda k: getattr(k, "py_func", k)) if plain else (lambda k: k)
        cells = LENGTH * (LENGTH + 1) // 2
        tables = np.zeros((2, ITEMS, cells), np.int64)
        last, first, ends = np.zeros(LENGTH + 1, np.int64), np.empty(60, np.int64), np.zeros(2, np.int64)
        call(click_counts._add)(w.slate, w.clicks, tables[0], tables[1], last, first, ends)
        row, column = np.tril_indices(LENGTH)
        none = np.arange(LENGTH) * np.arange(1, LENGTH + 1) // 2
        problem = click_em.Problem(
            tables[0], tables[1], np.where(column == 0, row, -1), none, w.slate, np.zeros((ITEMS, LENGTH))
        )
        better, nicer = np.empty(cells), np.empty(ITEMS)
        value = call(click_em.step)(problem, np.full(cells, 0.4), np.full(ITEMS, 0.3), better, nicer)
        results.append([tables, last, ends, first[: len(w.slate)], better, nicer, problem.removed, value])
    for compiled, plain_value in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, plain_value, rtol=1e-12)


def test_what_cannot_be_fitted_is_told(tmp_path: Path) -> None:
    w = world(UBM, 200)
    log = folder(tmp_path, w)
    rewards = write(tmp_path / "rewards", [{"rewards": np.zeros((3, 2))}], name="rewards", items=2)
    nothing, low = np.zeros((5, 2)), np.array([[0.0, 1.0]] * 5)
    pair = np.tile([0, 1], (5, 1))
    for wrong, kind, words in (
        (lambda: fit(rewards), ConfigError, "its columns are rewards"),
        (lambda: fit(log, "dbn"), ConfigError, "'dbn'; there are pbm and ubm"),
        (lambda: fit(log, start=5, stop=5), ConfigError, "rows 5 to 5"),
        (lambda: fit(log, stop=201), ConfigError, "rows 0 to 201"),
        (lambda: fit(log, filtered=True), ConfigError, "have no click"),
        (lambda: fit(log, tolerance=0.0), ConfigError, "tolerance > 0"),
        (lambda: fit(log, smoothing=-1.0), ConfigError, "smoothing >= 0"),
        (lambda: count_arrays(pair, nothing, 2), DataError, "no record has a click"),
        (lambda: count_arrays(pair[:0], nothing[:0], 2), DataError, "no records"),
        (lambda: count_arrays(pair, nothing[:, :1], 2), ConfigError, "both"),
        (lambda: count_arrays(pair, nothing, 1), DataError, "items 0 to 1"),
        (lambda: fit_counts(count_arrays(pair, low, 2), "pbm"), DataError, "no record has a click at position 1"),
        (lambda: fit_counts(count_arrays(pair[:, :1], low[:, 1:], 2, True), "pbm"), ConfigError, "one position"),
    ):
        with pytest.raises(kind, match=words):
            wrong()
