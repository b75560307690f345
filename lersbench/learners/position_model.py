"""What bandits in the position-based model share: the weights of the positions, and who stands where.

P(click at position k on item i) = examination_k theta_i, with the examinations known.
"""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import inlined, kernel


def columns(examination: np.ndarray) -> np.ndarray:
    """The weights (L + 1,) of the columns a reward is counted in: the L positions, and 1 for whatever is revealed.

    `examination` (L,) in [0, 1].
    """
    return np.append(examination, 1.0)


@inlined
def place_of(shown_at: np.ndarray, slate: np.ndarray, k: int) -> int:
    """Where the user looked or did not look at the item in place `k` of `slate`.

    That is where the log showed it, `shown_at` (C,), where its reward is a logged click; else, `shown_at` (0,), it is
    the place itself.
    """
    return shown_at[slate[k]] if shown_at.shape[0] > 0 else k


@inlined
def column(shown_at: np.ndarray, slate: np.ndarray, k: int, positions: int, last: int) -> int:
    """The column for the reward at place `k` of `slate`, which holds what was revealed (shown or not).

    More rewards than the K `positions` means that every candidate's was revealed, whatever was shown: no position had a
    part in it, and all belong to the `last` column. `shown_at` as of `place_of`.
    """
    return place_of(shown_at, slate, k) if slate.shape[0] <= positions else last


def by_examination(examination: np.ndarray, positions: int) -> np.ndarray:
    """The K positions (int64), the most examined first, equal ones from the top down."""
    return np.argsort(-examination[:positions], kind="stable").astype(np.int64)


@kernel
def place(ranked: np.ndarray, order: np.ndarray, slate: np.ndarray) -> None:
    """Fill `slate` (K,): the best of `ranked` (K, best first) at the first position of `order`, and so on down.

    `order` may name further positions, which a short slate does not have.
    """
    n = 0
    for j in range(order.shape[0]):
        if order[j] < slate.shape[0]:
            slate[order[j]] = ranked[n]
            n += 1


@kernel
def rank_left(order: np.ndarray, k: int, positions: int) -> int:
    """How many of the positions k + 1 .. positions - 1 come before `k` in `order`: they get better items."""
    rank = 0
    for j in range(order.shape[0]):
        if order[j] == k:
            break
        rank += k < order[j] < positions
    return rank
