"""The half of a hybrid model that belongs to an item: a ridge regression on x, beside a shared one on z.

Notation. Reward = w (z'beta + x'theta_a) + noise; x (d,) and z (m,) the features of the two halves, w how likely the
item is looked at (1 where that is not modelled), A_a, B_a, b_a and A_0, b_0 the sums of Li et al. 2010, algorithm 2
(doi 10.1145/1772690.1772758), with (w z, w x) for its (z, x). Instead of them is held what the scores need:

    G_a = A_a^-1 B_a,  g_a = A_a^-1 b_a,  beta = A_0^-1 b_0,  so that theta_a = g_a - G_a beta.

With u = z - G_a'x (the part of z that item a's own half can't explain) the four-term variance of the paper
is a sum of two squares, s = x' A_a^-1 x + u' A_0^-1 u, the mean is x'g_a + u'beta, and one observation with
q = 1 + w^2 x' A_a^-1 x, v = A_a^-1 x, e = r - w x'g_a changes every part by rank one:

    A_a^-1 -= w^2 v v' / q,  G_a += w^2 v u' / q,  g_a += w v e / q,  A_0 += w^2 u u' / q,  b_0 += w u e / q.

To the shared half that is one observation of u with the weight w / sqrt(q) and the reward e / sqrt(q).

The paper adds B_a' A_a^-1 B_a to A_0, updates, and takes it off again; these are the same numbers, but only
positive terms are ever added to A_0, so no difference of large sums has to be rebuilt from time to time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.kernels.digits import STEEP, check, check_scale, new_probe
from lersbench.kernels.jit import inlined
from lersbench.kernels.linalg import dot, quadratic, rank_one_inverse, symmetric_times


class Items(NamedTuple):
    """Learned in place. The arrays of an item are zeros, standing for the prior, until it is first observed."""

    plays: np.ndarray  # (n,) int64, observations of each item
    A_inv: np.ndarray  # (n, d, d) A_a^-1
    G: np.ndarray  # (n, d, m) A_a^-1 B_a
    g: np.ndarray  # (n, d) A_a^-1 b_a
    ridge: float
    probe: np.ndarray  # (d,) see `digits`
    image: np.ndarray  # (n, d) A_a probe
    reach: np.ndarray  # (n,)
    v: np.ndarray  # (d,) working memory


def new_items(n: int, d: int, m: int, ridge: float) -> Items:
    """Items without observations. Memory is claimed item by item, as they are first observed."""
    return Items(
        plays=np.zeros(n, np.int64),
        A_inv=np.zeros((n, d, d)),
        G=np.zeros((n, d, m)),
        g=np.zeros((n, d)),
        ridge=ridge,
        probe=new_probe(d),
        image=np.zeros((n, d)),
        reach=np.zeros(n),
        v=np.zeros(d),
    )


@inlined
def explain(items: Items, item: int, x: np.ndarray, z: np.ndarray, prior: float, u: np.ndarray) -> tuple[float, float]:
    """x'g_a and x' A_a^-1 x of an item, and in `u` (m,) what its half leaves of `z`; `prior` is x'x / ridge."""
    if items.plays[item] == 0:  # A_a = ridge I, B_a = 0, b_a = 0
        for j in range(z.shape[0]):
            u[j] = z[j]
        return 0.0, prior
    residual(items.G[item], x, z, u)
    return dot(x, items.g[item]), quadratic(items.A_inv[item], x)


@inlined
def residual(G: np.ndarray, x: np.ndarray, z: np.ndarray, u: np.ndarray) -> None:
    """Fill `u` (m,) with z - G'x."""
    for j in range(z.shape[0]):
        u[j] = z[j]
    for i in range(x.shape[0]):
        for j in range(z.shape[0]):
            u[j] -= x[i] * G[i, j]


@inlined
def observe_item(
    items: Items, item: int, x: np.ndarray, z: np.ndarray, weight: float, reward: float, u: np.ndarray
) -> tuple[float, float]:
    """Learn the reward of an item that was looked at with probability `weight`: the error e and the scale q.

    `u` (m,) is left holding what the item's half could not explain of `z` before. Raises LostDigits, see `digits`.
    """
    A_inv, G, g, image = items.A_inv[item], items.G[item], items.g[item], items.image[item]
    v, w, along = items.v, weight, dot(x, items.probe)
    if items.plays[item] == 0:
        for i in range(x.shape[0]):
            A_inv[i, i] = 1.0 / items.ridge
            image[i] = items.ridge * items.probe[i]
    items.plays[item] += 1
    residual(G, x, z, u)
    error = reward - w * dot(x, g)
    q = rank_one_inverse(A_inv, x, w * w, v)
    check(dot(v, image), along, items.reach, item)
    check_scale(q)
    for i in range(x.shape[0]):
        image[i] += w * w * x[i] * along
        g[i] += w * v[i] * error / q
        for j in range(u.shape[0]):
            G[i, j] += w * w * v[i] * u[j] / q
    if q > STEEP:
        symmetric_times(A_inv, x, v)
        check(dot(v, image), along, items.reach, item)
    return error, q
