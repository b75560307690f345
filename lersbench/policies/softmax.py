"""Boltzmann exploration: items drawn by the exponential of their running means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.counts import add_to_means
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require

TINY = 1e-300  # stands for an exponential draw of 0, which has no logarithm


class State(NamedTuple):
    plays: np.ndarray  # (n_items,) float64, rewards seen of each item
    mean: np.ndarray  # (n_items,) float64, their mean; 0 before the first
    temperature: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = mean; shown are the K highest of mean / temperature + Gumbel noise.

    Those are K draws without replacement, each from the softmax of what is left.
    """
    n = round.candidates.shape[0]
    key = np.empty(n)
    for c in range(n):
        round.scores[c] = state.mean[round.candidates[c]]
        exponential = -math.log1p(-rng.random())
        key[c] = round.scores[c] / state.temperature - math.log(max(exponential, TINY))
    top_k(key, round.ties, slate)
    for c in range(n):
        key[c] = round.scores[c] / state.temperature
    for k in range(slate.shape[0]):
        round.propensities[k] = key[slate[k]]
        key[slate[k]] = -math.inf
    left = -math.inf  # ln of the mass of what was not shown above, gathered from the end of the slate
    for c in range(n):
        left = log_add(left, key[c])
    for k in range(slate.shape[0] - 1, -1, -1):
        left = log_add(left, round.propensities[k])
        round.propensities[k] = math.exp(round.propensities[k] - left)


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """exp(key) / sum of exp(key) of what is left, key = mean / temperature; the sums are gathered from the end."""
    for c in range(round.candidates.shape[0]):
        round.scores[c] = state.mean[round.candidates[c]] / state.temperature
    for k in range(slate.shape[0]):
        out[k] = round.scores[slate[k]]
        round.scores[slate[k]] = -math.inf
    highest, total = round.scores[0], 0.0
    for c in range(round.scores.shape[0]):
        highest = max(highest, round.scores[c])
    for c in range(round.scores.shape[0]):
        total += math.exp(round.scores[c] - highest) if round.scores[c] > -math.inf else 0.0
    for k in range(slate.shape[0] - 1, -1, -1):
        if out[k] > highest:
            total, highest = total * math.exp(highest - out[k]), out[k]
        mass = math.exp(out[k] - highest)
        total += mass
        out[k] = mass / total


@kernel
def offer(state: State, round: Round, out: np.ndarray) -> None:
    highest, total = -math.inf, 0.0
    for c in range(out.shape[0]):
        out[c] = state.mean[round.candidates[c]] / state.temperature
        highest = max(highest, out[c])
    for c in range(out.shape[0]):
        out[c] = math.exp(out[c] - highest)
        total += out[c]
    for c in range(out.shape[0]):
        out[c] /= total


@kernel
def log_add(a: float, b: float) -> float:
    """ln(e^a + e^b) without overflow; either may be -inf."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    add_to_means(state.plays, state.mean, round.candidates, slate, rewards, seen)


@dataclass(frozen=True)
class Softmax(KernelPolicy):
    """Positions drawn one after the other, without replacement, from softmax(running mean / temperature).

    The ranking that the metrics read is that of the means. The first propensity is exact; a later one is
    conditional on the positions above it.

    Sources: Sutton and Barto 1998, section 2.3 (softmax action selection); the draw of all positions at once
    by Gumbel noise: Kool, van Hoof and Welling 2019 (arXiv 1903.06059).
    """

    temperature: float = 0.1  # in units of reward, > 0; near 0 is greedy, large is uniform

    kernels = (select, update)
    chance_kernel = chance
    offer_kernel = offer

    def __post_init__(self) -> None:
        require(self.temperature > 0, self, "temperature", "above 0")

    def init(self, spec: Spec) -> State:
        return State(np.zeros(spec.n_items), np.zeros(spec.n_items), self.temperature)
