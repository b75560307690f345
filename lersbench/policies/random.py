"""Uniform random slates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.policy import KernelPolicy, Round, Spec


class State(NamedTuple):
    """Nothing is learned."""

    rounds: np.ndarray  # (1,) int64 rounds learned from, kept so that runs can be compared


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """All scores stay zero, so the random tie order decides everything."""
    top_k(round.scores, round.ties, slate)
    for k in range(slate.shape[0]):
        round.propensities[k] = 1.0 / round.candidates.shape[0]


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """1 / (what is left)."""
    for k in range(slate.shape[0]):
        out[k] = 1.0 / (round.candidates.shape[0] - k)


@kernel
def offer(state: State, round: Round, out: np.ndarray) -> None:
    for c in range(out.shape[0]):
        out[c] = 1.0 / out.shape[0]


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    state.rounds[0] += 1


@dataclass(frozen=True)
class Random(KernelPolicy):
    """Every ordered slate is equally likely: the floor that any policy has to beat.

    The order comes from the random tie order of the run, so no number is drawn. `propensities` are exact:
    each candidate stands in each position with probability 1 / C.

    Source: the uniform logging policy of Li et al. 2011, section 3 (doi 10.1145/1935826.1935878).
    """

    learns: ClassVar[bool] = False
    kernels = (select, update)
    chance_kernel = chance
    offer_kernel = offer

    def init(self, spec: Spec) -> State:
        return State(np.zeros(1, np.int64))
