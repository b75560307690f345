"""LinUCB with one model for all items, on joint features (LinUCB-k)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.jit import kernel
from lersbench.linalg import dot, quadratic, rank_one_inverse, top_k
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    A_inv: np.ndarray  # (m, m) inverse of ridge I + sum x x'
    theta: np.ndarray  # (m,) A_inv @ sum r x
    alpha: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = x'theta + alpha sqrt(x' A_inv x), x = the joint features of the candidate."""
    for c in range(round.candidates.shape[0]):
        x = round.features[c]
        round.scores[c] = dot(x, state.theta) + state.alpha * math.sqrt(max(quadratic(state.A_inv, x), 0.0))
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    v = np.empty(state.theta.shape[0])
    for k in range(slate.shape[0]):
        if seen[k]:
            x = round.features[slate[k]]
            error = rewards[k] - dot(x, state.theta)
            scale = rank_one_inverse(state.A_inv, x, 1.0, v)
            for i in range(v.shape[0]):
                state.theta[i] += v[i] * error / scale


@dataclass(frozen=True)
class LinUCBShared(KernelPolicy):
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
        return State(np.eye(spec.m) / self.ridge, np.zeros(spec.m), self.alpha)
