"""A log in parts that can be read apart from each other: on several machines, or one after the other.

Where it is cut depends on the log alone, so that sums over parts, merged in their order, have the same bits whoever has
read them.
"""

from __future__ import annotations

import itertools

import numpy as np

from lersbench.log.reader import Log

LEAST = 1 << 20  # rounds of a part
MOST = 64  # parts


def parts_of(log: Log, first: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """The parts (from, to) of the rounds `first`..`end` - 1, in order: at most MOST, cut at edges of row groups.

    A log of fewer than twice LEAST rounds is one part.
    """
    end = log.info.rounds if end is None else end
    count = min(MOST, max(1, (end - first) // LEAST))
    if count == 1:
        return [(first, end)]
    wanted = np.linspace(first, end, count + 1)[1:-1]
    edges = log.row_groups
    near = edges[np.clip(np.searchsorted(edges, wanted), 0, len(edges) - 1)]
    cuts = [first, *(int(cut) for cut in np.unique(near) if first < cut < end), end]
    return list(itertools.pairwise(cuts))
