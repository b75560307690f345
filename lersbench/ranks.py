"""Which contenders differ, and the ranks that leaves open, from the p values of all their pairs."""

from __future__ import annotations

import numpy as np

from lersbench.distributions import LEVEL


def rejected(p: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Which of the tests with the values `p` (tests,) hold by Holm's method (1979); NaN never does, but counts."""
    mask = np.zeros(len(p), dtype=bool)
    for tested, i in enumerate(np.argsort(p, kind="stable")):  # NaN comes last
        if not p[i] <= (1 - level) / (len(p) - tested):
            break  # the first that fails ends the procedure
        mask[i] = True
    return mask


def adjusted(p: np.ndarray) -> np.ndarray:
    """The least level, as 1 - `level`, at which each of the tests `p` (tests,) holds by Holm's method; NaN stays."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])  # NaN comes last
    found = np.empty(len(p))
    found[order] = np.minimum(steps, 1.0)
    return found


def separated(p: np.ndarray, together: bool, level: float = LEVEL) -> np.ndarray:
    """Which pairs differ, (n, n) bool, from the p values (n, n) of all pairs.

    `together`: one correction over all n(n - 1)/2 pairs, so that the chance of separating any pair that is equal is at
    most 1 - level. Else a row has its own correction, over the n - 1 pairs of its contender: what a row says is right
    with probability `level`, row by row, and the matrix need not be symmetric.
    """
    n = len(p)
    pairs = np.zeros((n, n), dtype=bool)
    if together:
        upper = np.triu_indices(n, 1)
        pairs[upper] = rejected(p[upper], level)
        return pairs | pairs.T
    for i in range(n):
        others = np.arange(n) != i
        pairs[i, others] = rejected(p[i, others], level)
    return pairs


def ranges_of(
    p: np.ndarray, mean: np.ndarray, higher_is_better: bool, level: float = LEVEL, together: bool = False
) -> list[tuple[int, int] | None]:
    """The best and the worst rank the data allow each contender, from what the tests say of all pairs (n, n).

    A contender's best rank is one more than the number of contenders shown to be better than it, its worst rank leaves
    below it only those shown to be worse; contenders that cannot be separated therefore share ranks. None where no
    pair of a contender has a p value: with two seeds, for one, nobody has a rank.

    The tests come from `results.separation` and `results.customers` (a bootstrap of ten seeds cannot resolve a tail of
    0.05 / 12). By default each contender's p values are corrected over its own n - 1 pairs: its range is right with
    probability `level`, and a contender of three seeds does not raise the bar of pairs that it has no part in.
    `together`: all ranges are right at once with that probability, which is wider. Both are confidence sets for ranks
    of Mogstad, Romano, Shaikh and Wilhelm (2024, Review of Economic Studies 91(1)), marginal and simultaneous; unlike
    groups around a leader they never put a contender behind one it was not shown to be worse than.

    `level` is kept where means over seeds are nearly normal. Few seeds of policies that lock in are not: METHODOLOGY.md
    has how often ranges were then wrong.
    """
    n = len(p)
    apart = separated(p, together, level)
    above = apart & ((mean > 0) == higher_is_better)  # the row is better than the column
    best, worst = 1 + (apart & ~above).sum(axis=1), n - above.sum(axis=1)
    tested = np.isfinite(p).any(axis=1) | (n == 1)
    return [(int(b), int(w)) if ok else None for b, w, ok in zip(best, worst, tested, strict=True)]
