"""UCB1 on running means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.counts import add_to_means, bounds
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    plays: np.ndarray  # (n_items,) float64, rewards seen of each item
    mean: np.ndarray  # (n_items,) float64, their mean
    rounds: np.ndarray  # (1,) int64, rounds learned from
    alpha: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = mean + alpha sqrt(2 ln n / plays), FIRST before the first play."""
    bounds(state.plays, state.mean, state.rounds[0], state.alpha, round.candidates, round.scores)
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    state.rounds[0] += 1
    add_to_means(state.plays, state.mean, round.candidates, slate, rewards, seen)


@dataclass(frozen=True)
class UCB1(KernelPolicy):
    """Every item once, then the K highest mean + alpha sqrt(2 ln n / plays), n = rounds learned from.

    Source: Auer, Cesa-Bianchi and Fischer 2002, figure 1 (doi 10.1023/A:1013689704352), which has K = 1 and
    alpha = 1; with K > 1 the top K of the same index are shown, n still counting rounds.
    """

    alpha: float = 1.0  # scale of the confidence width, >= 0; 1 is the published index

    unit_rewards = True  # Hoeffding's bound is theirs
    deterministic = True
    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")

    def init(self, spec: Spec) -> State:
        return State(np.zeros(spec.n_items), np.zeros(spec.n_items), np.zeros(1, np.int64), self.alpha)
