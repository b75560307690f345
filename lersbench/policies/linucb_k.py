"""LinUCB-k: LinUCB with one model for all items, on joint features; the top K are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.shared import Ridge, new_ridge, observe_all, upper_bounds
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    ridge: Ridge
    alpha: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = x'theta + alpha sqrt(x' A^-1 x), x = the joint features of the candidate."""
    upper_bounds(state.ridge, state.alpha, round.features, round.scores)
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed reward is one observation."""
    observe_all(state.ridge, round.features, slate, rewards, seen)


@dataclass(frozen=True)
class LinUCBK(KernelPolicy):
    """One ridge regression on the joint features of all items; the K highest upper bounds are shown.

    Every seen position is one observation, so a round costs up to K rank-one updates.

    Source: Li et al. 2010, algorithm 1 with one theta for all arms (doi 10.1145/1772690.1772758); with the
    top K and K updates it is the LinUCB-k of the multiple-play papers.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)

    alpha: float = 0.3  # width of the confidence bound, >= 0
    ridge: float = 1.0  # ridge penalty, > 0

    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")
        require(self.ridge > 0, self, "ridge", "above 0")

    def init(self, spec: Spec) -> State:
        return State(new_ridge(spec.m, self.ridge, spec.n_candidates), self.alpha)
