"""IBA-UCB1: independent bandits, one UCB1 over the items at each position."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.tie_chances import best_left
from lersbench.kernels.ties import best
from lersbench.learners.counts import add_to_means, bounds
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    plays: np.ndarray  # (K, n_items) float64, rewards seen of each item at each position
    mean: np.ndarray  # (K, n_items) float64, their mean
    rounds: np.ndarray  # (1,) int64, rounds learned from
    alpha: float
    left: np.ndarray  # (C,) working memory


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = the bound of the last position; each position shows the best by its own that is not taken above."""
    for k in range(slate.shape[0]):
        bounds(state.plays[k], state.mean[k], state.rounds[0], state.alpha, round.candidates, round.scores)
        left = state.left[: round.scores.shape[0]]
        left[:] = round.scores
        for j in range(k):
            left[slate[j]] = -math.inf
        slate[k] = best(left, round.ties)


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The best of what is not taken above, by the position's bound.

    Equal bounds are taken as ordered anew at each position. `select` orders them in all positions alike: where those of
    two positions are equal among partly different candidates, what is said of the lower one is near, not exact.
    """
    for k in range(slate.shape[0]):
        bounds(state.plays[k], state.mean[k], state.rounds[0], state.alpha, round.candidates, round.scores)
        out[k] = best_left(round.scores, slate, k, 0)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position learns from its own item only; items beyond the last position belong to none."""
    state.rounds[0] += 1
    for k in range(state.plays.shape[0]):
        slot = slice(k, k + 1)
        add_to_means(state.plays[k], state.mean[k], round.candidates, slate[slot], rewards[slot], seen[slot])


@dataclass(frozen=True)
class IBAUCB1(KernelPolicy):
    """Independent bandits, a UCB1 for each position, without context.

    A position chooses among the candidates that are not taken above it, and learns from its own click alone.
    Every position shows every item once before it compares any.

    Sources: Kohli, Salek and Stoddard 2013 (proceedings of AAAI 27) for the independent bandits; Auer,
    Cesa-Bianchi and Fischer 2002, figure 1 (doi 10.1023/A:1013689704352), for each of them.
    """

    alpha: float = 1.0  # scale of the confidence width, >= 0; 1 is the published index

    working = ("left",)
    unit_rewards = True  # Hoeffding's bound is theirs
    kernels = (select, update)
    chance_kernel = chance

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")

    def init(self, spec: Spec) -> State:
        shape = spec.slate, spec.n_items
        return State(np.zeros(shape), np.zeros(shape), np.zeros(1, np.int64), self.alpha, np.zeros(spec.n_candidates))
