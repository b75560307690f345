"""Warm starts: what was bought before the stream, as observations that a bandit begins with.

`warm` is how many observations each item begins with, as if it had been shown that often before the first round. They
have the item's rate of the past: the share of all customers' time windows in which it was bought, windows as long as
the one in which likes are counted (see `log.history.past_arrays`). An item that was never sold before stays cold.
"""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.vectors import LANES
from lersbench.learners.per_item import DENSE, Bank, inverse, new_bank, observe
from lersbench.policy import Policy, Spec
from lersbench.ranges import require


def check(policy: Policy, warm: float) -> None:
    """`warm` must be 0 or above; above 0 the policy needs the past. For `__post_init__`."""
    require(warm >= 0, policy, "warm", "0 (cold) or above")
    if warm > 0:
        object.__setattr__(policy, "needs", (*type(policy).needs, "past"))


def observations(spec: Spec, warm: float) -> tuple[np.ndarray, np.ndarray]:
    """How often each item was shown before the first round, and the sum of its rewards, (n_items,) float64 each."""
    if warm == 0:
        return np.zeros(spec.n_items), np.zeros(spec.n_items)
    rate = spec.history["past_rate"]
    shown = np.where(np.isnan(rate), 0.0, warm)
    return shown, np.where(np.isnan(rate), 0.0, rate) * shown


def warm_bank(bank: Bank, spec: Spec, warm: float) -> None:
    """Let every item that was sold before learn from all users with a past, as `warm` observations together.

    Each such user counts warm / users of an observation: the context at the cut, and the share of the user's time
    windows in which the item was bought. So all items share one A^-1, and theta is A^-1 times a sum of their own.
    """
    past = spec.history
    x, there = past["known"], past["past_windows"] > 0
    weight = warm / max(1, int(there.sum()))
    shared = new_bank(1, spec.d, bank.ridge[0])
    for user in np.flatnonzero(there):
        observe(shared, 0, np.sqrt(weight) * x[user], 0.0)
    while shared.row[0] < 0:  # few users: an observation of nothing makes it dense, and nothing else
        observe(shared, 0, np.zeros(spec.d), 0.0)
    theta = np.zeros((spec.n_items, spec.d))
    _estimate(past["bought_start"], past["bought"], past["bought_rate"], x, weight, inverse(shared, 0), theta)
    for item in np.flatnonzero(~np.isnan(past["past_rate"])):
        _take_over(bank, int(item), shared, theta[item])


def _take_over(bank: Bank, arm: int, other: Bank, theta: np.ndarray) -> None:
    """Give an arm without observations the matrix of `other`, a bank of one dense arm, and the estimate `theta`."""
    row, blocks = bank.used[DENSE], bank.w.shape[0] // LANES
    bank.packed[row] = other.packed[0]
    bank.inverse[row * blocks : (row + 1) * blocks] = other.inverse[:blocks]
    bank.trace[arm], bank.spread[arm] = other.trace[0], other.spread[0]
    bank.image[arm], bank.reach[arm] = other.image[0], other.reach[0]
    bank.theta[arm // LANES, arm % LANES :: LANES] = theta
    bank.row[arm], bank.arm[row] = row, arm
    bank.used[DENSE] += 1


@kernel
def _estimate(
    start: np.ndarray,
    bought: np.ndarray,
    rate: np.ndarray,
    x: np.ndarray,
    weight: float,
    inverse: np.ndarray,
    theta: np.ndarray,
) -> None:
    """Fill `theta` (n_items, d), which is zero, with A^-1 times the weighted sum of rate x user's context."""
    d = x.shape[1]
    for user in range(start.shape[0] - 1):
        for place in range(start[user], start[user + 1]):
            for i in range(d):
                theta[bought[place], i] += weight * rate[place] * x[user, i]
    total = np.empty(d)
    for item in range(theta.shape[0]):
        for i in range(d):
            total[i] = 0.0
            for j in range(d):
                total[i] += inverse[i, j] * theta[item, j]
        for i in range(d):
            theta[item, i] = total[i]
