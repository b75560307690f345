"""One policy under one question, and all that is added up of it while the log streams by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from lersbench.bench.scenario import Entry
from lersbench.engine.chances import Chances
from lersbench.evaluation.logged import Logged, running_product
from lersbench.offpolicy.doubly_robust import direct_part
from lersbench.offpolicy.sums import BUCKETS, Settings, Sums, add, importance_weights, new_sums, six

SINGLE, PREFIX, PLACE, WHOLE = "single", "prefix", "place", "whole"  # what a weight compares
FAMILY = {"rips": PREFIX, "iips": PLACE, "sips": WHOLE}  # of the estimators of lists; all others are of one item


@dataclass
class Judged:
    """A policy whose chances weigh what was logged."""

    entry: Entry
    question: str
    estimators: list[str]
    families: dict[str, list[Sums]]  # by what is compared, a place each
    clip: float = np.inf  # weights are cut there
    how: str = ""  # how its chances are known
    direct: np.ndarray = field(default_factory=lambda: np.zeros(BUCKETS))  # sums of the model's part by bucket
    model: np.ndarray = field(default_factory=lambda: np.zeros(4))  # sums of w^2 (r - q)^2, w^2 r, w^2 r^2, w^2
    cut: np.ndarray = field(default_factory=lambda: np.zeros(2))  # weight before and after cutting
    modelled: bool = False  # a reward model takes part
    caps: list[tuple[str, str]] = field(default_factory=list)  # what its verdict may not exceed, and why

    @property
    def first(self) -> Sums:
        """The sums at the first place of its leading estimator."""
        return self.families[FAMILY.get(self.estimators[0], SINGLE)][0]

    @property
    def r2(self) -> float:
        """How much of the weighted rewards the reward model explains; NaN without one."""
        left, about, spread, squares = self.model
        s = six(self.first)
        mean = s.total / max(1, s.n)
        whole = spread - 2 * mean * about + mean * mean * squares
        return float(1 - left / whole) if self.modelled and whole > 0 else math.nan

    @property
    def label(self) -> str:
        return self.entry.label

    def take(self, logged: Logged, chances: Chances, predicted: np.ndarray | None, source: str) -> None:
        """Add the rounds `logged`. `predicted` (N,) are the reward model's predictions of all candidates, or None."""
        self.how = self.how or chances.how
        for family, sums in self.families.items():
            if family == WHOLE:
                self._add(sums[0], logged, np.arange(len(logged.inside)), *_whole(logged, chances), None, source)
                continue
            chance, propensity = {
                SINGLE: (chances.logged, logged.prefix),
                PREFIX: (running_product(chances.logged, logged.edges), logged.prefix),
                PLACE: (chances.placed, logged.marginal),
            }[family]
            for place, one in enumerate(sums):
                at = np.flatnonzero(logged.place == place) if len(sums) > 1 else slice(None)
                row, extra = logged.row[at], None
                if predicted is not None and family == SINGLE:
                    extra = self._doubly(logged, chances, predicted, chance, propensity)
                self._add(one, logged, row, chance[at], propensity[at], logged.reward[at], extra, source)

    def _add(
        self,
        sums: Sums,
        logged: Logged,
        row: np.ndarray,
        chance: np.ndarray,
        propensity: np.ndarray,
        reward: np.ndarray,
        extra: np.ndarray | None,
        source: str,
    ) -> None:
        first = int(logged.at[0])
        w = self._cut(importance_weights(chance, propensity, first, source))
        add(sums, w, reward, propensity, logged.bucket[row], extra, logged.slices[row], first, source)

    def _cut(self, w: np.ndarray) -> np.ndarray:
        if np.isinf(self.clip):
            return w
        kept = np.minimum(w, self.clip)
        self.cut += w.sum(), kept.sum()
        return kept

    def _doubly(
        self, logged: Logged, chances: Chances, predicted: np.ndarray, chance: np.ndarray, propensity: np.ndarray
    ) -> np.ndarray:
        """The doubly robust value (n,) of each round."""
        n = len(logged.inside)
        dm = np.empty(n)
        direct_part(chances.offered, predicted, chances.first, dm)
        q = predicted[chances.first[:-1] + logged.rows.slate[logged.rows.top[logged.inside]]]
        w, r = np.minimum(chance / propensity, self.clip), logged.reward
        self.direct += np.bincount(logged.bucket, dm, BUCKETS)
        square = w * w
        self.model += (square * (r - q) ** 2).sum(), (square * r).sum(), (square * r * r).sum(), square.sum()
        return dm + w * (r - q)


def _whole(logged: Logged, chances: Chances) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chance, propensity and reward (n,) of the whole lists."""
    return chances.slates(), logged.whole, np.add.reduceat(logged.reward, logged.edges[:-1])


def families_of(estimators: list[str], places: int, low: float, high: float, slices: int) -> dict[str, list[Sums]]:
    """Fresh sums for these estimators, whose rewards lie in low..high; of lists of up to `places` items."""
    wanted = dict.fromkeys(FAMILY.get(name, SINGLE) for name in estimators)
    one, whole = Settings(low, high, slices), Settings(min(0.0, places * low), places * high, slices)
    counts = {SINGLE: 1, PREFIX: places, PLACE: places, WHOLE: 1}
    return {kind: [new_sums(whole if kind == WHOLE else one) for _ in range(counts[kind])] for kind in wanted}
