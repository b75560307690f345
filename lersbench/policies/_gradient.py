"""What NeuralUCB and NeuralTS share: a network with one hidden layer, and a width from its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lersbench.errors import ConfigError
from lersbench.neural.adapter import State, TorchPolicy, tensor
from lersbench.neural.gradient_widths import Diagonal, Full
from lersbench.neural.one_hidden import Memory, OneHidden
from lersbench.policy import Round, Spec
from lersbench.ranges import require


class Learned(nn.Module):
    """The network, the matrix of the gradients of what was shown, and the rewards to train on."""

    def __init__(self, net: OneHidden, matrix: Full | Diagonal, memory: Memory):
        super().__init__()
        self.net, self.matrix, self.memory = net, matrix, memory


@dataclass(frozen=True)
class GradientBandit(TorchPolicy):
    """Scores from f(x) and s(x) = sqrt(g' Z^-1 g / H), g the gradient of f at x: `score`, in a subclass.

    After each delivery of feedback Z grows by the gradients of what was revealed, and the network takes `epochs`
    steps of Adam on the last `window` rewards.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)

    learning_rate: float = 0.01  # of Adam, above 0
    hidden: int = 32  # units of the hidden layer (H), 1 or more
    ridge: float = 1.0  # lambda, above 0: Z starts as lambda I
    window: int = 100  # rewards to train on, the last ones, 1 or more
    epochs: int = 10  # steps of training after each delivery of feedback, 0 or more
    dropout: float = 0.2  # of hidden units in training, 0 or above and below 1
    matrix: str = "full"  # Z: "full", or "diagonal"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.hidden >= 1, self, "hidden", "1 or more")
        require(self.ridge > 0, self, "ridge", "above 0")
        require(self.window >= 1, self, "window", "1 or more")
        require(self.epochs >= 0, self, "epochs", "0 or more")
        require(0 <= self.dropout < 1, self, "dropout", "0 or above and below 1")
        if self.matrix not in ("full", "diagonal"):
            raise ConfigError(f"{type(self).__name__}: matrix = '{self.matrix}' must be 'full' or 'diagonal'.")

    def score(self, rng: np.random.Generator, f: np.ndarray, width: np.ndarray) -> np.ndarray:
        """The scores of candidates with estimates `f` (C,) and widths `width` (C,)."""
        raise NotImplementedError

    def network(self, spec: Spec) -> Learned:
        kind = Full if self.matrix == "full" else Diagonal
        m = self.width(spec)
        return Learned(OneHidden(m, self.hidden), kind(m, self.hidden, self.ridge), Memory(m, self.window))

    def optimizer(self, net: nn.Module) -> None:
        return None  # `OneHidden` brings its own

    def rank(self, state: State, rng: np.random.Generator, rounds: Sequence[Round]) -> list[np.ndarray]:
        learned = _learned(state)
        pairs = []
        for round in rounds:
            f, g = learned.net.with_gradients(tensor(self.inputs(state.spec, round)))
            pairs.append(torch.stack([f, (learned.matrix.squares(g) / self.hidden).sqrt_()]))
        return [self.score(rng, *pair) for pair in (both.cpu().double().numpy() for both in pairs)]

    def work(self, state: State, rows: int) -> int:
        learned = _learned(state)
        return rows * learned.net.theta.numel() * learned.matrix.depth

    def learn(self, state: State, rounds: Sequence[Round], shown: Sequence[np.ndarray], rewards: Tensor) -> None:
        learned = _learned(state)
        x = self.rows(state, rounds, shown)
        with torch.no_grad():
            learned.matrix.add(learned.net.with_gradients(x)[1])
            learned.memory.add(x, rewards)
            learned.net.fit(learned.memory.x, learned.memory.y, self.epochs, self.learning_rate, self.dropout)


def _learned(state: State) -> Learned:
    assert isinstance(state.net, Learned)
    return state.net
