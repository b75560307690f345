"""The running click rate of each item, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.warm_start import check, observations
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    shown: np.ndarray  # (n_items,) float64, rewards seen of each item
    clicks: np.ndarray  # (n_items,) float64, their sum
    total: np.ndarray  # (2,) float64, the sums of both over all items
    prior: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = (clicks + prior * rate) / (shown + prior), rate = the click rate of all items together."""
    rate = state.total[1] / state.total[0] if state.total[0] > 0 else 0.0
    for c in range(round.candidates.shape[0]):
        item = round.candidates[c]
        round.scores[c] = (state.clicks[item] + state.prior * rate) / (state.shown[item] + state.prior)
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    for k in range(slate.shape[0]):
        if seen[k]:
            item = round.candidates[slate[k]]
            state.shown[item] += 1.0
            state.clicks[item] += rewards[k]
            state.total[0] += 1.0
            state.total[1] += rewards[k]


@dataclass(frozen=True)
class Popular(KernelPolicy):
    """The items with the best click rate so far, as the run itself has seen it: no peeking, no exploration.

    Each rate is shrunk towards the rate of all items together, as if that rate had been seen `prior` times.
    So an item that was never shown stands exactly at the average: before the items that disappointed, behind
    those that did better than average. As long as nothing was clicked all items tie and the order is random.

    Source: the "most popular" baseline; the shrinkage is the posterior mean of a Beta prior centred on the
    overall rate, as in empirical Bayes (Casella 1985, doi 10.1080/00031305.1985.10479400).
    """

    prior: float = 1.0  # weight of the overall rate, in observations, > 0
    warm: float = 0.0  # observations of before the stream that each item begins with, >= 0; see `warm`

    deterministic = True
    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.prior > 0, self, "prior", "above 0")
        check(self, self.warm)

    def init(self, spec: Spec) -> State:
        shown, clicks = observations(spec, self.warm)
        return State(shown, clicks, np.array([shown.sum(), clicks.sum()]), self.prior)
