"""What a Plackett-Luce logger's scores say of the lists it showed: the chances of beginnings and of positions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lersbench.errors import DataError
from lersbench.log.propensities import CONDITIONAL, POSITION, SLATE
from lersbench.offpolicy import propensity

NEAR = 1e-3  # by which a logged propensity may differ from that of the scores, relative: scores may be rounded


def by_shape(lengths: np.ndarray, wide: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Each length of a list and number of candidates that occur together, with the rounds (m,) that have them."""
    shapes, which = np.unique(np.stack([lengths, wide], axis=1), axis=0, return_inverse=True)
    for number, (length, width) in enumerate(shapes.tolist()):
        yield length, width, np.flatnonzero(which.reshape(-1) == number)


def of_scores(
    scores: np.ndarray, slate: np.ndarray, edges: np.ndarray, first: np.ndarray, placed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """P(the list begins with what was logged down to here) and P(the item stands at its position), (S,) each.

    `scores` (N,) log-weights of the candidates, `slate` (S,) logged ones as indices into those of their round, `edges`
    (n + 1,) of the lists, `first` (n + 1,) of the candidates. The second, which takes 2^C steps a list of C candidates,
    is (0,) unless `placed`; for lists of one item it is the first. Raises as `propensity.prefixes` and `placements`.
    """
    prefix, marginal = np.empty(len(slate)), np.empty(len(slate) if placed else 0)
    for length, wide, rounds in by_shape(np.diff(edges), np.diff(first)):
        at = edges[rounds][:, None] + np.arange(length)
        some, shown = scores[first[rounds][:, None] + np.arange(wide)], slate[at]
        prefix[at] = propensity.prefixes(some, shown)
        if placed:
            marginal[at] = prefix[at]
            if length > 1:
                every = propensity.placements(some)
                marginal[at] = every[np.arange(len(rounds))[:, None], shown, np.arange(length)]
    return prefix, marginal


def check(
    kind: str, given: np.ndarray, prefix: np.ndarray, marginal: np.ndarray, edges: np.ndarray, start: int, source: str
) -> None:
    """DataError, with the row, where logged propensities (S,) of this `kind` are not those of the scores.

    The logging policy as its own target must have weights of 1. `start` is the number of the first row.
    """
    top = np.zeros(len(given), bool)
    top[edges[:-1]] = True
    above = np.where(top, 1.0, np.append(1.0, prefix[:-1]))
    if kind == POSITION and not marginal.size:
        return
    implied = {POSITION: marginal, CONDITIONAL: prefix / above, SLATE: np.repeat(prefix[edges[1:] - 1], np.diff(edges))}
    wrong = np.flatnonzero(~(np.abs(given - implied[kind]) <= NEAR * implied[kind]))
    if wrong.size:
        at = int(wrong[0])
        row = int(np.searchsorted(edges, at, "right")) - 1
        raise DataError(
            f"{source}: row {start + row}, position {at - int(edges[row])}, column propensities: {given[at]:.6g} is "
            f"logged, and by the column scores it is {implied[kind][at]:.6g} (propensity_kind '{kind}'): the logging "
            "policy as its own target would not have weights of 1. Repair one of the two columns, or leave the scores "
            "out."
        )
