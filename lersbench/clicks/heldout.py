"""How well a click model foresees clicks it was not fitted to: held-out perplexity, in two kinds that do not compare.

Marginal: how likely was the click at position k, from the list alone. Conditional: how likely given the clicks above
it. Under the position-based model both are one number, for clicks above tell it nothing; a user browsing model knows
more in the second. Both are 2 ** (mean bits a click needs): 1 is perfect, 2 is a fair coin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lersbench.clicks.counts import count, lists
from lersbench.clicks.fit import SMOOTHING, fit_counts
from lersbench.kernels.jit import kernel
from lersbench.log import Log

FOLDS = 5


class Perplexity(NamedTuple):
    """Of one model, over the folds: each record is foreseen by the fit to the other folds."""

    marginal: np.ndarray  # (L,)
    conditional: np.ndarray  # (L,)


@kernel
def add_likelihood(
    items: np.ndarray, clicks: np.ndarray, weights: np.ndarray, attraction: np.ndarray, filtered: bool, out: np.ndarray
) -> None:
    """Add to `out` (2, L) the log-likelihood of the clicks (n, L) at each position of lists `items` (n, L).

    Items are -1 beyond the end of a list.

    Row 0 is that of the click by itself, row 1 that given the clicks above. `weights` (L, L + 1), nobody leaves. Where
    clickless records were removed (`filtered`), each record is known to have a click, here or elsewhere.
    """
    length = items.shape[1]
    reached, below = np.empty(length + 1), np.empty(length + 1)
    for t in range(items.shape[0]):
        below[length] = 0.0  # P(a click at k or below | none above)
        for k in range(length - 1, -1, -1):
            p = weights[k, 0] * attraction[items[t, k]] if items[t, k] >= 0 else 0.0
            below[k] = p + (1.0 - p) * below[k + 1] if filtered else 1.0
        reached[0] = 1.0
        last = 0
        for k in range(length):
            if items[t, k] < 0:
                break
            a = attraction[items[t, k]]
            marginal = 0.0
            for j in range(k + 1):
                clicked = reached[j] * weights[k, j] * a
                marginal += clicked
                reached[j] -= clicked
            reached[k + 1] = marginal
            marginal /= below[0]
            conditional = weights[k, last] * a / (below[k] if last == 0 else 1.0)
            if clicks[t, k] > 0.0:
                out[0, k] += math.log(marginal)
                out[1, k] += math.log(conditional)
                last = k + 1
            else:
                out[0, k] += math.log1p(-marginal)
                if last > 0 or not filtered:
                    out[1, k] += math.log1p(-conditional)
                else:
                    out[1, k] += math.log((1.0 - weights[k, 0] * a) * below[k + 1] / below[k])


def perplexities(
    log: Log,
    models: Sequence[str],
    start: int,
    stop: int,
    filtered: bool,
    smoothing: float = SMOOTHING,
) -> dict[str, Perplexity] | None:
    """Held-out perplexity of each model on rows `start` to `stop`, by 5 folds: row t is in fold t % 5.

    The log is read twice a fold. None where, without some fold, no record has a click at position 1, to which weights
    are relative. Raises as `clickcounts.count`.
    """
    first = np.zeros(FOLDS)
    for fold in range(FOLDS):
        first[fold] = sum(clicks[:, 0].sum() for _, clicks in lists(log, start, stop, (fold, FOLDS)))
    if (first.sum() - first).min() == 0:
        return None
    total = {model: np.zeros((2, log.info.L)) for model in models}
    with_position = np.zeros(log.info.L)
    for fold in range(FOLDS):
        counts = count(log, start, stop, filtered, (fold, FOLDS))
        fits = {model: fit_counts(counts, model, smoothing=smoothing) for model in models}
        for items, clicks in lists(log, start, stop, (fold, FOLDS)):
            with_position += (items >= 0).sum(axis=0)
            for model, fit in fits.items():
                add_likelihood(items, clicks, fit.table, fit.attraction, filtered, total[model])
    return {model: Perplexity(*2.0 ** (-sums / math.log(2.0) / with_position)) for model, sums in total.items()}
