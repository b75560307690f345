"""Exp3: exponential weights against an adversary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.jit import kernel
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
def probabilities(log_weight: np.ndarray, gamma: float, candidates: np.ndarray, p: np.ndarray) -> None:
    """Fill `p` (C,) with (1 - gamma) w / sum w + gamma / C, the sum over the candidates; `log_weight` (n_items,)."""
    n = candidates.shape[0]
    top = log_weight[candidates[0]]
    for c in range(n):
        top = max(top, log_weight[candidates[c]])
    total = 0.0
    for c in range(n):
        p[c] = math.exp(log_weight[candidates[c]] - top)
        total += p[c]
    for c in range(n):
        p[c] = (1.0 - gamma) * p[c] / total + gamma / n


@kernel
def draw(mass: np.ndarray, point: float) -> int:
    """The index in whose share of `mass` (C,) the `point` in [0, sum) falls, the shares laid end to end."""
    last = -1
    for c in range(mass.shape[0]):
        if mass[c] > 0.0:
            last = c
            if point < mass[c]:
                return c
            point -= mass[c]
    return last  # rounding can carry the point just over the end


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

    kernels = (select, update)

    def __post_init__(self) -> None:
        require(0 <= self.gamma <= 1, self, "gamma", "in [0, 1]; 0 sets it by the horizon")

    def init(self, spec: Spec) -> State:
        return State(np.zeros(spec.n_items), self.gamma or horizon_gamma(spec.n_candidates, 1, spec.rounds))


def horizon_gamma(candidates: int, plays: int, rounds: int) -> float:
    """min(1, sqrt(C ln(C / plays) / ((e - 1) plays T))), the rate that balances the regret bound at T rounds."""
    if rounds < 1:
        raise ConfigError("gamma = 0 sets gamma by the number of rounds, which is not known here; give gamma a value.")
    return min(1.0, math.sqrt(candidates * math.log(candidates / plays) / ((math.e - 1.0) * plays * rounds)))
