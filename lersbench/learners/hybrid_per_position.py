"""A hybrid model a position of the slate: each has its shared half, and a half of its own for every item.

See `hybrid` for the notation; z is what the model of a position shares among the items there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.kernels.digits import check_scale
from lersbench.kernels.jit import inlined
from lersbench.kernels.linalg import dot, quadratic, rank_one_inverse
from lersbench.learners.hybrid import Items, explain, new_items, observe_item


class Hybrids(NamedTuple):
    """Learned in place."""

    items: Items  # of all positions: item i at position k is number k n_items + i
    n_items: int
    A0_inv: np.ndarray  # (K, m, m)
    beta: np.ndarray  # (K, m)
    u: np.ndarray  # (m,) working memory, like the next
    v: np.ndarray  # (m,)


def new_hybrids(positions: int, n_items: int, d: int, m: int, ridge: float) -> Hybrids:
    """Models without observations, of d features of an item's own and m that the items of a position share."""
    return Hybrids(
        items=new_items(positions * n_items, d, m, ridge),
        n_items=n_items,
        A0_inv=np.tile(np.eye(m) / ridge, (positions, 1, 1)),
        beta=np.zeros((positions, m)),
        u=np.zeros(m),
        v=np.zeros(m),
    )


@inlined
def bound(hybrids: Hybrids, k: int, item: int, x: np.ndarray, z: np.ndarray, alpha: float) -> float:
    """x'g_a + u'beta + alpha sqrt(x' A_a^-1 x + u' A_0^-1 u) of an item at position `k`."""
    u, items = hybrids.u, hybrids.items
    mean, square = explain(items, k * hybrids.n_items + item, x, z, dot(x, x) / items.ridge, u)
    variance = quadratic(hybrids.A0_inv[k], u) + square
    return mean + dot(u, hybrids.beta[k]) + alpha * math.sqrt(max(0.0, variance))


@inlined
def learn(hybrids: Hybrids, k: int, item: int, x: np.ndarray, z: np.ndarray, weight: float, reward: float) -> None:
    """Learn the reward of an item at position `k`, looked at with probability `weight`. Raises LostDigits."""
    u, v, beta = hybrids.u, hybrids.v, hybrids.beta[k]
    error, q = observe_item(hybrids.items, k * hybrids.n_items + item, x, z, weight, reward, u)
    surprise = error - weight * dot(u, beta)
    scale = rank_one_inverse(hybrids.A0_inv[k], u, weight * weight / q, v)
    check_scale(scale)
    for j in range(u.shape[0]):
        beta[j] += weight * v[j] * surprise / (q * scale)
