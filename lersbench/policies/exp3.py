"""Exp3: exponential weights against an adversary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.learners.exp3 import draw, horizon_gamma, probabilities, share_left
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    log_weight: np.ndarray  # (n_items,) float64, ln w
    gamma: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = p = (1 - gamma) w / sum w + gamma / C; positions are drawn from p, one after the other."""
    n = round.candidates.shape[0]
    probabilities(state.log_weight, state.gamma, round.candidates, round.scores)
    left = np.empty(n)  # the probabilities of what is not in the slate yet
    for c in range(n):
        left[c] = round.scores[c]
    for k in range(slate.shape[0]):
        total = 0.0
        for c in range(n):
            total += left[c]
        slate[k] = draw(left, rng.random() * total)
        round.propensities[k] = left[slate[k]] / total
        left[slate[k]] = 0.0


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """p, renormalised over what is left."""
    probabilities(state.log_weight, state.gamma, round.candidates, round.scores)
    for k in range(slate.shape[0]):
        out[k] = share_left(round.scores, slate[k])
        round.scores[slate[k]] = 0.0


@kernel
def offer(state: State, round: Round, out: np.ndarray) -> None:
    probabilities(state.log_weight, state.gamma, round.candidates, out)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """w *= exp(gamma r / (C p)), p = the probability with which the position was filled."""
    rate = state.gamma / round.candidates.shape[0]
    for k in range(slate.shape[0]):
        if seen[k]:
            state.log_weight[round.candidates[slate[k]]] += rate * rewards[k] / round.propensities[k]


@dataclass(frozen=True)
class Exp3(KernelPolicy):
    """Exponential weights with a uniform share gamma and importance-weighted rewards.

    For K > 1 the positions are drawn one after the other without replacement; a position's propensity is the
    probability renormalised over what was left, and that one stands in the importance weight. When the
    rewards of all candidates are revealed their propensity is 1, and the update is that of Hedge.

    For K > 1 that favours light items: an item's weights 1 / propensity sum, in expectation, not to 1 but to the
    positions that find it left, sum_k P(not above k). With K = 3 and p = (0.55, 0.2, 0.1, 0.05, 0.05, 0.05) that is
    1.61 for the heaviest and 2.82 for the lightest, whose rewards so count 1.7 times as much. K = 1 is exact; exp3m
    has exact probabilities for every K.

    Under gamma = 0 it is set by the horizon T: min(1, sqrt(C ln C / ((e - 1) T))).

    Source: Auer, Cesa-Bianchi, Freund and Schapire 2002, section 3 and corollary 3.2
    (doi 10.1137/S0097539701398375).
    """

    gamma: float = 0.2  # share of uniform exploration and learning rate, in [0, 1]; 0 sets it by the horizon

    unit_rewards = True  # or the weights have no bound
    learns_from_log = False  # the rate is made for its own chances, at least gamma / C
    kernels = (select, update)
    chance_kernel = chance
    offer_kernel = offer

    def __post_init__(self) -> None:
        require(0 <= self.gamma <= 1, self, "gamma", "in [0, 1]; 0 sets it by the horizon")

    def init(self, spec: Spec) -> State:
        return State(np.zeros(spec.n_items), self.gamma or horizon_gamma(spec.n_candidates, 1, spec.rounds))
