"""Every policy beside a naive twin written straight from its paper, and hand-worked cases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lersbench.kernels.ties import FIRST, scramble
from lersbench.policies import exp3m, lints
from lersbench.policy import Policy, Round, Spec, load
from lersbench.testing.worlds import make_world

WIDE, ITEMS, D, M = 6, 8, 3, 4


class History:
    """All that was seen: one (item, x, z, reward) for every revealed position."""

    def __init__(self) -> None:
        self.rounds = 0
        self.seen: list[tuple[int, np.ndarray, np.ndarray, float]] = []
        self.positions: list[int] = []  # the position of each

    def rewards(self, item: int) -> list[float]:
        return [r for a, _, _, r in self.seen if a == item]

    def mean(self, item: int) -> float:
        return float(np.mean(self.rewards(item))) if self.rewards(item) else 0.0

    def ridge(self, penalty: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and right-hand side of the regression of the rewards on the joint features."""
        return regression([z for _, _, z, _ in self.seen], [r for *_, r in self.seen], M, penalty)


def regression(xs: list[np.ndarray], rs: list[float], width: int, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """A = penalty I + sum x x' and b = sum r x."""
    X = np.array(xs).reshape(-1, width)
    return penalty * np.eye(width) + X.T @ X, X.T @ np.array(rs)


def upper_bounds(A: np.ndarray, b: np.ndarray, X: np.ndarray, alpha: float) -> np.ndarray:
    """x' A^-1 b + alpha sqrt(x' A^-1 x) for each row x of `X`."""
    inverse = np.linalg.inv(A)
    return X @ inverse @ b + alpha * np.sqrt(np.einsum("cm,mn,cn->c", X, inverse, X))


def play(
    policy: Policy, rounds: int = 200, slate: int = 2, good: int = -1, items: int = ITEMS
) -> Iterator[tuple[Round, np.ndarray, History]]:
    """Play a made-up log; yields each round after `select`, with the slate and what was seen before."""
    seed = 1
    world = make_world(rounds, WIDE, slate, items, D, M, good, seed)
    state, rng, history = policy.init(world.spec), np.random.default_rng(seed), History()
    for t in range(rounds):
        chunk = world.chunk
        offered, key = chunk.candidates[t % len(chunk.candidates)], int(scramble(7, t))
        outputs = np.zeros(WIDE), np.zeros(slate), np.zeros(slate, np.int64)
        round = Round(t, 0, chunk.context[t], offered, chunk.features[t], key, *outputs)
        shown = np.zeros(slate, np.int64)
        policy.select(state, rng, round, shown)
        yield round, shown, history
        seen = np.arange(slate) != t % 5  # now and then a position stays unseen
        policy.update(state, round, shown, chunk.rewards[t, shown], seen)
        history.rounds += 1
        history.positions += np.flatnonzero(seen).tolist()
        for k in np.flatnonzero(seen):
            c = shown[k]
            history.seen.append((round.candidates[c], round.context, round.features[c], chunk.rewards[t, c]))


def in_order(round: Round, slate: np.ndarray) -> bool:
    """Does the slate hold the highest scores, best first?"""
    return bool(np.array_equal(round.scores[slate], np.sort(round.scores)[::-1][: slate.size]))


def test_popular_shrinks_to_the_overall_rate() -> None:
    for round, slate, history in play(load("popular", prior=2.0)):
        rate = np.mean([r for *_, r in history.seen]) if history.seen else 0.0
        own = [history.rewards(a) for a in round.candidates]
        assert np.allclose(round.scores, [(sum(r) + 2.0 * rate) / (len(r) + 2.0) for r in own])
        assert in_order(round, slate)


def test_epsilon_greedy_without_exploration_is_the_running_mean() -> None:
    for round, slate, history in play(load("epsilon-greedy", epsilon=0.0)):
        assert np.allclose(round.scores, [history.mean(a) for a in round.candidates])
        assert in_order(round, slate)


def test_epsilon_n_falls_as_published() -> None:
    policy, slates = load("epsilon-greedy", epsilon=1.0, decay=3.0), []
    for n, (round, slate, history) in enumerate(play(policy, slate=1), start=1):
        epsilon = min(1.0, 3.0 * WIDE / n)  # Auer et al. 2002: min(1, c N / (d^2 n)) with c / d^2 = 3
        means = np.array([history.mean(a) for a in round.candidates])
        greedy = (means == means.max()) / (means == means.max()).sum()
        assert round.propensities[0] == pytest.approx(epsilon / WIDE + (1 - epsilon) * greedy[slate[0]])
        slates.append(in_order(round, slate))
    assert not all(slates[:18])  # a uniform choice in each of the first 18 rounds
    assert np.mean(slates[100:]) > 0.7


def test_ucb1_index() -> None:
    for round, slate, history in play(load("ucb1", alpha=0.7)):
        own = [history.rewards(a) for a in round.candidates]
        n = history.rounds
        index = [np.mean(r) + 0.7 * math.sqrt(2 * math.log(n) / len(r)) if r else FIRST for r in own]
        assert np.allclose(round.scores, index)
        assert in_order(round, slate)


def test_ucb1_plays_every_arm_once_first() -> None:
    world = make_world(5, 5, 1)
    policy, rng = load("ucb1"), np.random.default_rng(0)
    state, shown = policy.init(world.spec), []
    for t in range(5):
        out = np.zeros(5), np.zeros(1), np.zeros(1, np.int64)
        round = Round(t, 0, np.zeros(0), np.arange(5), np.zeros((5, 0)), t, *out)
        slate = np.zeros(1, np.int64)
        policy.select(state, rng, round, slate)
        policy.update(state, round, slate, np.ones(1), np.ones(1, bool))
        shown.append(int(slate[0]))
    assert sorted(shown) == [0, 1, 2, 3, 4]


def test_thompson_draws_from_the_beta_posterior() -> None:
    twin = np.random.default_rng(1)
    for round, slate, history in play(load("thompson", prior_a=0.5, prior_b=2.0)):
        own = [history.rewards(a) for a in round.candidates]
        a = np.array([0.5 + sum(r) for r in own])
        b = np.array([2.0 + len(r) - sum(r) for r in own])
        assert np.allclose(round.scores, twin.beta(a, b))
        assert in_order(round, slate)


def test_exp3_weights_and_draws() -> None:
    gamma, twin, w = 0.2, np.random.default_rng(1), np.ones(ITEMS)
    last: tuple[Any, ...] = ()
    for round, slate, history in play(load("exp3", gamma=gamma)):
        if last:  # learn the round before: w *= exp(gamma r / (N p)), p renormalised over what was left
            before, shown, p, known = last
            new = {a: r for a, _, _, r in history.seen[known:]}
            for k, c in enumerate(shown):
                a = before.candidates[c]
                w[a] *= math.exp(gamma * new.get(a, 0.0) / (WIDE * p[k]))
        offered = w[round.candidates]
        p = (1 - gamma) * offered / offered.sum() + gamma / WIDE
        assert np.allclose(round.scores, p)
        left, chosen, share = p.copy(), [], []
        for _ in range(2):
            c = int(np.searchsorted(left.cumsum(), twin.random() * left.sum(), side="right"))
            chosen.append(c)
            share.append(left[c] / left.sum())
            left[c] = 0.0
        assert slate.tolist() == chosen
        assert np.allclose(round.propensities, share)
        last = round, slate.copy(), share, len(history.seen)


def one_round(n: int, slate: int, features: np.ndarray | None = None) -> Round:
    z = np.zeros((n, 0)) if features is None else features
    return Round(0, 0, np.zeros(0), np.arange(n), z, 5, np.zeros(n), np.zeros(slate), np.zeros(slate, np.int64))


@pytest.mark.parametrize(("name", "rate"), [("exp3", 0.3 / 4), ("exp3m", 2 * 0.3 / 4)])
def test_exponential_weights_under_full_feedback_are_hedge(name: str, rate: float) -> None:
    rewards = np.array([1.0, 0.5, 0.0, 0.25])
    policy = load(name, gamma=0.3)
    state = policy.init(make_world(10, 4, 2).spec)
    told = one_round(4, 2)._replace(propensities=np.ones(4))
    for _ in range(3):
        policy.update(state, told, np.array([2, 0, 1, 3]), rewards[[2, 0, 1, 3]], np.ones(4, bool))
    assert np.allclose(state.log_weight, 3 * rate * rewards)


def test_exp3_horizon_formula() -> None:
    spec = make_world(1000, 5, 2).spec
    assert load("exp3", gamma=0.0).init(spec).gamma == pytest.approx(math.sqrt(5 * math.log(5) / ((math.e - 1) * 1000)))
    exact = math.sqrt(5 * math.log(2.5) / ((math.e - 1) * 2 * 1000))
    assert load("exp3m", gamma=0.0).init(spec).gamma == pytest.approx(exact)


def inclusion_by_bisection(w: np.ndarray, gamma: float, plays: int) -> tuple[np.ndarray, np.ndarray]:
    """Uchiya et al. 2010: the inclusion probabilities and which weights are capped; the cap by bisection."""
    n = w.size
    c = (1 / plays - gamma / n) / (1 - gamma)
    capped = np.zeros(n, bool)
    if w.max() >= c * w.sum():
        low, high = 0.0, w.max()
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if middle / np.minimum(w, middle).sum() < c else (low, middle)
        capped = w >= high * (1 - 1e-12)
        w = np.minimum(w, high)
    return plays * ((1 - gamma) * w / w.sum() + gamma / n), capped


def test_exp3m_cap_worked_example() -> None:
    w, p = np.array([50, 3, 2, 1, 1, 0.5]), np.empty(6)
    exp3m.inclusion(w, 0.1, 3, p)
    assert np.allclose(p, [1, 0.75, 31 / 60, 17 / 60, 17 / 60, 1 / 6])
    assert p.sum() == pytest.approx(3)


def test_exp3m_inclusion_against_bisection() -> None:
    rng = np.random.default_rng(0)
    capped_counts = set()
    for spread, plays, gamma in itertools.product((0.1, 1, 3, 8), (1, 2, 4, 6), (0.02, 0.2, 0.7)):
        w, p = np.exp(rng.normal(scale=spread, size=7)), np.empty(7)
        exp3m.inclusion(w, gamma, plays, p)
        twin, capped = inclusion_by_bisection(w, gamma, plays)
        assert np.allclose(p, twin, atol=1e-9)
        assert np.all(p[capped] == 1.0)
        assert p.min() > 0 and p.max() <= 1 and p.sum() == pytest.approx(plays)
        capped_counts.add(int(capped.sum()))
    assert capped_counts >= {0, 1, 3}


def test_exp3m_survives_weights_that_differ_by_any_factor() -> None:
    policy, world = load("exp3m", gamma=0.1), make_world(1, 6, 3)
    state, rng, round = policy.init(world.spec), np.random.default_rng(0), one_round(6, 3)
    state.log_weight[:] = [0.0, 5000.0, 5000.0, -300.0, 2.0, 4998.0]
    slate = np.zeros(3, np.int64)
    policy.select(state, rng, round, slate)
    assert {1, 2} <= set(slate[:2].tolist())
    assert np.all(round.propensities[:2] == 1.0) and 0 < round.propensities[2] < 1


def test_depround_keeps_the_marginals() -> None:
    p, rng, n = np.array([1, 0.75, 31 / 60, 17 / 60, 17 / 60, 1 / 6]), np.random.default_rng(0), 8000
    total = np.zeros(6)
    for _ in range(n):
        drawn = p.copy()
        exp3m.depround(rng, drawn)
        assert np.isin(drawn, (0.0, 1.0)).all() and drawn.sum() == 3
        total += drawn
    assert np.abs(total / n - p).max() < 4 * 0.5 / math.sqrt(n)


def test_exp3m_learns_as_published() -> None:
    gamma, w = 0.2, np.ones(ITEMS)
    last: tuple[Any, ...] = ()
    skipped = 0
    for round, slate, history in play(load("exp3m", gamma=gamma), good=2):
        if last:
            before, shown, p, capped, known = last
            new = {a: r for a, _, _, r in history.seen[known:]}
            for c in shown:
                if capped[c]:
                    skipped += 1
                else:
                    a = before.candidates[c]
                    w[a] *= math.exp(2 * gamma * new.get(a, 0.0) / (WIDE * p[c]))
        offered = w[round.candidates]
        p, capped = inclusion_by_bisection(offered, gamma, 2)
        assert np.allclose(round.scores, offered / offered.max())
        assert np.allclose(round.propensities, p[slate])
        assert round.scores[slate[0]] >= round.scores[slate[1]]
        last = round, slate.copy(), p, capped, len(history.seen)
    assert skipped > 20


@pytest.mark.parametrize("items", [WIDE, ITEMS, 40])  # all items on offer, most of them, a few of many
def test_linucb_is_one_ridge_regression_an_item(items: int) -> None:
    for round, slate, history in play(load("linucb", alpha=0.4, ridge=0.5), items=items):
        for c, item in enumerate(round.candidates):
            own = [(x, r) for a, x, _, r in history.seen if a == item]
            A, b = regression([x for x, _ in own], [r for _, r in own], D, 0.5)
            assert round.scores[c] == pytest.approx(upper_bounds(A, b, round.context[None], 0.4)[0], abs=1e-9)
        assert in_order(round, slate)


def test_linucb_k_is_ridge_regression() -> None:
    for round, slate, history in play(load("linucb-k", alpha=0.4, ridge=0.5)):
        A, b = history.ridge(0.5)
        assert np.allclose(round.scores, upper_bounds(A, b, round.features, 0.4), atol=1e-9)
        assert in_order(round, slate)


def test_iba_linucb_is_one_ridge_regression_a_position() -> None:
    for round, slate, history in play(load("iba-linucb", alpha=0.4, ridge=0.5), slate=3):
        left = np.ones(WIDE, bool)
        for k in range(3):
            own = [(z, r) for (_, _, z, r), at in zip(history.seen, history.positions, strict=True) if at == k]
            A, b = regression([z for z, _ in own], [r for _, r in own], M, 0.5)
            bounds = upper_bounds(A, b, round.features, 0.4)
            assert left[slate[k]] and bounds[slate[k]] >= bounds[left].max() - 1e-9
            left[slate[k]] = False
        assert np.allclose(round.scores, bounds, atol=1e-9)  # the ranking is that of the last position


class HybridTwin:
    """Li et al. 2010, algorithm 2, line by line."""

    def __init__(self) -> None:
        self.A0, self.b0 = np.eye(M), np.zeros(M)
        self.A = np.array([np.eye(D)] * ITEMS)
        self.B, self.b = np.zeros((ITEMS, D, M)), np.zeros((ITEMS, D))

    def score(self, a: int, x: np.ndarray, z: np.ndarray, alpha: float) -> float:
        A0, A, B = np.linalg.inv(self.A0), np.linalg.inv(self.A[a]), self.B[a]
        beta = A0 @ self.b0
        theta = A @ (self.b[a] - B @ beta)
        s = z @ A0 @ z - 2 * z @ A0 @ B.T @ A @ x + x @ A @ x + x @ A @ B @ A0 @ B.T @ A @ x
        return float(z @ beta + x @ theta + alpha * math.sqrt(s))

    def learn(self, a: int, x: np.ndarray, z: np.ndarray, r: float) -> None:
        inverse = np.linalg.inv(self.A[a])
        self.A0 += self.B[a].T @ inverse @ self.B[a]
        self.b0 += self.B[a].T @ inverse @ self.b[a]
        self.A[a] += np.outer(x, x)
        self.B[a] += np.outer(x, z)
        self.b[a] += r * x
        inverse = np.linalg.inv(self.A[a])
        self.A0 += np.outer(z, z) - self.B[a].T @ inverse @ self.B[a]
        self.b0 += r * z - self.B[a].T @ inverse @ self.b[a]


def test_linucb_hybrid_is_algorithm_2() -> None:
    twin, learned = HybridTwin(), 0
    for round, slate, history in play(load("linucb-hybrid", alpha=0.6)):
        for a, x, z, r in history.seen[learned:]:
            twin.learn(a, x, z, r)
        learned = len(history.seen)
        scores = [twin.score(a, round.context, round.features[c], 0.6) for c, a in enumerate(round.candidates)]
        assert np.allclose(round.scores, scores, atol=1e-9)
        assert in_order(round, slate)


def test_linucb_hybrid_is_one_joint_ridge_regression_after_many_updates() -> None:
    alpha, ridge = 0.6, 2.0
    whole = play(load("linucb-hybrid", alpha=alpha, ridge=ridge), rounds=1000)
    round, _, history = next(step for step in whole if step[2].rounds == 999)

    def joint(a: int, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        u = np.zeros(M + ITEMS * D)
        u[:M], u[M + a * D : M + (a + 1) * D] = z, x
        return u

    U = np.array([joint(a, x, z) for a, x, z, _ in history.seen])
    inverse = np.linalg.inv(ridge * np.eye(U.shape[1]) + U.T @ U)
    theta = inverse @ U.T @ np.array([r for *_, r in history.seen])
    now = np.array([joint(a, round.context, round.features[c]) for c, a in enumerate(round.candidates)])
    scores = now @ theta + alpha * np.sqrt(np.einsum("cm,mn,cn->c", now, inverse, now))
    assert np.abs(round.scores - scores).max() < 1e-10


def test_lints_draw() -> None:
    twin = np.random.default_rng(1)
    for round, slate, history in play(load("lints", v=0.5, ridge=2.0)):
        B, f = history.ridge(2.0)
        theta = np.linalg.solve(B, f) + 0.5 * np.linalg.solve(np.linalg.cholesky(B).T, twin.standard_normal(M))
        assert np.allclose(round.scores, round.features @ theta, atol=1e-9)
        assert in_order(round, slate)


def test_lints_draws_have_the_mean_and_covariance_of_the_posterior() -> None:
    rng, v, n = np.random.default_rng(0), 0.5, 6000
    Z = rng.normal(size=(20, 3))
    B, f = np.eye(3) + Z.T @ Z / 10, rng.normal(size=3)
    state = load("lints", v=v).init(Spec(4, 4, 1, m=3))._replace(L=np.linalg.cholesky(B), f=f)
    draws = np.empty((n, 3))
    for i in range(n):
        lints.sample(state, rng, draws[i])
    covariance = v**2 * np.linalg.inv(B)
    off = (draws.mean(axis=0) - np.linalg.solve(B, f)) / np.sqrt(np.diag(covariance) / n)
    assert np.abs(off).max() < 4
    assert np.allclose(np.cov(draws.T), covariance, atol=0.06 * covariance.max())


def test_softmax_propensities_are_conditional() -> None:
    for round, slate, history in play(load("softmax", temperature=0.3), slate=3):
        means = np.array([history.mean(a) for a in round.candidates])
        mass = np.exp(means / 0.3)
        assert np.allclose(round.scores, means)
        for k in range(3):
            assert round.propensities[k] == pytest.approx(
                mass[slate[k]] / mass[np.setdiff1d(range(WIDE), slate[:k])].sum()
            )


def test_softmax_at_any_temperature() -> None:
    for temperature in (1e-6, 1e6):
        policy, slate, round = load("softmax", temperature=temperature), np.zeros(4, np.int64), one_round(4, 4)
        state = policy.init(make_world(1, 4, 4).spec)
        state.mean[:] = [0.1, 0.4, 0.3, 0.2]
        policy.select(state, np.random.default_rng(0), round, slate)
        if temperature < 1:
            assert slate.tolist() == [1, 2, 3, 0] and np.allclose(round.propensities, 1)
        else:
            assert np.allclose(round.propensities, [1 / 4, 1 / 3, 1 / 2, 1], rtol=1e-5)


def softmax_of_ordered_pairs(means: np.ndarray, temperature: float) -> np.ndarray:
    p = np.exp(means / temperature) / np.exp(means / temperature).sum()
    return np.array([[0 if a == b else p[a] * p[b] / (1 - p[a]) for b in range(p.size)] for a in range(p.size)])


def test_gumbel_keys_draw_without_replacement() -> None:
    policy, means, n = load("softmax", temperature=0.5), np.array([0.1, 0.7, 0.4, 0.2]), 6000
    state, rng, counts = policy.init(make_world(1, 4, 2).spec), np.random.default_rng(0), np.zeros((4, 4))
    state.mean[:] = means
    round, slate = one_round(4, 2), np.zeros(2, np.int64)
    for _ in range(n):
        policy.select(state, rng, round, slate)
        counts[slate[0], slate[1]] += 1
    assert np.abs(counts / n - softmax_of_ordered_pairs(means, 0.5)).max() < 4 * 0.5 / math.sqrt(n)


@pytest.mark.parametrize(
    ("name", "params", "positions"),
    [
        ("random", {}, 2),
        ("epsilon-greedy", {"epsilon": 0.3}, 2),
        ("exp3", {"gamma": 0.3}, 1),
        ("softmax", {"temperature": 0.5}, 1),
    ],
)
def test_stated_propensities_are_frequencies(name: str, params: dict[str, float], positions: int) -> None:
    """Whenever an item stands in a position, it does so as often as its stated propensity says."""
    policy, n, wide = load(name, **params), 5000, 5
    state, rng = policy.init(make_world(1, wide, 2).spec), np.random.default_rng(0)
    if hasattr(state, "mean"):
        state.mean[:] = [0.2, 0.9, 0.2, 0.5, 0.2]  # the third place is shared by three
    if hasattr(state, "log_weight"):
        state.log_weight[:] = [0.0, 1.0, 0.5, 0.0, 2.0]
    count, stated = np.zeros((2, wide)), np.full((2, wide), np.nan)
    for t in range(n):
        round, slate = one_round(wide, 2)._replace(ties=int(scramble(3, t))), np.zeros(2, np.int64)
        policy.select(state, rng, round, slate)
        for k in range(positions):
            count[k, slate[k]] += 1
            known = stated[k, slate[k]]
            assert np.isnan(known) or known == pytest.approx(round.propensities[k])
            stated[k, slate[k]] = round.propensities[k]
    for k in range(positions):
        assert stated[k].sum() == pytest.approx(1)
        assert np.abs(count[k] / n - stated[k]).max() < 4 * 0.5 / math.sqrt(n)


def test_epsilon_greedy_propensities_share_out_ties() -> None:
    policy, round, slate = load("epsilon-greedy", epsilon=0.0), one_round(5, 3), np.zeros(3, np.int64)
    state = policy.init(make_world(1, 5, 3).spec)
    state.mean[:] = [0.5, 0.2, 0.5, 0.2, 0.2]
    policy.select(state, np.random.default_rng(0), round, slate)
    assert set(slate[:2].tolist()) == {0, 2} and slate[2] in (1, 3, 4)
    assert np.allclose(round.propensities, [1 / 2, 1 / 2, 1 / 3])
