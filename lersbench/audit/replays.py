"""Logs of made-up customers, and policies that replay them: what each round paid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.engine.contender import Contender
from lersbench.engine.meter import CTR
from lersbench.engine.play import play, protocol_of
from lersbench.engine.rows import Rows, rows_of
from lersbench.log.chunk import Chunk
from lersbench.policy import Policy, Spec


class Log(NamedTuple):
    """A log in memory: one position, all items on offer in every round."""

    rows: Rows
    spec: Spec
    user: np.ndarray  # (n,) int64


def log_of(user: np.ndarray, context: np.ndarray, rewards: np.ndarray, shown: np.ndarray | None = None) -> Log:
    """Rounds of these users (n,) with their contexts (n, d) and the reward of every item (n, C).

    With the items that were `shown` (n,), by a uniform draw, it is one for rejection replay.
    """
    n, items = rewards.shape
    none = np.empty((0, items))
    slate = np.empty((0, 0), np.int64) if shown is None else shown[:, None].astype(np.int64)
    clicks = np.empty((0, 0)) if shown is None else rewards[np.arange(n), shown][:, None]
    chunk = Chunk(
        start=0,
        user=user.astype(np.int64),
        context=np.ascontiguousarray(context, dtype=np.float64),
        candidates=np.arange(items)[None],
        features=np.empty((1, items, 0)),
        rewards=rewards.astype(np.float64) if shown is None else none,
        expected=none,
        slate=slate,
        clicks=clicks,
        propensities=np.full(clicks.shape, 1 / items),
        examined=np.empty((0, 0)),
        attraction=none,
        scores=none,
    )
    rows = rows_of(chunk, np.empty((items, 0)), "bandit" if shown is None else "replay", 1, likes=False)
    spec = Spec(n_items=items, n_candidates=items, slate=1, d=context.shape[1], rounds=n)
    return Log(rows, spec, chunk.user)


def paid(log: Log, policy: Policy, feedback: str, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a fresh policy was paid in each of the rounds `index` (m,), which come in this order: (m,)."""
    means = _curve(log, policy, feedback, index, rng, np.arange(1, index.size + 1))
    return np.rint(np.diff(means * np.arange(1, index.size + 1), prepend=0.0))


def mean_paid(log: Log, policy: Policy, feedback: str, index: np.ndarray, rng: np.random.Generator) -> float:
    """The mean over the rounds that count; NaN where none does."""
    return float(_curve(log, policy, feedback, index, rng, np.array([index.size]))[-1])


def _curve(
    log: Log, policy: Policy, feedback: str, index: np.ndarray, rng: np.random.Generator, read: np.ndarray
) -> np.ndarray:
    protocol = protocol_of(feedback, ties=int(rng.integers(1 << 31)), ranking=False)
    contender = Contender(policy, log.spec, protocol, rng, read)
    return play(contender, log.rows, index, np.arange(index.size)).meter.curve[:, CTR]
