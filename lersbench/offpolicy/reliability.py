"""Do items come up as often as a propensity model says? Counts over rows it has not seen, in one pass.

Reliability: of all candidates with about the same chance p^, the share that was shown. Log loss: minus the mean log of
the chance of what was shown, beside that of frequencies: what is known without looking at the row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lersbench.offpolicy.conditional_logit import Choices

CELLS = 640  # of the chance, 32 an octave: those below 2^-20 lie in the first
GROUPS = 10


class Group(NamedTuple):
    """Candidates of about the same chance."""

    said: float  # mean chance
    seen: float  # share that was shown
    pairs: int  # candidates
    z: float  # (seen - said) over the error that independent rows would have


@dataclass
class Reliability:
    """Sums of one pass."""

    items: int
    cells: np.ndarray = field(default_factory=lambda: np.zeros((CELLS, 4)))  # candidates, sum p, sum p (1 - p), shown
    rows: int = 0
    loss: float = 0.0
    raised: int = 0  # rows whose propensity was raised to the floor

    def __post_init__(self) -> None:
        self.shown, self.offered = np.zeros(self.items), np.zeros(self.items)

    def add(self, chances: np.ndarray, choices: Choices, raised: np.ndarray) -> None:
        """Rows with the chances (N,) of all their candidates, and which of them were `raised` (n,)."""
        at = choices.first[:-1] + choices.chosen
        item = items_of(choices)
        cell = cells_of(chances)
        columns = (np.ones(len(chances)), chances, chances * (1 - chances))
        for j, column in enumerate(columns):
            self.cells[:, j] += np.bincount(cell, column, CELLS)
        self.cells[:, 3] += np.bincount(cell[at], minlength=CELLS)
        self.shown += np.bincount(item[at], minlength=self.items)
        self.offered += np.bincount(item, minlength=self.items)
        self.rows += len(at)
        self.loss -= float(np.log(np.maximum(chances[at], np.finfo(float).tiny)).sum())
        self.raised += int(raised.sum())

    @property
    def log_loss(self) -> float:
        return self.loss / max(1, self.rows)

    @property
    def raised_share(self) -> float:
        return self.raised / max(1, self.rows)

    def groups(self) -> list[Group]:
        """Ten groups of about as many candidates each, the least likely first; fewer where many are equally likely."""
        used = self.cells[self.cells[:, 0] > 0]
        before = np.cumsum(used[:, 0]) - used[:, 0]
        number = (before * GROUPS / max(1.0, used[:, 0].sum())).astype(int)
        found = []
        for g in np.unique(number):
            pairs, said, spread, seen = used[number == g].sum(axis=0).tolist()
            z = (seen - said) / math.sqrt(spread) if spread > 0 else 0.0
            found.append(Group(said / pairs, seen / pairs, int(pairs), z))
        return found

    def frequencies(self) -> np.ndarray:
        """(items,) how often an item was shown where it was on offer."""
        return (self.shown + 1) / (self.offered + 2)


def frequency_loss(frequencies: np.ndarray, choices: Choices) -> float:
    """Minus the sum of the logs of the chances of what was chosen, by the frequencies (items,) of the candidates."""
    of_all = frequencies[items_of(choices)]
    whole = np.add.reduceat(of_all, choices.first[:-1])
    return -float(np.log(of_all[choices.first[:-1] + choices.chosen] / whole).sum())


def items_of(choices: Choices) -> np.ndarray:
    """(N,) the item of each candidate."""
    return choices.item if choices.own else np.tile(choices.item, len(choices.chosen))


def cells_of(chances: np.ndarray) -> np.ndarray:
    """(N,) int64 the cells of chances."""
    depth = np.log2(np.maximum(chances, 2.0**-20))
    return np.minimum(np.floor((depth + 20) * (CELLS / 20)).astype(np.int64), CELLS - 1)
