"""The one tie rule, and the best of many by it: `best` and `top_k`.

Candidates of equal score are ordered by a pseudo-random priority that depends on the round and
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
