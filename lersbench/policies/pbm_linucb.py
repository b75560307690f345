"""PBM-LinUCB: one LinUCB for all items and positions, corrected for how often each position is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.learners.position_model import place_of
from lersbench.learners.shared import observe
from lersbench.policies._linear import LinearBandit, State, select
from lersbench.policy import Round, Spec


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position with its own weight, its chance of being examined; `state.weights` (L,)."""
    for k in range(slate.shape[0]):
        if seen[k]:
            weight = state.weights[place_of(round.shown_at, slate, k)] if k < round.notes.shape[0] else 1.0
            observe(state.ridge, round.features[slate[k]], weight, rewards[k])


@dataclass(frozen=True)
class PBMLinUCB(LinearBandit):
    """LinUCB under the position-based model: E[click at k] = w_k x'theta, w_k = P(position k examined).

    One theta serves all items and positions: A += w^2 x x', b += w r x. The weights come from the click model
    fitted before the run; a position of weight 0 teaches nothing. Under the feedback "logged" a click has the weight of
    the place where the log had it. Rewards revealed of items that were not
    shown (feedback "full") are learned with weight 1: no user had to look at them.

    Source: UBM-LinUCB of He et al. 2020 (RecSys, arXiv 2008.09368) with weights that ignore the clicks above.
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "weights")

    deterministic = True
    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        return State(self.shared_ridge(spec), self.alpha, np.array(spec.examination))
