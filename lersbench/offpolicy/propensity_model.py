"""Propensities of a log that has none, by a model of which item its policy shows: cross-fitted and recalibrated.

A conditional logit model (see `conditional_logit`) is fitted for each fold on the users of the others. One in five of
these is kept back: by them the ridge penalty is chosen, and the temperature, one number that makes chances neither too
bold nor too shy. What a model says of a row it has not seen, then, is its propensity, but never less than 1 / (10 C).

For the error of what is made of them the model is refitted in replicates of the Poisson bootstrap by user: the largest
part of that error is the model's.

No fit can know what the logging policy saw and the log does not hold. A deterministic ranker with such inputs looks
random; its propensities are then those of a mixture of rows, and no check on the log shows it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from lersbench.errors import DataError
from lersbench.offpolicy import conditional_logit as logit
from lersbench.offpolicy import folds as parts
from lersbench.offpolicy.conditional_logit import Choices, Form, Utility
from lersbench.offpolicy.resampling import poisson_multiplicities

RIDGES = (1000.0, 100.0, 10.0, 1.0)  # in rows
CLOSE, CLOSER = 1e-6, 1e-7  # gain of log-likelihood a row of the last step, of a refit and of the fit
MOST = 200  # steps
ENOUGH = 50  # rows kept back, below which the temperature stays 1
FLOOR = 10  # no propensity is below 1 / (FLOOR times the candidates)
REPLICATES = 20


@dataclass(frozen=True)
class Fitted:
    """The model of one fold."""

    theta: np.ndarray
    utility: Utility
    ridge: float
    scale: float  # 1 / temperature


@dataclass
class PropensityModel:
    """`of_fold[0]` are the models of each fold; those after, of each replicate."""

    form: Form
    folds: int
    seed: int
    of_fold: list[list[Fitted]] = field(default_factory=list)
    rows: int = 0  # that it was fitted on

    @classmethod
    def of(
        cls, form: Form, choices: Choices, keys: np.ndarray, folds: int, replicates: int = REPLICATES, seed: int = 0
    ) -> PropensityModel:
        """Fit to the logged `choices` of the users `keys` (n,) int64. DataError where a fold has none to learn from."""
        model = cls(form, parts.checked(folds), seed, rows=len(keys))
        fold, held = parts.folds_of(keys, folds, seed), parts.held_of(keys, seed)
        often = poisson_multiplicities(keys, replicates).T if replicates else np.empty((0, len(keys)))
        with ThreadPoolExecutor(os.cpu_count()) as pool:

            def first(f: int) -> Fitted:
                return _fitted(form, choices, *_roles(fold != f, held, f))

            found = list(pool.map(first, range(folds)))
            model.of_fold.append(found)

            def again(at: tuple[int, int]) -> Fitted:
                b, f = at
                return _refitted(form, choices, *_roles(fold != f, held, f), often[b].astype(np.float64), found[f])

            refits = list(pool.map(again, [(b, f) for b in range(replicates) for f in range(folds)]))
        model.of_fold += [refits[b * folds : (b + 1) * folds] for b in range(replicates)]
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

    @property
    def ridges(self) -> list[float]:
        return [one.ridge for one in self.of_fold[0]]


def floored(chances: np.ndarray, choices: Choices) -> tuple[np.ndarray, np.ndarray]:
    """The propensities (n,) of what was chosen, at least 1 / (FLOOR C), and which of them were raised to that."""
    own = chances[choices.first[:-1] + choices.chosen]
    least = 1.0 / (FLOOR * np.diff(choices.first))
    return np.maximum(own, least), own < least


def _roles(others: np.ndarray, held: np.ndarray, f: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each row counts in the fit of fold f, and in its calibration, (n,) each."""
    learns, kept = (others & ~held).astype(np.float64), (others & held).astype(np.float64)
    if not learns.any():
        raise DataError(
            f"fold {f} of the propensity model has no rows to learn from: all rows belong to users of that fold. Set "
            "fewer folds, or cluster = 'none', which takes rows as independent."
        )
    return learns, kept


def _fitted(form: Form, choices: Choices, learns: np.ndarray, kept: np.ndarray) -> Fitted:
    """The fit with the penalty that predicts the rows kept back best, from the largest down."""
    theta, best, least = np.zeros(sum(form.sizes)), None, np.inf
    for ridge in RIDGES:
        theta = logit.fit(form, choices, learns, ridge, theta, CLOSER, MOST).at
        utility = logit.utility_of(form, theta)
        scale = _scale(utility, choices, kept)
        loss = logit.log_loss(utility, choices, kept, scale)
        if best is not None and not loss < least:
            break
        best, least = Fitted(theta, utility, ridge, scale), loss
    assert best is not None
    return best


def _refitted(
    form: Form, choices: Choices, learns: np.ndarray, kept: np.ndarray, often: np.ndarray, near: Fitted
) -> Fitted:
    """The fit to rows that count `often` (n,) times, from one nearby and with its penalty."""
    theta = logit.fit(form, choices, learns * often, near.ridge, near.theta, CLOSE, MOST).at
    utility = logit.utility_of(form, theta)
    return Fitted(theta, utility, near.ridge, _scale(utility, choices, kept * often))


def _scale(utility: Utility, choices: Choices, kept: np.ndarray) -> float:
    return logit.scale_of(utility, choices, kept) if kept.sum() >= ENOUGH else 1.0
