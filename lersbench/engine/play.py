"""One policy over the rows of a log: its protocol, and the one way to play it, wherever that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lersbench.engine.contender import Contender
from lersbench.engine.rounds import Protocol
from lersbench.engine.rows import Rows
from lersbench.feedback import REGIMES, Regime


def protocol_of(
    feedback: str | Regime,
    slate: int = 1,
    batch: int = 1,
    *,
    ties: int,
    ranking: bool = True,
    interactions: tuple[int, int] | None = None,
    silence: float = -np.inf,
    truth: bool = False,
    **more: Any,
) -> Protocol:
    """What a regime reveals and counts, with K = `slate` positions and feedback every `batch` rounds.

    `ties` is the seed of the order of equal scores. `ranking` counts the ranks of liked items where the regime has
    any. `interactions` are the values of the context and of the item that joint features are products of; None: they
    come from the log. `silence` is the policy's own. `truth`: the click model of the world is known. `more` are
    further fields of `Protocol`.
    """
    regime = REGIMES[feedback] if isinstance(feedback, str) else feedback
    users, items = interactions or (-1, -1)
    return Protocol(
        slate=slate,
        batch=batch,
        replay=regime.replayed,
        full=regime.reveals_all,
        users=users,
        items=items,
        ranked=ranking and regime.ranked,
        regret=not regime.replayed and not truth,
        silence=silence,
        ties=ties,
        simulated=regime.simulated,
        truth=truth,
        **more,
    )


def play(
    contender: Contender,
    rows: Rows,
    index: np.ndarray | None = None,
    at: np.ndarray | None = None,
    rounds: int | None = None,
    step: int | None = None,
    after: Callable[[Contender, np.ndarray], None] = lambda contender, at: None,
) -> Contender:
    """Play the rows `index` (n,), which stand at the ascending places `at` (n,) of a log of `rounds`, to its end.

    By default all rows in their order. With `step`, a multiple of the batch, no call of the loop passes more places
    than that, and `after` is told the places (n,) just played; what it raises ends the run. Returns the contender,
    all of its checkpoints read. Raises RunError where the policy breaks its contract.
    """
    index = np.arange(rows.user.shape[0]) if index is None else index
    at = np.arange(index.size) if at is None else at
    rounds = index.size if rounds is None else rounds
    step = step or max(rounds, 1)
    if step < rounds and step % contender.protocol.batch:
        raise ValueError(f"a step of {step} rounds would cut a batch of {contender.protocol.batch}")
    edges = np.searchsorted(at, np.arange(step, rounds, step))
    for part, places in zip(np.split(index, edges), np.split(at, edges), strict=True):
        contender.play(rows, part, places)
        after(contender, places)
    contender.finish(rounds)
    return contender
