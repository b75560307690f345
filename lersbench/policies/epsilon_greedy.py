"""Epsilon-greedy on running means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.tie_chances import foremost, ranked
from lersbench.kernels.ties import top_k
from lersbench.learners.counts import add_to_means
from lersbench.learners.warm_start import check, observations
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    plays: np.ndarray  # (n_items,) float64, rewards seen of each item
    mean: np.ndarray  # (n_items,) float64, their mean; 0 before the first
    rounds: np.ndarray  # (1,) int64, rounds learned from
    epsilon: float
    decay: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """The K best means, or with probability epsilon_n a uniform list."""
    n, epsilon = round.candidates.shape[0], exploration(state, round)
    for c in range(n):
        round.scores[c] = state.mean[round.candidates[c]]
    top_k(round.scores, round.ties, slate)
    greedy_propensities(round.scores, slate, round.propensities)
    explore = rng.random() < epsilon
    order = np.empty(n if explore else 0, np.int64)
    for c in range(order.shape[0]):
        order[c] = c
    for k in range(slate.shape[0]):
        greedy = 1.0
        if explore:
            j = k + min(int(rng.random() * (n - k)), n - k - 1)
            order[k], order[j] = order[j], order[k]
            greedy = 1.0 if round.scores[order[k]] == round.scores[slate[k]] else 0.0
            slate[k] = order[k]
        round.propensities[k] = epsilon / n + (1.0 - epsilon) * greedy * round.propensities[k]


@inlined
def exploration(state: State, round: Round) -> float:
    """epsilon_n, the probability of a uniform list."""
    if state.decay > 0.0:
        return min(state.epsilon, state.decay * round.candidates.shape[0] / (state.rounds[0] + 1))
    return state.epsilon


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """Given what stands above, the list is a uniform one with a probability that began as epsilon_n (Bayes' rule)."""
    n, explores = round.candidates.shape[0], exploration(state, round)
    for c in range(n):
        round.scores[c] = state.mean[round.candidates[c]]
    ranked(round.scores, slate, out)
    for k in range(slate.shape[0]):
        uniform = explores / (n - k)
        out[k] = uniform + (1.0 - explores) * out[k]
        if out[k] > 0.0:
            explores = uniform / out[k]


@kernel
def offer(state: State, round: Round, out: np.ndarray) -> None:
    n, epsilon = round.candidates.shape[0], exploration(state, round)
    for c in range(n):
        round.scores[c] = state.mean[round.candidates[c]]
    foremost(round.scores, out)
    for c in range(n):
        out[c] = epsilon / n + (1.0 - epsilon) * out[c]


@kernel
def greedy_propensities(scores: np.ndarray, slate: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (K,) with the probability that a random tie order puts `slate[k]` (from `top_k`) in position k.

    A block of g equal scores fills g positions in a row, each item in each of them with probability 1 / g;
    only the last block can be cut off by the end of the slate, so only that one is counted over all scores.
    """
    size, start = slate.shape[0], 0
    while start < size:
        score, end = scores[slate[start]], start + 1
        while end < size and scores[slate[end]] == score:
            end += 1
        block = end - start
        if end == size:
            block = 0
            for c in range(scores.shape[0]):
                block += scores[c] == score
        for k in range(start, end):
            out[k] = 1.0 / block
        start = end


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    state.rounds[0] += 1
    add_to_means(state.plays, state.mean, round.candidates, slate, rewards, seen)


@dataclass(frozen=True)
class EpsilonGreedy(KernelPolicy):
    """With probability epsilon a uniform list of K distinct items, else the K best running means.

    With `decay` > 0 the probability falls as epsilon_n = min(epsilon, decay C / n) in round n = 1, 2, ...;
    epsilon = 1 and decay = c / d^2 give epsilon_n-greedy as published. `propensities` are exact: the
    probability that the item stands in that position, random ties included.

    Source: Auer, Cesa-Bianchi and Fischer 2002, figure 3 (doi 10.1023/A:1013689704352).
    """

    epsilon: float = 0.1  # probability of a uniform list, in [0, 1]
    decay: float = 0.0  # speed of the decay, >= 0; 0 keeps epsilon constant
    warm: float = 0.0  # observations of before the stream that each item begins with, >= 0; see `warm`

    kernels = (select, update)
    chance_kernel = chance
    offer_kernel = offer

    def __post_init__(self) -> None:
        require(0 <= self.epsilon <= 1, self, "epsilon", "in [0, 1]")
        require(self.decay >= 0, self, "decay", "0 (no decay) or above")
        check(self, self.warm)

    def init(self, spec: Spec) -> State:
        plays, clicks = observations(spec, self.warm)
        mean = clicks / np.maximum(plays, 1e-300)
        return State(plays, mean, np.zeros(1, np.int64), self.epsilon, self.decay)
