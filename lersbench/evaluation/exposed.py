"""The fitted click models of a log: how likely each candidate is to be examined under the logging policy.

Each model is fitted to rows that it does not weigh: those before `frozen`; without it each half of the rows is weighed
by the model of the other.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.bench.click_fits import CELLS
from lersbench.clicks import fit
from lersbench.clicks.model import ClickModel, pbm, ubm
from lersbench.errors import ConfigError
from lersbench.evaluation.logged import Logged, Source
from lersbench.evaluation.ranked import by_shape
from lersbench.offpolicy import propensity
from lersbench.offpolicy.intervals import cluster_error
from lersbench.offpolicy.sums import BUCKETS

PBM, UBM = "pbm", "ubm"
LEAST = 1e-3  # of P(a position is examined)
MODELS = {"pbm-ips": PBM, "ubm-ips": UBM}  # of the estimators


class Exposed(NamedTuple):
    """A click model before the candidates of some rounds; N candidates, M fits."""

    exposure: np.ndarray  # (N,) P(the candidate is examined) under the logging policy
    attraction: np.ndarray  # (N,)
    part: np.ndarray  # (n,) int64 the fit of each round
    weights: np.ndarray  # (M, L, L + 1) of the fits


class Alarm(NamedTuple):
    """What the click model says that a shorter list of the logging policy earns, less what its lists earn there."""

    predicted: float
    earned: float
    z: float
    places: int


class ClickModels:
    """The click models that estimators need, fitted once for all policies."""

    def __init__(self, source: Source, names: list[str]) -> None:
        """Raises ConfigError where a fit would take gigabytes, and as `clicks.fit.fit_both`."""
        self.source, info = source, source.log.info
        if info.items * info.L * (info.L + 1) > 2 * CELLS:
            raise ConfigError(
                f"{info.items:,} items at {info.L} places of log '{info.name}' are more than a click model can be "
                "fitted to: use rips or iips, or import the log with --length."
            )
        self.places, self.upper = info.L, (info.L + 1) // 2
        self.uniform = info.propensities == "uniform"
        middle = (source.first + source.end) // 2
        self.parts = [(0, source.first)] if source.first else [(middle, source.end), (source.first, middle)]
        self.middle = math.inf if source.first else middle
        both = [fit.fit_both(source.log, *part) for part in self.parts]
        self.fits = {name: [pair[name == UBM] for pair in both] for name in names}
        self.models = {name: [_lookable(one.model, name) for one in fits] for name, fits in self.fits.items()}
        self.weights = {name: np.stack([one.weights for one in models]) for name, models in self.models.items()}
        self.predicted = {name: np.zeros(BUCKETS) for name in names}
        self.earned, self.rows = np.zeros(BUCKETS), np.zeros(BUCKETS, np.int64)

    def least(self, name: str) -> float:
        """The least P(a position is examined) of the fits of a model."""
        length = self.places
        return float(self.weights[name][:, *np.tril_indices(length, 0, length + 1)].min())

    @property
    def notes(self) -> list[str]:
        """How they were fitted."""
        names = " and ".join(name.upper() for name in self.fits)
        if len(self.parts) == 1:
            how = f"to the first {self.parts[0][1]:,} rows, which are not weighed"
        else:
            how = "to each half of the rows, and weighs the other"
        return [f"The click model ({names}) is fitted {how}; its own error is in no interval."]

    def before(self, logged: Logged) -> dict[str, Exposed]:
        """The models before some rounds of the log, by name; and what they say of shorter lists is added up."""
        part = (logged.at >= self.middle).astype(np.int64)  # which fit weighs a round
        rows = logged.rows
        low, high = rows.first[logged.inside[0]], rows.first[logged.inside[-1] + 1]
        items = rows.candidates[low:high] if rows.own else np.tile(rows.candidates, len(part))
        upper = logged.place < self.upper
        self.earned += np.bincount(logged.bucket[logged.row], logged.reward * upper, BUCKETS)
        self.rows += np.bincount(logged.bucket, minlength=BUCKETS)
        at = _logged_at(logged)
        found = {}
        for name, fits in self.fits.items():
            attraction = np.empty(len(items))
            of_candidate = np.repeat(part, np.diff(rows.first)[logged.inside])
            for number, one in enumerate(fits):
                mine = of_candidate == number
                attraction[mine] = (one.attraction * one.scale)[items[mine]]
            whole = self._exposures(logged, name, attraction, part, self.places)
            short = self._exposures(logged, name, attraction, part, self.upper)
            ratio = np.divide(short[at], whole[at], out=np.zeros(len(at)), where=whole[at] > 0)
            self.predicted[name] += np.bincount(logged.bucket[logged.row], logged.reward * ratio, BUCKETS)
            found[name] = Exposed(whole, attraction, part, self.weights[name])
        return found

    def alarm(self, name: str) -> Alarm:
        """Does the model know what shorter lists of the logging policy earn, which the log itself shows?

        Drawn by the logging policy (at random on a uniform log) and cut to their upper half, lists earn what the logged
        ones earn down to there, whatever users do.
        """
        n = int(self.rows.sum())
        difference = self.predicted[name] - self.earned
        mean = float(difference.sum()) / n
        error = float(cluster_error(difference - mean * self.rows, self.rows)[0])
        z = mean / error if error > 0 else 0.0
        return Alarm(float(self.predicted[name].sum()) / n, float(self.earned.sum()) / n, z, self.upper)

    def _exposures(
        self, logged: Logged, name: str, attraction: np.ndarray, part: np.ndarray, places: int
    ) -> np.ndarray:
        """(N,) of all candidates, of lists that are as long as the logged ones but have `places` positions at most."""
        rows, out = logged.rows, np.empty(len(attraction))
        wide = np.diff(rows.first)[logged.inside]
        first = rows.first[logged.inside] - rows.first[logged.inside[0]]
        lengths = np.minimum(np.diff(logged.edges), places)
        for number, model in enumerate(self.models[name]):
            mine = np.flatnonzero(part == number)
            for length, width, rounds in by_shape(lengths[mine], wide[mine]):
                at = first[mine[rounds]][:, None] + np.arange(width)
                out[at] = self._of_shape(_shorter(model, name, length), logged, attraction, at)
        return out

    def _of_shape(self, model: ClickModel, logged: Logged, attraction: np.ndarray, at: np.ndarray) -> np.ndarray:
        """(m, C) of rounds whose candidates are at the places `at` (m, C)."""
        if not self.uniform:
            return propensity.exposures(model, logged.scores[at], attraction[at])
        if not logged.rows.own:  # all rounds offer the same
            return np.broadcast_to(propensity.uniform_exposures(model, attraction[at[:1]]), at.shape)
        return propensity.uniform_exposures(model, attraction[at])


def _lookable(model: ClickModel, name: str) -> ClickModel:
    """The model with nothing that is never examined: a click there, among rows it was not fitted to, would be worth
    infinitely much."""
    seen = np.maximum(model.weights, LEAST)
    return pbm(seen[:, 0]) if name == PBM else ubm(seen)


def _shorter(model: ClickModel, name: str, length: int) -> ClickModel:
    """The model of lists of this length."""
    return pbm(model.weights[:length, 0]) if name == PBM else ubm(model.weights[:length, : length + 1])


def _logged_at(logged: Logged) -> np.ndarray:
    """Where each logged item (S,) stands among the candidates of the rounds."""
    rows, index = logged.rows, logged.inside
    shown = rows.slate[rows.top[index[0]] : rows.top[index[-1] + 1]]
    return shown + (rows.first[index] - rows.first[index[0]])[logged.row]
