"""The arithmetic every policy shares: the one tie rule, top-K, Sherman-Morrison, Cholesky. Kernels only.

Ties. Candidates of equal score are ordered by a pseudo-random priority that depends on the round and
the candidate alone, not on how many numbers were drawn before. So the order is uniform at random and
reproducible, it never follows the file, and a policy may score candidates in any order, or skip those
that cannot win, and still make the same choice.
"""

from __future__ import annotations

import math

import numpy as np

from lersbench.kernels.jit import inlined, kernel

MASK = 0xFFFFFFFF
FIRST = 1e300  # the score of what was never shown and so goes first: above all others, and finite, as scores must be


@inlined
def scramble(key: int, index: int) -> int:
    """A 32-bit hash of a pair of non-negative integers. Its products stay below 2**63, so it never overflows."""
    h = (key + index * 0x9E3779B1) & MASK
    h = ((h ^ (h >> 16)) * 0x45D9F3B) & MASK
    h = ((h ^ (h >> 16)) * 0x45D9F3B) & MASK
    return h ^ (h >> 16)


@inlined
def beats(score: float, index: int, other_score: float, other_index: int, ties: int) -> bool:
    """Does candidate `index` stand before `other_index`? Higher score first, then the random tie order."""
    if score != other_score:
        return score > other_score
    mine, theirs = scramble(ties, index), scramble(ties, other_index)
    if mine != theirs:
        return mine > theirs
    return index < other_index


@kernel
def best(scores: np.ndarray, ties: int) -> int:
    """The index of the highest score, ties at random. `scores` (C,), no NaN."""
    n = scores.shape[0]
    whole = n // 4 * 4
    p, q, r, s = -math.inf, -math.inf, -math.inf, -math.inf  # four running maxima do not wait for each other
    for i in range(0, whole, 4):
        p = scores[i] if scores[i] > p else p
        q = scores[i + 1] if scores[i + 1] > q else q
        r = scores[i + 2] if scores[i + 2] > r else r
        s = scores[i + 3] if scores[i + 3] > s else s
    for i in range(whole, n):
        p = scores[i] if scores[i] > p else p
    highest = max(max(p, q), max(r, s))
    equal, top, priority = 0, 0, -1
    for i in range(n):
        equal += scores[i] == highest
        top += i if scores[i] == highest else 0
    if equal == 1:
        return top
    top = 0
    for i in range(n):
        if scores[i] == highest:
            mine = scramble(ties, i)
            if mine > priority:
                top, priority = i, mine
    return top


@kernel
def top_k(scores: np.ndarray, ties: int, slate: np.ndarray) -> None:
    """Fill `slate` (K,) with the indices of the K highest of `scores` (C,), best first, ties at random."""
    size = slate.shape[0]
    if size == 1:
        slate[0] = best(scores, ties)
        return
    for i in range(size):
        slate[i] = i
    for root in range(size // 2 - 1, -1, -1):
        _sift(scores, ties, slate, root, size)
    for i in range(size, scores.shape[0]):
        if scores[i] >= scores[slate[0]] and beats(scores[i], i, scores[slate[0]], slate[0], ties):
            slate[0] = i
            _sift(scores, ties, slate, 0, size)
    for end in range(size - 1, 0, -1):
        slate[0], slate[end] = slate[end], slate[0]
        _sift(scores, ties, slate, 0, end)


@kernel
def _sift(scores: np.ndarray, ties: int, heap: np.ndarray, root: int, size: int) -> None:
    """Restore the heap below `root`, whose parents are never better than their children: the worst is on top."""
    while 2 * root + 1 < size:
        child = 2 * root + 1
        if child + 1 < size and beats(scores[heap[child]], heap[child], scores[heap[child + 1]], heap[child + 1], ties):
            child += 1
        if beats(scores[heap[child]], heap[child], scores[heap[root]], heap[root], ties):
            return
        heap[root], heap[child] = heap[child], heap[root]
        root = child


@kernel
def add_to_means(
    plays: np.ndarray,
    mean: np.ndarray,
    candidates: np.ndarray,
    slate: np.ndarray,
    rewards: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Count the seen items of a slate into the running means: `plays` and `mean` (n_items,) are changed in place."""
    for k in range(slate.shape[0]):
        if seen[k]:
            item = candidates[slate[k]]
            plays[item] += 1.0
            mean[item] += (rewards[k] - mean[item]) / plays[item]


@kernel
def dot(x: np.ndarray, y: np.ndarray) -> float:
    """x'y of two vectors of the same length."""
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * y[i]
    return total


@kernel
def symmetric_times(matrix: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (d,) with `matrix` (d, d, symmetric) times `x` (d,)."""
    for i in range(x.shape[0]):
        out[i] = 0.0
    for j in range(x.shape[0]):
        for i in range(x.shape[0]):
            out[i] += matrix[j, i] * x[j]


@kernel
def quadratic(matrix: np.ndarray, x: np.ndarray) -> float:
    """x' matrix x for a symmetric `matrix` (d, d)."""
    total = 0.0
    for i in range(x.shape[0]):
        row = 0.5 * matrix[i, i] * x[i]
        for j in range(i):
            row += matrix[i, j] * x[j]
        total += 2.0 * row * x[i]
    return total


@kernel
def rank_one_inverse(inverse: np.ndarray, x: np.ndarray, weight: float, v: np.ndarray) -> float:
    """Sherman-Morrison: turn A^-1 into (A + weight x x')^-1 in place.

    `inverse` (d, d) symmetric is changed; `v` (d,) is left holding (the old A^-1) x. Returns
    1 + weight x'v, so that a ridge solution follows by theta += v (weight r - weight x'theta) / that.
    """
    symmetric_times(inverse, x, v)
    scale = 1.0 + weight * dot(x, v)
    for i in range(x.shape[0]):
        c = weight * v[i] / scale
        for j in range(x.shape[0]):
            inverse[i, j] -= c * v[j]
    return scale


@kernel
def rank_one_cholesky(lower: np.ndarray, x: np.ndarray) -> None:
    """Turn the Cholesky factor L of A into that of A + x x' in place; `x` (d,) is destroyed.

    `lower` (d, d), entries above the diagonal are not read. Golub and Van Loan, section 6.5.4.
    """
    d = x.shape[0]
    for k in range(d):
        r = math.sqrt(lower[k, k] * lower[k, k] + x[k] * x[k])
        c, s = r / lower[k, k], x[k] / lower[k, k]
        lower[k, k] = r
        for i in range(k + 1, d):
            lower[i, k] = (lower[i, k] + s * x[i]) / c
            x[i] = c * x[i] - s * lower[i, k]


@kernel
def solve_lower(lower: np.ndarray, x: np.ndarray) -> None:
    """Replace `x` (d,) by L^-1 x, L = `lower` (d, d) lower triangular."""
    for i in range(x.shape[0]):
        total = x[i]
        for j in range(i):
            total -= lower[i, j] * x[j]
        x[i] = total / lower[i, i]


@kernel
def solve_lower_transposed(lower: np.ndarray, x: np.ndarray) -> None:
    """Replace `x` (d,) by L'^-1 x, L = `lower` (d, d) lower triangular."""
    for i in range(x.shape[0] - 1, -1, -1):
        total = x[i]
        for j in range(i + 1, x.shape[0]):
            total -= lower[j, i] * x[j]
        x[i] = total / lower[i, i]
