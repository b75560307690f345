"""What a metric can be at the end of a run, and how finely it is resolved: limits of what an interval may claim."""

from __future__ import annotations

import math

from lersbench.metrics import OF_REWARDS, REWARD, Metric

SHARES = ("entropy", "gini")  # of the unit "share", those that lie in [0, 1]
CLICKS = ("ctr_sum", "expected_ctr_sum")  # clicks per round: at most one an item shown
ITEMS = ("regret",)  # sums over rounds of at most a reward an item shown
ROUNDS = ("regret_set", "matches")  # sums over rounds of at most 1


CLICK = (0.0, 1.0)  # the range of a click


def bounds(
    metric: Metric, rounds: float = math.inf, slate: float = math.inf, reward: tuple[float, float] = CLICK
) -> tuple[float, float]:
    """The least and the most that `metric` can be after `rounds` rounds of at most `slate` items, whose rewards lie in
    the range `reward`.

    Estimates by propensities have no upper bound, since their weights have none.
    """
    low, high = reward
    if metric.name in OF_REWARDS:
        most = slate if metric.name == "reward_sum" else 1
        return min(low, low * most), max(high, high * most)
    if metric.unit == "%" or metric.name in SHARES:
        return 0.0, 1.0
    if metric.name == "similarity":
        return -1.0, 1.0  # a mean of cosines
    if metric.name in CLICKS:
        return 0.0, float(slate)
    if metric.name in ITEMS:
        return 0.0, float(rounds) * slate * (high - low)
    if metric.unit == REWARD and low < 0 and not metric.name.endswith("_se"):
        return -math.inf, math.inf
    return 0.0, float(rounds) if metric.name in ROUNDS else math.inf


def resolution(metric: Metric, rounds: float, reward: tuple[float, float] = CLICK) -> float:
    """The step in which `metric` changes with one outcome: 1 for a count, 1/rounds for a mean over rounds.

    Of a reward it is one unit, or the whole range where that is less.

    It is the least standard deviation over seeds that is believed: values that agree to the last outcome agree by
    chance, or because nothing was drawn.
    """
    step = min(1.0, reward[1] - reward[0]) if metric.unit == REWARD else 1.0
    return step if metric.unit == "count" or metric.name in ITEMS else step / max(rounds, 1.0)
