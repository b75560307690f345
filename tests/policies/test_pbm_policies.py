"""The bandits of the position-based model beside their definitions, written out plainly; and the logged order."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError
from lersbench.kernels.ties import FIRST, scramble
from lersbench.learners.position_model import by_examination, columns
from lersbench.policies import pbm_pie, pbm_ts
from lersbench.policy import Policy, Round, Spec, load

KAPPA = (0.93, 0.61, 0.37)
TOY_THETA, TOY_KAPPA = np.array([0.45, 0.35, 0.25, 0.15, 0.05]), np.array([0.9, 0.6, 0.3])
NAMES = ("pbm-ucb", "pbm-pie", "pbm-ts")


def spec_of(kappa: Any, n_items: int, wide: int, positions: int = 0) -> Spec:
    return Spec(n_items, wide, positions or len(kappa), examination=np.array(kappa, float))


def round_of(t: int, candidates: np.ndarray, positions: int) -> Round:
    wide = len(candidates)
    outputs = np.zeros(wide), np.zeros(positions), np.zeros(positions, np.int64)
    return Round(t, -1, np.zeros(0), candidates, np.zeros((wide, 0)), int(scramble(9, t)), *outputs)


def told(policy: Policy, state: Any, items: list[int], rewards: list[float], candidates: np.ndarray, K: int) -> None:
    """Let a policy learn one round."""
    slate = np.array([candidates.tolist().index(a) for a in items])
    policy.update(state, round_of(0, candidates, K), slate, np.array(rewards), np.ones(len(items), bool))


class Naive:
    """All displays of every item: (position, reward). A position -1 stands for "revealed, not shown"."""

    def __init__(self, kappa: Any, epsilon: float) -> None:
        self.kappa, self.epsilon = list(kappa), epsilon
        self.seen: dict[int, list[tuple[int, float]]] = {}

    def learn(self, item: int, position: int, reward: float) -> None:
        self.seen.setdefault(item, []).append((position, reward))

    def delta(self, learned: int) -> float:
        return (1 + self.epsilon) * math.log(learned + 1)

    def estimate(self, item: int) -> float:
        seen = self.seen.get(item, [])
        return sum(r for _, r in seen) / sum(self.kappa[k] for k, _ in seen) if seen else FIRST

    def ucb(self, item: int, learned: int) -> float:
        seen = self.seen.get(item, [])
        if not seen:
            return FIRST
        S, N, Nt = sum(r for _, r in seen), len(seen), sum(self.kappa[k] for k, _ in seen)
        return S / Nt + math.sqrt(N / Nt) * math.sqrt(self.delta(learned) / (2 * Nt))

    def phi(self, item: int, q: float) -> float:
        total = 0.0
        for k in range(len(self.kappa)):
            rewards = [r for at, r in self.seen.get(item, []) if at == k]
            if rewards:
                total += len(rewards) * kl(sum(rewards) / len(rewards), self.kappa[k] * q)
        return total

    def upper(self, item: int, learned: int) -> float:
        """sup {q in [theta_min, 1]: phi(q) <= delta}, both by bisection; theta_min where phi is least."""
        low, high = 1e-12, 1.0
        for _ in range(100):  # golden section needs no derivative, thirds will do
            a, b = low + (high - low) / 3, high - (high - low) / 3
            low, high = (low, b) if self.phi(item, a) <= self.phi(item, b) else (a, high)
        least, top = low, 1.0
        if self.phi(item, 1.0) <= self.delta(learned):
            return 1.0
        low = least
        for _ in range(100):
            middle = (low + top) / 2
            low, top = (middle, top) if self.phi(item, middle) <= self.delta(learned) else (low, middle)
        return low

    def ranked(self, candidates: np.ndarray, scores: list[float], ties: int) -> list[int]:
        return sorted(range(len(candidates)), key=lambda c: (-scores[c], -int(scramble(ties, c)), c))


def kl(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two coins; infinite where q rules out what p does."""
    if (p > 0 and q <= 0) or (p < 1 and q >= 1):
        return math.inf
    return (p * math.log(p / q) if p > 0 else 0.0) + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)


@pytest.mark.parametrize("kappa", [KAPPA, (0.37, 0.93, 0.61), (1.0,)])
@pytest.mark.parametrize("name", ["pbm-ucb", "pbm-pie"])
def test_slates_are_those_of_the_naive_twin(name: str, kappa: tuple[float, ...]) -> None:
    """Other candidates every round, and some positions unseen."""
    K, wide, items = len(kappa), 6, 9
    policy, naive = load(name, epsilon=0.2), Naive(kappa, 0.2)
    world, draws, order = np.random.default_rng(2), np.random.default_rng(4), np.argsort(-np.array(kappa))
    theta = world.random(items)
    state, rng, challenges = policy.init(spec_of((*kappa, 0.1), items, wide, K)), np.random.default_rng(4), 0
    for t in range(400):
        candidates = world.permutation(items)[:wide]
        round, slate = round_of(t, candidates, K), np.zeros(K, np.int64)
        policy.select(state, rng, round, slate)
        naively = [naive.ucb(a, t) if name == "pbm-ucb" else naive.estimate(a) for a in candidates]
        assert np.allclose(round.scores, naively, rtol=1e-12, atol=1e-12)
        best = naive.ranked(candidates, round.scores.tolist(), round.ties)  # up to rounding, in which ties may differ
        if name == "pbm-pie" and math.isfinite(round.scores[best[K - 1]]):
            last = naively[best[K - 1]]
            rivals = [c for c in sorted(best[K:]) if naive.upper(candidates[c], t) >= last - 1e-9]
            if rivals and draws.random() < 0.5:
                best[K - 1] = rivals[int(draws.random() * len(rivals))]
                challenges += 1
        expected = np.zeros(K, int)
        expected[order] = best[:K]
        assert slate.tolist() == expected.tolist(), t
        seen, clicks = world.random(K) < 0.8, world.random(K) < np.array(kappa) * theta[candidates[slate]]
        policy.update(state, round, slate, clicks * 1.0, seen)
        for k in np.flatnonzero(seen):
            naive.learn(candidates[slate[k]], int(k), float(clicks[k]))
    assert challenges > 20 or name == "pbm-ucb"


def test_ucb_index_worked_by_hand() -> None:
    """3 displays at the top, 2 where half look, 2 clicks: S = 2, N = 5, Nt = 4, and t = 10 after 9 rounds."""
    policy, candidates = load("pbm-ucb", epsilon=0.5), np.arange(3)
    state = policy.init(spec_of((1.0, 0.5), 3, 3))
    for reward in (1.0, 0.0, 0.0):
        told(policy, state, [0, 1], [reward, 0.0], candidates, 2)
    for reward in (1.0, 0.0):
        told(policy, state, [1, 0], [1.0, reward], candidates, 2)
    round, slate = round_of(9, candidates, 2), np.zeros(2, np.int64)
    policy.select(state, np.random.default_rng(0), round, slate)
    delta = 1.5 * 2.302585093
    assert round.scores[0] == pytest.approx(2 / 4 + math.sqrt(5 / 4) * math.sqrt(delta / 8))
    assert round.scores[0] == pytest.approx(1.23463, abs=1e-5)
    assert round.scores[2] == FIRST and slate[0] == 2


def test_pie_upper_index_solves_phi_equals_delta() -> None:
    rng, checked = np.random.default_rng(3), 0
    for _ in range(60):
        naive = Naive(KAPPA, 0.1)
        theta, clicks, displays = rng.random(), np.zeros(4), np.zeros(4)
        for k in rng.integers(0, 3, int(rng.integers(1, 60))):
            r = float(rng.random() < KAPPA[k] * theta)
            naive.learn(0, int(k), r)
            clicks[k], displays[k] = clicks[k] + r, displays[k] + 1
        delta = naive.delta(int(rng.integers(1, 2000)))
        learned = round(math.exp(delta / 1.1)) - 1
        upper = naive.upper(0, learned)
        examination = np.array((*KAPPA, 1.0))
        if upper < 1.0 and naive.phi(0, upper - 1e-9) < delta:
            assert naive.phi(0, upper) == pytest.approx(delta, abs=1e-6)
            assert pbm_pie.reaches(clicks, displays, examination, upper - 1e-6, delta)
            assert not pbm_pie.reaches(clicks, displays, examination, upper + 1e-6, delta)
            checked += 1
        assert pbm_pie.reaches(clicks, displays, examination, 0.0, delta)
        assert not pbm_pie.reaches(clicks, displays, examination, 1.5, delta)
    assert checked > 20


def test_pie_index_worked_by_hand() -> None:
    """Nothing in 10 displays where all look: 10 KL(0, U) = -10 ln(1 - U) = delta."""
    nothing, ten = np.zeros(2), np.array([10.0, 0.0])
    upper = 1 - math.exp(-0.2)
    assert pbm_pie.reaches(nothing, ten, np.ones(2), upper - 1e-9, 2.0)
    assert not pbm_pie.reaches(nothing, ten, np.ones(2), upper + 1e-9, 2.0)
    assert pbm_pie.reaches(nothing, nothing, np.ones(2), 1.0, 0.0)  # never displayed: U = 1
    assert not pbm_pie.reaches(nothing, ten, np.ones(2), 1.0, 1e9)  # always clicked, it would have been


POSTERIORS = {  # (prior_a, prior_b), clicks, displays without a click in each column, weights
    "prior": ((1.0, 1.0), 0, (0, 0, 0), (0.9, 0.5, 1.0)),
    "informed prior": ((2.0, 5.0), 0, (0, 0, 0), (0.9, 0.5, 1.0)),
    "wide prior": ((0.1, 1.0), 0, (3, 0, 0), (0.9, 0.5, 1.0)),
    "one click": ((1.0, 1.0), 1, (0, 0, 0), (0.9, 0.5, 1.0)),
    "one miss": ((1.0, 1.0), 0, (1, 0, 0), (1.0, 0.5, 1.0)),
    "one of each": ((1.0, 1.0), 1, (1, 0, 0), (1.0, 0.5, 1.0)),
    "misses low down": ((1.0, 1.0), 0, (0, 40, 0), (0.9, 0.05, 1.0)),
    "a few": ((1.0, 1.0), 3, (5, 20, 0), (0.9, 0.3, 1.0)),
    "half a click": ((1.0, 1.0), 0.5, (0.5, 2.25, 0), (0.9, 0.3, 1.0)),
    "more clicks than can be": ((1.0, 1.0), 30, (3, 10, 0), (0.4, 0.2, 1.0)),
    "clicks and one miss": ((1.0, 1.0), 100, (1, 0, 0), (1.0, 0.2, 1.0)),
    "many": ((1.0, 1.0), 4000, (30000, 20000, 100), (0.9, 0.3, 1.0)),
    "many, no click": ((1.0, 1.0), 0, (300000, 200000, 0), (0.9, 0.3, 1.0)),
}


def posterior(case: str) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Exponent of theta (the prior's included), failures, weights, and the envelope that the policy keeps."""
    (a, b), clicks, failures, weights = POSTERIORS[case]
    gain, failed, examination = a + clicks, np.array(failures, float), np.array(weights)
    failed[-1] += b - 1
    envelope = np.zeros(pbm_ts.SIZE)
    pbm_ts.envelop(gain, failed, examination, envelope)
    return gain, failed, examination, envelope


def by_quadrature(case: str, points: int = 400_001) -> tuple[np.ndarray, np.ndarray, float]:
    """u = ln theta on a fine grid around the peak, its distribution function there, and the mass over the peak's."""
    gain, failures, weights, _ = posterior(case)
    u = np.linspace(max(-60.0 / gain - 14.0, -700.0), 0.0, points)
    for _ in range(3):  # closer and closer around the mass
        height = gain * u
        with np.errstate(divide="ignore"):
            for k in np.flatnonzero(failures):
                height += failures[k] * np.log(1 - weights[k] * np.exp(u))
        density = np.exp(height - height.max())
        mass = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(u))])
        last, keep = (u, mass), np.flatnonzero(height > height.max() - 45)
        u = np.linspace(u[max(keep[0] - 1, 0)], u[min(keep[-1] + 1, points - 1)], points)
    return last[0], last[1] / last[1][-1], float(last[1][-1])


@pytest.mark.parametrize("case", POSTERIORS)
def test_ts_draws_have_the_posterior_distribution(case: str) -> None:
    """Mean, variance and the whole distribution function against numerical integration."""
    n, rng = 20_000, np.random.default_rng(5)
    gain, failures, weights, envelope = posterior(case)
    draws = np.sort([pbm_ts.sample(rng, gain, failures, weights, envelope) for _ in range(n)])
    assert draws[-1] <= 0
    u, cdf, _ = by_quadrature(case)
    theta, steps = np.exp(u), np.diff(cdf)
    middle = (theta[1:] + theta[:-1]) / 2
    mean = (middle * steps).sum()
    variance = ((middle - mean) ** 2 * steps).sum()
    fourth = ((middle - mean) ** 4 * steps).sum()
    assert np.exp(draws).mean() == pytest.approx(mean, abs=4 * math.sqrt(variance / n))
    assert np.exp(draws).var() == pytest.approx(variance, abs=4 * math.sqrt((fourth - variance**2) / n))
    expected = np.interp(draws, u, cdf)
    distance = max(np.abs(expected - np.arange(n) / n).max(), np.abs(expected - np.arange(1, n + 1) / n).max())
    assert distance < 1.95 / math.sqrt(n)  # Kolmogorov-Smirnov at 0.1 %


@pytest.mark.parametrize("case", POSTERIORS)
def test_ts_envelope_is_above_the_density_and_close(case: str) -> None:
    gain, failures, weights, envelope = posterior(case)
    u, _, mass = by_quadrature(case)
    left, right = envelope[pbm_ts.LEFT], envelope[pbm_ts.RIGHT]
    hat = np.where(u < left, (u - left) * envelope[pbm_ts.LEFT_SLOPE], 0.0)
    hat = np.where(u > right, (u - right) * envelope[pbm_ts.RIGHT_SLOPE], hat)
    inside = u[np.linspace(1, len(u) - 2, 500).astype(int)]
    height = np.array([pbm_ts.density(gain, failures, weights, at) for at in inside]) - envelope[pbm_ts.TOP]
    assert np.all(height <= np.interp(inside, u, hat) + 1e-6)
    area = envelope[pbm_ts.LEFT_AREA] + right - left + envelope[pbm_ts.RIGHT_AREA]
    assert 1 - 1e-6 < area / mass < 1.25  # points a draw


def test_ts_on_uniform_examination_is_a_beta_posterior() -> None:
    """Where all look, theta given 7 clicks of 10 is Beta(8, 4): mean 2/3, variance 8 * 4 / (12^2 * 13)."""
    policy, candidates, rng = load("pbm-ts"), np.arange(2), np.random.default_rng(1)
    state = policy.init(spec_of((1.0, 1.0), 2, 2))
    for r in (1, 1, 0, 1, 1, 0, 1, 1, 0, 1):
        told(policy, state, [0, 1], [r, 0.0], candidates, 2)
    row = state.gain[0], state.failures[0], state.examination, state.envelope[0]
    draws = np.exp([pbm_ts.sample(rng, *row) for _ in range(20_000)])
    assert draws.mean() == pytest.approx(2 / 3, abs=4 * math.sqrt(32 / (144 * 13) / 20_000))
    assert draws.var() == pytest.approx(32 / (144 * 13), rel=0.05)


def test_ts_chooses_as_often_as_a_sampler_on_a_grid() -> None:
    """The naive twin: inverse transform on 512 points of each posterior, straight from the displays."""
    policy, candidates, world = load("pbm-ts", prior_a=0.5, prior_b=2.0), np.arange(4), np.random.default_rng(6)
    state, shown = policy.init(spec_of(KAPPA, 4, 4)), []
    for _ in range(60):
        items = world.permutation(4)[:3]
        rewards = (world.random(3) < np.array(KAPPA) * TOY_THETA[items]) * 1.0
        told(policy, state, items.tolist(), rewards.tolist(), candidates, 3)
        shown += list(zip(items.tolist(), range(3), rewards, strict=True))
    grid, n = (np.arange(512) + 0.5) / 512, 8000
    draws = np.zeros((4, n))
    for item in range(4):
        density = grid**-0.5 * (1 - grid)
        for _, k, r in (s for s in shown if s[0] == item):
            density *= (KAPPA[k] * grid) ** r * (1 - KAPPA[k] * grid) ** (1 - r)
        draws[item] = grid[np.searchsorted(np.cumsum(density) / density.sum(), world.random(n))]
    draws += world.random(draws.shape) * 1e-9  # equal grid points: either order
    wanted = Counter(map(tuple, np.argsort(-draws, axis=0)[:3].T.tolist()))
    rng, slate, got = np.random.default_rng(7), np.zeros(3, np.int64), Counter[Any]()
    for t in range(n):
        policy.select(state, rng, round_of(t, candidates, 3), slate)
        got[tuple(slate.tolist())] += 1
    for key in wanted | got:
        p = (wanted[key] + got[key]) / (2 * n)
        assert abs(wanted[key] - got[key]) / n < 4 * math.sqrt(2 * p * (1 - p) / n) + 0.004  # and the grid's error


@pytest.mark.parametrize("name", NAMES)
def test_finds_the_best_list_of_the_published_toy_setting(name: str) -> None:
    policy, candidates, world, rounds = load(name), np.arange(5), np.random.default_rng(8), 12_000
    state, rng, lists = policy.init(spec_of(TOY_KAPPA, 5, 5)), np.random.default_rng(9), Counter[Any]()
    clicks = world.random((rounds, 3))
    for t in range(rounds):
        round, slate = round_of(t, candidates, 3), np.zeros(3, np.int64)
        policy.select(state, rng, round, slate)
        policy.update(state, round, slate, (clicks[t] < TOY_KAPPA * TOY_THETA[slate]) * 1.0, np.ones(3, bool))
        if t >= rounds - 2000:
            lists[tuple(slate.tolist())] += 1
    assert lists[0, 1, 2] == max(lists.values()) > 0.4 * 2000


@pytest.mark.parametrize("name", NAMES)
def test_the_best_item_stands_where_most_is_examined(name: str) -> None:
    policy, candidates = load(name), np.arange(3)
    state = policy.init(spec_of((0.2, 1.0, 0.6), 3, 3))
    for _ in range(2000):
        told(policy, state, [2, 1, 0], [0.0, 1.0, 0.3], candidates, 3)  # theta: item 1 1, item 0 0.5, item 2 0
    slate = np.zeros(3, np.int64)
    policy.select(state, np.random.default_rng(0), round_of(2000, candidates, 3), slate)
    assert slate.tolist() == [2, 1, 0]


def leaves(name: str, state: Any) -> list[Any]:
    kept = [getattr(state, f) for f in state._fields if f not in load(name).working]  # type: ignore[attr-defined]
    return [np.array(leaf) for leaf in kept]


@pytest.mark.parametrize("name", NAMES)
def test_a_position_nobody_examines_teaches_nothing(name: str) -> None:
    policy, candidates = load(name), np.arange(3)
    state, other = (policy.init(spec_of((1.0, 0.0), 3, 3)) for _ in range(2))
    told(policy, state, [0, 1], [1.0, 1.0], candidates, 2)
    round, seen = round_of(0, candidates, 2), np.array([True, False])
    policy.update(other, round, np.array([0, 1]), np.array([1.0, np.nan]), seen)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(name, state), leaves(name, other), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_rewards_revealed_of_all_candidates_have_weight_one(name: str) -> None:
    """As if every reward had been shown where all look."""
    policy, candidates = load(name), np.arange(3)
    state, sure = policy.init(spec_of((0.5, 0.25), 3, 3)), policy.init(spec_of((1.0,), 3, 3))
    for rewards in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
        told(policy, state, [2, 0, 1], rewards, candidates, 2)
        for item, r in zip([2, 0, 1], rewards, strict=True):
            told(policy, sure, [item], [r], candidates, 1)
    if name == "pbm-ts":
        assert np.array_equal(state.gain, sure.gain)
        assert np.array_equal(state.failures[:, 2], sure.failures[:, 0] + sure.failures[:, 1])
        assert np.allclose(state.envelope, sure.envelope)
    else:
        assert np.array_equal(state.sums, sure.sums)


def test_weights_beyond_the_slate_are_left_out() -> None:
    assert columns(np.array([1.0, 0.5, 0.2])).tolist() == [1.0, 0.5, 0.2, 1.0]
    assert by_examination(np.array([0.3, 1.0, 0.3, 2.0]), 3).tolist() == [1, 0, 2]


def test_hyper_parameters() -> None:
    for name in NAMES:
        assert load(name).needs == ("weights",)
    with pytest.raises(ConfigError, match=r"prior_b = 0.5 must be 1 or above"):
        load("pbm-ts", prior_b=0.5)
    with pytest.raises(ConfigError, match=r"prior_a = 0.0 must be above 0"):
        load("pbm-ts", prior_a=0.0)


def test_ltr_is_the_logged_order() -> None:
    policy = load("ltr")
    state = policy.init(Spec(9, 5, 3))
    for t in range(3):
        round, slate = round_of(t, np.random.default_rng(t).permutation(9)[:5], 3), np.zeros(3, np.int64)
        policy.select(state, np.random.default_rng(0), round, slate)
        assert slate.tolist() == [0, 1, 2]
        assert round.scores.tolist() == [5, 4, 3, 2, 1]
        policy.update(state, round, slate, np.array([0.0, 1.0, 1.0]), np.ones(3, bool))
