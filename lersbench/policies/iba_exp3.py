"""IBA-Exp3: independent bandits, one Exp3 over the items at each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.learners.exp3 import draw, horizon_gamma, probabilities, share_left
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    log_weight: np.ndarray  # (K, n_items) float64, ln w of each learner
    gamma: float
    left: np.ndarray  # (C,) working memory


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = p of the last position; each position draws from its own p, renormalised over what is not taken above."""
    for k in range(slate.shape[0]):
        probabilities(state.log_weight[k], state.gamma, round.candidates, round.scores)
        left = state.left[: round.scores.shape[0]]
        left[:] = round.scores
        for j in range(k):
            left[slate[j]] = 0.0
        total = 0.0
        for c in range(left.shape[0]):
            total += left[c]
        slate[k] = draw(left, rng.random() * total)
        round.propensities[k] = left[slate[k]] / total


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """p of the position, renormalised over what is not taken above."""
    for k in range(slate.shape[0]):
        probabilities(state.log_weight[k], state.gamma, round.candidates, round.scores)
        for j in range(k):
            round.scores[slate[j]] = 0.0
        out[k] = share_left(round.scores, slate[k])


@kernel
def offer(state: State, round: Round, out: np.ndarray) -> None:
    probabilities(state.log_weight[0], state.gamma, round.candidates, out)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """w *= exp(gamma r / (C p)) for the item at the learner's position, p the probability with which it was drawn.

    Where the rewards of all candidates are revealed, p is 1, and a learner learns from all it could have chosen.
    """
    positions, revealed = state.log_weight.shape[0], slate.shape[0]
    rate = state.gamma / round.candidates.shape[0]
    for k in range(min(positions, revealed)):
        for j in range(k, k + 1 if revealed <= positions else revealed):
            if seen[j]:
                state.log_weight[k, round.candidates[slate[j]]] += rate * rewards[j] / round.propensities[j]


@dataclass(frozen=True)
class IBAExp3(KernelPolicy):
    """Independent bandits, an Exp3 for each position, without context.

    A position chooses among the candidates that are not taken above it, and learns from its own click alone; the
    probability in its importance weight is the one renormalised over those candidates. When the rewards of all
    candidates are revealed the update is that of Hedge, on what is not taken above the position.
    So the weights 1 / p of an item are, in expectation, the probability that it is left for the position: a learner
    hears less of what the positions above show, as it should, for it could not have shown that.
    Under gamma = 0 it is set by the horizon T: min(1, sqrt(C ln C / ((e - 1) T))).

    Sources: Kohli, Salek and Stoddard 2013 (proceedings of AAAI 27) for the independent bandits; Auer,
    Cesa-Bianchi, Freund and Schapire 2002, section 3 (doi 10.1137/S0097539701398375), for each of them.
    """

    gamma: float = 0.2  # share of uniform exploration and learning rate, in [0, 1]; 0 sets it by the horizon

    working = ("left",)
    unit_rewards = True  # or the weights have no bound
    learns_from_log = False  # the rate is made for its own chances
    kernels = (select, update)
    chance_kernel = chance
    offer_kernel = offer

    def __post_init__(self) -> None:
        require(0 <= self.gamma <= 1, self, "gamma", "in [0, 1]; 0 sets it by the horizon")

    def init(self, spec: Spec) -> State:
        gamma = self.gamma or horizon_gamma(spec.n_candidates, 1, spec.rounds)
        return State(np.zeros((spec.slate, spec.n_items)), gamma, np.zeros(spec.n_candidates))
