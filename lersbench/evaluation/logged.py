"""A log as evaluation reads it: what was shown, with which probability, what it earned, whose it was, in which slice.

Everything of the positions of the logged slates lies end to end, (S,), as in `engine.rows`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lersbench.bench.session import Session
from lersbench.engine.rows import Rows
from lersbench.evaluation import ranked
from lersbench.evaluation.spells import Spells, spells_of
from lersbench.log import Log
from lersbench.log.chunk import Chunk
from lersbench.log.reward import Reward
from lersbench.offpolicy.slates import first_only, running_product
from lersbench.offpolicy.sums import buckets_of

SCORES = "scores"
CHUNK_BYTES = 8 << 20
CANDIDATES = 1 << 20  # of the rounds that are looked at together
PREDICTED = 1 << 18  # the same where each has a chance and a prediction by a model
QUARTERS = (0.25, 0.5, 0.75)
MOST_CONTEXT = 16  # columns of the context that slices are made of
MOST_LEVELS = 12  # values of a column up to which each is a slice; else its quarters are


class Logged(NamedTuple):
    """Some rounds of a log, n of them with S logged positions."""

    rows: Rows  # of a whole chunk
    inside: np.ndarray  # (n,) int64, which of its rounds
    at: np.ndarray  # (n,) int64 their places in the log
    edges: np.ndarray  # (n + 1,) int64 of the logged slates
    place: np.ndarray  # (S,) int64 position, 0 on top
    row: np.ndarray  # (S,) int64 0..n - 1
    reward: np.ndarray  # (S,)
    given: np.ndarray  # (S,) propensities as the log has them; (0,) without
    prefix: np.ndarray  # (S,) P(the list begins with what was logged down to here); (0,) where the log cannot say
    marginal: np.ndarray  # (S,) P(the item stands at this position); (0,) likewise
    whole: np.ndarray  # (n,) P(the logged slate); (0,) likewise
    scores: np.ndarray  # (N,) log-weights by which the logger ranked the candidates of the rounds, or (0,)
    clicked: np.ndarray  # (S,) 0 or 1, by which users browse, whatever is counted; or (0,) where the log has none
    bucket: np.ndarray  # (n,) int64 of the user
    key: np.ndarray  # (n,) int64 the user, or the number of the round
    slices: np.ndarray  # (n, M) int64 numbers of the slices it lies in


@dataclass
class Source:
    """A log that can be read over and over, the same each time."""

    session: Session  # which lays out the rounds as a replay shows them
    reward: Reward
    by_user: bool  # users are the clusters
    any_click: bool = False  # the first click of a list counts, and no other
    first: int = 0  # rounds before it are not evaluated: a policy may have learned from them
    taught: int = 0  # rounds that they learn from: the first ones, whose rewards were all known at `first`
    last: int = -1  # rounds from it on are not evaluated, for what they earn is not known yet; -1: all count
    placed: bool = False  # chances of single positions are asked for: by scores they take 2^C steps a list
    together: int = field(default_factory=lambda: CANDIDATES)  # candidates of the rounds that are looked at at once
    estimated: Any = None  # of `estimated.Estimated`: the propensities by a model, in place of the log's own

    @property
    def log(self) -> Log:
        return self.session.log

    @property
    def end(self) -> int:
        return self.log.info.rounds if self.last < 0 else self.last

    def read(self, first: int | None = None, end: int | None = None) -> Iterator[Logged]:
        """The rounds `first`..`end`, by default those that are evaluated, in chunks."""
        first, end = self.first if first is None else first, self.end if end is None else end
        for chunk in self.log.read(CHUNK_BYTES, columns=self.columns, start=first, stop=end):
            size = len(chunk.user)
            low, high = max(0, first - chunk.start), min(size, end - chunk.start)
            rows = self.session.rows_for(chunk)
            scores = self.session.of_candidates(chunk, chunk.scores) if kind_of(self.log) == SCORES else np.empty(0)
            step = max(1, self.together // self.log.info.C)
            for start in range(low, high, step):
                logged = self._logged(chunk, rows, scores, start, min(start + step, high))
                yield logged if self.estimated is None else self.estimated.with_propensities(logged)
                self.session.bar.update(min(start + step, high) - start)
            if chunk.start + size >= end:
                return

    @cached_property
    def columns(self) -> tuple[str, ...]:
        there = self.log.info.columns
        wanted = (*self.session.columns, "propensities", "scores", "time", "logger")
        return tuple(dict.fromkeys(name for name in wanted if name in there))

    @cached_property
    def cuts(self) -> list[np.ndarray]:
        """Of the context columns, what slices are made of: by the first rounds of the log."""
        if not self.log.info.d:
            return []
        return _cuts(next(self.log.read(CHUNK_BYTES, columns=self.columns)).context)

    def _logged(self, chunk: Chunk, rows: Rows, scores: np.ndarray, low: int, high: int) -> Logged:
        """The rounds `low`..`high` of a chunk, whose rows are `rows` and whose candidates have these `scores`."""
        there = slice(rows.top[low], rows.top[high])
        index, edges = np.arange(low, high), rows.top[low : high + 1] - rows.top[low]
        lengths, at, user = np.diff(edges), chunk.start + index, chunk.user[low:high]
        row = np.repeat(np.arange(len(index)), lengths)
        place = np.arange(edges[-1]) - np.repeat(edges[:-1], lengths)
        reward = self.reward.of(chunk).reshape(-1)[there]
        given = np.ascontiguousarray(chunk.propensities.reshape(-1)[there] if chunk.propensities.size else np.empty(0))
        scores = scores[rows.first[low] : rows.first[high]] if scores.size else scores
        return Logged(
            rows,
            index,
            at,
            edges,
            place,
            row,
            first_only(reward, edges) if self.any_click else reward,
            given,
            *self._propensities(given, scores, rows.slate[there], edges, rows.first[low : high + 1], int(at[0])),
            scores,
            chunk.clicks.reshape(-1)[there] if chunk.clicks.size else np.empty(0),
            buckets_of(user if self.by_user else None, len(index), int(at[0])),
            np.where(user >= 0, user, at) if self.by_user else at,
            self._slices(chunk, low, high),
        )

    def _propensities(
        self,
        given: np.ndarray,
        scores: np.ndarray,
        slate: np.ndarray,
        edges: np.ndarray,
        first: np.ndarray,
        start: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Those of the beginnings of the logged lists (S,), of their positions (S,), of the whole lists (n,).

        `given` are the logged numbers, `scores` (N,) those of the candidates, whose edges are `first`, `slate` (S,) the
        logged ones; `start` is the number of the first round.
        """
        kind, none, last, info = kind_of(self.log), np.empty(0), edges[1:] - 1, self.log.info
        if kind == "uniform":
            lengths = np.diff(edges)
            wide = np.repeat(np.diff(first), lengths)
            prefix = running_product(1.0 / (wide - np.arange(len(wide)) + np.repeat(edges[:-1], lengths)), edges)
            return prefix, 1.0 / wide, prefix[last]
        if not given.size:
            return none, none, none
        if info.L == 1:
            return given, given, given
        if kind == SCORES:
            prefix, marginal = ranked.of_scores(scores, slate, edges, first - first[0], self.placed)
            if info.propensities == "logged":
                ranked.check(info.propensity_kind, given, prefix, marginal, edges, start, self.log.path)
            return prefix, marginal, prefix[last]
        if kind == "conditional":
            prefix = running_product(given, edges)
            return prefix, none, prefix[last]
        return (none, none, given[last]) if kind == "slate" else (none, given, none)

    @cached_property
    def spells(self) -> Spells:
        """Days and loggers of the log, by a pass over these columns alone."""
        return spells_of(self.log)

    def _slices(self, chunk: Chunk, low: int, high: int) -> np.ndarray:
        """Numbers of the slices of each round: its level of each context column, its days, its logger."""
        columns, first = [], 0
        for j, cuts in enumerate(self.cuts):
            columns.append(first + np.searchsorted(cuts, chunk.context[low:high, j], side="right"))
            first += len(cuts) + 1
        columns += self.spells.numbers(first, chunk.time[low:high], chunk.logger[low:high])
        return np.stack(columns, axis=1) if columns else np.empty((high - low, 0), np.int64)

    @property
    def slice_names(self) -> list[str]:
        """What each slice is called."""
        names = []
        for j, cuts in enumerate(self.cuts):
            ends = ["-inf", *(f"{cut:g}" for cut in cuts), "inf"]
            names += [f"context {j} in [{low}, {high})" for low, high in itertools.pairwise(ends)]
        return [*names, *self.spells.names]


def kind_of(log: Log) -> str:
    """What is known of how a log's lists came about: "uniform", "scores" of its ranker, or what its propensities are
    probabilities of, "position", "conditional" or "slate"."""
    info = log.info
    if info.propensities == "uniform":
        return "uniform"
    return SCORES if "scores" in info.columns and info.L > 1 and info.propensities != "none" else info.propensity_kind


def _cuts(context: np.ndarray) -> list[np.ndarray]:
    """Where the slices of each context column begin but the first: each of few values, or the quarters."""
    cuts = []
    for j in range(min(context.shape[1], MOST_CONTEXT)):
        levels = np.unique(context[:, j])
        cuts.append(levels[1:] if len(levels) <= MOST_LEVELS else np.unique(np.quantile(context[:, j], QUARTERS)))
    return cuts
