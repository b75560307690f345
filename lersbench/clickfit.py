"""Fits of the position-based and the user browsing model to a log, and what can be said of their quality."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lersbench.clickcounts import Counts, count, count_arrays
from lersbench.clickem import Problem, climb
from lersbench.clickmodel import ClickModel, ubm
from lersbench.clickmodel import pbm as position_based
from lersbench.errors import ConfigError, DataError
from lersbench.jit import kernel
from lersbench.log import Log

MODELS = ("pbm", "ubm")
SPARSE = 20.0  # displays that a user browsing cell needs to count as much as the weight after no click
FEW = 100.0  # effective displays of a position below which a fit says so

__all__ = ["MODELS", "Counts", "Fit", "count", "count_arrays", "fit", "fit_both", "fit_counts"]


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
    """

    name: str  # "pbm" or "ubm"
    weights: np.ndarray  # pbm (L,), weights[0] = 1; ubm (L, L + 1), weights[0, 0] = 1 and 0 in columns j > k
    attraction: np.ndarray  # (n_items,) in [0, 1]; items never shown get the mean over displays
    displays: np.ndarray  # in the shape of weights: displays in each cell
    effective: np.ndarray  # in the shape of weights: displays that a comparison with the other cells rests on
    components: tuple[tuple[int, ...], ...]  # flat indices of cells that shared items make comparable, largest first
    shown: np.ndarray  # (n_items,) displays of each item
    last: np.ndarray  # (L + 1,) records by their last click: column 0 none, column k position k (1-based)
    filtered: bool  # whether clickless records were taken as removed
    removed: float  # how many were, as far as the model can tell
    trace: np.ndarray  # log-likelihood (with the prior's part) after each accepted step, never decreasing
    log_likelihood: float  # of the clicks, given those above and (filtered) that there is one
    perplexity: np.ndarray  # (L,) 2 ** (mean bits a click needs) at each position; 1 is perfect, 2 a fair coin
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
        """The weights as (L, L + 1), whichever the model."""
        if self.name == "ubm":
            return self.weights
        return np.tril(np.repeat(self.weights[:, None], self.length + 1, axis=1))

    @property
    def cells(self) -> np.ndarray:
        """In the shape of weights: which of its places are cells of the model."""
        return np.ones(self.length, bool) if self.name == "pbm" else np.tri(self.length, self.length + 1, dtype=bool)

    @property
    def scale(self) -> float:
        """The largest weight. Weights divided by it are probabilities; attraction times it stays in [0, 1]."""
        return float(self.weights.max())

    @cached_property
    def model(self) -> ClickModel:
        """The click model whose weights are at most 1; it goes with `attraction` times `scale`."""
        return ubm(self.weights / self.scale) if self.name == "ubm" else position_based(self.weights / self.scale)

    @property
    def notes(self) -> list[str]:
        """What a reader of the fit has to know, a sentence each."""
        return [told for told in (self._told_filter(), *self._told_weights(), *self._told_links()) if told]

    def _told_filter(self) -> str:
        if self.filtered:
            share = self.removed / (self.removed + self.records)
            return f"Every record has a click: fitted as a log of which {share:.1%}, without a click, were removed."
        return f"{self.last[0] / self.records:.1%} of the records have no click."

    def _told_weights(self) -> list[str]:
        told = []
        if not self.converged:
            told.append(f"The fit did not converge in {self.iterations} steps: allow more iterations.")
        if self.scale > 1.0:
            k = int(np.unravel_index(self.weights.argmax(), self.weights.shape)[0])
            told.append(
                f"Position {k + 1} is examined {self.scale:.3f} times as often as the first: "
                "weights are relative to the first position, not probabilities."
            )
        empty = int((self.displays[self.cells] == 0).sum())
        if empty:
            told.append(f"{empty} of {self.cells.sum()} cells were never seen: they have the weight after no click.")
        if unseen := int((self.shown == 0).sum()):
            told.append(f"{unseen} of {len(self.shown)} items were never shown: they have the mean attraction.")
        return told

    def _told_links(self) -> list[str]:
        told = []
        if len(self.components) > 1:
            told.append(
                f"Items connect the positions only in {len(self.components)} groups: weights of different groups "
                "cannot be compared."
            )
        by_position = self.effective if self.name == "pbm" else self.effective.sum(axis=1)
        if self.length > 1 and (weak := [k + 1 for k in range(self.length) if by_position[k] < FEW]):
            told.append(f"Few items of positions {weak} are also shown elsewhere: their weights are uncertain.")
        return told


def fit(
    log: Log,
    model: str = "pbm",
    start: int = 0,
    stop: int | None = None,
    filtered: bool | None = None,
    tolerance: float = 1e-10,
    iterations: int = 10_000,
    smoothing: float = 0.0,
) -> Fit:
    """Fit the click model "pbm" or "ubm" to rows `start` to `stop` of a log of ranked lists.

    filtered: whether records without a click were removed from the log; None takes it that they were where every
    record has a click. tolerance, iterations, smoothing: see `fit_counts`. Raises as `count` and `fit_counts` do.
    """
    _check_model(model)
    return fit_counts(count(log, start, stop, filtered), model, tolerance, iterations, smoothing)


def fit_both(
    log: Log, start: int = 0, stop: int | None = None, filtered: bool | None = None, **settings: float
) -> tuple[Fit, Fit]:
    """The position-based and the user browsing model of the same rows, which are read once; as `fit`."""
    counts = count(log, start, stop, filtered)
    return fit_counts(counts, "pbm", **settings), fit_counts(counts, "ubm", **settings)  # type: ignore[arg-type]


def fit_counts(
    counts: Counts, model: str, tolerance: float = 1e-10, iterations: int = 10_000, smoothing: float = 0.0
) -> Fit:
    """Fit a click model to counts, as clickless records removed where the counts hold lists.

    EM until the log-likelihood grows by less than `tolerance`, relative, in a cycle of three steps, at most
    `iterations` steps. (At 1e-7 a million lists would still be several units of log-likelihood below the best, and
    weights percents away from it; 1e-10 takes twice the steps.) `smoothing` s gives every weight and attraction a
    Beta(1 + s, 1 + s) prior, as if s clicks and s non-clicks had been seen; the posterior is what never decreases
    then. 0, the default, is maximum likelihood: a prior would pull rare items toward 1/2, far above what most have.
    A user browsing weight w[k, j] of a cell with n displays is given out as (n w[k, j] + 20 w[k, 0]) / (n + 20).
    Raises a ConfigError for settings that make no sense, and a DataError where the first position has no click: the
    weights are relative to it.
    """
    _check_model(model)
    if not (tolerance > 0 and iterations >= 1 and smoothing >= 0):
        raise ConfigError("a fit takes tolerance > 0, iterations >= 1 and smoothing >= 0")
    if not counts.clicks[:, 0].any():
        raise DataError("no record has a click at position 1, and weights are relative to it. Fix: give more records")
    length, filtered = counts.length, len(counts.slates) > 0
    if filtered and length == 1:
        raise ConfigError("every record has one position and a click at it, so nothing can be told about attraction")
    row, column = np.tril_indices(length)
    none = np.arange(length) * np.arange(1, length + 1) // 2
    displays, clicks, after = counts.displays, counts.clicks, np.where(column == 0, row, -1)
    if model == "pbm":
        displays, clicks = (np.add.reduceat(table, none, axis=1) for table in (displays, clicks))
        after = none = np.arange(length)
    if not filtered:
        after = np.full(len(after), -1)
    removed = np.zeros((len(displays), length))
    problem = Problem(displays, clicks, after, none, counts.slates, removed, float(smoothing))
    raw, attraction, trace, steps, converged = climb(problem, tolerance, iterations)
    raw, attraction = raw / raw[0], attraction * raw[0]
    in_cell, shown = displays.sum(axis=0), displays.sum(axis=1)
    if model == "ubm":
        raw = (in_cell * raw + SPARSE * raw[none][row]) / (in_cell + SPARSE)
    attraction[shown == 0] = np.average(attraction, weights=shown)
    likelihood = np.empty(length)
    _position_likelihood(counts, raw if model == "ubm" else raw[row], attraction, likelihood)

    def laid_out(cells: np.ndarray) -> np.ndarray:
        if model == "pbm":
            return cells
        table = np.zeros((length, length + 1), cells.dtype)
        table[row, column] = cells
        return table

    places = np.arange(length) if model == "pbm" else row * (length + 1) + column
    return Fit(
        name=model,
        weights=laid_out(raw),
        attraction=attraction,
        displays=laid_out(in_cell),
        effective=laid_out(_effective(displays)),
        components=tuple(tuple(int(c) for c in places[part]) for part in _components(displays)),
        shown=shown,
        last=counts.last,
        filtered=filtered,
        removed=float(problem.removed[:, 0].sum()),
        trace=trace,
        log_likelihood=float(likelihood.sum()),
        perplexity=2.0 ** (-likelihood / math.log(2.0) / counts.records),
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
