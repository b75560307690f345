"""IBA-LinUCB: one LinUCB a position of the slate, on the joint features, shared by all items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.learners.per_position import Learners, fill, learn, new_learners, stand
from lersbench.policies._linear import LinearBandit
from lersbench.policy import Round, Spec


class State(NamedTuple):
    """Learned in place."""

    learners: Learners  # one a position


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Position by position, the best by that position's bound among the candidates not taken above."""
    fill(state.learners, round.features, round.ties, round.scores, slate)


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The best of what is not taken above, by the position's bound.

    Equal bounds are taken as ordered anew at each position. `select` orders them in all positions alike: where those of
    two positions are equal among partly different candidates, what is said of the lower one is near, not exact.
    """
    stand(state.learners, round.features, slate, out)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position learns from its own item only; items beyond the last position belong to none."""
    learn(state.learners, round.features, slate, rewards, seen)


@dataclass(frozen=True)
class IBALinUCB(LinearBandit):
    """Independent bandits, one LinUCB with parameters shared by all items at each position.

    Sources: Kohli et al. 2013 for the independent bandits (a position chooses among the candidates not
    taken above it and learns from its own click); Li et al. 2010, Algorithm 1, for each of them.
    """

    working = ("learners.column",)
    kernels = (select, update)
    chance_kernel = chance

    def init(self, spec: Spec) -> State:
        return State(new_learners(np.ones(spec.slate), spec.n_candidates, spec.m, self.alpha, self.ridge))
