"""LinUCB in NumPy, as well as a careful user would write it: all arms in one array, no Python loop over arms.

The quadratic form of all arms is one matrix-vector product, either of all rows of all inverses with x, or of
all flattened inverses with the outer product x x'; which is faster depends on the machine, so both are measured
and the faster one counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Forms = Callable[[np.ndarray, np.ndarray], np.ndarray]


def by_rows(inverse: np.ndarray, x: np.ndarray) -> np.ndarray:
    arms, d, _ = inverse.shape
    return (inverse.reshape(arms * d, d) @ x).reshape(arms, d) @ x


def by_products(inverse: np.ndarray, x: np.ndarray) -> np.ndarray:
    arms, d, _ = inverse.shape
    return inverse.reshape(arms, d * d) @ np.outer(x, x).ravel()


FORMS: tuple[Forms, ...] = (by_rows, by_products)


def learn(inverse: np.ndarray, theta: np.ndarray, a: int, x: np.ndarray, reward: float) -> None:
    v = inverse[a] @ x
    scale = 1.0 + v @ x
    theta[a] += v * ((reward - theta[a] @ x) / scale)
    inverse[a] -= np.outer(v / scale, v)


def disjoint(contexts: np.ndarray, rewards: np.ndarray, alpha: float, form: Forms) -> np.ndarray:
    """The choices (n,) of disjoint LinUCB; `rewards` (n, arms)."""
    (n, d), arms = contexts.shape, rewards.shape[1]
    inverse, theta = np.tile(np.eye(d), (arms, 1, 1)), np.zeros((arms, d))
    choices = np.empty(n, np.int64)
    for t in range(n):
        x = contexts[t]
        a = int(np.argmax(theta @ x + alpha * np.sqrt(form(inverse, x))))
        learn(inverse, theta, a, x, rewards[t, a])
        choices[t] = a
    return choices


def ranked(contexts: np.ndarray, rewards: np.ndarray, liked: list[np.ndarray], alpha: float, form: Forms) -> np.ndarray:
    """Disjoint LinUCB that also ranks the liked arms of every round; mean rank (n,) of them, 0 = top."""
    (n, d), arms = contexts.shape, rewards.shape[1]
    inverse, theta = np.tile(np.eye(d), (arms, 1, 1)), np.zeros((arms, d))
    ranks = np.empty(n)
    for t in range(n):
        x = contexts[t]
        scores = theta @ x + alpha * np.sqrt(form(inverse, x))
        ranks[t] = (scores > scores[liked[t]][:, None]).sum(axis=1).mean()
        a = int(np.argmax(scores))
        learn(inverse, theta, a, x, rewards[t, a])
    return ranks


def replayed(
    contexts: np.ndarray, logged: np.ndarray, rewards: np.ndarray, arms: int, alpha: float, form: Forms
) -> int:
    """The matches of disjoint LinUCB that learns only where it chooses the logged arm; `logged`, `rewards` (n,)."""
    n, d = contexts.shape
    inverse, theta = np.tile(np.eye(d), (arms, 1, 1)), np.zeros((arms, d))
    matches = 0
    for t in range(n):
        x = contexts[t]
        a = int(np.argmax(theta @ x + alpha * np.sqrt(form(inverse, x))))
        if a == logged[t]:
            learn(inverse, theta, a, x, rewards[t])
            matches += 1
    return matches


def squares_by_einsum(inverse: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.einsum("kcm,cm->kc", x @ inverse, x)


def squares_by_products(inverse: np.ndarray, x: np.ndarray) -> np.ndarray:
    positions, m, _ = inverse.shape
    outer = (x[:, :, None] * x[:, None, :]).reshape(x.shape[0], m * m)
    return inverse.reshape(positions, m * m) @ outer.T


POSITION_FORMS: tuple[Forms, ...] = (squares_by_einsum, squares_by_products)


def per_position(
    features: np.ndarray, rewards: np.ndarray, first: np.ndarray, positions: int, alpha: float, form: Forms
) -> np.ndarray:
    """The slates (n, K) of one shared-theta LinUCB a position, -1 where a round has fewer candidates.

    `features` (N, m) and `rewards` (N,) of the candidates of all rounds, those of round t from first[t] (n + 1,) on.
    """
    n, m = len(first) - 1, features.shape[1]
    all_inverse, all_theta = np.tile(np.eye(m), (positions, 1, 1)), np.zeros((positions, m))
    slates = np.full((n, positions), -1)
    for t in range(n):
        x, paid = features[first[t] : first[t + 1]], rewards[first[t] : first[t + 1]]
        size = min(positions, len(x))
        slate, inverse, theta = slates[t, :size], all_inverse[:size], all_theta[:size]
        scores = theta @ x.T + alpha * np.sqrt(form(inverse, x))
        for k in range(size):
            slate[k] = scores[k].argmax()
            scores[:, slate[k]] = -np.inf
        shown = x[slate]
        v = np.matmul(inverse, shown[:, :, None])[:, :, 0]
        scale = 1.0 + (shown * v).sum(axis=1)
        theta += v * ((paid[slate] - (theta * shown).sum(axis=1)) / scale)[:, None]
        inverse -= v[:, :, None] * (v / scale[:, None])[:, None, :]
    return slates
