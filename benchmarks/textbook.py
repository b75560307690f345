"""LinUCB as the textbook has it, in strict order: A, b and A^-1 in full, theta = A^-1 b anew each time.

Nothing of lersbench is used but its tie rule. Each function follows the choices it is given and counts the rounds in
which its own would have been another, with the widest gap between the two scores: without any such round
the runs are the same from first to last; with some, both were in the same state there, and the gap tells
whether it was a tie up to rounding.
"""

from __future__ import annotations

import numba
import numpy as np

from lersbench.kernels.ties import beats, scramble


@numba.njit
def score(inverse: np.ndarray, b: np.ndarray, x: np.ndarray, alpha: float) -> float:
    d = x.shape[0]
    estimate, square = 0.0, 0.0
    for i in range(d):
        theta, row = 0.0, 0.0
        for j in range(d):
            theta += inverse[i, j] * b[j]
            row += inverse[i, j] * x[j]
        estimate += theta * x[i]
        square += row * x[i]
    return estimate + alpha * np.sqrt(square)


@numba.njit
def learn(inverse: np.ndarray, b: np.ndarray, x: np.ndarray, reward: float) -> None:
    d = x.shape[0]
    v = np.zeros(d)
    scale = 1.0
    for i in range(d):
        for j in range(d):
            v[i] += inverse[i, j] * x[j]
        scale += v[i] * x[i]
    for i in range(d):
        b[i] += reward * x[i]
        for j in range(d):
            inverse[i, j] -= v[i] * v[j] / scale


@numba.njit
def fresh(n: int, d: int) -> np.ndarray:
    inverse = np.zeros((n, d, d))
    for a in range(n):
        for i in range(d):
            inverse[a, i, i] = 1.0
    return inverse


@numba.njit
def top(scores: np.ndarray, ties: int) -> int:
    a = 0
    for c in range(1, scores.shape[0]):
        if beats(scores[c], c, scores[a], a, ties):
            a = c
    return a


@numba.njit
def disjoint(
    contexts: np.ndarray, rewards: np.ndarray, choices: np.ndarray, alpha: float, ties: int
) -> tuple[int, float]:
    """(rounds that differ, widest gap); `rewards` (n, arms), `choices` (n,)."""
    (n, d), arms = contexts.shape, rewards.shape[1]
    inverse, b, scores = fresh(arms, d), np.zeros((arms, d)), np.zeros(arms)
    differ, gap = 0, 0.0
    for t in range(n):
        for a in range(arms):
            scores[a] = score(inverse[a], b[a], contexts[t], alpha)
        own, a = top(scores, scramble(ties, t)), choices[t]
        if own != a:
            differ, gap = differ + 1, max(gap, scores[own] - scores[a])
        learn(inverse[a], b[a], contexts[t], rewards[t, a])
    return differ, gap


@numba.njit
def replayed(
    contexts: np.ndarray,
    logged: np.ndarray,
    rewards: np.ndarray,
    matched: np.ndarray,
    arms: int,
    alpha: float,
    ties: int,
) -> tuple[int, float]:
    """The same of rejection replay; `logged`, `rewards`, `matched` (n,), the last being True where it learned."""
    n, d = contexts.shape
    inverse, b, scores = fresh(arms, d), np.zeros((arms, d)), np.zeros(arms)
    differ, gap = 0, 0.0
    for t in range(n):
        for a in range(arms):
            scores[a] = score(inverse[a], b[a], contexts[t], alpha)
        own, a = top(scores, scramble(ties, t)), logged[t]
        if (own == a) != matched[t]:
            differ, gap = differ + 1, max(gap, scores[own] - scores[a])
        if matched[t]:
            learn(inverse[a], b[a], contexts[t], rewards[t])
    return differ, gap


@numba.njit
def per_position(
    features: np.ndarray, rewards: np.ndarray, first: np.ndarray, slates: np.ndarray, alpha: float, ties: int
) -> tuple[int, float]:
    """The same of one shared-theta LinUCB a position; `slates` (n, K), the others as in `numpy_twins.per_position`."""
    n, m = first.shape[0] - 1, features.shape[1]
    positions = slates.shape[1]
    inverse, b, room = fresh(positions, m), np.zeros((positions, m)), np.zeros(np.max(np.diff(first)))
    differ, gap = 0, 0.0
    for t in range(n):
        width, start = first[t + 1] - first[t], first[t]
        size, scores = min(positions, width), room[:width]
        for k in range(size):
            for c in range(width):
                scores[c] = score(inverse[k], b[k], features[start + c], alpha)
            for j in range(k):
                scores[slates[t, j]] = -np.inf
            own, c = top(scores, scramble(ties, t)), slates[t, k]
            if own != c:
                differ, gap = differ + 1, max(gap, scores[own] - scores[c])
        for k in range(size):
            learn(inverse[k], b[k], features[start + slates[t, k]], rewards[start + slates[t, k]])
    return differ, gap
