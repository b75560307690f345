"""What a contender comes to in some of its seeds: curves, and sums by block of users; and how that lies in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from lersbench.engine import blocks

BLOCK = "block."  # how the columns of sums by block begin in a file


@dataclass(frozen=True)
class Curves:
    """The curves of a contender, one a seed, and the sums of `engine.blocks` at their end."""

    seeds: np.ndarray  # (S,) int64, ascending
    rounds: np.ndarray  # (n,) int64 rows of the log passed
    metrics: tuple[str, ...]
    values: np.ndarray  # (S, n, len(metrics)), NaN where not measured
    blocks: np.ndarray  # (S, B, len(blocks.NAMES))
    seconds: np.ndarray  # (S,) of playing
    played: np.ndarray  # (S,) int64 rounds that were offered
    about: dict[str, Any] = field(default_factory=dict)  # policy

    def table(self) -> pa.Table:
        """A row a seed; metrics that were not measured are left out."""
        columns: dict[str, Any] = {"seed": self.seeds, "seconds": self.seconds, "played": self.played}
        columns["round"] = _lists(np.tile(self.rounds, (len(self.seeds), 1)))
        for place, name in enumerate(self.metrics):
            values = self.values[:, :, place]
            if not np.isnan(values).all():
                columns[name] = _lists(values)
        for place, name in enumerate(blocks.NAMES):
            columns[BLOCK + name] = _lists(self.blocks[:, :, place])
        return pa.table(columns)

    @classmethod
    def of_table(cls, table: pa.Table, about: dict[str, Any]) -> Curves:
        """What `table` has made. Raises KeyError or ValueError where it is something else."""
        own = {"seed", "seconds", "played", "round"}
        names = tuple(name for name in table.column_names if name not in own and not name.startswith(BLOCK))
        return cls(
            table.column("seed").to_numpy(),
            _array(table, "round")[0],
            names,
            np.stack([_array(table, name) for name in names], axis=2),
            np.stack([_array(table, BLOCK + name) for name in blocks.NAMES], axis=2),
            table.column("seconds").to_numpy(),
            table.column("played").to_numpy(),
            about,
        )

    def of(self, seeds: Sequence[int]) -> Curves:
        """Those of some seeds."""
        at = np.flatnonzero(np.isin(self.seeds, seeds))
        parts = (self.values[at], self.blocks[at], self.seconds[at], self.played[at])
        return Curves(self.seeds[at], self.rounds, self.metrics, *parts, self.about)

    def runs(self) -> Iterator[Curves]:
        """Those of each run of seeds without a gap."""
        edges = [0, *(np.flatnonzero(np.diff(self.seeds) != 1) + 1).tolist(), len(self.seeds)]
        for first, last in pairwise(edges):
            if first < last:
                yield self.of(self.seeds[first:last].tolist())


def joined(parts: Sequence[Curves]) -> Curves:
    """The seeds of all parts of one contender, ascending; a metric that a part has not measured is NaN there."""
    if len(parts) == 1:
        return parts[0]
    names = tuple(dict.fromkeys(name for part in parts for name in part.metrics))
    seeds = np.concatenate([part.seeds for part in parts])
    order = np.argsort(seeds)
    return Curves(
        seeds[order],
        parts[0].rounds,
        names,
        np.concatenate([_with_all(part, names) for part in parts])[order],
        np.concatenate([part.blocks for part in parts])[order],
        np.concatenate([part.seconds for part in parts])[order],
        np.concatenate([part.played for part in parts])[order],
        parts[0].about,
    )


def _with_all(part: Curves, names: Sequence[str]) -> np.ndarray:
    """The values of a part for these metrics, (S, n, metrics)."""
    if tuple(names) == part.metrics:
        return part.values
    values = np.full((*part.values.shape[:2], len(names)), np.nan)
    for place, name in enumerate(part.metrics):
        values[:, :, names.index(name)] = part.values[:, :, place]
    return values


def _lists(values: np.ndarray) -> pa.Array:
    """A column of lists, one a row of `values` (rows, size)."""
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.ListArray.from_arrays(np.arange(0, values.size + 1, values.shape[1], dtype=np.int32), flat)


def _array(table: pa.Table, name: str) -> np.ndarray:
    """A column of lists of one length as an array (rows, size)."""
    return table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(table.num_rows, -1)
