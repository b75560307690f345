"""NeuralLinear: Thompson sampling with Bayesian linear regression on the last layer of a network.

With z the hidden units of the joint features and n rewards r learned from, the posterior of r = z'beta + noise is

    Lam = lambda I + Z'Z,  mu = Lam^-1 Z'r,  a = a0 + n / 2,  b = b0 + (r'r - mu' Lam mu) / 2,
    sigma^2 ~ InverseGamma(a, b),  beta | sigma^2 ~ N(mu, sigma^2 Lam^-1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lersbench.neural.adapter import State, TorchPolicy, tensor
from lersbench.neural.descent import RMSProp
from lersbench.neural.one_hidden import Memory, OneHidden, Slope, with_one
from lersbench.policy import Round, Spec
from lersbench.ranges import require


class Learned(nn.Module):
    """The network, the rewards, and the sums of the regression, in float64 whatever the network's format."""

    def __init__(self, m: int, hidden: int, window: int, init_scale: float):
        super().__init__()
        self.net = OneHidden(m, hidden)
        nn.init.uniform_(self.net.theta, -init_scale, init_scale)
        self.memory = Memory(m, window)
        self.sums = Sums(hidden)

    def body(self, x: Tensor) -> Tensor:
        """The hidden units (n, H) of `x` (n, m); the network's own estimate only trains them."""
        return self.net.hidden_units(with_one(x))


class Sums(nn.Module):
    """Z'Z, Z'r, r'r and n."""

    def __init__(self, hidden: int):
        super().__init__()
        self.rr: float
        self.zz, self.zr, self.rr, self.n = np.zeros((hidden, hidden)), np.zeros(hidden), 0.0, 0

    def add(self, z: Tensor, r: Tensor) -> None:
        units, rewards = z.detach().cpu().double().numpy(), r.cpu().double().numpy()
        self.zz += units.T @ units
        self.zr += units.T @ rewards
        self.rr += float(rewards @ rewards)
        self.n += len(rewards)

    def posterior(self, ridge: float, a0: float, b0: float) -> tuple[np.ndarray, np.ndarray, float, float]:
        """mu (H,), the lower Cholesky factor of Lam (H, H), a and b."""
        factor = np.linalg.cholesky(self.zz + ridge * np.eye(len(self.zr)))
        half = np.linalg.solve(factor, self.zr)
        return np.linalg.solve(factor.T, half), factor, a0 + self.n / 2, b0 + max(0.0, self.rr - float(half @ half)) / 2

    def get_extra_state(self) -> dict[str, Tensor | float | int]:
        return {"zz": torch.tensor(self.zz), "zr": torch.tensor(self.zr), "rr": self.rr, "n": self.n}

    def set_extra_state(self, state: dict) -> None:
        self.zz, self.zr = state["zz"].cpu().numpy(), state["zr"].cpu().numpy()
        self.rr, self.n = state["rr"], state["n"]


@dataclass(frozen=True)
class NeuralLinear(TorchPolicy):
    """One network and one regression for all items, on joint features; greedy on one draw of (sigma^2, beta) a round.

    The regression learns every reward at once; the network is trained now and then, by RMSProp on mini-batches, and
    then the hidden units of all rewards are computed anew.

    Source: Riquelme et al. 2018 (arXiv 1802.09127), section 4 and their published settings. Deviations: a regression an
    item there, here one on joint features, so none of their first pulls of every arm; the rewards kept are bounded
    by `window`. The learning rate begins anew with each training and falls as 1 / (1 + decay step).
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)

    learning_rate: float = 0.1  # of RMSProp in the first step of a training, above 0
    decay: float = 0.5  # of the learning rate, 0 or above
    hidden: int = 50  # units of the hidden layer, 1 or more
    init_scale: float = 0.3  # first weights are uniform in -init_scale..init_scale, above 0
    clip: float = 5.0  # largest norm of the gradient, above 0
    batch: int = 512  # rewards of a mini-batch, 1 or more
    steps: int = 100  # mini-batches of a training, 1 or more
    every: int = 50  # rounds between trainings, 1 or more
    window: int = 100_000  # rewards kept, the last ones, 1 or more
    ridge: float = 0.25  # lambda, above 0
    a0: float = 6.0  # shape of the prior of sigma^2, above 0
    b0: float = 6.0  # scale of the prior of sigma^2, above 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hidden", "batch", "steps", "every", "window"):
            require(getattr(self, name) >= 1, self, name, "1 or more")
        for name in ("init_scale", "clip", "ridge", "a0", "b0"):
            require(getattr(self, name) > 0, self, name, "above 0")
        require(self.decay >= 0, self, "decay", "0 or above")

    def network(self, spec: Spec) -> Learned:
        return Learned(self.width(spec), self.hidden, self.window, self.init_scale)

    def optimizer(self, net: nn.Module) -> RMSProp:
        assert isinstance(net, Learned)
        return RMSProp(net.net.theta, self.learning_rate)

    def rank(self, state: State, rng: np.random.Generator, rounds: Sequence[Round]) -> list[np.ndarray]:
        learned = _learned(state)
        mu, factor, a, b = learned.sums.posterior(self.ridge, self.a0, self.b0)
        scores = []
        for round in rounds:
            sigma = np.sqrt(b / rng.standard_gamma(a))
            beta = mu + sigma * np.linalg.solve(factor.T, rng.standard_normal(self.hidden))
            scores.append((learned.body(tensor(self.inputs(state.spec, round))) @ tensor(beta)).cpu().numpy())
        return scores

    def learn(self, state: State, rounds: Sequence[Round], shown: Sequence[np.ndarray], rewards: Tensor) -> None:
        learned = _learned(state)
        x = self.rows(state, rounds, shown)
        learned.memory.add(x, rewards)
        with torch.no_grad():
            if state.rounds // self.every > (state.rounds - len(rounds)) // self.every:
                self._train(state, learned)
                learned.sums = Sums(self.hidden)
                x, rewards = learned.memory.x, learned.memory.y
            learned.sums.add(learned.body(x), rewards)

    def _train(self, state: State, learned: Learned) -> None:
        assert isinstance(state.optimizer, RMSProp)
        slope, theta = Slope(learned.net, self.batch), learned.net.theta
        for step in range(self.steps):
            x, r = learned.memory.some(self.batch)
            slope.x[:, :-1] = x
            gradient = slope.at(-r)
            gradient.mul_(min(1.0, self.clip / (float(gradient.norm()) + 1e-6)))
            theta.grad, state.optimizer.lr = gradient, self.learning_rate / (1 + self.decay * step)
            state.optimizer.step()
        theta.grad = None


def _learned(state: State) -> Learned:
    assert isinstance(state.net, Learned)
    return state.net
