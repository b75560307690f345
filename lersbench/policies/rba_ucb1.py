"""RBA-UCB1: ranked bandits, one UCB1 over all items at each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.tie_chances import or_another
from lersbench.kernels.ties import best, scramble
from lersbench.learners.counts import add_to_means, bounds
from lersbench.learners.ranked import credit, show
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    plays: np.ndarray  # (K, n_items) float64, rewards of each learner's own choices
    mean: np.ndarray  # (K, n_items) float64, their mean
    rounds: np.ndarray  # (1,) int64, rounds learned from
    alpha: float
    first_click_only: bool
    taken: np.ndarray  # (C,) bool, working memory as the next
    credits: np.ndarray  # (K,)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = the bound of the last position; each position chooses its best, and shows it unless it is taken above.

    Each learner breaks ties in an order of its own: in a common one all would make the same first choices.
    """
    taken = state.taken[: round.scores.shape[0]]
    taken[:] = False
    for k in range(slate.shape[0]):
        bounds(state.plays[k], state.mean[k], state.rounds[0], state.alpha, round.candidates, round.scores)
        round.notes[k] = best(round.scores, scramble(round.ties, k))
        slate[k] = show(rng, round.notes[k], taken, k)


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The position's best; where that is taken, any of the others. Each position has a tie order of its own."""
    for k in range(slate.shape[0]):
        bounds(state.plays[k], state.mean[k], state.rounds[0], state.alpha, round.candidates, round.scores)
        out[k] = or_another(round.scores, slate, k)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each learner learns about its own choice; items beyond the last position belong to none."""
    state.rounds[0] += 1
    shown = round.notes.shape[0]
    credit(round.notes, slate, rewards, seen, state.first_click_only, state.credits[:shown])
    for k in range(shown):
        slot = slice(k, k + 1)
        add_to_means(
            state.plays[k], state.mean[k], round.candidates, round.notes[slot], state.credits[slot], seen[slot]
        )


@dataclass(frozen=True)
class RBAUCB1(KernelPolicy):
    """Ranked bandits, a UCB1 for each position, without context.

    The learner of a position chooses among all candidates. A choice that stands above already is replaced by a
    random candidate that does not; the learner gets 0 for it. Otherwise it gets the click at its position.

    Sources: Radlinski, Kleinberg and Joachims 2008 (doi 10.1145/1390156.1390255), where only the first
    click of a list counts; Auer, Cesa-Bianchi and Fischer 2002, figure 1 (doi 10.1023/A:1013689704352), for UCB1.
    """

    alpha: float = 1.0  # scale of the confidence width, >= 0; 1 is the published index
    first_click_only: bool = False  # as published: a position below the first click of its list gets 0

    working = ("taken", "credits")
    unit_rewards = True  # Hoeffding's bound is theirs
    zero_is_nothing = True  # a choice that is shown above earns 0
    learns_from_log = False  # a learner is told of its own choice
    kernels = (select, update)
    chance_kernel = chance

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")

    def init(self, spec: Spec) -> State:
        shape = spec.slate, spec.n_items
        return State(
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(1, np.int64),
            self.alpha,
            self.first_click_only,
            np.zeros(spec.n_candidates, np.bool_),
            np.zeros(spec.slate),
        )
