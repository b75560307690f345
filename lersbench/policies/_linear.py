"""What the policies with a linear model of the joint features share: hyper-parameters, checks, and the top by a bound.

An edit here compiles all of them anew, so nothing stands here that one of them alone wants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.shared import Ridge, new_ridge, upper_bounds
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    """What `select` reads; a policy that keeps more has a state and a `select` of its own.

    Kernels are kept on disk by the file they stand in, so `select` may not take the state of another file: that file
    could change it unnoticed.
    """

    ridge: Ridge  # learned in place
    alpha: float
    weights: np.ndarray  # what rewards are weighed by, as the policy lays them out; empty where all count alike


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = x'theta + alpha sqrt(x' A^-1 x), x = the joint features of the candidate; the top K are shown."""
    upper_bounds(state.ridge, state.alpha, round.features, round.scores)
    top_k(round.scores, round.ties, slate)


@dataclass(frozen=True)
class LinearBandit(KernelPolicy):
    """Upper confidence bounds of ridge regressions."""

    needs: ClassVar[tuple[str, ...]] = ("features",)

    alpha: float = 0.3  # width of the confidence bound, >= 0
    ridge: float = 1.0  # weight of the prior ridge * I, > 0

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")
        require(self.ridge > 0, self, "ridge", "above 0")

    def shared_ridge(self, spec: Spec) -> Ridge:
        """The regression that all items share, without observations."""
        return new_ridge(spec.m, self.ridge, spec.n_candidates)
