"""The policies with one ridge regression for all items, beside dense linear algebra written out plainly."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError
from lersbench.kernels.ties import scramble
from lersbench.kernels.vectors import LANES, aligned, padded
from lersbench.learners.shared import (
    Ridge,
    inverse,
    lane_quadratics,
    lane_quadratics_loop,
    new_ridge,
    observe,
    to_lanes,
    to_lanes_loop,
    upper_bounds,
)
from lersbench.policies import cascade_linucb
from lersbench.policy import Policy, Round, Spec, load
from lersbench.testing.worlds import make_world

WIDE, K, M = 7, 4, 5
RNG = np.random.default_rng(0)  # none of these policies draws
NAMES = ("linucb-k", "ubm-linucb", "pbm-linucb", "cascade-linucb", "c2ucb")
Weigh = Callable[[Spec, np.ndarray, np.ndarray], list[float]]  # weights of a slate, from rewards and `seen`


class Twin:
    """A = ridge I + sum w^2 x x', b = sum w r x, solved anew every time."""

    def __init__(self, m: int, ridge: float) -> None:
        self.A, self.b = ridge * np.eye(m), np.zeros(m)

    def learn(self, x: np.ndarray, w: float, r: float) -> None:
        self.A += w**2 * np.outer(x, x)
        self.b += w * r * x

    def bounds(self, X: np.ndarray, alpha: float) -> np.ndarray:
        inverse = np.linalg.inv(self.A)
        return X @ inverse @ self.b + alpha * np.sqrt(np.einsum("cm,mn,cn->c", X, inverse, X))


def told(features: np.ndarray, slate: int, t: int = 0) -> Round:
    n = len(features)
    outputs = np.zeros(n), np.zeros(slate), np.zeros(slate, np.int64)
    return Round(t, 0, np.zeros(0), np.arange(n), features, int(scramble(7, t)), *outputs)


def play(
    policy: Policy, spec: Spec | None = None, rounds: int = 200, full: bool = False
) -> Iterator[tuple[Any, Round, np.ndarray, np.ndarray, np.ndarray]]:
    """Play a made-up log; yields state, round, slate, rewards and `seen` after `select`, and then learns.

    With `full` the slate, the rewards and `seen` go on with the candidates that were not shown.
    """
    world = make_world(rounds, WIDE, K, m=M, seed=3)
    state = policy.init(spec or world.spec)
    for t in range(rounds):
        round, slate = told(world.chunk.features[t], K, t), np.zeros(K, np.int64)
        policy.select(state, RNG, round, slate)
        if full:
            slate = np.concatenate([slate, np.setdiff1d(np.arange(WIDE), slate)])
        clicks = np.floor(world.chunk.rewards[t, slate] * 1.6)  # 0 or 1, about 40 % of them 1
        seen = np.arange(slate.size) != t % 6  # now and then a position stays unseen
        yield state, round, slate, clicks, seen
        policy.update(state, round, slate, clicks, seen)


def by_last_click(spec: Spec, rewards: np.ndarray, seen: np.ndarray) -> list[float]:
    weights = []
    for k in range(len(rewards)):
        above = [j + 1 for j in range(min(k, K)) if seen[j] and rewards[j] > 0]
        weights.append(spec.examination_after[k, max(above, default=0)] if k < K else 1.0)
    return weights


def by_position(spec: Spec, rewards: np.ndarray, seen: np.ndarray) -> list[float]:
    return [spec.examination[k] if k < K else 1.0 for k in range(len(rewards))]


def down_to(pick: Callable[[list[int]], int]) -> Weigh:
    def weigh(spec: Spec, rewards: np.ndarray, seen: np.ndarray) -> list[float]:
        clicked = [k for k in range(K) if seen[k] and rewards[k] > 0]
        stop = pick(clicked) if clicked else K
        return [float(k <= stop or k >= K) for k in range(len(rewards))]

    return weigh


def certainly(spec: Spec, rewards: np.ndarray, seen: np.ndarray) -> list[float]:
    return [1.0] * len(rewards)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("name", "params", "weigh"),
    [
        ("linucb-k", {}, certainly),
        ("ubm-linucb", {}, by_last_click),
        ("pbm-linucb", {}, by_position),
        ("cascade-linucb", {"capped": False}, down_to(min)),
        ("cascade-linucb", {"capped": False, "until": "last"}, down_to(max)),
        ("c2ucb", {"mu": 0.3}, certainly),
    ],
)
def test_each_is_a_dense_weighted_ridge_regression(name: str, params: dict[str, Any], weigh: Weigh, full: bool) -> None:
    spec, twin = make_world(200, WIDE, K, m=M).spec, Twin(M, 0.5)
    weights = set()
    for state, round, slate, rewards, seen in play(load(name, alpha=0.4, ridge=0.5, **params), full=full):
        assert np.abs(round.scores - twin.bounds(round.features, 0.4)).max() < 1e-10
        ridge = state.ridge
        if name != "c2ucb":
            assert np.array_equal(round.scores[slate[:K]], np.sort(round.scores)[::-1][:K])
        for k, w in enumerate(weigh(spec, rewards, seen)):
            weights.add(w)
            if seen[k]:
                twin.learn(round.features[slate[k]], w, rewards[k])
    assert np.abs(inverse(ridge) - np.linalg.inv(twin.A)).max() < 1e-10
    assert np.abs(ridge.theta - np.linalg.solve(twin.A, twin.b)).max() < 1e-10
    assert len(weights) >= {"ubm-linucb": 10, "pbm-linucb": 4, "cascade-linucb": 2}.get(name, 1)


def test_200_weighted_observations_are_the_joint_regression() -> None:
    rng, twin, ridge = np.random.default_rng(1), Twin(M, 2.0), new_ridge(M, 2.0, WIDE)
    for _ in range(200):
        x, w, r = rng.normal(size=M), rng.random(), rng.random()
        observe(ridge, x, w, r)
        twin.learn(x, w, r)
    assert np.abs(inverse(ridge) - np.linalg.inv(twin.A)).max() < 1e-10
    assert np.abs(ridge.theta - np.linalg.solve(twin.A, twin.b)).max() < 1e-10


def slates(name: str, spec: Spec | None = None, **params: Any) -> list[list[int]]:
    return [slate.tolist() for _, _, slate, _, _ in play(load(name, **params), spec)]


def unweighted() -> Spec:
    spec = make_world(200, WIDE, K, m=M).spec
    lower = np.tril(np.ones((WIDE, WIDE + 1)))
    return dataclasses.replace(spec, examination=np.ones(WIDE), examination_after=lower)


@pytest.mark.parametrize("name", ["ubm-linucb", "pbm-linucb"])
def test_weights_of_one_are_linucb_k(name: str) -> None:
    assert slates(name, unweighted()) == slates("linucb-k")
    assert slates(name) != slates("linucb-k")


def test_ubm_whose_weights_forget_the_clicks_is_pbm() -> None:
    spec = make_world(200, WIDE, K, m=M).spec
    same = np.tril(np.repeat(spec.examination[:, None], WIDE + 1, axis=1))
    assert slates("ubm-linucb", dataclasses.replace(spec, examination_after=same)) == slates("pbm-linucb")


def test_ubm_whose_weights_stop_at_a_click_is_the_cascade() -> None:
    spec = unweighted()
    stop = np.zeros((WIDE, WIDE + 1))
    stop[:, 0] = 1.0
    spec = dataclasses.replace(spec, examination_after=stop)
    assert slates("ubm-linucb", spec) == slates("cascade-linucb", capped=False)


def test_c2ucb_without_a_worth_of_variety_is_linucb_k() -> None:
    assert slates("c2ucb", mu=0.0) == slates("linucb-k")
    assert slates("c2ucb", mu=1e-300) == slates("linucb-k")  # by the greedy steps, not by the short cut
    assert slates("c2ucb", mu=1.0) != slates("linucb-k")


def state_after(name: str, features: np.ndarray, rewards: list[float], spec: Spec, **params: Any) -> Ridge:
    """The regression after one round in which the candidates were shown in their order."""
    policy = load(name, **params)
    state = policy.init(spec)
    n = len(rewards)
    policy.update(state, told(features, n), np.arange(n), np.array(rewards), np.ones(n, bool))
    return state.ridge


def test_cascade_by_hand() -> None:
    """Unit vectors shown, clicks at positions 2 and 3 of 4: each that is learned has A = 2, theta = r / 2."""
    x, spec = np.eye(4), Spec(4, 4, 4, 0, 4)
    first = state_after("cascade-linucb", x, [0, 1, 1, 0], spec)
    assert np.allclose(np.diag(inverse(first)), [0.5, 0.5, 1.0, 1.0])
    assert np.allclose(first.theta, [0.0, 0.5, 0.0, 0.0])
    last = state_after("cascade-linucb", x, [0, 1, 1, 0], spec, until="last")
    assert np.allclose(np.diag(inverse(last)), [0.5, 0.5, 0.5, 1.0])
    assert np.allclose(last.theta, [0.0, 0.5, 0.5, 0.0])
    for until in ("first", "last"):
        none = state_after("cascade-linucb", x, [0, 0, 0, 0], spec, until=until)
        assert np.allclose(np.diag(inverse(none)), [0.5] * 4)
        assert np.allclose(none.theta, [0.0] * 4)


def test_cascade_caps_its_bounds_at_one() -> None:
    x = np.array([[5.0], [0.1], [9.0]])
    for capped, expected in ((True, [1.0, 0.1, 1.0]), (False, [5.0, 0.1, 9.0])):
        policy, round = load("cascade-linucb", alpha=1.0, capped=capped), told(x, 2)
        policy.select(policy.init(Spec(3, 3, 2, 0, 1)), RNG, round, np.zeros(2, np.int64))
        assert np.allclose(round.scores, expected)


def test_ubm_by_hand() -> None:
    """Unit vectors shown, clicks at 1 and 3: the weights are w[0, 0], w[1, 1], w[2, 1], w[3, 3]."""
    table = np.array([[1.0, 0, 0, 0, 0], [0.5, 0.75, 0, 0, 0], [0.25, 0.5, 0.6, 0, 0], [0.2, 0.3, 0.4, 0.9, 0]])
    spec = Spec(4, 4, 4, 0, 4, examination_after=table)
    ridge = state_after("ubm-linucb", np.eye(4), [1, 0, 1, 0], spec)
    assert np.allclose(np.diag(inverse(ridge)), [1 / 2, 1 / (1 + 0.75**2), 1 / (1 + 0.5**2), 1 / (1 + 0.9**2)])
    assert np.allclose(ridge.theta, [1 / 2, 0, 0.5 / 1.25, 0])


@pytest.mark.parametrize("name", ["ubm-linucb", "pbm-linucb"])
def test_a_weight_of_zero_teaches_nothing(name: str) -> None:
    table = np.array([[1.0, 0, 0], [0.5, 0, 0]])
    spec = Spec(2, 2, 2, 0, 2, examination=np.array([1.0, 0.0]), examination_after=table)
    ridge = state_after(name, np.eye(2), [1, 1], spec)
    assert np.allclose(np.diag(inverse(ridge)), [0.5, 1.0])
    assert np.allclose(ridge.theta, [0.5, 0.0])


def variety(X: np.ndarray, sigma: float) -> float:
    """log det(sigma^2 I + X X') / 2."""
    return 0.5 * float(np.linalg.slogdet(sigma**2 * np.eye(len(X)) + X @ X.T)[1])


@pytest.mark.parametrize(
    ("mu", "sigma", "scale"), [(0.1, 1.0, 1.0), (1.0, 0.2, 1.0), (3.0, 1.0, 20.0), (0.5, 0.05, 3.0)]
)
def test_every_step_of_c2ucb_is_the_best_by_dense_determinants(mu: float, sigma: float, scale: float) -> None:
    rng, moved = np.random.default_rng(2), 0
    policy = load("c2ucb", mu=mu, sigma=sigma)
    state = policy.init(Spec(11, 11, 6, 0, 4))  # more positions than features: the last ones explain each other
    for t in range(60):
        round, slate = told(scale * rng.normal(size=(11, 4)), 6, t), np.zeros(6, np.int64)
        policy.select(state, RNG, round, slate)
        for k in range(6):
            S = slate[:k].tolist()
            before = variety(round.features[S], sigma) if S else 0.0
            left = [c for c in range(11) if c not in S]
            gains = [
                round.scores[c] + mu * (variety(round.features[[*S, c]], sigma) - before) if c in left else -math.inf
                for c in range(11)
            ]
            assert gains[slate[k]] >= max(gains) - 1e-9
        moved += not np.array_equal(round.scores[slate], np.sort(round.scores)[::-1][:6])
        rewards = (rng.random(6) < 0.4).astype(float)
        policy.update(state, round, slate, rewards, np.ones(6, bool))
    assert moved > 30


def test_c2ucb_prefers_the_item_unlike_the_first() -> None:
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.99]])
    for mu, second in ((0.0, {0, 1}), (0.5, {2})):
        policy, slate = load("c2ucb", mu=mu), np.zeros(2, np.int64)
        policy.select(policy.init(Spec(3, 3, 2, 0, 2)), RNG, told(x, 2), slate)
        assert slate[0] in (0, 1) and slate[1] in second


@pytest.mark.parametrize("name", NAMES)
def test_candidates_that_are_alike_are_shown_in_the_random_tie_order(name: str) -> None:
    policy, spec = load(name), dataclasses.replace(unweighted(), m=2)
    state, found = policy.init(spec), set()
    for t in range(40):
        slate = np.zeros(K, np.int64)
        policy.select(state, RNG, told(np.ones((WIDE, 2)), K, t), slate)
        assert np.unique(slate).size == K
        found.add(tuple(slate.tolist()))
    assert len(found) > 25


SIZES = list(itertools.product((1, 3, 4, 8, 10, 17, 36), (1, 7, 8, 12, 33, 70)))


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_scores_of_any_number_of_candidates_and_features(m: int, n: int) -> None:
    rng, twin, ridge = np.random.default_rng(m), Twin(m, 1.5), new_ridge(m, 1.5, n)
    for _ in range(12):
        x, w, r = rng.normal(size=m), rng.random(), rng.random()
        observe(ridge, x, w, r)
        twin.learn(x, w, r)
    X, scores = rng.normal(size=(n, m)), np.zeros(n)
    upper_bounds(ridge, 0.7, X, scores)
    assert np.allclose(scores, twin.bounds(X, 0.7), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_vectors_and_plain_loops_give_the_same_bits(m: int, n: int) -> None:
    rng = np.random.default_rng(n)
    X, blocks = rng.normal(size=(n + 3, m)), padded(n) // LANES
    lanes, plain = aligned((blocks, LANES * m)), aligned((blocks, LANES * m))
    to_lanes(X, 3, 3 + n, lanes)
    to_lanes_loop(X, 3, 3 + n, plain)
    assert np.array_equal(lanes, plain)
    assert np.array_equal(plain.reshape(blocks, m, LANES).transpose(0, 2, 1).reshape(-1, m)[:n], X[3:])
    ridge = new_ridge(m, 1.0, n)
    for x in X[:3]:
        observe(ridge, x, 0.8, 1.0)
    ours, theirs = np.ones(LANES * blocks), np.zeros(LANES * blocks)
    lane_quadratics(ridge.inverse, lanes, ours)
    lane_quadratics_loop(ridge.inverse, lanes, theirs)
    assert np.array_equal(ours, theirs)


def test_how_far_the_user_looked() -> None:
    everything = np.ones(4, bool)
    for rewards, seen, first, last in [
        ([0, 0, 0, 0], everything, 4, 4),
        ([1, 0, 1, 0], everything, 1, 3),
        ([0, 0, 0, 0.2], everything, 4, 4),
        ([1, 0, 1, 0], np.array([False, True, True, True]), 3, 3),
        ([1, 0, 1, 0], np.array([True, True, False, True]), 1, 1),
    ]:
        assert cascade_linucb.examined(4, True, np.array(rewards, float), seen) == first
        assert cascade_linucb.examined(4, False, np.array(rewards, float), seen) == last


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("params", [{"alpha": -1.0}, {"alpha": math.inf}, {"ridge": 0.0}, {"ridge": math.nan}])
def test_impossible_hyper_parameters_are_refused(name: str, params: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(params))):
        load(name, **params)


@pytest.mark.parametrize(
    ("name", "params"),
    [("c2ucb", {"mu": -0.1}), ("c2ucb", {"sigma": 0.0}), ("cascade-linucb", {"until": "second"})],
)
def test_so_are_those_of_one_policy(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(params))):
        load(name, **params)
