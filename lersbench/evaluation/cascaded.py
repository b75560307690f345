"""Cascade-DR of one policy: its lists in memory, the model of what it would still earn, and sums of corrected rewards.

The model belongs to the policy, so each policy has two passes over the log of its own: one to collect, one to add up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lersbench.engine.below import chances_below, refuse_drawn
from lersbench.errors import ConfigError
from lersbench.evaluation.judged import CASCADE, Judged
from lersbench.evaluation.logged import Logged, Source
from lersbench.evaluation.setup import Setup
from lersbench.offpolicy.cascade_model import Lists, cascade_model
from lersbench.offpolicy.slates import cascade_dr_by_place, running_product
from lersbench.offpolicy.sums import add, importance_weights

NAME = "cascade-dr"
MOST = 1 << 26  # chances of candidates at places, of all lists, that are held in memory: half a gigabyte


def refuse(setup: Setup, policy: Any) -> None:
    """Raise ConfigError for a policy or a log of which cascade-DR cannot be made."""
    refuse_drawn(policy)
    info, source = setup.info, setup.source
    rows, most = source.end - source.first, MOST // (info.L * info.C)
    if rows > most:
        raise ConfigError(
            f"cascade-dr holds the chances of {info.C} candidates at {info.L} places of each list in memory, and log "
            f"'{info.name}' has {rows:,} lists to judge, of which {most:,} fit. Use rips, or a log of fewer rows."
        )


class Cascade:
    """The lists of a log as cascade-DR needs them, of one policy; rows of up to L items from up to C candidates."""

    def __init__(self, source: Source) -> None:
        info, n = source.log.info, source.end - source.first
        self.source, self.at = source, 0
        shape = n, info.L
        self.lengths = np.zeros(n, np.int64)
        self.lists = Lists(
            np.zeros((n, info.d)),
            np.zeros((n, info.C), np.int64),
            np.zeros(shape, np.int64),
            np.zeros(shape),
            np.zeros((*shape, info.C)),
            np.zeros(n, np.int64),
            self.lengths,
        )
        self.w = np.zeros(shape)  # W_k

    def collect(self, logged: Logged, below: np.ndarray) -> None:
        """Put down the rounds `logged`, and the policy's chances (M,) of all candidates below the logged items."""
        rows, index, lists = logged.rows, logged.inside, self.lists
        there = np.arange(self.at, self.at + len(index))
        row, place, lengths = there[logged.row], logged.place, np.diff(logged.edges)
        wide = np.diff(rows.first)[index]
        first = rows.first[index[0] : index[-1] + 2] - rows.first[index[0]]
        of_candidate = np.repeat(there, wide)
        number = np.arange(first[-1]) - np.repeat(first[:-1], wide)
        low = rows.first[index[0]]
        items = rows.candidates[low : low + first[-1]] if rows.own else np.tile(rows.candidates, len(index))
        lists.context[there], lists.keys[there], self.lengths[there] = rows.context[index], logged.key, lengths
        lists.candidates[of_candidate, number] = items
        lists.slate[row, place] = rows.slate[rows.top[index[0]] : rows.top[index[-1] + 1]]
        lists.rewards[row, place] = logged.reward
        width = np.repeat(wide, lengths)
        ends = np.cumsum(width)
        inside = np.arange(len(below)) - np.repeat(ends - width, width)
        lists.chances[np.repeat(row, width), np.repeat(place, width), inside] = below
        own = lists.chances[row, place, lists.slate[row, place]]
        start = int(logged.at[0])
        chance = running_product(own, logged.edges)
        self.w[row, place] = importance_weights(chance, logged.prefix, start, self.source.log.path)
        self.at += len(index)

    def add_to(self, judged: Judged, model: str, folds: int) -> None:
        """Fit the model, and add all lists to the sums of a policy by another pass over the log."""
        static, info = self.source.session.background.items, self.source.log.info
        q, ahead = cascade_model(self.lists, info.items, static if static.shape[1] else None, model, folds)
        d, at = cascade_dr_by_place(self.w, self.lists.rewards, q, ahead), 0
        for logged in self.source.read():
            for k, sums in enumerate(judged.families[CASCADE]):
                mine = np.flatnonzero(logged.place == k)
                row = logged.row[mine]
                add(
                    sums, self.w[at + row, k], logged.reward[mine], logged.prefix[mine], logged.bucket[row],
                    d[at + row, k], logged.slices[row], int(logged.at[0]), self.source.log.path,
                )  # fmt: skip
            at += len(logged.inside)


def add_up(target: Any, setup: Setup) -> None:
    """The passes of one policy: a `fixed.Target`."""
    cascade, source = Cascade(setup.source), setup.source
    for logged in source.read():
        below = chances_below(
            target.policy, target.state, target.spec, logged.rows, target.rng, target.protocol, logged.inside,
            logged.at, target.learned,
        )  # fmt: skip
        cascade.collect(logged, below.chances)
    cascade.add_to(target.judged, setup.settings.model, setup.settings.folds)
