"""What all reward models share: a model a fold, fitted on other rows than those it predicts.

model = reward_models.reward_model("auto", shape, folds=3)
while not model.fitted:
    for inputs, rewards, fold, keys in logged_rows:      # one pass over the log
        model.add(inputs, rewards, fold, keys)
    model.end_pass()
q = model.predict(inputs_of_the_candidates, fold)        # of one chunk, as many entries as wanted
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy import calibration, folds
from lersbench.offpolicy.additive_model import Inputs, Shape


class Moments(NamedTuple):
    """What a pass says of rewards and numeric inputs; `together` adds up those of two parts."""

    rows: int
    mean: np.ndarray  # (d + m,) of context and joint features
    squares: np.ndarray  # (d + m,) sums of squared deviations from the mean
    binary: bool  # all rewards are 0 or 1


class CrossFitted:
    """A reward model for each fold, made in `passes` over the logged rows. Base of the two kinds there are.

    `past`: the folds are blocks of time, and a model learns from earlier blocks only, as it must where the logging
    policy learned itself. The first block then has no model: the predictions for it are 0, which makes DR
    the plain IPS there.
    `calibrate`: chances of rewards 0 and 1 are calibrated by Platt's two numbers on one in five of the users, kept back
    from the fit.

    `fitted` says whether another pass is needed, `notes` in words what a reader must know of the fit.
    """

    def __init__(self, shape: Shape, folds_: int, past: bool, calibrate: bool, seed: int) -> None:
        self.shape, self.folds, self.past = shape, folds.checked(folds_), past
        self.calibrate, self.seed = calibrate, seed
        self.fitted, self.name = False, ""
        self.notes: list[str] = []
        self.constant = np.full(self.folds, np.nan)  # the prediction of a fold's model that has nothing to tell apart
        self.platt = np.tile([0.0, 1.0], (self.folds, 1))

    def add(self, inputs: Inputs, rewards: np.ndarray, fold: np.ndarray, keys: np.ndarray) -> None:
        """Add logged rows to the present pass: N entries with their `rewards` (N,), all passes the same.

        `fold` (n,) int64 and `keys` (n,) of the contexts: the fold by `folds.folds_of` or `folds.blocks_of`, the key by
        `resampling.user_keys`. Raises DataError where an item, a place or a reward is not what it must be.
        """
        raise NotImplementedError

    def end_pass(self) -> None:
        """What was added is a whole pass. Afterwards either `fitted` is true, or `add` waits for another pass."""
        raise NotImplementedError

    def predict(self, inputs: Inputs, fold: np.ndarray) -> np.ndarray:
        """q (N,) of N entries, each by the model of the fold (n,) of its context, which has not seen that fold."""
        raise NotImplementedError

    def part(self) -> Self:
        """An empty copy that takes a part of the present pass, in another thread say; `merge` it before `end_pass`."""
        raise NotImplementedError

    def merge(self, part: Self) -> None:
        """Add what a `part` of this pass has taken."""
        raise NotImplementedError

    def _roles(self, inputs: Inputs, fold: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which fold's model learns from an entry (F, N), and which is calibrated by it (F, N)."""
        numbers = np.arange(self.folds)[:, None]
        others = (fold < numbers) if self.past else (fold != numbers)
        held = folds.held_of(keys, self.seed) if self.calibrate else np.zeros(len(keys), dtype=bool)
        return (others & ~held)[:, inputs.row], (others & held)[:, inputs.row]

    def _check(self, inputs: Inputs, fold: np.ndarray) -> None:
        _within("item", inputs.item, self.shape.n_items)
        _within("place", inputs.place, self.shape.places)
        _within("fold", fold, self.folds)

    def _settle(self, f: int, rows: float, rewards: float, logistic: bool) -> bool:
        """Is there nothing for fold f's model to tell apart in `rows` rows of this sum of rewards? Then say so."""
        if rows == 0 and not self.past:
            raise ConfigError(
                f"Fold {f} of the reward model has no rows to learn from: all rows belong to users of that fold. "
                "Ask estimators that need no model (snips, ips), or set cluster = 'none', which takes rows as "
                "independent."
            )
        if rows == 0:
            self.constant[f] = 0.0
            self.notes.append(f"Block {f} of time has no earlier rows to learn from: the predictions for it are 0.")
        elif logistic and rewards in (0.0, rows):
            self.constant[f] = rewards / rows
            self.notes.append(
                f"All rewards that fold {f}'s model can learn from are {rewards / rows:.0f}: it predicts nothing else."
            )
        return not np.isnan(self.constant[f])

    def _calibrated(self, f: int, bins: np.ndarray) -> None:
        """Set Platt's two numbers of fold f from its held-out rows."""
        found = calibration.platt(bins)
        if found is not None:
            self.platt[f] = found
        elif np.isnan(self.constant[f]):
            self.notes.append(
                f"Fold {f}'s model is not calibrated: fewer than {calibration.ENOUGH} held-out rows of either reward, "
                "or it ranks them the wrong way round."
            )


def moments(inputs: Inputs, rewards: np.ndarray) -> Moments:
    """Of N entries. DataError, with the entry, where a reward, context or joint feature is not finite."""
    numeric = np.concatenate([inputs.context[inputs.row], inputs.features], axis=1)
    _finite("reward", rewards[:, None])
    _finite("context or joint features", numeric)
    mean = numeric.mean(axis=0) if len(numeric) else np.zeros(numeric.shape[1])
    binary = bool(((rewards == 0) | (rewards == 1)).all())
    return Moments(len(rewards), mean, ((numeric - mean) ** 2).sum(axis=0), binary)


def together(a: Moments, b: Moments) -> Moments:
    """The moments of both parts (Chan, Golub & LeVeque 1983)."""
    rows = a.rows + b.rows
    apart, share = b.mean - a.mean, b.rows / max(rows, 1)
    squares = a.squares + b.squares + apart * apart * a.rows * share
    return Moments(rows, a.mean + apart * share, squares, a.binary and b.binary)


def chance(odds: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-odds))."""
    tail = np.exp(-np.abs(odds))
    return np.where(odds >= 0, 1.0, tail) / (1.0 + tail)


def log_odds(chances: np.ndarray) -> np.ndarray:
    """ln(chance / (1 - chance)), infinite at 0 and 1."""
    with np.errstate(divide="ignore"):
        return np.log(chances) - np.log1p(-chances)


def is_logistic(kind: str, binary: bool) -> bool:
    """Is the reward modelled as a chance? "auto": where all rewards are 0 or 1. ConfigError for what cannot be."""
    if kind == "logistic" and not binary:
        raise ConfigError("reward model 'logistic' needs rewards of 0 and 1; 'ridge' takes any.")
    return binary and kind != "ridge"


def _within(what: str, values: np.ndarray, size: int) -> None:
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= size):
        at = int(np.argmax((values < 0) | (values >= size)))
        raise DataError(f"{what} of entry {at} is {values[at]}, but must be in 0..{size - 1}.")


def _finite(what: str, values: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        at, column = map(int, bad[0])
        raise DataError(f"{what} of entry {at}, column {column} is {values[at, column]}, but must be finite.")
