"""RBA-LinUCB: ranked bandits, a LinUCB a position that each choose among all candidates, blind to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.tie_chances import or_another
from lersbench.kernels.ties import best
from lersbench.learners.per_position import Learners, lay_out, learn, new_learners, score
from lersbench.policies._linear import LinearBandit
from lersbench.policy import Round, Spec


class State(NamedTuple):
    """Learned in place."""

    learners: Learners  # one a position
    credit: np.ndarray  # (K,) what each learner's choice earned: working memory
    first_click_only: bool


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Each position shows the best of all candidates by its bound, or a random one where that is shown above.

    `round.notes` keeps what the learners chose. The scores a ranking is made of are those of the last position.
    """
    learners, n = state.learners, round.features.shape[0]
    lay_out(learners, round.features)
    score(learners, n, 0, slate.shape[0], round.features.shape[1])
    for k in range(slate.shape[0]):
        choice = best(learners.bounds[k, :n], round.ties)
        round.notes[k] = choice
        slate[k] = choice
        if among(slate, k, choice):
            slate[k] = stranger(slate, k, rng.integers(0, n - k))
    for c in range(n):
        round.scores[c] = learners.bounds[slate.shape[0] - 1, c]


@inlined
def among(slate: np.ndarray, k: int, candidate: int) -> bool:
    """Is this candidate in one of the first `k` positions?"""
    for j in range(k):
        if slate[j] == candidate:
            return True
    return False


@inlined
def stranger(slate: np.ndarray, k: int, skip: int) -> int:
    """The candidate, by index, that comes after `skip` others that are not in the first `k` positions either."""
    candidate = 0
    while skip > 0 or among(slate, k, candidate):
        if not among(slate, k, candidate):
            skip -= 1
        candidate += 1
    return candidate


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The position's best; where that is taken, any of the others.

    Equal bounds are taken as ordered anew at each position. `select` orders them in all positions alike: where those of
    two positions are equal among partly different candidates, what is said of the lower one is near, not exact.
    """
    learners, n = state.learners, round.features.shape[0]
    lay_out(learners, round.features)
    score(learners, n, 0, slate.shape[0], round.features.shape[1])
    for k in range(slate.shape[0]):
        out[k] = or_another(learners.bounds[k, :n], slate, k)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Learner k learns about its own choice: the reward at its position if that was shown there, else 0."""
    clicked = False
    for k in range(min(slate.shape[0], state.credit.shape[0])):
        earned = seen[k] and slate[k] == round.notes[k] and not (state.first_click_only and clicked)
        state.credit[k] = rewards[k] if earned else 0.0
        clicked |= seen[k] and rewards[k] > 0.0
    learn(state.learners, round.features, round.notes, state.credit, seen)


@dataclass(frozen=True)
class RBALinUCB(LinearBandit):
    """Ranked bandits, one LinUCB with parameters shared by all items at each position.

    A learner whose choice is already shown above has a random item in its place and earns 0, for its own choice.
    With `first_click_only` a list earns one click, its topmost; positions below it earn 0, as in the paper. Under
    feedback on every candidate a duplicate still earns 0.

    Sources: Radlinski, Kleinberg and Joachims 2008 for the ranked bandits (doi 10.1145/1390156.1390255);
    Li et al. 2010, Algorithm 1, for each of them.
    """

    first_click_only: bool = False  # only the topmost click of a list is a reward; false: every click is

    working = ("learners.column",)
    learns_from_log = False  # a learner is told of its own choice
    kernels = (select, update)
    chance_kernel = chance

    def init(self, spec: Spec) -> State:
        learners = new_learners(np.ones(spec.slate), spec.n_candidates, spec.m, self.alpha, self.ridge)
        return State(learners, np.zeros(spec.slate), self.first_click_only)
