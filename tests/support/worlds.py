"""Small logs in memory, and the plainest possible replay loop, for tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from lersbench import metrics
from lersbench.engine import loop
from lersbench.engine import play as engine
from lersbench.engine.contender import Contender
from lersbench.engine.rounds import Protocol
from lersbench.engine.rows import Rows
from lersbench.kernels.ties import scramble
from lersbench.log.chunk import Chunk
from lersbench.policy import Policy, Round, Spec
from lersbench.testing.worlds import made_up_weights


def chunk(
    rewards: np.ndarray | None = None,
    *,
    context: np.ndarray | None = None,
    candidates: np.ndarray | None = None,
    features: np.ndarray | None = None,
    slate: np.ndarray | None = None,
    clicks: np.ndarray | None = None,
    user: np.ndarray | None = None,
    expected: np.ndarray | None = None,
    n_items: int | None = None,
) -> Chunk:
    """A chunk with empty arrays for whatever is not given."""
    known = next(a for a in (rewards, context, clicks) if a is not None)
    n = len(known)
    wide = n_items if rewards is None else rewards.shape[1]
    assert wide is not None
    return Chunk(
        0,
        np.full(n, -1) if user is None else user.astype(np.int64),
        np.zeros((n, 0)) if context is None else context.astype(float),
        np.arange(wide)[None] if candidates is None else candidates.astype(np.int64),
        np.zeros((1, wide, 0)) if features is None else features.astype(float),
        np.zeros((0, wide)) if rewards is None else rewards.astype(float),
        np.zeros((0, wide)) if expected is None else expected.astype(float),
        np.zeros((0, 0), np.int64) if slate is None else slate.astype(np.int64),
        np.zeros((0, 0)) if clicks is None else clicks.astype(float),
        np.zeros((0, 0)) if slate is None else np.full(slate.shape, 1.0 / wide),
        np.zeros((0, 0)),
        np.zeros((0, wide)),
        np.zeros((0, wide)),
    )


def clicks_of_a_linear_world(n: int, items: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Contexts (n, d) and clicks (n, items) whose probability is linear in the context."""
    rng = np.random.default_rng(seed)
    context = rng.standard_normal((n, d))
    context /= np.linalg.norm(context, axis=1, keepdims=True)
    p = np.clip(0.3 + 0.5 * context @ rng.standard_normal((items, d)).T / np.sqrt(d), 0, 1)
    return context, (rng.random((n, items)) < p).astype(float)


def protocol(feedback: str = "bandit", slate: int = 1, batch: int = 1, ranked: bool = False, **more: Any) -> Protocol:
    return engine.protocol_of(feedback, slate, batch, ranking=ranked, **{"ties": 12345, **more})


def square(rows: Rows) -> SimpleNamespace:
    """The rows of rounds of one length as arrays (n, C) and (n, K), for reading; candidates (1, C) where shared."""
    names = ("features", "rewards", "value", "slate")
    return SimpleNamespace(
        **{name: rows.wide(getattr(rows, name)) for name in names},
        candidates=rows.wide(rows.candidates) if rows.own else rows.candidates[None],
        attraction=rows.wide(rows.users.attraction),
        placed=rows.wide(rows.logger.placed),
        exposure=[rows.wide(one) for one in rows.logger.exposure],
        best=rows.best,
    )


def spec_of(rows: Rows, slate: int = 1, m: int | None = None, n_items: int | None = None) -> Spec:
    wide = int(np.diff(rows.first).max())
    n = rows.user.shape[0]
    return Spec(
        int(rows.candidates.max()) + 1 if n_items is None else n_items,
        wide,
        slate,
        rows.context.shape[1],
        rows.features.shape[1] if m is None else m,
        n,
        int(rows.user.max()) + 1,
        rows.items,
        *made_up_weights(wide),
    )


def contender(
    policy: Policy, rows: Rows, told: Protocol, *, seed: int = 0, m: int | None = None, points: int = 20
) -> Contender:
    """A contender that reads its metrics at `points` places of the log."""
    n = rows.user.shape[0]
    spec = spec_of(rows, told.slate, m)
    checkpoints = np.unique(np.linspace(1, n, points).astype(np.int64))
    return Contender(policy, spec, told, np.random.default_rng(seed), checkpoints)


def play(made: Contender, rows: Rows, batched: bool = False) -> Contender:
    """Play all rows in order."""
    if batched:
        made.drive = loop.batched(made.policy)
    return engine.play(made, rows)


def final(made: Contender, metric: str) -> float:
    return float(made.meter.curve[-1, metrics.NAMES.index(metric)])


def textbook_run(policy: Policy, rows: Rows, told: Protocol, seed: int = 0) -> tuple[Any, list[list[int]], float]:
    """The loop as a textbook would write it: the state, the slates that counted, and the sum of their rewards."""
    rng = np.random.default_rng(seed)
    spec = spec_of(rows, told.slate)
    state = policy.init(spec)
    waiting: list[tuple[Round, np.ndarray, np.ndarray]] = []
    slates, total, learned = [], 0.0, 0

    def deliver() -> int:
        for round, slate, row_rewards in waiting:
            if told.full:
                shown = slate.tolist()
                slate = np.array(shown + [c for c in range(len(row_rewards)) if c not in shown])
                round = round._replace(propensities=np.ones(len(slate)))
            rewards = row_rewards if told.replay else row_rewards[slate]
            policy.update(state, round, slate, rewards, np.ones(len(slate), bool))
        count = len(waiting)
        waiting.clear()
        return count

    for t in range(rows.user.shape[0]):
        if t % told.batch == 0:
            learned += deliver()
        first, last, top = rows.first[t], rows.first[t + 1], slice(*rows.top[t : t + 2])
        wide = last - first
        candidates, features = rows.candidates[rows.own * first :][:wide], rows.features[first:last]
        logged, paid = rows.slate[top], rows.rewards[top] if told.replay else rows.rewards[first:last]
        k = len(logged) if told.replay else min(told.slate, wide)
        round = Round(
            learned,
            rows.user[t],
            rows.context[t],
            candidates,
            features,
            scramble(told.ties, t),
            np.zeros(wide),
            np.zeros(k),
            np.zeros(k, np.int64),
        )
        slate = np.zeros(k, np.int64)
        policy.select(state, rng, round, slate)
        if told.replay and slate.tolist() != logged.tolist():
            continue
        slates.append(slate.tolist())
        total += float(paid.sum() if told.replay else paid[slate].sum())
        waiting.append((round, slate, paid))
    deliver()
    return state, slates, total
