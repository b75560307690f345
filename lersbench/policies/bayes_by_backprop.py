"""Bayes by Backprop: Thompson sampling with a network whose weights are independent normal variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from lersbench.neural.adapter import State, TorchPolicy, tensor
from lersbench.neural.bayesian import BayesianLinear, kl
from lersbench.neural.one_hidden import Memory
from lersbench.policy import Round, Spec
from lersbench.ranges import require

RAMP = 10  # trainings until `steps` is reached


class Learned(nn.Module):
    """The network, and the rewards to train on."""

    def __init__(self, m: int, hidden: int, window: int):
        super().__init__()
        self.net = nn.Sequential(_layer(m, hidden), nn.ReLU(), _layer(hidden, 1))
        self.memory = Memory(m, window)


def _layer(n_in: int, n_out: int) -> BayesianLinear:
    """Means N(0, 0.05^2), rho N(-5, 0.05^2), prior N(0, 2 / n_in), plain biases."""
    layer = BayesianLinear(n_in, n_out, math.sqrt(2 / n_in), local=True, random_bias=False)
    nn.init.normal_(layer.mean, 0, 0.05)
    nn.init.normal_(layer.rho, -5, 0.05)
    nn.init.zeros_(layer.bias_mean)
    return layer


@dataclass(frozen=True)
class BayesByBackprop(TorchPolicy):
    """Greedy on one draw of all weights a round; every `every` rounds the network is trained on all rewards.

    A training step lowers mean -log N(r; f(x), noise^2) + KL / n on a mini-batch, n the rewards kept, with the local
    reparameterisation: Adam.

    Source: Blundell et al. 2015 (arXiv 1505.05424) with the settings of Riquelme et al. 2018 (arXiv 1802.09127).
    Deviations: one network for all items on joint features, and so none of their first pulls of every arm; the
    rewards kept are bounded by `window`; the learning rate, which they tuned, is Adam's usual one times ten.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)

    learning_rate: float = 0.01  # of Adam, above 0
    hidden: int = 50  # units of the hidden layer, 1 or more
    noise: float = 0.1  # standard deviation of a reward, above 0
    batch: int = 512  # rewards of a mini-batch, 1 or more
    every: int = 50  # rounds between trainings, 1 or more
    first_steps: int = 100  # mini-batches of the first training, 1 or more
    steps: int = 100  # mini-batches from the tenth training on, 1 or more; linear in between
    window: int = 100_000  # rewards kept, the last ones, 1 or more

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hidden", "batch", "every", "first_steps", "steps", "window"):
            require(getattr(self, name) >= 1, self, name, "1 or more")
        require(self.noise > 0, self, "noise", "above 0")

    def network(self, spec: Spec) -> Learned:
        return Learned(self.width(spec), self.hidden, self.window)

    def rank(self, state: State, rng: np.random.Generator, rounds: Sequence[Round]) -> list[np.ndarray]:
        net = _learned(state).net.eval()  # one draw of the weights for all candidates of a round
        return [net(tensor(self.inputs(state.spec, round)))[:, 0].cpu().numpy() for round in rounds]

    def learn(self, state: State, rounds: Sequence[Round], shown: Sequence[np.ndarray], rewards: Tensor) -> None:
        learned = _learned(state)
        learned.memory.add(self.rows(state, rounds, shown), rewards)
        trainings = state.rounds // self.every
        if trainings > (state.rounds - len(rounds)) // self.every:
            self._train(state, learned, trainings)

    def _train(self, state: State, learned: Learned, number: int) -> None:
        assert state.optimizer is not None
        learned.net.train()
        steps = self.first_steps + (self.steps - self.first_steps) * min(number - 1, RAMP - 1) / (RAMP - 1)
        for _ in range(math.floor(steps + 0.5)):
            x, r = learned.memory.some(self.batch)
            error = (learned.net(x)[:, 0] - r) / self.noise
            state.optimizer.zero_grad()
            (error.square().mean() / 2 + kl(learned.net) / len(learned.memory)).backward()
            state.optimizer.step()


def _learned(state: State) -> Learned:
    assert isinstance(state.net, Learned)
    return state.net
