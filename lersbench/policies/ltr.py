"""LTR: the logged order, as the ranker that made the log left it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.policy import KernelPolicy, Round, Spec


class State(NamedTuple):
    nothing: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = C for the first candidate, down to 1 for the last."""
    for c in range(round.scores.shape[0]):
        round.scores[c] = round.scores.shape[0] - c
    for k in range(slate.shape[0]):
        slate[k] = k


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    pass


@dataclass(frozen=True)
class LTR(KernelPolicy):
    """The first K of the logged list, as it was shown; nothing is learned.

    Under the feedback `logged` and `simulated` this is the list of the system that made the log, cut at K: the baseline
    that a learner must beat. It alone is given that order there (`shows_the_log`). Under any other feedback candidates
    stand in an order that tells nothing, and this is `first`.

    Source: the production ranker of pseudo-exposure studies, a learned one (Liu 2009, "Learning to Rank for
    Information Retrieval", doi 10.1561/1500000016).
    """

    learns = False
    shows_the_log = True
    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        return State(0.0)
