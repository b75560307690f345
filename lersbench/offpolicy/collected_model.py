"""Reward models by other packages, or of one's own: anything with `fit(X, y)` and `predict(X)` or `predict_proba(X)`.

They want their rows in memory, so one pass collects them: all, or those of a share of the users chosen by hash. A copy
of the estimator is fitted for each fold.

Columns of X: the context, the item (one-hot, or its number as a category for LightGBM), its features, the joint
features, the place (one-hot, or its number). Items are never numbers of which one is larger than another.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
from typing import Any, NamedTuple, Self

import numpy as np

from lersbench.errors import ConfigError, MissingPackage, RunError
from lersbench.offpolicy import calibration, folds
from lersbench.offpolicy.additive_model import Inputs, Shape
from lersbench.offpolicy.cross_fitting import CrossFitted, chance, log_odds, moments

ROWS = 1_000_000  # the most that are collected
NUMBERS = 20_000_000  # and the most numbers that X may have: 160 MB, of which a fit holds some three copies
WIDEST = 4000  # columns of X
PACKAGES = {"lightgbm": ("lightgbm", "ltr"), "forest": ("sklearn", "pictures")}  # name: its module, our extra
LEAVES, TREES, RATE = 15, 100, 0.05
THREADS = 1  # so that trees are the same on every machine


class Entries(NamedTuple):
    """Collected entries, end to end."""

    x: np.ndarray  # (N, columns)
    rewards: np.ndarray  # (N,)
    fold: np.ndarray  # (N,)
    held: np.ndarray  # (N,) kept back for calibration
    mark: np.ndarray  # (N,) hash of the key in [0, 2^32), by which users are left out


class Boosted:
    """LightGBM with the item and the place as categories: 100 trees of 15 leaves, learning rate .05."""

    def __init__(self, categories: list[int], seed: int) -> None:
        self.categories, self.seed = categories, seed

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        lightgbm: Any = importlib.import_module("lightgbm")
        binary = bool(((y == 0) | (y == 1)).all())
        options = {
            "objective": "binary" if binary else "regression", "num_leaves": LEAVES, "learning_rate": RATE,
            "seed": self.seed, "num_threads": THREADS, "deterministic": True, "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip
        data = lightgbm.Dataset(x, label=y, categorical_feature=self.categories)
        self.trees = lightgbm.train(options, data, num_boost_round=TREES)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.trees.predict(x, num_threads=THREADS)


class CollectedModel(CrossFitted):
    """`model`: "forest" (scikit-learn), "lightgbm", or an object with `fit` and `predict` or `predict_proba`, which is
    not changed. MissingPackage where the package of a name is not installed; ConfigError for an object that is no
    estimator, and for one-hot items that would make X too wide."""

    def __init__(
        self, shape: Shape, model: Any, folds: int, past: bool, one_hot: bool, calibrate: bool, seed: int
    ) -> None:
        super().__init__(shape, folds, past, calibrate, seed)
        self.codes, self.one_hot = model == "lightgbm", one_hot
        self.name = model if isinstance(model, str) else type(model).__name__
        self.model, self.binary = model, True
        self._known()
        self.columns = self._x(_nothing(shape)).shape[1]
        if self.columns > WIDEST:
            raise ConfigError(
                f"reward model {self.name}: {shape.n_items} items one-hot make {self.columns} columns, more than "
                f"{WIDEST}. Give items by their features (one_hot = False), or take 'lightgbm' or 'auto'."
            )
        self.most = min(ROWS, NUMBERS // max(1, self.columns))
        self.below, self.collected, self.rows = 1 << 32, list[Entries](), 0

    def add(self, inputs: Inputs, rewards: np.ndarray, fold: np.ndarray, keys: np.ndarray) -> None:
        self._check(inputs, fold)
        self.binary &= moments(inputs, rewards).binary
        held = folds.held_of(keys, self.seed) if self.calibrate else np.zeros(len(keys), dtype=bool)
        at, mark = inputs.row, folds.marks_of(keys, self.seed)
        self._take(Entries(self._x(inputs), np.asarray(rewards, dtype=np.float64), fold[at], held[at], mark[at]))

    def end_pass(self) -> None:
        if self.below < 1 << 32:
            self.notes.append(f"The reward model learned from {self.below / 2**32:.3g} of the users, chosen by hash.")
        entries = _joined(self.collected) if self.collected else self._empty()
        self.fits = [self._fit(f, entries) for f in range(self.folds)]
        self.collected, self.fitted = [], True

    def predict(self, inputs: Inputs, fold: np.ndarray) -> np.ndarray:
        self._check(inputs, fold)
        out, at = np.empty(len(inputs.item)), fold[inputs.row]
        step = max(1, NUMBERS // 10 // max(1, self.columns))
        for f in range(self.folds):
            mine = np.flatnonzero(at == f)
            for start in range(0, len(mine), step):
                some = mine[start : start + step]
                out[some] = self._predicted(f, self._x(_some(inputs, some)))
        return out

    def part(self) -> Self:
        twin = copy.copy(self)
        twin.collected, twin.rows = [], 0
        return twin

    def merge(self, part: Self) -> None:
        self.binary &= part.binary
        self.below = min(self.below, part.below)
        for entries in part.collected:
            self._take(entries)

    def _take(self, entries: Entries) -> None:
        """Keep entries; where they are too many, those of half of the users, again and again."""
        self.collected.append(entries)
        self.rows += len(entries.rewards)
        if self.below < 1 << 32 or self.rows > self.most:
            self._thin()
            while self.rows > self.most:
                self.below //= 2
                self._thin()

    def _thin(self) -> None:
        kept = []
        for e in self.collected:
            stays = e.mark < self.below
            kept.append(e if stays.all() else Entries(*(part[stays] for part in e)))
        self.collected, self.rows = kept, sum(len(e.rewards) for e in kept)

    def _fit(self, f: int, e: Entries) -> Any:
        others = (e.fold < f) if self.past else (e.fold != f)
        learns, held = others & ~e.held, others & e.held
        y = e.rewards[learns]
        if self._settle(f, float(len(y)), float(y.sum()), self.binary):
            return None
        model = self._new()
        model.fit(e.x[learns], y.astype(np.int64) if self.binary and hasattr(model, "predict_proba") else y)
        if self.calibrate and self._says_chances(model):
            bins = calibration.new_bins()
            calibration.count(bins, log_odds(_raw(model, e.x[held], self.name)), e.rewards[held])
            self._calibrated(f, bins)
        return model

    def _predicted(self, f: int, x: np.ndarray) -> np.ndarray:
        if not np.isnan(self.constant[f]):
            return np.full(len(x), self.constant[f])
        q = _raw(self.fits[f], x, self.name)
        a, b = self.platt[f]
        return q if (a, b) == (0.0, 1.0) else chance(a + b * log_odds(q))

    def _says_chances(self, model: Any) -> bool:
        return self.binary and (hasattr(model, "predict_proba") or isinstance(model, Boosted))

    def _known(self) -> None:
        if isinstance(self.model, str):
            package, extra = PACKAGES[self.model]
            if importlib.util.find_spec(package) is None:
                raise MissingPackage(
                    f"reward model '{self.model}' needs {package}, which is not installed: pip install "
                    f"'lersbench[{extra}]'; 'auto', a logistic or ridge regression, does without."
                )
        elif not hasattr(self.model, "fit") or not (
            hasattr(self.model, "predict") or hasattr(self.model, "predict_proba")
        ):
            raise ConfigError(
                f"{self.model!r} is no reward model: it needs fit(X, y) and predict(X) or predict_proba(X)."
            )

    def _new(self) -> Any:
        """An estimator that has seen nothing."""
        if self.model == "lightgbm":
            places = [self.columns - 1] if self.shape.places > 1 else []
            return Boosted([self.shape.d, *places], self.seed)
        if self.model == "forest":
            ensemble = importlib.import_module("sklearn.ensemble")
            kind = ensemble.RandomForestClassifier if self.binary else ensemble.RandomForestRegressor
            return kind(n_estimators=TREES, min_samples_leaf=10, random_state=self.seed)
        if not self.binary and not hasattr(self.model, "predict"):
            raise ConfigError(f"reward model {self.name} predicts chances, but rewards are not all 0 or 1.")
        return copy.deepcopy(self.model)

    def _x(self, inputs: Inputs) -> np.ndarray:
        """(N, columns) of numbers."""
        shape = self.shape
        item = inputs.item[:, None]
        parts = [inputs.context[inputs.row]]
        if self.codes:
            parts.append(item)
        elif self.one_hot:
            parts.append(item == np.arange(shape.n_items))
        if shape.items.shape[1]:
            parts.append(shape.items[inputs.item])
        parts.append(inputs.features)
        if shape.places > 1:
            place = inputs.place[:, None]
            parts.append(place if self.codes else place == np.arange(shape.places))
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def _empty(self) -> Entries:
        none = np.empty(0)
        return Entries(np.empty((0, self.columns)), none, none, none.astype(bool), none)


def _raw(model: Any, x: np.ndarray, name: str) -> np.ndarray:
    """What the estimator says (N,): a chance where it can."""
    if not len(x):
        return np.empty(0)
    if hasattr(model, "predict_proba"):
        ones = [i for i, c in enumerate(getattr(model, "classes_", (0, 1))) if c == 1]
        q = np.asarray(model.predict_proba(x), dtype=np.float64)[:, ones[0]]
    else:
        q = np.asarray(model.predict(x), dtype=np.float64)
    if q.shape != (len(x),) or not np.isfinite(q).all():
        raise RunError(f"reward model {name} predicted {q.shape} numbers for {len(x)} rows, or some not finite.")
    return q


def _joined(parts: list[Entries]) -> Entries:
    return Entries(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _some(inputs: Inputs, mine: np.ndarray) -> Inputs:
    return Inputs(inputs.context, inputs.row[mine], inputs.item[mine], inputs.place[mine], inputs.features[mine])


def _nothing(shape: Shape) -> Inputs:
    none = np.empty(0, dtype=np.int64)
    return Inputs(np.empty((0, shape.d)), none, none, none, np.empty((0, shape.m)))
