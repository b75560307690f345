"""UBM-LinUCB: one LinUCB for all items and positions, corrected for what the user may not have looked at."""

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
    """Down the slate, each position with the weight that the last click above gives it.

    `state.weights` (L, L + 1): P(k examined | no click above) in column 0, given the last click above at j in j + 1.
    """
    shown = round.notes.shape[0]
    for k in range(slate.shape[0]):
        if seen[k]:
            place, column = place_of(round.shown_at, slate, k), 0
            for j in range(min(shown, slate.shape[0])):
                above = place_of(round.shown_at, slate, j)
                if above < place and seen[j] and rewards[j] > 0:
                    column = max(column, above + 1)
            weight = state.weights[place, column] if k < shown else 1.0
            observe(state.ridge, round.features[slate[k]], weight, rewards[k])


@dataclass(frozen=True)
class UBMLinUCB(LinearBandit):
    """LinUCB under the user browsing model: E[click at k] = w x'theta, w = P(k examined | last click above).

    One theta serves all items and positions: A += w^2 x x', b += w r x. The weights come from the click model
    fitted before the run; the bounds have none of them, as the best slate sorts the items by their attraction alone.
    Any reward above 0 is a click; a position that was not seen counts as no click, and one
    of weight 0 (a case the fitting data never showed) teaches nothing. Rewards revealed of items that were not
    shown (feedback "full") are learned with weight 1: no user had to look at them. Under the feedback "logged" places
    are those of the log, and the last click above is that of the items chosen.

    Source: He et al. 2020 (RecSys, arXiv 2008.09368); A and b are the exact solution of its penalised least
    squares. Deviation: alpha is constant, where the theory lets it grow with the logarithm of the round.
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "weights")

    deterministic = True
    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        return State(self.shared_ridge(spec), self.alpha, np.array(spec.examination_after, order="C"))
