"""The worked cases of lists, streamed sums against the array forms, and cascade-DR in an enumerated world."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from lersbench.clicks import model as click_model
from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy import propensity, slates
from lersbench.offpolicy.cascade_model import Lists, cascade_model
from lersbench.offpolicy.folds import folds_of
from lersbench.offpolicy.sums import Settings, Sums, add, importance_weights, new_sums, six
from tests.offpolicy.test_slate_twins import ITEMS, LISTS, SLOTS, UNIFORM, World, sampled, world_of
from tests.support import slate_twins as twins

# Three items, two places, uniform order; the target shows (0, 1) for sure. Logged: (0, 1), (0, 2), (1, 0).
SHOWN = np.array([[0, 1], [0, 2], [1, 0]])
CLICKS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
FIRST_CLICKS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
EDGES = np.arange(0, 7, 2)


def summed(w: np.ndarray, r: np.ndarray, p: np.ndarray, most: float = 1.0) -> Sums:
    sums = new_sums(Settings(0.0, most))
    add(sums, w, r, p, np.arange(len(w)))
    return sums


def ips(sums: Sums) -> float:
    return six(sums).r1 / six(sums).n


def prefixes_of_the_case() -> np.ndarray:
    """W_k of the three logged lists: the target's prefix chance, 1 or 0, over 1/3 and 1/6."""
    steps = (SHOWN == [0, 1]).astype(float).reshape(-1)
    chance = slates.running_product(steps, EDGES)
    return importance_weights(chance, np.tile([1 / 3, 1 / 6], 3)).reshape(3, 2)


@pytest.mark.parametrize(("clicks", "sips", "rips"), [(CLICKS, 2, 1), (FIRST_CLICKS, 2, 1)])
def test_three_logged_lists_by_hand(clicks: np.ndarray, sips: float, rips: float) -> None:
    w = prefixes_of_the_case()
    np.testing.assert_allclose(w, [[3, 6], [3, 0], [0, 0]])
    assert ips(summed(w[:, 1], clicks.sum(1), np.full(3, 1 / 6), 2.0)) == pytest.approx(sips)
    by_place = [summed(w[:, k], clicks[:, k], np.full(3, (1 / 3, 1 / 6)[k])) for k in range(2)]
    assert sum(map(ips, by_place)) == pytest.approx(rips)


def test_item_position_weights_by_hand_and_the_membership_fault() -> None:
    """With the chance to be in the list, 2/3, in the place of that to be at the position, 1/3, half is lost."""
    at = (SHOWN == [0, 1]).astype(float)
    for chance, value in ((1 / 3, 1.0), (2 / 3, 0.5)):
        by_place = [summed(at[:, k] / chance, CLICKS[:, k], np.full(3, chance)) for k in range(2)]
        assert sum(map(ips, by_place)) == pytest.approx(value)


def test_first_clicks_of_ragged_lists() -> None:
    edges = np.array([0, 2, 3, 6])
    np.testing.assert_array_equal(slates.first_only(np.array([1.0, 1, 0, 0, 1, 1]), edges), [1, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(slates.first_only(CLICKS.reshape(-1), EDGES).reshape(3, 2), FIRST_CLICKS)


def test_products_end_with_their_list() -> None:
    values = np.array([0.5, 0.5, 0.25, 1.0, 0.5, 0.5])
    np.testing.assert_array_equal(
        slates.running_product(values, np.array([0, 2, 3, 6])), [0.5, 0.25, 0.25, 1.0, 0.5, 0.25]
    )


# Sums against arrays --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("clip", [np.inf, 1.5])
def test_sums_of_places_are_the_array_forms(clip: float) -> None:
    w = sampled(world_of("ubm", 3), 200, 1)
    target, logging = w.prefix(w.target), w.prefix(w.logging)
    whole = twins.sips(w.clicks, target[:, -1], logging[:, -1], clip)
    ratio = np.minimum(target / logging, clip)
    assert ips(summed(ratio[:, -1], w.clicks.sum(1), logging[:, -1], SLOTS)) == pytest.approx(whole.value(), rel=1e-12)
    marginal = [w.marginals(p)[np.arange(SLOTS), w.slates] for p in (w.target, w.logging)]
    for form, t, p in ((twins.rips, target, logging), (twins.iips, *marginal)):
        twin, weights = form(w.clicks, t, p, clip), np.minimum(t / p, clip)
        sums = [summed(weights[:, k], w.clicks[:, k], p[:, k]) for k in range(SLOTS)]
        assert sum(map(ips, sums)) == pytest.approx(twin.value(), rel=1e-12)
        own = sum(six(one).r1 / six(one).s1 for one in sums)
        assert own == pytest.approx(twin.value(normalised=True), rel=1e-12)


def rows_exposed(w: World, lists: np.ndarray, clip: float = np.inf) -> np.ndarray:
    """(n, 7) of all outcomes of a world, by the lists (draws, 3) that the target shows whatever was logged."""
    n, table = len(w.which), w.model.weights[None]
    out, first = np.empty((n, 7)), np.arange(n + 1) * ITEMS
    shown = np.repeat(lists[:, None], n, axis=1).reshape(len(lists), -1)
    known = np.tile(w.exposures(w.logging), n), np.tile(w.attraction, n), np.zeros(n, np.int64)
    clicks = w.clicks.astype(float).reshape(-1)
    slates.exposed(
        shown, np.arange(n + 1) * SLOTS, first, w.slates.reshape(-1), clicks, clicks, *known, table, clip, out
    )
    return out


@pytest.mark.parametrize("kind", ["pbm", "ubm"])
@pytest.mark.parametrize("clip", [np.inf, 1.3])
def test_click_model_rows_are_the_array_forms(kind: str, clip: float) -> None:
    w = world_of(kind, 5)
    chosen = [3, 11]
    target = np.zeros(len(LISTS))
    target[chosen] = 0.5
    found = rows_exposed(w._replace(target=target), LISTS[chosen], clip)
    exposure = [w.exposures(one) for one in (target, w.logging)]
    seen = twins.by_candidate(twins.examination_above(w.model, w.clicks), w.slates, ITEMS)
    parts = [np.eye(len(LISTS))[c] for c in chosen]  # each draw is clipped by itself
    alone = [twins.pbm_ips(w.by_candidate(w.clicks), w.exposures(one), exposure[1], seen, clip) for one in parts]
    np.testing.assert_allclose(found[:, slates.VALUE], np.mean([one.values for one in alone], axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        found[:, slates.WEIGHT], np.mean([one.weights.sum(1) for one in alone], axis=0), rtol=1e-12
    )
    assert (found[:, slates.VALUE] <= found[:, slates.MOST] + 1e-12).all()
    assert (found[:, slates.WEIGHT] <= found[:, slates.UNCUT] + 1e-12).all()
    if clip == np.inf:
        truth = w._replace(target=target).truth()[0]
        assert w.chance @ found[:, slates.VALUE] == pytest.approx(truth, abs=1e-12)
        assert w.chance @ found[:, slates.CONTROL] == pytest.approx(found[0, slates.GOAL], abs=1e-12)
        some = found[:, slates.UNCUT] > 0
        mean = found[some, slates.MATCHED] / found[some, slates.UNCUT]
        assert ((mean >= exposure[1].min() - 1e-12) & (mean <= exposure[1].max() + 1e-12)).all()


def test_uniform_exposures_of_24_candidates_are_those_of_the_sets_way_of_few() -> None:
    model = click_model.ubm(np.random.default_rng(0).random((3, 4)))
    attraction = np.random.default_rng(1).random((1, 6))
    np.testing.assert_allclose(
        propensity.uniform_exposures(model, attraction), propensity.exposures(model, np.zeros((1, 6)), attraction)
    )
    assert propensity.uniform_exposures(model, np.full((1, 24), 0.5)).shape == (1, 24)


# PI -------------------------------------------------------------------------------------------------------------------
def test_pseudo_inverse_weights_by_hand() -> None:
    logged = [(0, 1), (0, 2), (1, 0), (2, 1), (1, 2), (2, 0)]
    placed = np.array([(a == 0) + (b == 1) for a, b in logged])
    shown = np.array([len({0, 1} & set(one)) for one in logged])
    w = slates.pi_weights(placed, shown, candidates=3, positions=2)
    np.testing.assert_allclose(w, [5, 1, 1, 1, -1, -1], atol=1e-12)
    assert w.mean() == pytest.approx(1)
    assert (w[:3] * CLICKS.sum(1)).mean() == pytest.approx(8 / 3)


@pytest.mark.parametrize(("candidates", "positions"), [(1, 1), (4, 1), (3, 3), (4, 3), (5, 2), (6, 4)])
def test_pseudo_inverse_weights_are_those_of_the_matrix(candidates: int, positions: int) -> None:
    rng = np.random.default_rng(candidates)
    lists = np.array(list(permutations(range(candidates), positions)))
    target = rng.dirichlet(np.ones(len(lists)))
    q = np.zeros((positions, candidates))
    for chance, one in zip(target, lists, strict=True):
        q[np.arange(positions), one] += chance
    placed = q[np.arange(positions), lists].sum(axis=1)
    found = slates.pi_weights(placed, q.sum(axis=0)[lists].sum(axis=1), candidates, positions)
    matrix = twins.pi(np.ones((len(lists), positions)), lists, q).weights[:, 0]
    np.testing.assert_allclose(found, matrix, atol=1e-9)
    worth = rng.normal(size=(positions, candidates))[np.arange(positions), lists].sum(axis=1)
    assert (found * worth).mean() == pytest.approx(target @ worth)  # a sum over pairs is met exactly


def test_pseudo_inverse_needs_as_many_candidates_as_positions() -> None:
    with pytest.raises(ConfigError, match="5 positions"):
        slates.pi_weights(np.ones(1), np.ones(1), 4, 5)


def test_independent_slots_by_hand() -> None:
    ratios = np.array([[1 / 0.5, 0.5 / 0.25], [2.0, 0.0]])
    w = slates.slot_weights(ratios)
    np.testing.assert_allclose(w, [3, 1])
    assert (w * [2, 1]).mean() == 7 / 2


# Cascade-DR -----------------------------------------------------------------------------------------------------------
def test_cascade_dr_by_hand() -> None:
    found = slates.cascade_dr([[2.0, 4.0]], [[0.0, 1.0]], [[0.5, 0.3]], [[0.6, 0.25]])
    assert found == pytest.approx([29 / 10])


def test_cascade_dr_ends_where_the_target_leaves_the_logged_list() -> None:
    q, ahead = np.array([[0.5, 9.0, 9.0]]), np.array([[0.6, 0.25, 9.0]])
    found = slates.cascade_dr([[2.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]], q, ahead)
    assert found == pytest.approx([2 * (1 - 0.5) + 0.6 + 2 * 0.25])


def test_cascade_dr_without_a_model_is_rips() -> None:
    w = sampled(world_of("ubm", 3), 50, 2)
    ratio = w.prefix(w.target) / w.prefix(w.logging)
    none = np.zeros(ratio.shape)
    np.testing.assert_allclose(
        slates.cascade_dr(ratio, w.clicks, none, none), (ratio * w.clicks).sum(axis=1), rtol=1e-12
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_cascade_dr_is_unbiased_with_any_model(seed: int) -> None:
    w, rng = world_of("ubm", seed), np.random.default_rng(seed)
    table = {prefix: rng.normal() for k in range(1, SLOTS + 1) for prefix in permutations(range(ITEMS), k)}
    chance = {prefix: below(w.target, prefix) for prefix in [*table, ()]}
    q, ahead = np.zeros(w.clicks.shape), np.zeros(w.clicks.shape)
    for i, items in enumerate(w.slates.tolist()):
        for k in range(SLOTS):
            above = tuple(items[:k])
            q[i, k] = table[*above, items[k]]
            if chance[above] > 0:
                left = [a for a in range(ITEMS) if a not in above]
                ahead[i, k] = sum(chance[*above, a] / chance[above] * table[*above, a] for a in left)
    ratio = w.prefix(w.target) / w.prefix(w.logging)
    assert w.chance @ slates.cascade_dr(ratio, w.clicks, q, ahead) == pytest.approx(w.truth()[0], abs=1e-12)


def below(policy: np.ndarray, prefix: tuple[int, ...]) -> float:
    """P(a list of the policy begins with this prefix)."""
    return float(policy[(LISTS[:, : len(prefix)] == prefix).all(axis=1)].sum())


# Its model ------------------------------------------------------------------------------------------------------------
def lists_of(w: World, chances: np.ndarray) -> Lists:
    n = len(w.which)
    return Lists(np.empty((n, 0)), np.tile(np.arange(ITEMS), (n, 1)), w.slates, w.clicks, chances, np.arange(n))


def chances_below(w: World) -> np.ndarray:
    """(n, 3, 4) P(the target puts each item at k | the logged items above); 0 where these are not its own."""
    by_list = np.zeros((len(LISTS), SLOTS, ITEMS))
    for i, items in enumerate(LISTS.tolist()):
        for k in range(SLOTS):
            if (reached := below(w.target, tuple(items[:k]))) > 0:
                for a in set(range(ITEMS)) - set(items[:k]):
                    by_list[i, k, a] = below(w.target, (*items[:k], a)) / reached
    return by_list[w.which]


@pytest.mark.parametrize("sure", [True, False])
def test_the_model_takes_variance_from_rips_and_no_truth(sure: bool) -> None:
    """Over 40 logs of a user browsing world: unbiased, with less scatter than RIPS; also for a sure target."""
    w = world_of("ubm", 2, UNIFORM)
    if sure:
        w = w._replace(target=np.eye(len(LISTS))[9])
    errors = []
    for seed in range(40):
        log = sampled(w, 400, seed)
        ratio = log.prefix(log.target) / log.prefix(log.logging)
        q, ahead = cascade_model(lists_of(log, chances_below(log)), ITEMS)
        rows = slates.cascade_dr(ratio, log.clicks, q, ahead), (ratio * log.clicks).sum(axis=1)
        errors.append([row.mean() - w.truth()[0] for row in rows])
    mean, spread = np.mean(errors, axis=0), np.std(errors, axis=0)
    assert (np.abs(mean) < 3 * spread / np.sqrt(40)).all()
    assert spread[0] < 0.9 * spread[1]


def test_the_model_of_one_place_by_hand() -> None:
    """The model that predicts a fold is the mean of the other by item."""
    rng = np.random.default_rng(0)
    n = 4000
    slate, keys = rng.integers(2, size=(n, 1)), np.arange(n)
    clicks = (rng.random((n, 1)) < np.array([0.8, 0.3])[slate]).astype(float)
    chances = np.tile([0.25, 0.75], (n, 1, 1))
    lists = Lists(np.empty((n, 0)), np.tile([0, 1], (n, 1)), slate, clicks, chances, keys)
    q, ahead = cascade_model(lists, 2, model="ridge", folds=2)
    fold = folds_of(keys, 2)
    for f in range(2):
        others = fold != f
        means = [clicks[others & (slate[:, 0] == a), 0].mean() for a in range(2)]
        for a in range(2):
            np.testing.assert_allclose(q[(fold == f) & (slate[:, 0] == a), 0], means[a], atol=2e-3)
        np.testing.assert_allclose(ahead[fold == f, 0], 0.25 * means[0] + 0.75 * means[1], atol=2e-3)


def test_items_are_no_numbers_and_may_come_by_their_features() -> None:
    """The middle item of three is the best, which no line through their numbers says; nor do features that hide it."""
    rng = np.random.default_rng(1)
    n = 3000
    slate = np.argsort(rng.random((n, 3)), axis=1)[:, :2]
    clicks = (rng.random((n, 2)) < np.array([0.1, 0.9, 0.1])[slate]).astype(float)
    chances = np.zeros((n, 2, 3))
    chances[:, 0, 1] = 1
    chances[slate[:, 0] == 1, 1, 0] = 1  # elsewhere the target never is
    lists = Lists(np.empty((n, 0)), np.tile([0, 1, 2], (n, 1)), slate, clicks, chances, np.arange(n))
    _, ahead = cascade_model(lists, 3)
    assert ahead[:, 0].mean() == pytest.approx(0.9 + 0.1, abs=0.06)
    assert (ahead[slate[:, 0] != 1, 1] == 0).all()
    _, blind = cascade_model(lists, 3, features=np.array([[0.0], [1.0], [0.0]]))
    assert blind[:, 0].mean() == pytest.approx(1.0, abs=0.06)


def test_the_model_refuses_what_it_cannot_use() -> None:
    w = sampled(world_of("ubm", 2, UNIFORM), 60, 0)
    lists = lists_of(w, chances_below(w))
    with pytest.raises(ConfigError, match="folds = 1"):
        cascade_model(lists, ITEMS, folds=1)
    with pytest.raises(ConfigError, match="60 lists of 3"):
        cascade_model(lists._replace(rewards=w.clicks[:, :2]), ITEMS)
    wrong = lists.chances.copy()
    wrong[5, 1] *= 0.5
    with pytest.raises(DataError, match=r"list 5, place 1: .* sum to 0\.5"):
        cascade_model(lists._replace(chances=wrong), ITEMS)
