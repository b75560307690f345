"""Anything of the streamer whom this customer bought from last, learning nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.policy import KernelPolicy, Round, Spec


class State(NamedTuple):
    streamer: np.ndarray  # (users,) int64, that of the user's last order, -1: none
    sellers: np.ndarray  # (n_items, streamers) float64, the shares of those who sell the item


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = the share that the user's last streamer has in the item."""
    streamer = state.streamer[round.user] if round.user >= 0 else -1
    for c in range(round.candidates.shape[0]):
        round.scores[c] = state.sellers[round.candidates[c], streamer] if streamer >= 0 else 0.0
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    pass


@dataclass(frozen=True)
class PastStreamer(KernelPolicy):
    """A random item of the streamer of the customer's last order, then the others. It learns nothing.

    A user without such an order is shown random items.

    Source: the rule "the customer's last streamer", beside which the encoders of streamers are measured here: the study
    of doi 10.6814/NCCU202201098 shows them without it.
    """

    needs: ClassVar[tuple[str, ...]] = ("past",)
    learns: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        return State(spec.history["last_streamer"].copy(), spec.history["sellers"].copy())
