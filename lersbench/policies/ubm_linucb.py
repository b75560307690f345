"""UBM-LinUCB: one LinUCB for all items and positions, corrected for what the user may not have looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.shared import Ridge, new_ridge, observe, upper_bounds
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    ridge: Ridge
    alpha: float
    weights: np.ndarray  # (K, K + 1) P(k examined | no click above: column 0; last click above at j: column j + 1)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = x'theta + alpha sqrt(x' A^-1 x): no weights, as the best slate sorts the items by their attraction."""
    upper_bounds(state.ridge, state.alpha, round.features, round.scores)
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Down the slate, each position with the weight that the last click above gives it."""
    column, shown = 0, state.weights.shape[0]
    for k in range(slate.shape[0]):
        if seen[k]:
            weight = state.weights[k, column] if k < shown else 1.0
            observe(state.ridge, round.features[slate[k]], weight, rewards[k])
            if rewards[k] > 0:
                column = min(k + 1, shown)


@dataclass(frozen=True)
class UBMLinUCB(KernelPolicy):
    """LinUCB under the user browsing model: E[click at k] = w x'theta, w = P(k examined | last click above).

    One theta serves all items and positions: A += w^2 x x', b += w r x. The weights come from the click model
    fitted before the run. Any reward above 0 is a click; a position that was not seen counts as no click, and one
    of weight 0 (a case the fitting data never showed) teaches nothing. Rewards revealed of items that were not
    shown (feedback "full") are learned with weight 1: no user had to look at them.

    Source: He et al. 2020 (RecSys, arXiv 2008.09368); A and b are the exact solution of its penalised least
    squares. Deviation: alpha is constant, where the theory lets it grow with the logarithm of the round.
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "weights")

    alpha: float = 0.3  # width of the confidence bound, >= 0
    ridge: float = 1.0  # ridge penalty, > 0

    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")
        require(self.ridge > 0, self, "ridge", "above 0")

    def init(self, spec: Spec) -> State:
        weights = np.array(spec.examination_after[: spec.slate, : spec.slate + 1], order="C")
        return State(new_ridge(spec.m, self.ridge, spec.n_candidates), self.alpha, weights)
