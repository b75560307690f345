"""IBA-LinUCB: one LinUCB a position of the slate, on the joint features, shared by all items."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.jit import kernel
from lersbench.linalg import beats, dot, quadratic, rank_one_inverse
from lersbench.policy import KernelPolicy, Round, Spec


class State(NamedTuple):
    """Learned in place."""

    A_inv: np.ndarray  # (K, m, m) inverse of ridge I + sum x x' over the items shown at the position
    theta: np.ndarray  # (K, m) A_inv @ sum r x
    v: np.ndarray  # (m,) working memory
    alpha: np.ndarray  # (1,)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Position by position, the best by that position's bound among the candidates not taken above."""
    for k in range(slate.shape[0]):
        top = -1
        for c in range(round.scores.shape[0]):
            x = round.features[c]
            bonus = math.sqrt(max(0.0, quadratic(state.A_inv[k], x)))
            round.scores[c] = dot(state.theta[k], x) + state.alpha[0] * bonus
            taken = False
            for j in range(k):
                taken = taken or slate[j] == c
            if not taken and (top < 0 or beats(round.scores[c], c, round.scores[top], top, round.ties)):
                top = c
        slate[k] = top


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position learns from its own item only; items beyond the last position belong to none."""
    for k in range(min(slate.shape[0], state.theta.shape[0])):
        if seen[k]:
            x = round.features[slate[k]]
            error = rewards[k] - dot(state.theta[k], x)
            scale = rank_one_inverse(state.A_inv[k], x, 1.0, state.v)
            for i in range(x.shape[0]):
                state.theta[k, i] += state.v[i] * error / scale


@dataclass(frozen=True)
class IBALinUCB(KernelPolicy):
    """Independent bandits, one LinUCB with parameters shared by all items at each position.

    Sources: Kohli et al. 2013 for the independent bandits (a position chooses among the candidates not
    taken above it and learns from its own click); Li et al. 2010, Algorithm 1, for each of them.
    """

    alpha: float = 0.3
    """Width of the confidence bound, at least 0."""
    ridge: float = 1.0
    """Weight of the prior ridge * I, above 0."""

    needs = ("features",)
    kernels = (select, update)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigError(f"iba-linucb: alpha is {self.alpha}, but must be a finite number of at least 0.")
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise ConfigError(f"iba-linucb: ridge is {self.ridge}, but must be a finite number above 0.")

    def init(self, spec: Spec) -> State:
        A_inv = np.zeros((spec.slate, spec.m, spec.m))
        A_inv[:] = np.eye(spec.m) / self.ridge
        return State(A_inv, np.zeros((spec.slate, spec.m)), np.zeros(spec.m), np.array([self.alpha]))
