"""Disjoint LinUCB: one ridge regression an item, on the context."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.jit import kernel
from lersbench.linalg import dot, quadratic, rank_one_inverse, top_k
from lersbench.policy import KernelPolicy, Round, Spec


class State(NamedTuple):
    """Learned in place."""

    A_inv: np.ndarray  # (n_items, d, d) inverse of ridge I + sum x x'
    theta: np.ndarray  # (n_items, d) A_inv @ sum r x
    v: np.ndarray  # (d,) working memory
    alpha: np.ndarray  # (1,)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Score every candidate by its upper confidence bound; the slate is the top of them."""
    for c in range(round.candidates.shape[0]):
        a = round.candidates[c]
        bonus = math.sqrt(max(0.0, quadratic(state.A_inv[a], round.context)))
        round.scores[c] = dot(state.theta[a], round.context) + state.alpha[0] * bonus
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Recursive least squares: theta moves along v = A_inv x by the error of its prediction."""
    x = round.context
    for k in range(slate.shape[0]):
        if seen[k]:
            a = round.candidates[slate[k]]
            error = rewards[k] - dot(state.theta[a], x)
            scale = rank_one_inverse(state.A_inv[a], x, 1.0, state.v)
            for i in range(x.shape[0]):
                state.theta[a, i] += state.v[i] * error / scale


@dataclass(frozen=True)
class LinUCB(KernelPolicy):
    """Disjoint LinUCB: the item's own ridge estimate plus alpha standard errors.

    Source: Li et al. 2010, Algorithm 1 (doi 10.1145/1772690.1772758).
    """

    alpha: float = 0.3
    """Width of the confidence bound, at least 0."""
    ridge: float = 1.0
    """Weight of the prior ridge * I, above 0."""

    needs = ("context",)
    kernels = (select, update)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigError(f"linucb: alpha is {self.alpha}, but must be a finite number of at least 0.")
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise ConfigError(f"linucb: ridge is {self.ridge}, but must be a finite number above 0.")

    def init(self, spec: Spec) -> State:
        A_inv = np.zeros((spec.n_items, spec.d, spec.d))
        A_inv[:] = np.eye(spec.d) / self.ridge
        return State(A_inv, np.zeros((spec.n_items, spec.d)), np.zeros(spec.d), np.array([self.alpha]))
