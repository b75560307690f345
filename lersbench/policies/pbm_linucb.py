"""PBM-LinUCB: one LinUCB for all items and positions, corrected for how often each position is looked at."""

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
    weights: np.ndarray  # (K,) P(position examined)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = x'theta + alpha sqrt(x' A^-1 x)."""
    upper_bounds(state.ridge, state.alpha, round.features, round.scores)
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position with its own weight."""
    for k in range(slate.shape[0]):
        if seen[k]:
            weight = state.weights[k] if k < state.weights.shape[0] else 1.0
            observe(state.ridge, round.features[slate[k]], weight, rewards[k])


@dataclass(frozen=True)
class PBMLinUCB(KernelPolicy):
    """LinUCB under the position-based model: E[click at k] = w_k x'theta, w_k = P(position k examined).

    One theta serves all items and positions: A += w^2 x x', b += w r x. The weights come from the click model
    fitted before the run; a position of weight 0 teaches nothing. Rewards revealed of items that were not
    shown (feedback "full") are learned with weight 1: no user had to look at them.

    Source: UBM-LinUCB of He et al. 2020 (RecSys, arXiv 2008.09368) with weights that ignore the clicks above.
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "weights")

    alpha: float = 0.3  # width of the confidence bound, >= 0
    ridge: float = 1.0  # ridge penalty, > 0

    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")
        require(self.ridge > 0, self, "ridge", "above 0")

    def init(self, spec: Spec) -> State:
        weights = np.array(spec.examination[: spec.slate])
        return State(new_ridge(spec.m, self.ridge, spec.n_candidates), self.alpha, weights)
