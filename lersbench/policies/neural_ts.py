"""NeuralTS: Thompson sampling with a neural network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lersbench.policies._gradient import GradientBandit
from lersbench.ranges import require


@dataclass(frozen=True)
class NeuralTS(GradientBandit):
    """A draw of N(f(x), nu^2 lambda g' Z^-1 g / H) for each candidate on its own; g the gradient of the network f.

    A round costs what one of NeuralUCB costs.

    Source: Zhang et al. 2021, algorithm 1 (arXiv 2010.00827). Network, training and defaults as in neural-ucb, so that
    the two differ in exploration alone: the paper trains on all rewards, with a penalty on |theta - theta_0|. K > 1
    shows the top K and adds the K gradients.
    """

    nu: float = 0.1  # scale of the draws, 0 or above

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.nu >= 0, self, "nu", "0 or above")

    def score(self, rng: np.random.Generator, f: np.ndarray, width: np.ndarray) -> np.ndarray:
        return f + self.nu * self.ridge**0.5 * width * rng.standard_normal(f.shape)
