"""What sold to most customers before the stream, learning nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.policy import KernelPolicy, Round, Spec


class State(NamedTuple):
    popularity: np.ndarray  # (n_items,) float64, customers who bought the item before the stream


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    for c in range(round.candidates.shape[0]):
        round.scores[c] = state.popularity[round.candidates[c]]
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    pass


@dataclass(frozen=True)
class PastPopular(KernelPolicy):
    """The items that most customers bought before the stream. It learns nothing: what any shop knows on day one.

    Source: the "most popular" baseline, here of the past alone; how much it takes to beat it: Ferrari Dacrema,
    Cremonesi and Jannach 2019 (doi 10.1145/3298689.3347058).
    """

    needs: ClassVar[tuple[str, ...]] = ("past",)
    learns: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        return State(spec.history["popularity"].copy())
