"""The scales of the columns of a log, read from its rounds, and a warning where they are too large."""

from __future__ import annotations

import numpy as np

from lersbench.log import Log
from lersbench.log.scaling import FIX, Moments, Scales, sizes

LARGE = 1e6  # a column beyond this leaves an inverse about four digits of an estimate
RANGE = 1e6  # a column this many times as large as another: the same ridge cannot suit both
LOOK_BYTES = 8 << 20  # of a log, to look at its columns before it is played
READ_BYTES = 8 << 20


def standard(log: Log, rounds: int) -> Scales:
    """The scales of the columns of context and joint features over the first `rounds` rounds of a log."""
    context, features, left = Moments(), Moments(), rounds
    for chunk in log.read(READ_BYTES, columns=["context", "features"]):
        context.add(chunk.context[:left])
        if chunk.features.shape[2]:
            features.add(chunk.features[:left].reshape(-1, chunk.features.shape[2]))
        left -= chunk.user.shape[0]
        if left <= 0:
            break
    return Scales(context.columns(), features.columns())


def _named(log: Log, column: str) -> str:
    """A column such as "context[2]", with its name in the file that the log was made from, where that is known."""
    kind, _, number = column.rstrip("]").partition("[")
    names = log.info.provenance.get(kind)
    if isinstance(names, list) and int(number) < len(names):
        return f"{column} '{names[int(number)]}'"
    return column


def warning(log: Log, items: np.ndarray) -> str:
    """What is to be said of the scale of a log's columns before it is played, by its first rounds; "" for nothing.

    `items` are the static item features that joint features are composed of, without rows where they are not.
    """
    chunk = next(iter(log.read(LOOK_BYTES, columns=["context", "features"])))
    columns = sorted(sizes(chunk.context, chunk.features, items), key=lambda column: column[1])
    if not columns:
        return ""
    (small, least), (large, most) = columns[0], columns[-1]
    if most > LARGE:
        what = (
            f"{_named(log, large)} reaches {most:.3g}: at such sizes linear policies lose the digits of their estimates"
        )
    elif most > RANGE * least:
        both = f"{_named(log, large)} reaches {most:.3g} and {_named(log, small)} only {least:.3g}"
        what = f"{both}: one ridge cannot suit both"
    else:
        return ""
    return f"Warning: in log '{log.info.name}' {what}. {FIX}"
