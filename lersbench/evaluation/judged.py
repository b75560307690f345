"""One policy under one question, and all that is added up of it while the log streams by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from lersbench.bench.scenario import Entry
from lersbench.engine.chances import Chances
from lersbench.evaluation.exposed import MODELS, ClickModels, Exposed
from lersbench.evaluation.logged import Logged
from lersbench.offpolicy.doubly_robust import direct_part
from lersbench.offpolicy.slates import CONTROL, GOAL, MATCHED, MOST, UNCUT, VALUE, WEIGHT, exposed, running_product
from lersbench.offpolicy.sums import BUCKETS, Settings, Sums, add, importance_weights, new_sums, six

SINGLE, PREFIX, PLACE, WHOLE = "single", "prefix", "place", "whole"  # what a weight compares
FAMILY = {"rips": PREFIX, "iips": PLACE, "sips": WHOLE, **MODELS}  # of estimators of lists; all others are of one item
ROUNDING = 1e-9  # by which a quotient may exceed its bound


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
    alarms: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # the same, of one estimator
    most: dict[str, float] = field(default_factory=dict)  # by click model: the largest possible value of a list

    @property
    def leading(self) -> list[Sums]:
        """The sums of its leading estimator, of lists a place each."""
        return self.families[FAMILY.get(self.estimators[0], SINGLE)]

    @property
    def first(self) -> Sums:
        """Those at the first place."""
        return self.leading[0]

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
            if family in MODELS.values():
                continue
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

    def take_exposed(self, logged: Logged, slates: np.ndarray, model: str, known: Exposed, source: str) -> None:
        """Add the rounds `logged` by a click model, and lists (draws, S) that the policy would have shown there.

        A list counts as one row: its weight is what the model's examination of it comes to, of mean 1, and weight times
        reward is its value.
        """
        rows, index, out = logged.rows, logged.inside, np.empty((len(logged.inside), 7))
        first = rows.first[index[0] : index[-1] + 2] - rows.first[index[0]]
        shown = rows.slate[rows.top[index[0]] : rows.top[index[-1] + 1]]
        given = slates, logged.edges, first, shown, logged.reward, logged.clicked, known.exposure, known.attraction
        exposed(*given, known.part, known.weights, self.clip, out)
        w = out[:, CONTROL] / out[:, GOAL]
        r = np.divide(out[:, VALUE], w, out=np.zeros(len(w)), where=w > 0)
        p = np.divide(out[:, MATCHED], out[:, UNCUT], out=np.ones(len(w)), where=out[:, UNCUT] > 0)
        add(self.families[model][0], w, r, p, logged.bucket, None, logged.slices, int(logged.at[0]), source)
        self.cut += out[:, UNCUT].sum(), out[:, WEIGHT].sum()
        self.most[model] = max(self.most.get(model, 0.0), float(out[:, MOST].max()))

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


def families_of(
    estimators: list[str],
    places: int,
    low: float,
    high: float,
    slices: int,
    whole: tuple[float, float] | None = None,
    models: ClickModels | None = None,
) -> dict[str, list[Sums]]:
    """Fresh sums for these estimators, whose rewards lie in low..high; of lists of up to `places` items.

    `whole` is what a list can earn, by default what its places can; `models` the click models of the log, where
    estimators need one.
    """
    wanted = dict.fromkeys(FAMILY.get(name, SINGLE) for name in estimators)
    counts = {PREFIX: places, PLACE: places}
    ranges = dict.fromkeys(wanted, (low, high))
    ranges[WHOLE] = whole or (min(0.0, places * low), max(0.0, places * high))
    if places > 1:
        ranges[SINGLE] = ranges[WHOLE]  # of rejection, which takes lists as they are
    if models is not None:
        for name in models.fits:
            furthest = places / models.least(name) * (1 + ROUNDING)  # times a reward: what a list can be worth a weight
            ranges[name] = min(0.0, low) * furthest, max(0.0, high) * furthest
    return {kind: [new_sums(Settings(*ranges[kind], slices)) for _ in range(counts.get(kind, 1))] for kind in wanted}
