"""In which order the candidates of each round stand, for a regime: edges of the rounds, and what goes where.

Values of all rounds lie end to end, see `rows`. A regime for ranked lists offers the items of the logged slate; and
candidates that a log lists are put into a random order that depends on the place of the round in the log alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.feedback import Regime
from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import scramble
from lersbench.log.chunk import Chunk


class Layout(NamedTuple):
    """Where the candidates of the rounds of a chunk come from, and where they go."""

    edges: np.ndarray  # (n + 1,) int64 of the candidates as they will stand
    top: np.ndarray  # (n + 1,) int64 of the logged slates; 0 where there are none
    source: np.ndarray  # (n,) int64, where what a round has for each candidate begins in the chunk
    offered: np.ndarray  # (n,) int64, where its candidates do: at `source`, or all at 0 where they are the same
    order: np.ndarray | None  # (N,) the candidate of the chunk that comes in each place; None: as they are
    places: np.ndarray | None  # (S,) the same as positions of the logged slate, where only its items are offered
    shown: np.ndarray  # (S,) logged slates, as indices into the candidates as they will stand
    own: int  # 0 where all rounds share the candidates (C,), else 1

    def of_candidates(self, values: np.ndarray) -> np.ndarray:
        """What a chunk has for each candidate, as they will stand; what is empty stays so."""
        return chosen(values, self.source, self.order, self.edges)

    def of_slate(self, values: np.ndarray) -> np.ndarray:
        """What a chunk has for each position of its slates, where these items are the candidates."""
        return chosen(values, self.top[:-1], self.places, self.top)


def layout_of(chunk: Chunk, regime: Regime, mix: int | None) -> Layout:
    """The layout of a chunk; `mix` is the key of the random order, None leaves candidates as the log has them."""
    n, slate = chunk.user.shape[0], chunk.slate.reshape(-1)
    first, top = begins(chunk.first, chunk.candidates, n), begins(chunk.top, chunk.slate, n)
    shared = chunk.first is None and chunk.candidates.shape[0] == 1 and n != 1
    offered = np.zeros(n, np.int64) if shared else first[:-1]
    edges, order, places, shown = first, None, None, slate
    if regime.listed:
        edges, order, shown = top, slate, np.empty_like(slate)
        in_place(top, shown)
    if mix is not None:
        mixed, where = np.empty(edges[-1], np.int64), np.empty(edges[-1], np.int64)
        random_places(mix, chunk.start, edges, mixed)
        invert(mixed, edges, where)
        if regime.listed:
            order, places, shown = chosen(slate, top[:-1], mixed, top), mixed, where
        else:
            order, shown = mixed, chosen(where, first[:-1], slate, top) if slate.size else slate
    return Layout(edges, top, first[:-1], offered, order, places, shown, int(order is not None or not shared))


def begins(edges: np.ndarray | None, values: np.ndarray, n: int) -> np.ndarray:
    """Where each of n rounds begins, (n + 1,); without `edges` all are as wide as `values`."""
    return np.arange(n + 1) * values.shape[-1] if edges is None else edges


@kernel
def random_places(key: int, start: int, edges: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (N,) with a random order of 0..C-1 for each round; the first one stands at place `start` of the log.

    `edges` (n + 1,) say where the C places of each round are.
    """
    for row in range(edges.shape[0] - 1):
        stream, first, size = scramble(key, start + row), edges[row], edges[row + 1] - edges[row]
        for c in range(size):
            out[first + c] = c
        for c in range(size - 1, 0, -1):
            i, j = first + c, first + scramble(stream, c) % (c + 1)
            out[i], out[j] = out[j], out[i]


@kernel
def in_place(edges: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (N,) with 0..C-1 for each round."""
    for row in range(edges.shape[0] - 1):
        for i in range(edges[row], edges[row + 1]):
            out[i] = i - edges[row]


@kernel
def invert(places: np.ndarray, edges: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (N,) with where each candidate of a round went whose new order is `places` (N,)."""
    for row in range(edges.shape[0] - 1):
        for i in range(edges[row], edges[row + 1]):
            out[edges[row] + places[i]] = i - edges[row]


def chosen(values: np.ndarray, source: np.ndarray, order: np.ndarray | None, edges: np.ndarray) -> np.ndarray:
    """Of `values`, whose rounds begin at `source` (n,), what stands at the indices `order`; what is empty stays so.

    The indices of round i, which count from the beginning of the round, are order[edges[i]:edges[i + 1]].
    """
    if order is None or not values.size:
        return values if order is None or not values.ndim > 1 else np.empty((edges[-1], values.shape[1]))
    deep = values.reshape(len(values), -1)
    out = np.empty((len(order), deep.shape[1]), values.dtype)
    choose(deep, source, order, edges, out)
    return out.reshape(len(order), *values.shape[1:])


@kernel
def choose(values: np.ndarray, source: np.ndarray, order: np.ndarray, edges: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (N, m): see `chosen`."""
    for row in range(edges.shape[0] - 1):
        for i in range(edges[row], edges[row + 1]):
            for j in range(out.shape[1]):
                out[i, j] = values[source[row] + order[i], j]
