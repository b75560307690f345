"""The learners of positions, and every policy made of them, beside their definitions written out plainly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError
from lersbench.kernels import vectors
from lersbench.learners import per_position
from lersbench.policies import iba_hybrid_sw
from lersbench.policies.iba_hybrid_sw import IBAHybridSW
from lersbench.policies.iba_linucb import IBALinUCB
from lersbench.policies.iba_linucb_sw import IBALinUCBSW
from lersbench.policies.rba_linucb import RBALinUCB
from lersbench.policy import KernelPolicy, Round, Spec

WEIGHT = np.array([1.0, 0.7, 0.45, 0.2])
WIDE, ITEMS, K, M = 6, 9, 3, 4
SPEC = Spec(ITEMS, WIDE, K, 0, M, items=np.random.default_rng(9).random((ITEMS, 3)), examination=WEIGHT)


@pytest.mark.parametrize(("learners", "m", "blocks"), [(1, 1, 1), (2, 5, 2), (6, 10, 2), (9, 3, 3), (16, 7, 5)])
def test_triangles_in_vector_instructions_give_the_bits_of_the_plain_loops(learners: int, m: int, blocks: int) -> None:
    rng = np.random.default_rng(m)
    groups = vectors.padded(learners) // 8
    triangles = rng.standard_normal((groups, 8 * vectors.triangle_size(m)))
    halves = np.zeros((groups * 8, m, m))
    halves[:, *np.triu_indices(m)] = triangles.reshape(groups, -1, 8).transpose(0, 2, 1).reshape(groups * 8, -1)
    lanes = rng.standard_normal((blocks, 8 * m))
    x = lanes.reshape(blocks, m, 8).transpose(0, 2, 1).reshape(-1, m)
    for first, last, used in ((0, learners, m), (learners - 1, learners, m), (0, learners, m // 2)):
        fast, slow = np.zeros((learners, 8 * blocks)), np.zeros((learners, 8 * blocks))
        vectors.triangle_forms(triangles, first, last, lanes, used, fast)
        vectors.triangle_forms_loop(triangles, first, last, lanes, used, slow)
        np.testing.assert_array_equal(fast, slow)
        forms = np.einsum("kij,ci,cj->kc", halves[first:last, :used, :used], x[:, :used], x[:, :used])
        np.testing.assert_allclose(fast[first:last], forms, atol=1e-10)
        assert not np.delete(fast, np.s_[first:last], axis=0).any()

    last = groups - 1
    y, fast, slow = rng.standard_normal(8 * m), rng.standard_normal(8 * m), rng.standard_normal(8 * m)
    vectors.triangle_times(triangles, last, y, fast)
    vectors.triangle_times_loop(triangles, last, y, slow)
    np.testing.assert_array_equal(fast, slow)
    full = (halves + halves.transpose(0, 2, 1))[8 * last :]
    columns = y.reshape(m, 8).T
    np.testing.assert_allclose(fast.reshape(m, 8).T, np.einsum("lij,lj->li", full, columns), atol=1e-10)

    one, other = triangles.copy(), triangles.copy()
    vectors.triangle_take(one, last, y)
    vectors.triangle_take_loop(other, last, y)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one[:last], triangles[:last])
    less = np.einsum("li,lj->lij", columns, columns) * (1 - 0.5 * np.eye(m))
    entries = (halves[8 * last :] - less)[:, *np.triu_indices(m)]
    np.testing.assert_allclose(one[last].reshape(-1, 8).T, entries, atol=1e-10)


@pytest.mark.parametrize("rows", [0, 1, 7, 56])
def test_sums_and_multiples_of_lanes_give_the_bits_of_the_plain_loops(rows: int) -> None:
    rng = np.random.default_rng(rows)
    left, right, eight = rng.standard_normal(8 * rows), rng.standard_normal(8 * rows), rng.standard_normal(8)
    dots = (left * right).reshape(rows, 8).sum(axis=0)
    for name, wanted in (("add_dots", eight + dots), ("take_dots", eight - dots)):
        fast, slow = eight.copy(), eight.copy()
        getattr(vectors, name)(left, right, fast)
        getattr(vectors, f"{name}_loop")(left, right, slow)
        np.testing.assert_array_equal(fast, slow)
        np.testing.assert_allclose(fast, wanted, atol=1e-12)
    fast, slow = right.copy(), right.copy()
    vectors.add_scaled(left, eight, fast)
    vectors.add_scaled_loop(left, eight, slow)
    np.testing.assert_array_equal(fast, slow)
    np.testing.assert_array_equal(fast.reshape(rows, 8), right.reshape(rows, 8) + left.reshape(rows, 8) * eight)
    vectors.scale_lanes(eight, fast)
    vectors.scale_lanes_loop(eight, slow)
    np.testing.assert_array_equal(fast, slow)


class Dense:
    """Ridge regression with A and b in full: A += w^2 x x', b += w r x."""

    def __init__(self, width: int, ridge: float = 1.0):
        self.A, self.b = ridge * np.eye(width), np.zeros(width)

    def bounds(self, x: np.ndarray, alpha: float) -> np.ndarray:
        inverse = np.linalg.inv(self.A)
        return x @ inverse @ self.b + alpha * np.sqrt(np.einsum("ci,ij,cj->c", x, inverse, x))

    def learn(self, x: np.ndarray, reward: float, weight: float = 1.0) -> None:
        self.A += weight**2 * np.outer(x, x)
        self.b += weight * reward * x


@pytest.mark.parametrize(("learners", "m"), [(4, 5), (11, 3)])
def test_weighted_recursions_equal_explicit_inverses(learners: int, m: int) -> None:
    rng = np.random.default_rng(m)
    weight = rng.random(learners)
    bank, dense = per_position.new_learners(weight, 12, m, 0.3, 0.5), [Dense(m, 0.5) for _ in range(learners)]
    np.testing.assert_array_equal(per_position.inverses(bank), np.tile(2.0 * np.eye(m), (learners, 1, 1)))
    for _ in range(200):
        x, rewards, seen = rng.standard_normal((12, m)), rng.random(learners), rng.random(learners) < 0.7
        slate = rng.permutation(12)[:learners]
        per_position.learn(bank, x, slate, rewards, seen)
        for k in np.flatnonzero(seen):
            dense[k].learn(x[slate[k]], rewards[k], weight[k])
    for k in range(learners):
        inverse = np.linalg.inv(dense[k].A)
        assert abs(per_position.inverses(bank)[k] - inverse).max() < 1e-10
        assert abs(per_position.estimates(bank)[k] - inverse @ dense[k].b).max() < 1e-10


class Game:
    """A policy with its state, shown random rounds of which it sees about four in five positions."""

    def __init__(self, policy: KernelPolicy, spec: Spec = SPEC, seed: int = 0):
        self.policy, self.spec = policy, spec
        self.state: Any = policy.init(spec)
        self.rng, self.own = np.random.default_rng(seed), np.random.default_rng(seed + 1)

    def round(self, t: int) -> tuple[Round, np.ndarray]:
        spec = self.spec
        x = self.rng.random((spec.n_candidates, spec.m))
        if t % 7 == 3:
            x[self.rng.integers(len(x))] = 0.0
        candidates = self.rng.permutation(spec.n_items)[: spec.n_candidates]
        outputs = np.zeros(len(x)), np.zeros(spec.slate), np.zeros(spec.slate, np.int64)
        round, slate = Round(t, -1, np.zeros(0), candidates, x, t, *outputs), np.zeros(spec.slate, np.int64)
        self.policy.select(self.state, self.own, round, slate)
        assert np.unique(slate).size == spec.slate
        return round, slate

    def answer(self, round: Round, slate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = self.spec.slate
        rewards, seen = (self.rng.random(size) < 0.4) * 1.0, self.rng.random(size) < 0.8
        self.policy.update(self.state, round, slate, rewards, seen)
        return rewards, seen


def assert_best(bounds: np.ndarray, slate: np.ndarray, k: int) -> None:
    """The item in position k is a best one among those not above it, up to rounding."""
    pool = np.setdiff1d(np.arange(len(bounds)), slate[:k])
    assert slate[k] in pool
    assert bounds[slate[k]] >= bounds[pool].max() - 1e-9


def assert_learners(state: Any, k: int, slate: np.ndarray, bounds: np.ndarray) -> None:
    """The bounds that position k was filled by; those taken above are marked."""
    pool = np.setdiff1d(np.arange(len(bounds)), slate[:k])
    assert abs(state.learners.bounds[k, pool] - bounds[pool]).max() < 1e-10


def test_sample_weights_follow_the_definition() -> None:
    game, dense = Game(IBALinUCBSW(0.4, 0.8)), [Dense(M, 0.8) for _ in range(K)]
    for t in range(200):
        round, slate = game.round(t)
        for k in range(K):
            bounds = dense[k].bounds(round.features, 0.4)
            assert_best(bounds, slate, k)
            assert_learners(game.state, k, slate, bounds)
        np.testing.assert_allclose(round.scores, bounds, atol=1e-10)
        rewards, seen = game.answer(round, slate)
        for k in np.flatnonzero(seen):
            dense[k].learn(round.features[slate[k]], rewards[k], WEIGHT[k])


@pytest.mark.parametrize("weight", [0.9, 0.3])
def test_a_weight_in_a_learner_of_its_own_is_a_ridge_of_one_over_its_square(weight: float) -> None:
    """The same slates; the scores are 1 / w as high."""
    spec = Spec(WIDE, WIDE, K, 0, M, examination=np.full(K, weight))
    weighted, plain = Game(IBALinUCBSW(0.3, 1.0), spec), Game(IBALinUCB(0.3, 1.0 / weight**2), spec)
    for t in range(300):
        (round, slate), (other, same) = weighted.round(t), plain.round(t)
        np.testing.assert_array_equal(slate, same)
        np.testing.assert_allclose(weight * round.scores, other.scores, atol=1e-10)
        weighted.answer(round, slate)
        plain.answer(other, same)


def test_falling_weights_are_a_rising_ridge_down_the_slate() -> None:
    game, dense = Game(IBALinUCBSW(0.3)), [Dense(M, 1.0 / w**2) for w in WEIGHT[:K]]
    for t in range(200):
        round, slate = game.round(t)
        for k in range(K):
            bounds = dense[k].bounds(round.features, 0.3)
            assert_best(bounds, slate, k)
            assert_learners(game.state, k, slate, bounds / WEIGHT[k])
        rewards, seen = game.answer(round, slate)
        for k in np.flatnonzero(seen):
            dense[k].learn(round.features[slate[k]], rewards[k])


def test_positions_that_share_learn_together_and_show_the_top() -> None:
    game, dense = Game(IBALinUCBSW(0.3, share_positions=True)), Dense(M)
    for t in range(200):
        round, slate = game.round(t)
        bounds = dense.bounds(round.features, 0.3)
        for k in range(K):
            assert_best(bounds, slate, k)
        np.testing.assert_allclose(round.scores, bounds, atol=1e-10)
        rewards, seen = game.answer(round, slate)
        for k in np.flatnonzero(seen):
            dense.learn(round.features[slate[k]], rewards[k], WEIGHT[k])


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / lengths) if lengths > 1e-12 else 0.0


def stacked(round: Round, slate: np.ndarray, k: int, variant: str, on: str) -> np.ndarray:
    """The features (C, width) of the joint regression of position k: z with x, or with x in the item's own place."""
    compared = round.features if on == "context" else SPEC.items[round.candidates]
    rows = []
    for c, x in enumerate(round.features):
        z = np.array([cosine(compared[c], compared[slate[j]]) if j < k else 0.0 for j in range(K - 1)])
        own = np.zeros((ITEMS, M))
        own[round.candidates[c]] = x
        rows.append(np.concatenate([z, own.ravel() if variant == "H" else x]))
    return np.array(rows)


@pytest.mark.parametrize("variant", ["P", "H"])
@pytest.mark.parametrize(("on", "alpha"), [("context", 0.0), ("context", 0.6), ("item", 0.3)])
def test_the_hybrid_is_one_joint_regression_a_position(variant: str, on: str, alpha: float) -> None:
    """With alpha = 0 the bound is the mean, so both settings together test the mean and the variance."""
    game = Game(IBAHybridSW(alpha, 0.8, variant, on))
    dense = [Dense(K - 1 + (ITEMS * M if variant == "H" else M), 0.8) for _ in range(K)]
    for t in range(200):
        round, slate = game.round(t)
        for k in range(K):
            bounds = dense[k].bounds(stacked(round, slate, k, variant, on), alpha)
            assert_best(bounds, slate, k)
            assert_learners(game.state, k, slate, bounds)
        rewards, seen = game.answer(round, slate)
        for k in np.flatnonzero(seen):
            dense[k].learn(stacked(round, slate, k, variant, on)[slate[k]], rewards[k], WEIGHT[k])


@pytest.mark.parametrize("variant", ["P", "H"])
def test_the_hybrid_without_weights_is_the_hybrid_with_weights_of_one(variant: str) -> None:
    ones = Spec(ITEMS, WIDE, K, 0, M, items=SPEC.items, examination=np.ones(K))
    games = Game(IBAHybridSW(variant=variant, weighted=False)), Game(IBAHybridSW(variant=variant), ones)
    for t in range(50):
        (round, slate), (other, same) = (game.round(t) for game in games)
        np.testing.assert_array_equal(slate, same)
        np.testing.assert_array_equal(round.scores, other.scores)
        games[0].answer(round, slate)
        games[1].answer(other, same)


def test_the_hybrid_avoids_a_second_item_of_a_kind_that_is_clicked_once() -> None:
    """Two kinds of equal worth; the second place earns only where it shows the other kind. Cosines tell."""
    rng = np.random.default_rng(4)
    spec = Spec(4, 4, 2, 0, 2, examination=np.ones(2))
    game, mixed = Game(IBAHybridSW(0.1), spec), []
    for t in range(400):
        x = np.eye(2)[rng.permutation([0, 0, 1, 1])]
        outputs = np.zeros(4), np.zeros(2), np.zeros(2, np.int64)
        round, slate = Round(t, -1, np.zeros(0), np.arange(4), x, t, *outputs), np.zeros(2, np.int64)
        game.policy.select(game.state, game.own, round, slate)
        other = float(x[slate[0]] @ x[slate[1]] == 0.0)
        game.policy.update(game.state, round, slate, np.array([1.0, other]), np.ones(2, bool))
        mixed.append(other)
    assert np.mean(mixed[-100:]) == 1.0


def test_vectors_of_no_length_are_like_nothing() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [1e-13, 0.0]])
    np.testing.assert_allclose(iba_hybrid_sw.directions(rows), [[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("first_click_only", [False, True])
def test_ranked_bandits_follow_the_definition(first_click_only: bool) -> None:
    game, dense = Game(RBALinUCB(0.4, 0.8, first_click_only)), [Dense(M, 0.8) for _ in range(K)]
    replaced = 0
    for t in range(200):
        round, slate = game.round(t)
        for k in range(K):
            bounds = dense[k].bounds(round.features, 0.4)
            assert bounds[round.notes[k]] >= bounds.max() - 1e-9
            if round.notes[k] in slate[:k]:
                assert slate[k] != round.notes[k]
                replaced += 1
            else:
                assert slate[k] == round.notes[k]
        np.testing.assert_allclose(round.scores, bounds, atol=1e-10)
        rewards, seen = game.answer(round, slate)
        clicks = np.flatnonzero(seen & (rewards > 0))
        for k in np.flatnonzero(seen):
            earned = rewards[k] if slate[k] == round.notes[k] else 0.0
            if first_click_only and k > clicks.min(initial=K):
                earned = 0.0
            dense[k].learn(round.features[round.notes[k]], earned)
    assert 20 < replaced < 380
    for k in range(K):
        theta = np.linalg.inv(dense[k].A) @ dense[k].b
        assert abs(per_position.estimates(game.state.learners)[k] - theta).max() < 1e-10


def test_a_duplicate_of_ranked_bandits_is_replaced_at_random_and_earns_nothing() -> None:
    """In the first round all learners are alike and choose the same candidate."""
    shown = []
    for seed in range(300):
        game = Game(RBALinUCB(), seed=0)
        game.own = np.random.default_rng(seed)
        round, slate = game.round(0)
        assert (round.notes == slate[0]).all()
        shown.append(slate[1:])
        game.policy.update(game.state, round, slate, np.ones(K), np.ones(K, bool))
        theta = per_position.estimates(game.state.learners)
        assert theta[0].any() and not theta[1:].any()
        inverses = per_position.inverses(game.state.learners)
        x = round.features[slate[0]]
        for k in range(K):
            np.testing.assert_allclose(np.linalg.inv(inverses[k]), np.eye(M) + np.outer(x, x), atol=1e-10)
    counts = np.bincount(np.ravel(shown), minlength=WIDE)
    assert counts[slate[0]] == 0
    others = np.delete(counts, slate[0])
    assert abs(others - 2 * 300 / (WIDE - 1)).max() < 4 * math.sqrt(2 * 300 / (WIDE - 1))


@pytest.mark.parametrize(
    ("params", "wanted"), [({"variant": "p"}, "'P' or 'H'"), ({"similarity_on": "items"}, "'context' or 'item'")]
)
def test_unknown_variants_are_refused(params: dict[str, str], wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted):
        IBAHybridSW(**params)  # type: ignore[arg-type]


def test_static_similarity_needs_static_features() -> None:
    with pytest.raises(ConfigError, match="similarity_on"):
        IBAHybridSW(similarity_on="item").init(Spec(3, 3, 2, 0, 2, examination=np.ones(2)))
