"""Numbers as text: in the unit of their metric, with the decimals that their uncertainty allows."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from lersbench.metrics import Metric

MISSING = "-"  # shown for a number that does not exist; never a zero


def scale(metric: Metric) -> int:
    """What a stored value is multiplied with to be shown in the metric's unit."""
    return 100 if metric.unit == "%" else 1


def unit_of(metric: Metric) -> str:
    """The unit as it is shown: "%", "EUR"; "" for shares and counts."""
    return "%" if metric.unit == "%" else metric.named


def heading(metric: Metric) -> str:
    return f"{metric.name} {unit_of(metric)}".rstrip()


def decimals(spread: float, metric: Metric) -> int:
    """Decimals to show of a number that is uncertain by `spread` (in the unit shown): two digits of the uncertainty."""
    most = {"%": 2, "share": 4, "count": 1, "reward": 4}[metric.unit]
    if not (math.isfinite(spread) and spread > 0):
        return most
    return min(max(1 - math.floor(math.log10(spread)), 0), most)


def number(value: float, digits: int, sign: bool = False) -> str:
    """`value` with `digits` decimals and a comma between thousands; MISSING where there is none."""
    if not math.isfinite(value):
        return MISSING
    return f"{round(value, digits) + 0.0:{'+' if sign else ''},.{digits}f}"  # no -0


def range_in_words(low: float, high: float, digits: int, sign: bool = False) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    return f"[{number(low, digits, sign)}, {number(high, digits, sign)}]"


def spread(widths: Iterable[float]) -> float:
    """The typical half-width of a column; NaN when there is none."""
    known = [width for width in widths if math.isfinite(width) and width > 0]
    return float(np.median(known)) if known else math.nan
