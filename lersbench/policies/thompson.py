"""Thompson sampling with a Beta posterior for each item."""

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
    a: np.ndarray  # (n_items,) float64, prior_a + sum of rewards
    b: np.ndarray  # (n_items,) float64, prior_b + sum of (1 - reward)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = one draw from Beta(a, b) for each candidate, in their order."""
    for c in range(round.candidates.shape[0]):
        item = round.candidates[c]
        round.scores[c] = rng.beta(state.a[item], state.b[item])
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    for k in range(slate.shape[0]):
        if seen[k]:
            item = round.candidates[slate[k]]
            state.a[item] += rewards[k]
            state.b[item] += 1.0 - rewards[k]


@dataclass(frozen=True)
class Thompson(KernelPolicy):
    """The K highest of one posterior draw for each item (multiple-play Thompson sampling).

    A reward between 0 and 1 counts as that fraction of a click (a += r, b += 1 - r); nothing is tossed for it.

    Sources: Chapelle and Li 2011, algorithm 2 (proceedings of NIPS 24); K > 1: Komiyama, Honda and Nakagawa
    2015, algorithm 1 (arXiv 1506.00779).
    """

    prior_a: float = 1.0  # clicks the prior is worth, > 0
    prior_b: float = 1.0  # non-clicks the prior is worth, > 0
    warm: float = 0.0  # observations of before the stream that each item begins with, >= 0; see `warm`

    unit_rewards = True  # they are the fractions of a Beta posterior
    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.prior_a > 0, self, "prior_a", "above 0")
        require(self.prior_b > 0, self, "prior_b", "above 0")
        check(self, self.warm)

    def init(self, spec: Spec) -> State:
        shown, clicks = observations(spec, self.warm)
        return State(self.prior_a + clicks, self.prior_b + (shown - clicks))
