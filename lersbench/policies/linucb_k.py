"""LinUCB-k: LinUCB with one model for all items, on joint features; the top K are shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.learners.shared import observe_all
from lersbench.policies._linear import LinearBandit, State, select
from lersbench.policy import Round, Spec


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed reward is one observation."""
    observe_all(state.ridge, round.features, slate, rewards, seen)


@dataclass(frozen=True)
class LinUCBK(LinearBandit):
    """One ridge regression on the joint features of all items; the K highest upper bounds are shown.

    Every seen position is one observation, so a round costs up to K rank-one updates.

    Source: Li et al. 2010, algorithm 1 with one theta for all arms (doi 10.1145/1772690.1772758); with the
    top K and K updates it is the LinUCB-k of the multiple-play papers.
    """

    deterministic = True
    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        return State(self.shared_ridge(spec), self.alpha, np.empty(0))
