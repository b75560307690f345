"""Propensities of a log that has none, or whose own are not trusted: fitted to it, checked, and refitted for errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lersbench.evaluation.answers import Estimate
from lersbench.evaluation.judged import Judged, Single
from lersbench.evaluation.logged import Logged, Source
from lersbench.evaluation.model import candidates_of
from lersbench.offpolicy import odds
from lersbench.offpolicy.conditional_logit import Choices, Form
from lersbench.offpolicy.folds import marks_of
from lersbench.offpolicy.intervals import Interval, normal
from lersbench.offpolicy.propensity_model import FLOOR, REPLICATES, PropensityModel, floored
from lersbench.offpolicy.reliability import Reliability, frequency_loss
from lersbench.offpolicy.resampling import poisson_multiplicities

MOST_ROWS = 1_000_000  # that the model is fitted to
MOST_BYTES = 1 << 29  # that they may take
SAMPLE = 0xA11  # so that this choice and that of the folds do not know of each other
METHOD = "bootstrap by user, propensities refitted"


class Columns(NamedTuple):
    """What numbers are standardised by: (mean, spread) of the context and of the joint features."""

    context: tuple[np.ndarray, np.ndarray]
    features: tuple[np.ndarray, np.ndarray]


class Estimated:
    """The propensities of a log of single items by a model of what its policy shows."""

    def __init__(self, source: Source, folds: int, seed: int) -> None:
        info, self.folds, self.seed = source.log.info, folds, seed
        choices, keys = _sample(source)
        self.share = len(keys) / max(1, source.end - source.first)
        self.columns = Columns(_moments(choices.context), _moments(choices.features))
        statics = _standard(source.session.background.items, _moments(source.session.background.items))
        form = Form(info.items, choices.context.shape[1], choices.features.shape[1], statics)
        self.model = PropensityModel.of(form, self._standard(choices), keys, folds, REPLICATES, seed)
        self.checked = Reliability(info.items)
        self._last: tuple[int, int, list[np.ndarray]] | None = None
        self._check(source)

    def with_propensities(self, logged: Logged) -> Logged:
        """The rounds with the propensities that they have by the model."""
        p, _ = floored(*self._chances(logged, 0))
        return logged._replace(given=p, prefix=p, marginal=p, whole=p)

    def replicates(self, logged: Logged) -> list[np.ndarray]:
        """The propensities (n,) by the model of each replicate; of the last rounds they are kept."""
        at, n = int(logged.at[0]), len(logged.at)
        if self._last is None or self._last[:2] != (at, n):
            found = [floored(*self._chances(logged, b))[0] for b in range(1, REPLICATES + 1)]
            self._last = at, n, found
        return self._last[2]

    def _chances(self, logged: Logged, replicate: int) -> tuple[np.ndarray, Choices]:
        choices = self._standard(choices_of(logged))
        return self.model.chances(choices, logged.key, replicate), choices

    def _standard(self, choices: Choices) -> Choices:
        context, features = self.columns
        return choices._replace(
            context=_standard(choices.context, context), features=_standard(choices.features, features)
        )

    def _check(self, source: Source) -> None:
        """Two passes over the rows, of which no model has seen those it is asked about."""
        for logged in source.read():
            chances, choices = self._chances(logged, 0)
            self.checked.add(chances, choices, floored(chances, choices)[1])
        frequencies = self.checked.frequencies()
        loss = sum(frequency_loss(frequencies, choices_of(logged)) for logged in source.read())
        self.frequency_loss = loss / max(1, self.checked.rows)

    # What is said of it ----------------------------------------------------------------------------------------------
    @property
    def facts(self) -> dict[str, Any]:
        """What was fitted, how, and how well it agrees with the log."""
        form = self.model.form
        inputs = [("context", form.d), ("joint features", form.m), ("item features", form.statics.shape[1])]
        return {
            "method": "conditional logit of the shown item over the candidates of its row",
            "inputs": ["items", *(f"{name} ({size})" for name, size in inputs if size)],
            "slopes": "of each item" if form.slopes and form.d else "of item features" if form.d else "none",
            "rows": self.model.rows,
            "folds": self.folds,
            "ridge": self.model.ridge,
            "temperature": self.model.temperatures,
            "replicates": REPLICATES,
            "log_loss": self.checked.log_loss,
            "log_loss_of_frequencies": self.frequency_loss,
            "floor": f"1/({FLOOR} candidates)",
            "raised_share": self.checked.raised_share,
            "reliability": [group._asdict() for group in self.checked.groups()],
        }

    @property
    def notes(self) -> list[str]:
        model, groups = self.checked, self.checked.groups()
        worst = max(groups, key=lambda group: abs(group.z))
        sampled = "" if self.share >= 1 else f" of {100 * self.share:.2g} % of the users"
        return [
            f"The propensities are estimated: a model was fitted{sampled} to what was shown, by context and features, "
            "and each row has that of a model that did not see its user. Such a fit cannot see what the logging policy "
            "saw and the log does not hold; if that decided, these values are off, and nothing here would show it.",
            f"Of what was shown the model's log loss is {model.log_loss:.3f}, that of frequencies "
            f"{self.frequency_loss:.3f}. Of ten groups of candidates by their chance the worst was shown "
            f"{100 * worst.seen:.3g} % of the time where {100 * worst.said:.3g} % were foretold (z = {worst.z:.1f}). "
            f"{100 * model.raised_share:.2g} % of the propensities were raised to 1/{FLOOR} of an even chance.",
        ]


def choices_of(logged: Logged) -> Choices:
    """What was shown in each round, of what."""
    rows, inside = logged.rows, logged.inside
    low = rows.first[inside[0]]
    first = rows.first[inside[0] : inside[-1] + 2] - low
    _, item, features = candidates_of(logged) if rows.own else (None, rows.candidates, rows.features)
    if not rows.own:
        features = features[low : low + first[-1]]
    shown = rows.slate[rows.top[inside]]
    return Choices(rows.context[inside], first, int(rows.own), item, np.ascontiguousarray(features), shown)


def _sample(source: Source) -> tuple[Choices, np.ndarray]:
    """The choices the model is fitted to, and their users: all rows, or those of a part of the users by hash."""
    info = source.log.info
    own = "candidates" in info.columns or info.m > 0
    each = 8 * (info.d + 4) + (info.C * (8 + 8 * info.m) if own else 0)
    most = min(MOST_ROWS, MOST_BYTES // each)
    bound = min(1.0, most / max(1, source.end - source.first)) * 2.0**32
    parts, keys = [], []
    for logged in source.read():
        mine = np.flatnonzero(marks_of(logged.key, SAMPLE) < bound)
        if len(mine):
            parts.append(_some(choices_of(logged), mine))
            keys.append(logged.key[mine])
    return _joined(parts), np.concatenate(keys)


def _some(choices: Choices, mine: np.ndarray) -> Choices:
    """Those of the rows `mine`."""
    lengths = np.diff(choices.first)[mine]
    first = np.concatenate([[0], np.cumsum(lengths)])
    at = np.repeat(choices.first[mine] - first[:-1], lengths) + np.arange(first[-1])
    item = choices.item[at] if choices.own else choices.item
    return Choices(choices.context[mine], first, choices.own, item, choices.features[at], choices.chosen[mine])


def _joined(parts: list[Choices]) -> Choices:
    own = parts[0].own
    lengths = np.concatenate([np.diff(part.first) for part in parts])
    return Choices(
        np.concatenate([part.context for part in parts]),
        np.concatenate([[0], np.cumsum(lengths)]),
        own,
        np.concatenate([part.item for part in parts]) if own else parts[0].item,
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.chosen for part in parts]),
    )


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each column; the spread of a constant one is 1, for it tells nothing apart."""
    if not len(values):
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    mean, spread = values.mean(axis=0), values.std(axis=0)
    return mean, np.where(spread > 1e-12 * np.abs(mean), spread, 1.0)


def _standard(values: np.ndarray, moments: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray((values - moments[0]) / moments[1])


# Errors ---------------------------------------------------------------------------------------------------------------
ROWS, WEIGHT, REWARD, DIRECT, LEFT, PAID = range(6)  # sums: rows, w, w r, the model's part, w (r - q), r


class Refits:
    """A policy's sums in each replicate, in which users count Poisson(1) times and the propensities are refitted."""

    def __init__(self, estimated: Estimated) -> None:
        self.estimated = estimated
        self.sums = np.zeros((REPLICATES, 6))

    def take(self, rounds: Single) -> None:
        logged, chance = rounds.logged, rounds.chances.logged
        often = poisson_multiplicities(logged.key, REPLICATES).T
        r, modelled = logged.reward, len(rounds.direct) > 0
        for b, p in enumerate(self.estimated.replicates(logged)):
            times, w = often[b].astype(np.float64), chance / p
            terms = [np.ones(len(w)), w, w * r, np.zeros(len(w)), np.zeros(len(w)), r]
            if modelled:
                terms[DIRECT], terms[LEFT] = rounds.direct, w * (r - rounds.predicted)
            self.sums[b] += np.stack(terms) @ times

    def applied(self, found: list[Estimate]) -> list[Estimate]:
        """The estimates with the errors that the replicates show in place of those of the rows alone."""
        return [self._applied(one) for one in found]

    def _applied(self, one: Estimate) -> Estimate:
        def own(level: float) -> tuple[Interval, str]:
            return normal(with_errors.value, with_errors.error, REPLICATES, level), METHOD

        psi, counts = as_influence(self.values(one.estimator))
        with_errors = replace(one, psi=psi, counts=counts, own=own)
        return with_errors

    def values(self, estimator: str) -> np.ndarray:
        """The estimate (B,) in each replicate."""
        rows, weight, reward, direct, left, _ = self.sums.T
        return {
            "ips": reward / rows,
            "snips": reward / weight,
            "dm": direct / rows,
            "dr": (direct + left) / rows,
            "sndr": direct / rows + left / weight,
        }[estimator]

    def apart(self, dr: float, snips: float) -> float:
        """How far these two estimates lie apart, in errors of the first; NaN where it has none.

        A fit is a little wrong, so of many rows they differ by more than the error of their difference, which is tiny
        beside their own: what matters is whether it can be seen in their intervals.
        """
        error = float(np.std(self.values("dr"), ddof=1))
        return abs(dr - snips) / error if error > 0 else np.nan

    @property
    def log(self) -> np.ndarray:
        """(B,) what the log earned in each replicate."""
        return self.sums[:, PAID] / self.sums[:, ROWS]


class Odds:
    """A policy's sums by reward, from which it follows how wrong the odds of the propensities may be."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high, self.cells = low, high, odds.new_cells()

    def take(self, rounds: Single) -> None:
        odds.add(self.cells, rounds.chances.logged, rounds.w, rounds.logged.reward, self.low, self.high)

    def turning(self, reference: float) -> float:
        """The factor from which on the self-normalised estimate may lie on the other side of `reference`."""
        return odds.turning(self.cells, reference)


ESTIMATORS = ("dr", "snips", "ips", "sndr", "dm")  # that are refitted


def as_influence(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replicates (B,) of an estimate as influences of B clusters of one row: their error is the replicates' spread."""
    return (values - values.mean()) * np.sqrt(len(values)), np.ones(len(values), dtype=np.int64)


def of_log(judged: list[Judged]) -> tuple[np.ndarray, np.ndarray] | None:
    """`as_influence` of what the log earned; None where nothing was refitted."""
    refits = next((one.beside["refits"] for one in judged if "refits" in one.beside), None)
    return None if refits is None else as_influence(refits.log)
