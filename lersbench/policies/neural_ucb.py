"""NeuralUCB: the upper confidence bound of a neural network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lersbench.policies._gradient import GradientBandit
from lersbench.ranges import require


@dataclass(frozen=True)
class NeuralUCB(GradientBandit):
    """f(x) + alpha sqrt(g' Z^-1 g / H): a network of the joint features, and a width from its gradients g.

    A round costs the smaller of t^2 / 2 and P^2 multiplications a candidate, where t rewards were learned from and
    P = hidden (features + 2) + 1; with `matrix = "diagonal"` it costs 2 P.

    Source: Zhou et al. 2020, algorithm 1 (arXiv 1911.04462). Defaults: the settings of the livestream study (2022,
    doi 10.6814/NCCU202201098), which has a constant width, full-batch training on the last 100 rewards and dropout
    where the paper has a growing width, all rewards and a penalty on |theta - theta_0|. Deviations from the study:
    joint features and one Z for all items (there, the user's context alone and a Z for each item). Deviation from
    both: weights start as torch's layers do, so f is not 0 at first. K > 1 shows the top K and adds the K gradients.
    """

    alpha: float = 0.1  # width of the confidence bound (the study's confidence scale), 0 or above

    deterministic = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha >= 0, self, "alpha", "0 or above")

    def score(self, rng: np.random.Generator, f: np.ndarray, width: np.ndarray) -> np.ndarray:
        return f + self.alpha * width
