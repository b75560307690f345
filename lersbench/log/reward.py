"""What a replay pays for an item shown: its click, another outcome, or a sum of several with weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError, did_you_mean
from lersbench.feedback import CLICK
from lersbench.log.chunk import Chunk
from lersbench.log.outcomes import column_of_outcome, outcome_in, range_of
from lersbench.log.schema import LogInfo

CLICK_RANGE = {"low": 0, "high": 1, "unit": "clicks"}
POINTS = "points"  # the unit of a sum of outcomes that have different units, or weights


class Reward(NamedTuple):
    """A sum of outcomes, in its unit, and the range that the log declares: nothing is taken from its values."""

    weights: tuple[tuple[str, float], ...]  # outcome and weight
    low: float  # the least and the most that an item shown can pay; infinite where that is not declared
    high: float
    unit: str

    @property
    def is_click(self) -> bool:
        return self.weights == ((CLICK, 1.0),)

    @property
    def is_bounded(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the log that hold it."""
        return tuple(column_of_outcome(name) for name, _ in self.weights)

    @property
    def words(self) -> str:
        """ "revenue", "click + 10 purchase", "revenue - 0.5 cost"."""
        terms = [(weight < 0, name if abs(weight) == 1 else f"{abs(weight):g} {name}") for name, weight in self.weights]
        first = f"{'-' if terms[0][0] else ''}{terms[0][1]}"
        return " ".join([first, *(f"{'-' if negative else '+'} {term}" for negative, term in terms[1:])])

    def of(self, chunk: Chunk) -> np.ndarray:
        """What each position of the logged slates paid, in the shape of the slates."""
        if self.is_click:
            return chunk.clicks
        total = np.zeros(chunk.slate.shape)
        for name, weight in self.weights:
            total += weight * (chunk.clicks if name == CLICK else chunk.outcomes[name])
        return total


CLICKS = Reward(((CLICK, 1.0),), 0.0, 1.0, "clicks")


def reward_of(info: LogInfo, setting: str | Mapping[str, float]) -> Reward:
    """The reward of `[replay] reward`, an outcome or weights by outcome, on a log. Raises ConfigError for an outcome
    that the log does not have; whether it has clicks is not asked where they are all that counts."""
    if setting == CLICK:
        return CLICKS
    weights = {setting: 1.0} if isinstance(setting, str) else setting
    there = {outcome: info.outcomes[outcome] for column in info.columns if (outcome := outcome_in(column))}
    if "clicks" in info.columns:
        there = {CLICK: CLICK_RANGE, **there}
    for name in weights:
        if name not in there:
            hint = did_you_mean(name, there, "it has")
            raise ConfigError(f"reward = {setting!r}, but log '{info.name}' has no outcome '{name}'{hint}")
    ranges = [sorted(weight * end for end in range_of(there[name])) for name, weight in weights.items()]
    units = {there[name]["unit"] for name in weights}
    plain = len(units) == 1 and all(abs(weight) == 1 for weight in weights.values())
    low, high = (float(sum(ends)) for ends in zip(*ranges, strict=True))
    terms = tuple((name, float(weight)) for name, weight in weights.items())
    return Reward(terms, low, high, units.pop() if plain else POINTS)
