"""Logs of made-up customers, and policies that replay them: what these paid, customer by customer."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.engine.blocks import IN_ROUNDS, PAID_IN
from lersbench.engine.contender import Contender
from lersbench.engine.play import play, protocol_of
from lersbench.engine.rows import Rows, rows_of
from lersbench.feedback import USUAL
from lersbench.log.chunk import Chunk
from lersbench.policy import Policy, Spec
from lersbench.results.customers import Sums


class Log(NamedTuple):
    """A log in memory: one position, all items on offer in every round."""

    rows: Rows
    spec: Spec


def log_of(user: np.ndarray, context: np.ndarray, rewards: np.ndarray, shown: np.ndarray | None = None) -> Log:
    """Rounds of these users (n,), numbered from 0, with their contexts (n, d) and the reward of every item (n, C).

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
    rows = rows_of(chunk, np.empty((items, 0)), USUAL if shown is None else "replay", 1, likes=False)
    users = int(user.max()) + 1
    spec = Spec(n_items=items, n_candidates=items, slate=1, d=context.shape[1], rounds=n, users=users)
    return Log(rows, spec)


def sums_of(log: Log, policy: Policy, feedback: str, seeds: int, rng: np.random.Generator) -> Sums:
    """Rewards and rounds of a policy by seed and block of customers: each seed is another order of all rounds."""
    runs = [_played(log, policy, feedback, rng.permutation(log.spec.rounds), rng) for _ in range(seeds)]
    return Sums(*(np.stack([run[:, part] for run in runs]) for part in (PAID_IN, IN_ROUNDS)))


def mean_paid(log: Log, policy: Policy, feedback: str, index: np.ndarray, rng: np.random.Generator) -> float:
    """The mean over those of the rounds `index` (m,), which come in this order, that count; NaN where none does."""
    sums = _played(log, policy, feedback, index, rng).sum(axis=0)
    return float(sums[PAID_IN] / sums[IN_ROUNDS]) if sums[IN_ROUNDS] else math.nan


def _played(log: Log, policy: Policy, feedback: str, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The sums (B, ...) by block, as `engine.blocks` has them, of a fresh policy that plays these rounds."""
    protocol = protocol_of(feedback, ties=int(rng.integers(1 << 31)), ranking=False)
    contender = Contender(policy, log.spec, protocol, rng, np.array([index.size]))
    return play(contender, log.rows, index, np.arange(index.size)).meter.blocks
