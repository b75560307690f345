"""Linear Thompson sampling on joint features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.digits import STEEP, check, check_pivots, new_probe
from lersbench.kernels.jit import kernel
from lersbench.kernels.linalg import dot, rank_one_cholesky, solve_lower, solve_lower_transposed
from lersbench.kernels.ties import top_k
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    L: np.ndarray  # (m, m) lower Cholesky factor of B = ridge I + sum x x'
    f: np.ndarray  # (m,) sum r x
    v: float
    ridge: float
    probe: np.ndarray  # (m,) see `digits`
    image: np.ndarray  # (m,) B probe
    reach: np.ndarray  # (1,)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = x'theta, one theta ~ N(B^-1 f, v^2 B^-1) for the whole round."""
    theta = np.empty(state.f.shape[0])
    sample(state, rng, theta)
    for c in range(round.candidates.shape[0]):
        round.scores[c] = dot(round.features[c], theta)
    top_k(round.scores, round.ties, slate)


@kernel
def sample(state: State, rng: np.random.Generator, theta: np.ndarray) -> None:
    """Fill `theta` (m,) with L'^-1 (L^-1 f + v eps), eps standard normal."""
    for i in range(theta.shape[0]):
        theta[i] = state.f[i]
    solve_lower(state.L, theta)
    for i in range(theta.shape[0]):
        theta[i] += state.v * rng.standard_normal()
    solve_lower_transposed(state.L, theta)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed reward is one observation. Raises LostDigits, see `digits`."""
    x = np.empty(state.f.shape[0])
    for k in range(slate.shape[0]):
        if seen[k]:
            product, length = dot(round.features[slate[k]], state.probe), 0.0
            for i in range(x.shape[0]):
                x[i] = round.features[slate[k], i]
                length += x[i] * x[i]
                state.f[i] += rewards[k] * x[i]
                state.image[i] += product * x[i]
            rank_one_cholesky(state.L, x)
            if not length < STEEP * state.ridge:
                look_again(state, round.features[slate[k]], product)


@kernel
def look_again(state: State, x: np.ndarray, product: float) -> None:
    """Raise LostDigits where the factor has lost them; `product` is x'probe. It takes longer columns than A^-1 does."""
    v = x.copy()
    solve_lower(state.L, v)
    solve_lower_transposed(state.L, v)
    check(dot(v, state.image), product, state.reach, 0)
    check_pivots(state.L)


@dataclass(frozen=True)
class LinTS(KernelPolicy):
    """One ridge regression on the joint features of all items; a round is ranked by one draw of its theta.

    The draw is common to all candidates of the round. The paper's v grows with sqrt(9 m ln(t / delta)), far
    too wide in practice: it is a constant here, to be tuned in about 0.01 to 1.

    Source: Agrawal and Goyal 2013, algorithm 1 (arXiv 1209.3352), by a rank-one Cholesky factor.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)

    v: float = 0.3  # scale of the posterior's standard deviation, >= 0
    ridge: float = 1.0  # ridge penalty, > 0; the paper has 1

    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.v >= 0, self, "v", "0 or above")
        require(self.ridge > 0, self, "ridge", "above 0")

    def init(self, spec: Spec) -> State:
        probe = new_probe(spec.m)
        return State(
            np.eye(spec.m) * math.sqrt(self.ridge),
            np.zeros(spec.m),
            self.v,
            self.ridge,
            probe,
            self.ridge * probe,
            np.zeros(1),
        )
