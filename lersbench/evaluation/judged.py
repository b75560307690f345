"""One policy under one question, and all that is added up of it while the log streams by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from lersbench.bench.scenario import Entry
from lersbench.engine.chances import Chances
from lersbench.evaluation.exposed import MODELS, ClickModels, Exposed
from lersbench.evaluation.logged import Logged
from lersbench.offpolicy.doubly_robust import direct_part
from lersbench.offpolicy.slates import CONTROL, GOAL, MATCHED, MOST, UNCUT, VALUE, exposed, running_product
from lersbench.offpolicy.sums import BUCKETS, Settings, Sums, add, importance_weights, merge, new_sums, six

SINGLE, PREFIX, PLACE, WHOLE = "single", "prefix", "place", "whole"  # what a weight compares
SIGNED = "signed"  # weights that may be negative: see `additive`
CASCADE = "cascade"  # the same as PREFIX, about a model: see `cascaded`
FAMILY = {
    "rips": PREFIX,
    "iips": PLACE,
    "sips": WHOLE,
    "cascade-dr": CASCADE,
    "pi": SIGNED,
    **MODELS,
}  # of estimators of lists; all others are of one item
ROUNDING = 1e-9  # by which a quotient may exceed its bound


class Single(NamedTuple):
    """Rounds of one item each, and what a policy makes of them."""

    logged: Logged
    chances: Chances
    w: np.ndarray  # (n,) weights, uncut
    direct: np.ndarray  # (n,) the reward model's part of DR, or (0,)
    predicted: np.ndarray  # (n,) its prediction of what was shown, or (0,)


class Beside(Protocol):
    """What is added up of rounds of one item beside the sums, for estimates of another kind."""

    def take(self, rounds: Single) -> None: ...

    def merge(self, other: Any) -> None:
        """Add what another of the same kind has taken of later rounds. Of sums that do not split there is none."""


@dataclass
class Judged:
    """A policy whose chances weigh what was logged."""

    entry: Entry
    question: str
    estimators: list[str]
    families: dict[str, list[Sums]]  # by what is compared, a place each
    clip: float = np.inf  # where weights are cut
    clipped: dict[str, list[Sums]] = field(default_factory=dict)  # the same with weights cut there; {} for none
    beside: dict[str, Any] = field(default_factory=dict)  # of `Beside`, by estimator or purpose
    how: str = ""  # how its chances are known
    direct: np.ndarray = field(default_factory=lambda: np.zeros(BUCKETS))  # sums of the model's part by bucket
    model: np.ndarray = field(default_factory=lambda: np.zeros(4))  # sums of w^2 (r - q)^2, w^2 r, w^2 r^2, w^2
    modelled: bool = False  # a reward model takes part
    caps: list[tuple[str, str]] = field(default_factory=list)  # what its verdict may not exceed, and why
    notes: list[str] = field(default_factory=list)  # what a reader must know of it
    alarms: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # the same, of one estimator
    most: dict[str, float] = field(default_factory=dict)  # by click model: the largest possible value of a list
    constant: float = math.nan  # of rejection: M, which each accepted row weighs

    @property
    def leading(self) -> list[Sums]:
        """The sums of its leading estimator, of lists a place each; none of one whose weights may be negative."""
        return self.families.get(FAMILY.get(self.estimators[0], SINGLE), [])

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
            if family in (CASCADE, *MODELS.values()):
                continue
            cut = self.clipped.get(family, [None] * len(sums))
            if family == WHOLE:
                every = np.arange(len(logged.inside))
                self._add(sums[0], cut[0], logged, every, *_whole(logged, chances), None, source)
                continue
            chance, propensity = {
                SINGLE: (chances.logged, logged.prefix),
                PREFIX: (running_product(chances.logged, logged.edges), logged.prefix),
                PLACE: (chances.placed, logged.marginal),
            }[family]
            for place, one in enumerate(sums):
                at = np.flatnonzero(logged.place == place) if len(sums) > 1 else np.arange(len(logged.row))
                model = self._modelled(logged, chances, predicted) if family == SINGLE else None
                args = logged, logged.row[at], chance[at], propensity[at], logged.reward[at]
                w = self._add(one, cut[place], *args, model, source)
                if family == SINGLE:
                    self._beside(Single(logged, chances, w, *(model or (np.empty(0), np.empty(0)))))

    def merge(self, later: Judged) -> None:
        """Add what was added up of later rounds under the same question."""
        for families, others in ((self.families, later.families), (self.clipped, later.clipped)):
            for family, sums in families.items():
                families[family] = [merge(*pair) for pair in zip(sums, others[family], strict=True)]
        for name, one in self.beside.items():
            one.merge(later.beside[name])
        self.direct += later.direct
        self.model += later.model
        self.how = self.how or later.how
        for name, most in later.most.items():
            self.most[name] = max(self.most.get(name, 0.0), most)

    def take_exposed(self, logged: Logged, slates: np.ndarray, model: str, known: Exposed, source: str) -> None:
        """Add the rounds `logged` by a click model, and lists (draws, S) that the policy would have shown there.

        A list counts as one row: its weight is what the model's examination of it comes to, of mean 1, and weight times
        reward is its value.
        """
        rows, index, out = logged.rows, logged.inside, np.empty((len(logged.inside), 7))
        first = rows.first[index[0] : index[-1] + 2] - rows.first[index[0]]
        shown = rows.slate[rows.top[index[0]] : rows.top[index[-1] + 1]]
        given = slates, logged.edges, first, shown, logged.reward, logged.clicked, known.exposure, known.attraction
        for families, clip in ((self.clipped, self.clip), (self.families, np.inf)):
            if model in families:
                exposed(*given, known.part, known.weights, clip, out)
                w = out[:, CONTROL] / out[:, GOAL]
                r = np.divide(out[:, VALUE], w, out=np.zeros(len(w)), where=w > 0)
                p = np.divide(out[:, MATCHED], out[:, UNCUT], out=np.ones(len(w)), where=out[:, UNCUT] > 0)
                add(families[model][0], w, r, p, logged.bucket, None, logged.slices, int(logged.at[0]), source)
        self.most[model] = max(self.most.get(model, 0.0), float(out[:, MOST].max()))

    def _add(
        self,
        sums: Sums,
        cut: Sums | None,
        logged: Logged,
        row: np.ndarray,
        chance: np.ndarray,
        propensity: np.ndarray,
        reward: np.ndarray,
        model: tuple[np.ndarray, np.ndarray] | None,
        source: str,
    ) -> np.ndarray:
        """Add rows to `sums`, and to `cut` with their weights cut; the weights (n,) as they are."""
        first = int(logged.at[0])
        whole = importance_weights(chance, propensity, logged.at[row], source)
        for some, w in ((sums, whole), (cut, np.minimum(whole, self.clip))):
            if some is not None:
                extra = None if model is None else model[0] + w * (reward - model[1])
                add(some, w, reward, propensity, logged.bucket[row], extra, logged.slices[row], first, source)
        return whole

    def _modelled(
        self, logged: Logged, chances: Chances, predicted: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The reward model's part of DR (n,), and its prediction of what was shown (n,); None without a model."""
        if predicted is None:
            return None
        dm = np.empty(len(logged.inside))
        direct_part(chances.offered, predicted, chances.first, dm)
        return dm, predicted[chances.first[:-1] + logged.rows.slate[logged.rows.top[logged.inside]]]

    def _beside(self, rounds: Single) -> None:
        """Add up what a reward model explains, and what estimates of another kind need."""
        if len(rounds.direct):
            self.direct += np.bincount(rounds.logged.bucket, rounds.direct, BUCKETS)
            r, square = rounds.logged.reward, rounds.w * rounds.w
            left = square * (r - rounds.predicted) ** 2
            self.model += left.sum(), (square * r).sum(), (square * r * r).sum(), square.sum()
        for one in self.beside.values():
            one.take(rounds)


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
    wanted.pop(SIGNED, None)
    counts = {PREFIX: places, PLACE: places, CASCADE: places}
    ranges = dict.fromkeys(wanted, (low, high))
    ranges[WHOLE] = whole or (min(0.0, places * low), max(0.0, places * high))
    if places > 1:
        ranges[SINGLE] = ranges[WHOLE]  # of rejection, which takes lists as they are
    if models is not None:
        for name in models.fits:
            furthest = places / models.least(name) * (1 + ROUNDING)  # times a reward: what a list can be worth a weight
            ranges[name] = min(0.0, low) * furthest, max(0.0, high) * furthest
    return {kind: [new_sums(Settings(*ranges[kind], slices)) for _ in range(counts.get(kind, 1))] for kind in wanted}
