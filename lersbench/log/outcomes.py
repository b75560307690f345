"""What came of an item that was shown, beside its click: cart, purchase, revenue, watch time. Each outcome has a column
along the slate and, in `log.json`, its unit and the range that its values lie in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lersbench.errors import did_you_mean
from lersbench.feedback import CLICK

PREFIX = "outcome_"  # of their columns
NAME = re.compile(r"[a-z][a-z0-9_]*")
KEYS = ("low", "high", "unit")
DECLARE = 'outcomes = {{"{}": {{"low": 0, "high": 500, "unit": "EUR"}}}}'


def column_of_outcome(name: str) -> str:
    """The column of the rounds that has an outcome."""
    return "clicks" if name == CLICK else PREFIX + name


def outcome_in(column: str) -> str:
    """The outcome that a column has; "" for a column of something else."""
    name = column.removeprefix(PREFIX)
    return name if name != column and name != CLICK and NAME.fullmatch(name) else ""


def range_of(declared: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the most that an outcome can be; infinite where that is not declared."""
    return float(declared.get("low", -math.inf)), float(declared.get("high", math.inf))


def faults(outcomes: Mapping[str, Any], columns: Collection[str]) -> Iterator[str]:
    """What is wrong with the `outcomes` that a log declares, with the fix; `columns` are those of its rounds."""
    there = list(filter(None, map(outcome_in, columns)))
    for name, declared in outcomes.items():
        if not isinstance(name, str) or not outcome_in(PREFIX + name):
            fix = "small letters, digits and _, a letter first; clicks have a column of their own"
            yield f"an outcome is called {name!r}. Fix: {fix}"
        elif name not in there:
            hint = did_you_mean(name, there, "there are") if there else "."
            yield f"the outcome {name} is declared, but there is no column {PREFIX}{name}{hint} Fix: give the column"
        else:
            yield from (f"the outcome {name} is declared as {declared!r}. Fix: {fix}" for fix in _mend(declared))
    for name in there:
        if name not in outcomes:
            yield f"the outcome {name} is not declared. Fix: say in which unit and range it is, {DECLARE.format(name)}"


def _mend(declared: Any) -> Iterator[str]:
    """What must be done about what is declared of one outcome."""
    if not isinstance(declared, Mapping) or not set(declared) <= set(KEYS):
        yield f"a dict with the keys {', '.join(KEYS)}"
        return
    ends = [declared[key] for key in ("low", "high") if key in declared]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in ends):
        yield "low and high are finite numbers; leave out an end that is not known"
    elif not range_of(declared)[0] < range_of(declared)[1]:
        yield "low lies below high"
    unit = declared.get("unit")
    if not isinstance(unit, str) or not unit.strip() or len(unit) > 20:
        yield "the unit is a text of up to 20 characters, such as EUR or s"
