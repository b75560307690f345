"""Platt's two numbers: chances of a model, made to agree with rows it was not fitted on.

The held-out rows are counted by their log-odds in narrow bins, which add up over chunks; the two numbers are then
fitted to the bins' mean log-odds. A bin is .01 wide, so what its mean leaves out is below 1e-5 of a log-odds.
"""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import kernel

REACH = 20.0  # log-odds beyond it count as this: chances of 2e-9
BINS = 4001
COUNT, REWARDS, ODDS = range(3)
ENOUGH = 20  # held-out rows of either reward, below which two numbers would be fitted to noise
STEPS = 50


def new_bins() -> np.ndarray:
    """(BINS, 3) of zeros: rows, the sum of their rewards, that of their log-odds. Sums of parts may be added."""
    return np.zeros((BINS, 3))


@kernel
def count(bins: np.ndarray, odds: np.ndarray, rewards: np.ndarray) -> None:
    """Count held-out rows into `bins`: their log-odds (n,) under the model, and rewards (n,) of 0 or 1."""
    step = (bins.shape[0] - 1) / (2 * REACH)
    for i in range(odds.shape[0]):
        z = min(max(odds[i], -REACH), REACH)
        at = int((z + REACH) * step + 0.5)
        bins[at, COUNT] += 1.0
        bins[at, REWARDS] += rewards[i]
        bins[at, ODDS] += z


def platt(bins: np.ndarray) -> tuple[float, float] | None:
    """(a, b) of the calibrated chance 1 / (1 + exp(-(a + b * log-odds))); None where the bins cannot tell.

    Newton's method on the likelihood with Platt's targets (N1 + 1) / (N1 + 2) and 1 / (N0 + 2) (Platt 1999), which keep
    b finite where the log-odds separate the rewards. None: fewer than 20 rows of either reward, or a slope b that is
    not positive, by which the model would rank rows the wrong way round.
    """
    used = bins[bins[:, COUNT] > 0]
    n, ones = used[:, COUNT], used[:, REWARDS]
    positive, all_rows = float(ones.sum()), float(n.sum())
    if min(positive, all_rows - positive) < ENOUGH:
        return None
    targets = ones * (positive + 1) / (positive + 2) + (n - ones) / (all_rows - positive + 2)
    design = np.stack([np.ones(len(used)), used[:, ODDS] / n], axis=1)
    fitted = _newton(design, n, targets)
    return (float(fitted[0]), float(fitted[1])) if fitted[1] > 0 else None


def _newton(design: np.ndarray, n: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The maximum of sum targets * z - n log(1 + exp z), z = design @ numbers, by Newton with halved steps."""
    numbers, loss = np.array([0.0, 1.0]), np.inf
    step = np.zeros(2)
    for _ in range(STEPS):
        now = _loss(design, n, targets, numbers + step)
        while now > loss + 1e-12 * abs(loss):
            step = step / 2
            now = _loss(design, n, targets, numbers + step)
        numbers, loss = numbers + step, now
        chance = 1 / (1 + np.exp(-design @ numbers))
        curved = design.T @ (design * (n * chance * (1 - chance))[:, None])
        step = np.linalg.lstsq(curved, design.T @ (targets - n * chance), rcond=None)[0]
        if float(step @ curved @ step) < 1e-16 * n.sum():
            break
    return numbers + step


def _loss(design: np.ndarray, n: np.ndarray, targets: np.ndarray, numbers: np.ndarray) -> float:
    z = design @ numbers
    return float((n * np.logaddexp(0.0, z) - targets * z).sum())
