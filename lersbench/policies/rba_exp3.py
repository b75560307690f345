"""RBA-Exp3: ranked bandits, one Exp3 over all items at each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.learners.exp3 import draw, horizon_gamma, probabilities
from lersbench.learners.ranked import credit, show
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    log_weight: np.ndarray  # (K, n_items) float64, ln w of each learner
    gamma: float
    first_click_only: bool
    taken: np.ndarray  # (C,) bool, working memory as the next
    credits: np.ndarray  # (K,)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = p of the last position; each position draws its choice from its own p, and shows it unless it is taken.

    `propensities` are those of the choices, which are not always what is shown.
    """
    taken = state.taken[: round.scores.shape[0]]
    taken[:] = False
    for k in range(slate.shape[0]):
        probabilities(state.log_weight[k], state.gamma, round.candidates, round.scores)
        round.notes[k] = draw(round.scores, rng.random())
        round.propensities[k] = round.scores[round.notes[k]]
        slate[k] = show(rng, round.notes[k], taken, k)


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """p of the position; what p gives to those that stand above goes to the others in equal parts."""
    n = round.candidates.shape[0]
    for k in range(slate.shape[0]):
        probabilities(state.log_weight[k], state.gamma, round.candidates, round.scores)
        taken = 0.0
        for j in range(k):
            taken += round.scores[slate[j]]
        out[k] = round.scores[slate[k]] + taken / (n - k)


@kernel
def offer(state: State, round: Round, out: np.ndarray) -> None:
    probabilities(state.log_weight[0], state.gamma, round.candidates, out)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """w *= exp(gamma r / (C p)) for a learner's own choice, p the probability with which it was drawn, r its credit.

    Where the rewards of all candidates are revealed, p is 1, and a learner learns from all it could have chosen: r is
    known of those that do not stand above its position, and 0 for those that do.
    """
    positions, revealed = state.log_weight.shape[0], slate.shape[0]
    rate = state.gamma / round.candidates.shape[0]
    if revealed <= positions:
        credit(round.notes, slate, rewards, seen, state.first_click_only, state.credits[:revealed])
        for k in range(revealed):
            if seen[k]:
                choice = round.candidates[round.notes[k]]
                state.log_weight[k, choice] += rate * state.credits[k] / round.propensities[k]
        return
    for k in range(positions):
        for j in range(k, revealed):
            if seen[j]:
                state.log_weight[k, round.candidates[slate[j]]] += rate * rewards[j]
        if state.first_click_only and seen[k] and rewards[k] > 0.0:
            return


@dataclass(frozen=True)
class RBAExp3(KernelPolicy):
    """Ranked bandits, an Exp3 for each position, without context.

    The learner of a position chooses among all candidates. A choice that stands above already is replaced by a
    random candidate that does not; the learner gets 0 for it. Otherwise it gets the click at its position. The
    weights 1 / p of an item come to exactly 1 in expectation: p is that of the choice, whatever is shown.
    When the rewards of all candidates are revealed the update is that of Hedge.
    Under gamma = 0 it is set by the horizon T: min(1, sqrt(C ln C / ((e - 1) T))).

    Sources: Radlinski, Kleinberg and Joachims 2008 (doi 10.1145/1390156.1390255), where only the first
    click of a list counts; Auer, Cesa-Bianchi, Freund and Schapire 2002, section 3
    (doi 10.1137/S0097539701398375), for Exp3.
    """

    gamma: float = 0.2  # share of uniform exploration and learning rate, in [0, 1]; 0 sets it by the horizon
    first_click_only: bool = False  # as published: a position below the first click of its list gets 0

    working = ("taken", "credits")
    unit_rewards = True  # or the weights have no bound
    zero_is_nothing = True  # a choice that is shown above earns 0
    learns_from_log = False  # a learner is told of its own choice
    kernels = (select, update)
    chance_kernel = chance
    offer_kernel = offer

    def __post_init__(self) -> None:
        require(0 <= self.gamma <= 1, self, "gamma", "in [0, 1]; 0 sets it by the horizon")

    def init(self, spec: Spec) -> State:
        return State(
            np.zeros((spec.slate, spec.n_items)),
            self.gamma or horizon_gamma(spec.n_candidates, 1, spec.rounds),
            self.first_click_only,
            np.zeros(spec.n_candidates, np.bool_),
            np.zeros(spec.slate),
        )
