"""Independent and ranked bandits over Exp3 and UCB1 beside their definitions, written out plainly."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from lersbench.kernels.ties import scramble
from lersbench.learners.ranked import credit, show
from lersbench.policy import Policy, Round, Spec, load

NAMES = ("iba-ucb1", "iba-exp3", "rba-ucb1", "rba-exp3")
GAMMA, ALPHA = 0.25, 0.7


def round_of(t: int, candidates: np.ndarray, positions: int) -> Round:
    wide = len(candidates)
    outputs = np.zeros(wide), np.zeros(positions), np.zeros(positions, np.int64)
    return Round(t, -1, np.zeros(0), candidates, np.zeros((wide, 0)), int(scramble(9, t)), *outputs)


class UCB1:
    """Auer et al. 2002, figure 1, on whatever arms are on offer."""

    def __init__(self) -> None:
        self.n = 0
        self.rewards: dict[int, list[float]] = {}

    def choose(self, arms: list[int], pool: list[int], ties: int, rng: np.random.Generator) -> tuple[int, float]:
        def index(item: int) -> float:
            own = self.rewards.get(item, [])
            return float(np.mean(own)) + ALPHA * math.sqrt(2 * math.log(max(self.n, 1)) / len(own)) if own else math.inf

        scores = {c: index(arms[c]) for c in pool}
        top = max(scores.values())
        best = [c for c in pool if scores[c] >= top - 1e-12]
        return max(best, key=lambda c: int(scramble(ties, c))), 0.0

    def learn(self, item: int, reward: float, p: float, arms: int) -> None:
        self.rewards.setdefault(item, []).append(reward)


class Exp3:
    """Auer et al. 2002, section 3, its probabilities renormalised over `pool`."""

    def __init__(self) -> None:
        self.n = 0
        self.w: dict[int, float] = {}

    def choose(self, arms: list[int], pool: list[int], ties: int, rng: np.random.Generator) -> tuple[int, float]:
        w = [self.w.get(item, 1.0) for item in arms]
        p = [(1 - GAMMA) * v / sum(w) + GAMMA / len(w) for v in w]
        total = sum(p[c] for c in pool)
        point = rng.random() * total
        for c in pool:
            if point < p[c]:
                return c, p[c] / total
            point -= p[c]
        raise AssertionError("the point is beyond the last share")

    def learn(self, item: int, reward: float, p: float, arms: int) -> None:
        self.w[item] = self.w.get(item, 1.0) * math.exp(GAMMA * reward / (arms * p))


@pytest.mark.parametrize("positions", [1, 3, 6])
@pytest.mark.parametrize(
    ("name", "first_click_only"), [*((name, False) for name in NAMES), ("rba-ucb1", True), ("rba-exp3", True)]
)
def test_slates_are_those_of_the_naive_twin(name: str, first_click_only: bool, positions: int) -> None:
    """Six of eight items on offer, a different six every round, and some positions unseen."""
    ranked, base = name.startswith("rba"), UCB1 if name.endswith("ucb1") else Exp3
    params: dict[str, Any] = {"alpha": ALPHA} if base is UCB1 else {"gamma": GAMMA}
    if ranked:
        params["first_click_only"] = first_click_only
    policy, learners = load(name, **params), [base() for _ in range(positions)]
    world, rng, draws = np.random.default_rng(2), np.random.default_rng(4), np.random.default_rng(4)
    theta, state, duplicates = world.random(8), policy.init(Spec(8, 6, positions)), 0
    for t in range(300):
        candidates = world.permutation(8)[:6]
        arms, everything = candidates.tolist(), list(range(6))
        round, slate = round_of(t, candidates, positions), np.zeros(positions, np.int64)
        policy.select(state, rng, round, slate)
        shown: list[int] = []
        choices = []
        for k, learner in enumerate(learners):
            free = [c for c in everything if c not in shown]
            ties = int(scramble(round.ties, k)) if ranked else round.ties
            choices.append(learner.choose(arms, everything if ranked else free, ties, draws))
            choice = choices[-1][0]
            if choice in shown:
                duplicates += 1
                choice = free[int(draws.random() * len(free))]
            shown.append(choice)
        assert slate.tolist() == shown, t
        assert len(set(shown)) == positions
        clicked, seen = world.random(positions) < theta[candidates[slate]], world.random(positions) < 0.8
        clicks = clicked * world.random(positions)  # fractions: means are equal only where all rewards were 0
        policy.update(state, round, slate, np.where(seen, clicks, np.nan), seen)
        for k, learner in enumerate(learners):
            learner.n += 1
            above = any(seen[j] and clicks[j] for j in range(k))
            counts = choices[k][0] == shown[k] and not (first_click_only and above)
            if seen[k]:
                learner.learn(arms[choices[k][0]], clicks[k] if counts else 0.0, choices[k][1], 6)
    assert (duplicates > 50) == (ranked and positions > 1)


def test_a_substitute_is_any_candidate_not_shown() -> None:
    rng, counts, n = np.random.default_rng(1), np.zeros(6), 6000
    for _ in range(n):
        taken = np.array([True, False, True, False, False, True])
        chosen = show(rng, 2, taken, 3)
        assert taken[chosen] and taken.sum() == 4
        counts[chosen] += 1
    assert counts[[0, 2, 5]].sum() == 0
    assert np.abs(counts[[1, 3, 4]] / n - 1 / 3).max() < 4 * math.sqrt(2 / 9 / n)


def test_a_choice_that_is_free_is_shown_and_draws_nothing() -> None:
    rng, taken = np.random.default_rng(1), np.array([True, False, False])
    assert show(rng, 2, taken, 1) == 2
    assert taken.tolist() == [True, False, True]
    assert rng.random() == np.random.default_rng(1).random()


def test_credit_worked_by_hand() -> None:
    """The learner of the third position chose what stood on top already; candidate 4 was shown for it and clicked."""
    choices, slate, rewards = np.array([3, 1, 3, 0]), np.array([3, 1, 4, 0]), np.array([0.0, 1.0, 1.0, 1.0])
    out, all_seen = np.empty(4), np.ones(4, bool)
    credit(choices, slate, rewards, all_seen, False, out)
    assert out.tolist() == [0, 1, 0, 1]
    credit(choices, slate, rewards, all_seen, True, out)
    assert out.tolist() == [0, 1, 0, 0]
    credit(choices, slate, rewards, np.array([True, False, True, True]), True, out)
    assert out[2:].tolist() == [0, 0]  # the click below, on the substitute, was the first that was seen


def learn_all(policy: Policy, rewards: list[float], slate: list[int], notes: list[int]) -> Any:
    """The state after one round in which the rewards of all four candidates were revealed, two of them shown."""
    state, round = policy.init(Spec(4, 4, 2)), round_of(0, np.arange(4), 2)
    round.notes[:] = notes
    told = round._replace(propensities=np.ones(4))
    policy.update(state, told, np.array(slate), np.array(rewards), np.ones(4, bool))
    return state


@pytest.mark.parametrize("name", ["iba-exp3", "rba-exp3"])
def test_exp3_learns_from_all_that_a_learner_could_have_chosen(name: str) -> None:
    """Slate 2, 0 with rewards 1 and 0.5, then 1 and 3 with 0.25 and 0; the second could not profit by candidate 2."""
    state = learn_all(load(name, gamma=0.4), [1.0, 0.5, 0.25, 0.0], [2, 0, 1, 3], [2, 2])
    assert np.allclose(state.log_weight, 0.1 * np.array([[0.5, 0.25, 1, 0], [0.5, 0.25, 0, 0]]))


def test_rba_exp3_counts_the_first_click_only() -> None:
    policy = load("rba-exp3", gamma=0.4, first_click_only=True)
    state = learn_all(policy, [1.0, 0.5, 0.25, 0.0], [2, 0, 1, 3], [2, 2])
    assert np.allclose(state.log_weight, 0.1 * np.array([[0.5, 0.25, 1, 0], [0, 0, 0, 0]]))
    state = learn_all(policy, [0.0, 0.5, 0.25, 0.0], [2, 0, 1, 3], [2, 0])
    assert np.allclose(state.log_weight, 0.1 * np.array([[0.5, 0.25, 0, 0], [0.5, 0.25, 0, 0]]))


def test_ucb1_learns_from_each_positions_own_item() -> None:
    state = learn_all(load("iba-ucb1"), [1.0, 0.5, 0.25, 0.0], [2, 0, 1, 3], [0, 0])
    assert state.plays.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    assert state.mean.tolist() == [[0, 0, 1, 0], [0.5, 0, 0, 0]]
    state = learn_all(load("rba-ucb1"), [1.0, 0.5, 0.25, 0.0], [2, 0, 1, 3], [2, 2])  # the second chose 2 as well
    assert state.plays.tolist() == [[0, 0, 1, 0], [0, 0, 1, 0]]
    assert state.mean.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]


def last_slates(policy: Policy, clicks: Any, items: int, positions: int, rounds: int, last: int) -> Counter[Any]:
    """Play `rounds`, where `clicks(t, slate)` are the rewards; counts the slates of the `last` ones."""
    state, rng, lists = policy.init(Spec(items, items, positions)), np.random.default_rng(9), Counter[Any]()
    candidates, seen = np.arange(items), np.ones(positions, bool)
    for t in range(rounds):
        round, slate = round_of(t, candidates, positions), np.zeros(positions, np.int64)
        policy.select(state, rng, round, slate)
        policy.update(state, round, slate, clicks(t, slate), seen)
        if t >= rounds - last:
            lists[tuple(slate.tolist())] += 1
    return lists


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("iba-ucb1", {"alpha": 0.3}),
        ("rba-ucb1", {"alpha": 0.3}),
        ("iba-exp3", {"gamma": 0.05}),
        ("rba-exp3", {"gamma": 0.05}),
    ],
)
def test_finds_the_best_list_of_the_published_toy_setting(name: str, params: dict[str, float]) -> None:
    """theta and kappa as for the position-based bandits: five items, three positions."""
    theta, kappa = np.array([0.45, 0.35, 0.25, 0.15, 0.05]), np.array([0.9, 0.6, 0.3])
    tossed = np.random.default_rng(8).random((16_000, 3))
    lists = last_slates(load(name, **params), lambda t, slate: tossed[t] < kappa * theta[slate], 5, 3, 16_000, 2000)
    assert max(lists, key=lambda slate: lists[slate]) == (0, 1, 2)


@pytest.mark.parametrize("name", ["rba-ucb1", "rba-exp3"])
def test_counting_first_clicks_only_makes_lists_diverse(name: str) -> None:
    """Items 0 and 1 please the same 60 % of the users, item 2 the other 40 %: the best list for set-CTR holds 2.

    By their own clicks 0 and 1 are the two best items, and credit for every click finds those instead.
    """
    crowd = np.random.default_rng(3).random(6000) < 0.6
    params = {"gamma": 0.1} if name == "rba-exp3" else {"alpha": 0.3}
    shares = {}
    for first in (True, False):
        policy = load(name, first_click_only=first, **params)
        lists = last_slates(policy, lambda t, slate: (crowd[t] == (slate < 2)) * 1.0, 3, 2, 6000, 1000)
        shares[first] = sum(n for slate, n in lists.items() if 2 in slate) / 1000
    assert shares[True] > 0.8 and shares[False] < 0.3
