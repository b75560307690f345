"""What this customer bought before the stream, learning nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.policy import KernelPolicy, Round, Spec


class State(NamedTuple):
    start: np.ndarray  # (users + 1,) int64: user u bought bought[start[u]:start[u + 1]]
    bought: np.ndarray  # (n,) int64 items, ascending within a user
    orders: np.ndarray  # (n,) float64, orders of the user with the item
    share: np.ndarray  # (n_items,) float64 in [0, 1): popularity before the stream, which decides between equals


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = the user's orders with the item + its share of popularity."""
    first, last = 0, 0
    if round.user >= 0:
        first, last = state.start[round.user], state.start[round.user + 1]
    for c in range(round.candidates.shape[0]):
        item = round.candidates[c]
        round.scores[c] = state.share[item]
        place = first + np.searchsorted(state.bought[first:last], item)
        if place < last and state.bought[place] == item:
            round.scores[c] += state.orders[place]
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    pass


@dataclass(frozen=True)
class PastBought(KernelPolicy):
    """What the customer bought in most orders before the stream; between equals, what most customers bought.

    It learns nothing. A user of whom nothing is known is shown what was popular.

    Source: personal frequency ("P-Pop"), the baseline that next-basket methods rarely beat: Li, Jullien, Ariannezhad
    and de Rijke 2023 (doi 10.1145/3587153).
    """

    needs: ClassVar[tuple[str, ...]] = ("past",)
    learns: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        past = spec.history
        share = past["popularity"] / (1.0 + past["popularity"].max(initial=0.0))
        return State(past["bought_start"].copy(), past["bought"].copy(), past["bought_orders"].copy(), share)
