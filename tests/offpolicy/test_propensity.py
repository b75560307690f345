"""Placement and exposure under Plackett-Luce logging, against the sum over all lists written out."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from lersbench.clicks import model as click_model
from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy import propensity


def lists_of(scores: np.ndarray) -> list[tuple[float, tuple[int, ...]]]:
    """Every ranking of the candidates with its probability, from the definition."""
    worth, found = np.exp(scores), []
    for order in permutations(range(len(scores))):
        chance = 1.0
        for k, c in enumerate(order):
            chance *= worth[c] / sum(worth[d] for d in order[k:])
        found.append((chance, order))
    return found


def naive_exposure(model: click_model.ClickModel, scores: np.ndarray, attraction: np.ndarray) -> np.ndarray:
    """sum over lists and over click vectors of P(list) P(clicks above) P(examined): no recursion over last clicks."""
    out, positions = np.zeros(len(scores)), len(model.weights)

    def walk(k: int, last: int, chance: float, order: tuple[int, ...]) -> None:
        if k == positions:
            return
        looks = chance * model.weights[k, last]
        out[order[k]] += looks
        click = looks * attraction[order[k]]
        walk(k + 1, k + 1, click * model.goes_on[k], order)
        walk(k + 1, last, chance - click, order)

    for chance, order in lists_of(scores):
        walk(0, 0, chance, order)
    return out


def test_placement_is_the_sum_over_all_lists() -> None:
    scores = np.random.default_rng(1).normal(size=(6, 5)) * 2
    for row, found in zip(scores, propensity.placements(scores), strict=True):
        truth = np.zeros((5, 5))
        for chance, order in lists_of(row):
            truth[list(order), range(5)] += chance
        np.testing.assert_allclose(found, truth, rtol=1e-12)


def test_placement_of_two_by_hand() -> None:
    found = propensity.placements(np.array([[np.log(3.0), 0.0]]))[0]
    np.testing.assert_allclose(found, [[0.75, 0.25], [0.25, 0.75]], rtol=1e-15)


@pytest.mark.parametrize("candidates", [1, 2, 3, 8, 12])
def test_rows_and_columns_of_placement_sum_to_one(candidates: int) -> None:
    scores = np.random.default_rng(candidates).normal(size=(3, candidates)) * 3
    found = propensity.placements(scores)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=2), 1, rtol=1e-12)
    assert (found >= 0).all()


def test_equal_scores_are_placed_uniformly_to_the_last_bit() -> None:
    assert (propensity.placements(np.full((2, 12), -3.7)) == 1 / 12).all()


def test_first_place_stays_exact_for_tiny_weights() -> None:
    found = propensity.placements(np.array([[0.0, -400.0, -401.0]]))[0]
    np.testing.assert_allclose(found[1:, 0], np.exp([-400.0, -401.0]), rtol=1e-12)
    np.testing.assert_allclose(found[1, 1], 1 / (1 + np.exp(-1)), rtol=1e-12)


def random_model(rng: np.random.Generator, positions: int) -> click_model.ClickModel:
    return click_model.ubm(rng.random((positions, positions + 1)))._replace(goes_on=rng.random(positions))


@pytest.mark.parametrize(("candidates", "positions"), [(1, 1), (2, 2), (4, 4), (4, 3), (5, 2)])
def test_exposure_is_the_sum_over_all_lists_and_clicks(candidates: int, positions: int) -> None:
    rng = np.random.default_rng(candidates)
    scores, attraction = rng.normal(size=(3, candidates)), rng.random((3, candidates))
    for model in (
        random_model(rng, positions),
        click_model.ubm(rng.random((positions, positions + 1))),
        click_model.cascade(positions),
        click_model.pbm(rng.random(positions)),
    ):
        found = propensity.exposures(model, scores, attraction)
        truth = [naive_exposure(model, s, a) for s, a in zip(scores, attraction, strict=True)]
        np.testing.assert_allclose(found, truth, rtol=1e-11)


def test_uniform_logging_exposes_all_alike_under_the_position_based_model() -> None:
    examination = np.array([1.0, 0.5, 0.25])
    found = propensity.exposures(click_model.pbm(examination), np.zeros((2, 5)))
    np.testing.assert_allclose(found, 1.75 / 5, rtol=1e-15)


def test_the_position_based_model_is_a_user_browsing_model() -> None:
    rng = np.random.default_rng(5)
    e, scores, attraction = rng.random(8), rng.normal(size=8), rng.random(8)
    model = click_model.pbm(e)
    found, out = propensity.exposures(model, scores[None])[0], np.empty(8)
    scratch, paths = propensity.working_memory(8), propensity.path_memory(8, 8)
    propensity.exposure_ubm(np.exp(scores), model.weights, model.goes_on, attraction, scratch, paths, out)
    np.testing.assert_allclose(out, found, rtol=1e-12)


def test_working_memory_carries_nothing_from_record_to_record() -> None:
    rng = np.random.default_rng(6)
    model, scores, attraction = random_model(rng, 4), rng.normal(size=(9, 6)), rng.random((9, 6))
    together = propensity.exposures(model, scores, attraction, threads=1)
    alone = [propensity.exposures(model, s[None], a[None])[0] for s, a in zip(scores, attraction, strict=True)]
    np.testing.assert_array_equal(together, alone)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propensity, "BLOCK", 7)
    rng = np.random.default_rng(7)
    model, scores, attraction = random_model(rng, 5), rng.normal(size=(50, 5)), rng.random((1, 5))
    one, four = (propensity.exposures(model, scores, attraction, threads=t) for t in (1, 4))
    np.testing.assert_array_equal(one, four)
    one, four = (propensity.sampled_exposures(model, scores, attraction, 20, threads=t) for t in (1, 4))
    np.testing.assert_array_equal(one, four)


def test_sampled_exposures_come_near_the_exact_ones() -> None:
    rng = np.random.default_rng(8)
    model, scores, attraction = random_model(rng, 3), rng.normal(size=(2, 6)), rng.random((2, 6))
    exact = propensity.exposures(model, scores, attraction)
    found = propensity.sampled_exposures(model, scores, attraction, 20_000, seed=1)
    assert np.abs(found - exact).max() < 5 * 0.5 / np.sqrt(20_000)
    assert not np.array_equal(found, propensity.sampled_exposures(model, scores, attraction, 20_000, seed=2))


def test_lists_are_drawn_with_their_probability() -> None:
    rng, scores = np.random.default_rng(9), np.array([0.3, -0.5, 1.0])
    counts = dict.fromkeys(permutations(range(3)), 0)
    slate = np.empty(3, np.int64)
    for _ in range(20_000):
        propensity.draw_list(np.exp(scores), rng, np.empty(3), slate)
        counts[tuple(slate.tolist())] += 1
    for chance, order in lists_of(scores):
        assert counts[order] / 20_000 == pytest.approx(chance, abs=5 * np.sqrt(chance / 20_000))


def test_prefixes_are_the_sums_of_their_lists() -> None:
    scores = np.random.default_rng(10).normal(size=4)
    slate = np.array([[2, 0, 3]])
    truth = [sum(p for p, order in lists_of(scores) if order[:k] == (2, 0, 3)[:k]) for k in (1, 2, 3)]
    np.testing.assert_allclose(propensity.prefixes(scores[None], slate)[0], truth, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 600.0])
def test_scores_without_meaning_are_refused_with_their_row(bad: float) -> None:
    scores = np.zeros((3, 4))
    scores[1, 2] = bad
    with pytest.raises(DataError, match="row 1"):
        propensity.placements(scores)


def test_what_cannot_be_computed_is_refused() -> None:
    pbm, ubm = click_model.pbm(np.ones(3)), click_model.ubm(np.tril(np.random.default_rng(0).random((3, 4))))
    with pytest.raises(ConfigError, match="at most 16 candidates"):
        propensity.placements(np.zeros((1, 17)))
    with pytest.raises(ConfigError, match="3 positions for 2 candidates"):
        propensity.exposures(pbm, np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="need the attraction"):
        propensity.exposures(ubm, np.zeros((1, 3)))
    with pytest.raises(ConfigError, match="fade"):
        propensity.exposures(ubm._replace(fade=0.5), np.zeros((1, 3)), np.zeros((1, 3)))
    with pytest.raises(DataError, match=r"row 0, candidate 1 is 1\.5"):
        propensity.exposures(ubm, np.zeros((1, 3)), np.array([[0.0, 1.5, 0.0]]))
    with pytest.raises(ConfigError, match="at least one list"):
        propensity.sampled_exposures(ubm, np.zeros((1, 3)), np.zeros((1, 3)), lists=0)
