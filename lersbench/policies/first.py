"""First: the candidates as they stand, to see whether their order is worth anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.policy import KernelPolicy, Round, Spec


class State(NamedTuple):
    """Nothing is learned."""

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
class First(KernelPolicy):
    """The first K candidates, always: a yardstick, for what it is worth must be what random is worth.

    Where all items are on offer in every round it shows the same ones from beginning to end, so single values scatter
    as items do; its hit ratio, over many items, is the finer test. If it is better than random, the log's order knows
    the outcome, and every policy whose equal scores fall to the lowest index profits from it.

    Source: our own; an audit of this benchmark in November 2026 found an order by likes worth 12 points of misses.
    """

    learns: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True
    by_order: ClassVar[bool] = True
    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        return State(0.0)
