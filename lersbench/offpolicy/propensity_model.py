"""Propensities of a log that has none, by a model of which item its policy shows: cross-fitted and recalibrated.

A conditional logit model (see `conditional_logit`) is fitted for each fold on the users of the others. By what these
models say of rows they have not seen, the ridge penalty is chosen, and the temperature of each: one number that makes
chances neither too bold nor too shy, from the rows of the other folds. What a model then says of a row of its fold is
the propensity, but never less than 1 / (10 C).

For the error of what is made of them the model is refitted in replicates of the Poisson bootstrap by user: the largest
part of that error is the model's.

No fit can know what the logging policy saw and the log does not hold. A deterministic ranker with such inputs looks
random; its propensities are then those of a mixture of rows, and no check on the log shows it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from lersbench.errors import DataError
from lersbench.offpolicy import conditional_logit as logit
from lersbench.offpolicy import folds as parts
from lersbench.offpolicy.conditional_logit import Choices, Form, Utility
from lersbench.offpolicy.minimise import Minimum
from lersbench.offpolicy.resampling import poisson_multiplicities

RIDGES = (1000.0, 100.0, 10.0, 1.0)  # in rows
AS_GOOD = 2.0  # log-likelihood of all rows, not seen, by which two fits may differ and be as good
CLOSE, CLOSER = 1e-5, 1e-7  # gain of log-likelihood a row of the last step, of a refit and of the fit
MOST = 200  # steps
ENOUGH = 50  # rows, below which the temperature stays 1
FLOOR = 10  # no propensity is below 1 / (FLOOR times the candidates)
REPLICATES = 20


@dataclass(frozen=True)
class Fitted:
    """The model of one fold."""

    minimum: Minimum
    utility: Utility
    scale: float = 1.0  # 1 / temperature


@dataclass
class PropensityModel:
    """`of_fold[0]` are the models of each fold; those after, of each replicate."""

    form: Form
    folds: int
    seed: int
    ridge: float = RIDGES[-1]
    of_fold: list[list[Fitted]] = field(default_factory=list)
    rows: int = 0  # that it was fitted on

    @classmethod
    def of(
        cls, form: Form, choices: Choices, keys: np.ndarray, folds: int, replicates: int = REPLICATES, seed: int = 0
    ) -> PropensityModel:
        """Fit to the logged `choices` of the users `keys` (n,) int64. DataError where a fold has none to learn from."""
        model = cls(form, parts.checked(folds), seed, rows=len(keys))
        inside = parts.folds_of(keys, folds, seed) == np.arange(folds)[:, None]
        _check(inside)
        once = np.ones(len(keys))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            paths = list(pool.map(lambda mine: _path(form, choices, mine), inside))
            at = _penalty(np.array([[loss for loss, _ in path] for path in paths]).sum(axis=0))
            model.ridge = RIDGES[at]
            first = [path[at][1] for path in paths]
            model.of_fold.append(_scaled(first, choices, inside, once))

            def again(often: np.ndarray) -> list[Fitted]:
                refits = [
                    _fit(form, choices, ~mine * often, model.ridge, near.minimum, CLOSE)
                    for mine, near in zip(inside, first, strict=True)
                ]
                return _scaled(refits, choices, inside, often)

            often = poisson_multiplicities(keys, replicates).T.astype(np.float64) if replicates else ()
            model.of_fold += pool.map(again, often)
        return model

    def chances(self, choices: Choices, keys: np.ndarray, replicate: int = 0) -> np.ndarray:
        """(N,) of all candidates, by the models that have not seen the users `keys` (n,); not floored."""
        fold, out = parts.folds_of(keys, self.folds, self.seed), np.empty(choices.first[-1])
        for f, one in enumerate(self.of_fold[replicate]):
            logit.chances(one.utility, choices, fold == f, one.scale, out)
        return out

    @property
    def temperatures(self) -> list[float]:
        return [1 / one.scale for one in self.of_fold[0]]


def floored(chances: np.ndarray, choices: Choices) -> tuple[np.ndarray, np.ndarray]:
    """The propensities (n,) of what was chosen, at least 1 / (FLOOR C), and which of them were raised to that."""
    own = chances[choices.first[:-1] + choices.chosen]
    least = 1.0 / (FLOOR * np.diff(choices.first))
    return np.maximum(own, least), own < least


def _check(inside: np.ndarray) -> None:
    """DataError where all rows lie `inside` (F, n) one fold."""
    if inside.all(axis=1).any():
        raise DataError(
            f"fold {int(inside.all(axis=1).argmax())} of the propensity model has no rows to learn from: all rows "
            "belong to users of that fold. Set fewer folds, or cluster = 'none', which takes rows as independent."
        )


def _path(form: Form, choices: Choices, mine: np.ndarray) -> list[tuple[float, Fitted]]:
    """The fit to all rows but `mine` (n,) by each penalty, from the largest down, and the loss of each on these."""
    near: Minimum | None = None
    found = []
    for ridge in RIDGES:
        one = _fit(form, choices, (~mine).astype(np.float64), ridge, near, CLOSER)
        near = one.minimum
        found.append((logit.loss(one.utility, choices, mine.astype(np.float64)), one))
    return found


def _penalty(losses: np.ndarray) -> int:
    """Which of `RIDGES`: the least among those that predict rows not seen, whose `losses` these are, as well as the
    best one does.

    Too large a penalty makes propensities too even, which biases all that is weighed by them; too small a one makes
    them noisy, which the error shows. So the doubt goes to the smaller one.
    """
    return int(np.flatnonzero(losses <= losses.min() + AS_GOOD)[-1])


def _fit(form: Form, choices: Choices, weight: np.ndarray, ridge: float, near: Minimum | None, close: float) -> Fitted:
    start = near.at if near is not None else np.zeros(sum(form.sizes))
    found = logit.fit(form, choices, weight, ridge, start, close, MOST, near)
    return Fitted(found, logit.utility_of(form, found.at))


def _scaled(fits: list[Fitted], choices: Choices, inside: np.ndarray, often: np.ndarray) -> list[Fitted]:
    """The fits with their temperatures: that of a fold by what the fits of the others say of rows they did not see.

    `inside` (F, n) the rows of each fold, which count `often` (n,) times.
    """
    scaled = []
    for f, one in enumerate(fits):
        seen = [(other.utility, inside[g] * often) for g, other in enumerate(fits) if g != f]
        enough = sum(float(weight.sum()) for _, weight in seen) >= ENOUGH
        scaled.append(replace(one, scale=logit.scale_of(seen, choices) if enough else 1.0))
    return scaled
