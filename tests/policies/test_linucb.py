"""Disjoint LinUCB beside the paper's algorithm, written out plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lersbench.errors import ConfigError
from lersbench.kernels.ties import top_k
from lersbench.learners import per_item
from lersbench.policies import linucb
from lersbench.policies.linucb import LinUCB
from lersbench.policy import Round, Spec

RNG = np.random.default_rng(0)  # LinUCB draws nothing


class Paper:
    """Li et al. 2010, Algorithm 1: A and b an arm, inverted anew each round."""

    def __init__(self, arms: int, d: int, alpha: float, prior: float):
        self.alpha = alpha
        self.A = np.tile(prior * np.eye(d), (arms, 1, 1))
        self.b = np.zeros((arms, d))

    def scores(self, x: np.ndarray) -> np.ndarray:
        inverse = np.linalg.inv(self.A)
        theta = np.einsum("nij,nj->ni", inverse, self.b)
        return theta @ x + self.alpha * np.sqrt(np.einsum("nij,i,j->n", inverse, x, x))

    def learn(self, arm: int, x: np.ndarray, reward: float) -> None:
        self.A[arm] += np.outer(x, x)
        self.b[arm] += reward * x


def round_of(x: np.ndarray, candidates: np.ndarray, slate: int = 1, ties: int = 7) -> Round:
    n = candidates.size
    out = np.zeros(n), np.zeros(slate), np.zeros(slate, np.int64)
    return Round(0, -1, x, candidates.astype(np.int64), np.zeros((n, 0)), ties, *out)


def choose(policy: LinUCB, state: linucb.State, round: Round) -> np.ndarray:
    slate = np.zeros(round.propensities.size, np.int64)
    policy.select(state, RNG, round, slate)
    return slate


@pytest.mark.parametrize(
    ("arms", "d", "slate", "alpha", "prior"),
    [(7, 3, 1, 0.3, 1.0), (12, 5, 3, 2.0, 0.1), (3, 9, 2, 0.0, 10.0), (20, 1, 20, 0.5, 1.0), (1, 4, 1, 1.0, 1.0)],
)
def test_scores_are_the_papers(arms: int, d: int, slate: int, alpha: float, prior: float) -> None:
    rng = np.random.default_rng(arms)
    policy = LinUCB(alpha, prior)
    state, paper = policy.init(Spec(arms, arms, slate, d)), Paper(arms, d, alpha, prior)
    for t in range(120):
        x = rng.standard_normal(d) if t % 10 else np.zeros(d)
        round = round_of(x, np.arange(arms), slate, ties=t)
        shown = choose(policy, state, round)
        np.testing.assert_allclose(round.scores, paper.scores(x), rtol=1e-9, atol=1e-9)
        assert np.unique(shown).size == slate
        assert (np.diff(round.scores[shown]) <= 0).all() and round.scores[shown[0]] == round.scores.max()
        rewards, seen = rng.random(slate), rng.random(slate) < 0.8
        policy.update(state, round, shown, rewards, seen)
        for k in np.flatnonzero(seen):
            paper.learn(shown[k], x, rewards[k])


@pytest.mark.parametrize("offered", [2, 9, 40])
def test_any_subset_of_the_items_can_be_offered_in_any_order(offered: int) -> None:
    rng = np.random.default_rng(offered)
    policy = LinUCB(0.5, 2.0)
    state, paper = policy.init(Spec(40, offered, 1, 4)), Paper(40, 4, 0.5, 2.0)
    for t in range(200):
        x, candidates = rng.standard_normal(4), rng.permutation(40)[:offered]
        round = round_of(x, candidates, ties=t)
        shown = choose(policy, state, round)
        np.testing.assert_allclose(round.scores, paper.scores(x)[candidates], rtol=1e-9, atol=1e-9)
        reward = rng.random()
        policy.update(state, round, shown, np.array([reward]), np.ones(1, bool))
        paper.learn(candidates[shown[0]], x, reward)


def test_feedback_on_every_candidate_teaches_every_item() -> None:
    policy, rng = LinUCB(), np.random.default_rng(3)
    state, paper = policy.init(Spec(5, 5, 2, 3)), Paper(5, 3, 0.3, 1.0)
    for _ in range(10):
        x, order, rewards = rng.standard_normal(3), rng.permutation(5), rng.random(5)
        policy.update(state, round_of(x, np.arange(5), 5), order, rewards, np.ones(5, bool))
        for arm, reward in zip(order, rewards, strict=True):
            paper.learn(arm, x, reward)
    theta = np.einsum("nij,nj->ni", np.linalg.inv(paper.A), paper.b)
    np.testing.assert_allclose(per_item.estimates(state.bank), theta, atol=1e-10)


@pytest.mark.parametrize("world", ["clicks", "linear", "few contexts", "few candidates", "alpha 0", "large numbers"])
def test_wins_answers_what_select_would_choose(world: str) -> None:
    """Under uniform logging, matches learned from: early rounds are full of exact ties, late ones of close calls."""
    rng = np.random.default_rng(5)
    arms, d, offered, rounds = 11, 4, 2 if world == "few candidates" else 11, 2500
    policy = LinUCB(0.0 if world == "alpha 0" else 0.4, 0.5)
    state, truth = policy.init(Spec(arms, offered, 1, d)), rng.standard_normal((arms, d)) / d
    few = rng.standard_normal((3, d))
    wins = losses = 0
    for t in range(rounds):
        x = few[rng.integers(3)] if world == "few contexts" else rng.standard_normal(d)
        x = np.zeros(d) if t % 50 == 0 else x * 1e4 if world == "large numbers" else x
        round = round_of(x, rng.permutation(arms)[:offered], ties=t)
        logged = int(rng.integers(offered))
        won = linucb.wins(state, RNG, round, logged)
        assert won == (choose(policy, state, round)[0] == logged)
        wins, losses = wins + won, losses + (not won)
        if won:
            mean = truth[round.candidates[logged]] @ x
            reward = mean if world in ("linear", "large numbers") else float(rng.random() < 0.1 + mean / 2)
            policy.update(state, round, np.array([logged]), np.array([reward]), np.ones(1, bool))
    assert wins > 100 and losses > 100


def test_equal_scores_are_taken_in_the_order_of_the_tie_rule() -> None:
    policy = LinUCB()
    state = policy.init(Spec(50, 50, 4, 3))
    tops = set()
    for ties in range(60):
        round = round_of(np.ones(3), np.arange(50), 4, ties)
        shown, expected = choose(policy, state, round), np.zeros(4, np.int64)
        top_k(np.ones(50), ties, expected)
        np.testing.assert_array_equal(shown, expected)
        tops.add(int(shown[0]))
    assert len(tops) > 30  # never the file's order


@pytest.mark.parametrize("params", [{"alpha": -0.1}, {"alpha": math.nan}, {"ridge": 0.0}, {"ridge": math.inf}])
def test_impossible_hyper_parameters_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(params))):
        LinUCB(**params)
