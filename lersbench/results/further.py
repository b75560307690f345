"""Which contenders further seeds would help to rank: those of pairs at the border, where seeds make the error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.distributions import LEVEL, t_quantile
from lersbench.ranks import separated
from lersbench.results import compared, customers
from lersbench.results.ranking import Board


class Further(NamedTuple):
    """A contender that gets further seeds."""

    variant: str
    feedback: str
    policy: str


def further_seeds(board: Board) -> list[Further]:
    """The contenders of `board` whose further seeds may settle a rank, the most promising first; [] where none does.

    A pair is at the border where neither was shown to be better (all pairs tested at once), one of the two may still be
    the best or they are neighbours in the ranking, and endless seeds would tell them apart: their difference is more
    than what the customers alone would leave open, or on this log more than the resolution. Of each such pair the
    contender whose mean is less certain over seeds gets more. What draws nothing gets none. The most promising pair is
    the one with the least p.
    """
    found: dict[Further, float] = {}
    for variant, kind in board.tables:
        if board.bracketed(variant):
            continue  # seeds are not what is uncertain there
        order = list(board.rows(variant, kind)["policy"])
        here = compared.on_this_log(board.results, variant, order, board.metric)
        anew = compared.for_new_customers(board.results, variant, order, board.metric, here)
        pairs = here if anew is None else anew.pairs
        least = np.full(pairs.p.shape, board.results.resolution(variant, board.metric))
        if anew is not None:
            rest = anew.people.residual[:, None] + anew.people.residual[None, :]
            left = np.maximum(customers.differences(anew.people, here).customers - rest, 0.0)
            least = np.sqrt(left) * t_quantile(LEVEL, anew.people.columns.shape[1] - 1)
        drawing = ~here.still & np.isfinite(here.spread.variance)
        for i, j in _at_the_border(board, variant, kind, separated(pairs.p, together=True)):
            if not abs(pairs.mean[i, j]) > least[i, j] or not (drawing[i] or drawing[j]):
                continue
            errors = np.where(drawing[[i, j]], here.spread.variance[[i, j]], -1.0)
            one = Further(variant, kind, order[(i, j)[int(errors.argmax())]])
            found[one] = min(found.get(one, 1.0), float(np.nan_to_num(pairs.p[i, j], nan=1.0)))
    return sorted(found, key=lambda one: found[one])


def _at_the_border(board: Board, variant: str, kind: str, apart: np.ndarray) -> list[tuple[int, int]]:
    """The pairs of rows of a ranking that are not `apart` (n, n), of neighbours and with one that may be the best."""
    together = board.rows(variant, kind)["rank_together"]
    first = [rank == "1" or rank.startswith("1-") or rank == "-" for rank in together]
    pairs = [(i, j) for j in range(len(first)) for i in range(j) if j == i + 1 or (first[i] and first[j])]
    return [(i, j) for i, j in pairs if not apart[i, j]]
