"""Fits of the position-based and the user browsing model to a log, and what can be said of their quality."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lersbench.clicks.cells import filled
from lersbench.clicks.counts import Counts, count, count_arrays
from lersbench.clicks.em import Problem, climb, restore, smooth
from lersbench.clicks.model import ClickModel, ubm
from lersbench.clicks.model import pbm as position_based
from lersbench.errors import ConfigError, DataError
from lersbench.kernels.jit import kernel
from lersbench.log import Log

MODELS = ("pbm", "ubm")
SMOOTHING = 1.0  # displays by which every item's are added to, by default
SURELY = 1e-3  # by chance a whole log would have to lack clickless records less often, to be taken as a filtered one
FEW = 100.0  # effective displays of a position below which a fit says so

__all__ = ["MODELS", "SMOOTHING", "Counts", "Fit", "count", "count_arrays", "fit", "fit_both", "fit_counts", "settled"]


@kernel
def _position_likelihood(counts: Counts, weights: np.ndarray, attraction: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (L,) with the log-likelihood of the clicks at each position given those above it.

    `weights` (cells,) of the user browsing cells. Where clickless records were removed, a record is known to have a
    click: until the first one, a position's probabilities are those given that this position or one below is clicked.
    """
    out[:] = 0.0
    for k in range(out.shape[0]):
        for c in range(k * (k + 1) // 2, (k + 1) * (k + 2) // 2):
            for i in range(attraction.shape[0]):
                clicks, displays = counts.clicks[i, c], counts.displays[i, c]
                p = weights[c] * attraction[i]
                if clicks > 0:
                    out[k] += clicks * math.log(p)
                if displays > clicks:
                    out[k] += (displays - clicks) * math.log(1.0 - p)
    for t in range(counts.slates.shape[0]):
        clicked = 0.0  # P(a click at position k or below), and its logarithm at k + 1
        below = 0.0  # never used as it stands: the first click is at the last position or above
        for k in range(out.shape[0] - 1, -1, -1):
            if counts.slates[t, k] < 0:  # the list has ended above
                continue
            p = weights[k * (k + 1) // 2] * attraction[counts.slates[t, k]]
            clicked = p + (1.0 - p) * clicked
            here = math.log(max(clicked, 1e-300))
            if k < counts.first[t]:
                out[k] += below - here
            elif k == counts.first[t]:
                out[k] -= here
            below = here


@dataclass(frozen=True)
class Fit:
    """A fitted click model.

    Only products of weight and attraction can be told from clicks, so the first weight is set to 1: weights say how
    often a position is examined relative to the first, and the attraction of an item is its click probability at
    the first position when nothing above is clicked. A weight above 1 is not an error; `model` turns weights into
    probabilities.

    A user browsing cell that nobody saw has no weight: NaN in `weights`, for a reader to see. What is handed on, to
    policies and to estimates by propensity, is `filled` and `model`: finite everywhere, with the weight that the cells
    around it suggest (`clickcells.filled`).
    """

    name: str  # "pbm" or "ubm"
    weights: np.ndarray  # pbm (L,), weights[0] = 1; ubm (L, L + 1), weights[0, 0] = 1, 0 in columns j > k, NaN unseen
    filled: np.ndarray  # the same without NaN
    attraction: np.ndarray  # (n_items,) in [0, 1]; items never shown get the mean over displays
    displays: np.ndarray  # in the shape of weights: displays in each cell
    effective: np.ndarray  # in the shape of weights: displays that a comparison with the other cells rests on
    components: tuple[tuple[int, ...], ...]  # flat indices of cells that shared items make comparable, largest first
    shown: np.ndarray  # (n_items,) displays of each item
    last: np.ndarray  # (L + 1,) records by their last click: column 0 none, column k position k (1-based)
    filtered: bool  # whether clickless records were taken as removed
    why: str  # how that is known, in words, where every record has a click
    removed: float  # how many were, as far as the model can tell
    trace: np.ndarray  # log-likelihood after each accepted step, never decreasing
    log_likelihood: float  # of the clicks, given those above and (filtered) that there is one
    perplexity: np.ndarray  # (L,) 2 ** (mean bits a click needs given those above it), of the records fitted
    iterations: int  # EM steps
    converged: bool

    @property
    def length(self) -> int:
        return len(self.weights)

    @property
    def records(self) -> int:
        return int(self.last.sum())

    @property
    def table(self) -> np.ndarray:
        """The weights as (L, L + 1), whichever the model, finite."""
        if self.name == "ubm":
            return self.filled
        return np.tril(np.repeat(self.filled[:, None], self.length + 1, axis=1))

    @property
    def cells(self) -> np.ndarray:
        """In the shape of weights: which of its places are cells of the model."""
        return np.ones(self.length, bool) if self.name == "pbm" else np.tri(self.length, self.length + 1, dtype=bool)

    @property
    def scale(self) -> float:
        """The largest weight. Weights divided by it are probabilities; attraction times it stays in [0, 1]."""
        return float(self.filled.max())

    @cached_property
    def model(self) -> ClickModel:
        """The click model whose weights are at most 1; it goes with `attraction` times `scale`."""
        return ubm(self.filled / self.scale) if self.name == "ubm" else position_based(self.filled / self.scale)

    @property
    def notes(self) -> list[str]:
        """What a reader of the fit has to know, a sentence each."""
        return [self._about_filter(), *self._about_weights(), *self._about_links()]

    def _about_filter(self) -> str:
        share = self.last[0] / self.records
        if share:
            return f"{share:.1%} of the records have no click."
        if not self.filtered:
            return f"Every record has a click. Fitted as a whole log, {self.why}."
        share = self.removed / (self.removed + self.records)
        return f"Every record has a click. Fitted as a log of which {share:.1%}, without one, were removed, {self.why}."

    def _about_weights(self) -> list[str]:
        notes = []
        if not self.converged:
            notes.append(f"The fit did not converge in {self.iterations} steps: allow more iterations.")
        if self.scale > 1.0:
            k = int(np.unravel_index(self.filled.argmax(), self.filled.shape)[0])
            notes.append(
                f"Position {k + 1} is examined {self.scale:.3f} times as often as the first: "
                "weights are relative to the first position, not probabilities."
            )
        empty = int((self.displays[self.cells] == 0).sum())
        if empty:
            notes.append(
                f"{empty} of {self.cells.sum()} cells were never seen: they have no estimate (policies are given what "
                "the cells around them suggest)."
            )
        if unseen := int((self.shown == 0).sum()):
            notes.append(f"{unseen} of {len(self.shown)} items were never shown: they have the mean attraction.")
        return notes

    def _about_links(self) -> list[str]:
        notes = []
        if len(self.components) > 1:
            notes.append(
                f"Items connect the positions only in {len(self.components)} groups: weights of different groups "
                "cannot be compared."
            )
        by_position = self.effective if self.name == "pbm" else self.effective.sum(axis=1)
        if self.length > 1 and (weak := [k + 1 for k in range(self.length) if by_position[k] < FEW]):
            notes.append(f"Few items of positions {weak} are also shown elsewhere: their weights are uncertain.")
        return notes


def fit(
    log: Log,
    model: str = "pbm",
    start: int = 0,
    stop: int | None = None,
    filtered: bool | None = None,
    tolerance: float = 1e-10,
    iterations: int = 10_000,
    smoothing: float = SMOOTHING,
) -> Fit:
    """Fit the click model "pbm" or "ubm" to rows `start` to `stop` of a log of ranked lists.

    filtered: whether records without a click were removed from the log; None asks the log, see `count` and `settled`.
    tolerance, iterations, smoothing: see `fit_counts`. Raises as `count` and `fit_counts` do.
    """
    _check_model(model)
    return fit_counts(count(log, start, stop, filtered), model, tolerance, iterations, smoothing)


def fit_both(
    log: Log, start: int = 0, stop: int | None = None, filtered: bool | None = None, **settings: float
) -> tuple[Fit, Fit]:
    """The position-based and the user browsing model of the same rows, which are read once; as `fit`."""
    counts = settled(count(log, start, stop, filtered))
    return fit_counts(counts, "pbm", **settings), fit_counts(counts, "ubm", **settings)  # type: ignore[arg-type]


def settled(counts: Counts) -> Counts:
    """The counts with it settled whether clickless records were removed, where that was left open.

    It is open where every record has a click and nobody says why. Then a position-based model is fitted as if the log
    were whole. By it a whole log would lack clickless records with probability p = prod (1 - q), q the chance of each
    record to have no click: they were removed where p is below 1/1000, and were not where p is above, as where all
    items are always clicked. (A log whose users must click once looks filtered by this test: say that it is not.)
    """
    if counts.filtered is not None:
        return counts
    length, alone = counts.length, len(counts.displays)
    problem = _problem(counts, "pbm", False)
    weights, attraction = climb(problem, 1e-7, 1000)[:2]
    quiet = np.empty((alone, length))
    chance = math.exp(restore(counts.slates, weights, np.arange(length), attraction, quiet))
    said = f"since by chance a whole log would have a click in every record with p = {chance:.2g}"
    if chance < SURELY:
        return counts._replace(filtered=True, why=said)
    nothing = np.empty((0, length), np.int32)
    return counts._replace(filtered=False, why=said, slates=nothing, first=np.empty(0, np.int64))


def by_place(cells: np.ndarray) -> np.ndarray:
    """Counts (n_items, cells) of the user browsing cells as counts (n_items, L) of the positions."""
    length = int((2 * cells.shape[1]) ** 0.5)
    return np.add.reduceat(cells, np.arange(length) * np.arange(1, length + 1) // 2, axis=1)


def _problem(counts: Counts, model: str, filtered: bool) -> Problem:
    """What EM works on."""
    length = counts.length
    row, column = np.tril_indices(length)
    none = np.arange(length) * np.arange(1, length + 1) // 2
    displays, clicks, after = counts.displays, counts.clicks, np.where(column == 0, row, -1)
    if model == "pbm":
        displays, clicks = by_place(displays), by_place(clicks)
        after = none = np.arange(length)
    if not filtered:
        after = np.full(len(after), -1)
    slates = counts.slates if filtered else np.empty((0, length), np.int32)
    return Problem(displays, clicks, after, none, slates, np.zeros((len(displays), length)))


def fit_counts(
    counts: Counts, model: str, tolerance: float = 1e-10, iterations: int = 10_000, smoothing: float = SMOOTHING
) -> Fit:
    """Fit a click model to counts, with clickless records removed where these say so; left open, it is `settled`.

    EM until the log-likelihood grows by less than `tolerance`, relative, in a cycle of three steps, at most
    `iterations` steps. (At 1e-7 a million lists would still be several units of log-likelihood below the best, and
    weights percents away from it; 1e-10 takes twice the steps.) Then, with the weights found, every item is given
    `smoothing` displays more, of the mean attraction, so that a rare one comes out near a usual one and not as 0 or 1;
    0 leaves it at maximum likelihood. User browsing weights of cells with few displays lean on their neighbours, see
    `clickcells.filled`. Raises a ConfigError for settings that make no sense, and a DataError where the first position
    has no click: the weights are relative to it.
    """
    _check_model(model)
    if not (tolerance > 0 and iterations >= 1 and smoothing >= 0):
        raise ConfigError("a fit takes tolerance > 0, iterations >= 1 and smoothing >= 0")
    if not counts.clicks[:, 0].any():
        raise DataError("no record has a click at position 1, and weights are relative to it. Fix: give more records")
    counts = settled(counts)
    length, filtered = counts.length, bool(counts.filtered)
    if filtered and length == 1:
        raise ConfigError("every record has one position and a click at it, so nothing can be said about attraction")
    row, column = np.tril_indices(length)
    problem = _problem(counts, model, filtered)
    displays = problem.displays
    raw, attraction, trace, steps, converged = climb(problem, tolerance, iterations)
    if smoothing > 0:
        smooth(problem, raw, attraction, smoothing)
    raw, attraction = raw / raw[0], attraction * raw[0]
    in_cell, shown = displays.sum(axis=0), displays.sum(axis=1)
    attraction[shown == 0] = np.average(attraction, weights=shown)

    def laid_out(cells: np.ndarray) -> np.ndarray:
        if model == "pbm":
            return cells
        table = np.zeros((length, length + 1), cells.dtype)
        table[row, column] = cells
        return table

    table = laid_out(raw)
    finite = filled(table, laid_out(in_cell)) if model == "ubm" else table
    likelihood = np.empty(length)
    _position_likelihood(counts, finite[row, column] if model == "ubm" else raw[row], attraction, likelihood)
    places = np.arange(length) if model == "pbm" else row * (length + 1) + column
    return Fit(
        name=model,
        weights=np.where(laid_out(in_cell == 0), np.nan, finite),
        filled=finite,
        attraction=attraction,
        displays=laid_out(in_cell),
        effective=laid_out(_effective(displays)),
        components=tuple(tuple(int(c) for c in places[part]) for part in _components(displays)),
        shown=shown,
        last=counts.last,
        filtered=filtered,
        why=counts.why,
        removed=float(problem.removed[:, 0].sum()),
        trace=trace,
        log_likelihood=float(likelihood.sum()),
        perplexity=2.0 ** (-likelihood / math.log(2.0) / counts.lists_with),
        iterations=steps,
        converged=converged,
    )


def _check_model(model: str) -> None:
    if model not in MODELS:
        raise ConfigError(f"there is no fit of a click model '{model}'; there are {' and '.join(MODELS)}")


def _effective(displays: np.ndarray) -> np.ndarray:
    """Displays of each cell that can be compared with others: sum over items n_ic (n_i - n_ic) / n_i.

    As in the comparison of two samples of n_ic and n_i - n_ic; 0 where every item of the cell is shown there alone.
    """
    total = np.maximum(displays.sum(axis=1, keepdims=True), 1)
    return (displays * (1.0 - displays / total)).sum(axis=0)


def _components(displays: np.ndarray) -> list[np.ndarray]:
    """Groups of cells that are connected by items shown in more than one of them, largest first."""
    shown = (displays > 0).astype(np.float32)
    linked = shown.T @ shown > 0
    left, groups = displays.any(axis=0), []
    while left.any():
        group: np.ndarray = np.zeros_like(left)
        group[left.argmax()] = True
        while (grown := linked[group].any(axis=0)).sum() > group.sum():
            group = grown
        groups.append(np.flatnonzero(group))
        left &= ~group
    return sorted(groups, key=len, reverse=True)
