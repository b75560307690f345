"""Outcomes of a user's own table: what came of an item beside its click, from a column of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from lersbench.datasets.tables import cells
from lersbench.datasets.tables.cells import Cell, Fault
from lersbench.datasets.tables.reading import Table
from lersbench.errors import ConfigError
from lersbench.log.outcomes import PREFIX, outcome_in

KEYS = ("column", "low", "high", "unit", "empty")


class Outcome(NamedTuple):
    """An outcome of a table: its column, the range and unit it is declared with, and what an empty cell means.

    `low` and `high` are None where no end is known; `declared` says whether anything was said of the range at all.
    """

    name: str
    column: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    empty: float | None = None
    declared: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """As `lersbench.log.write` takes it; the unit is the name where none is given."""
        ends = {key: value for key, value in (("low", self.low), ("high", self.high)) if value is not None}
        return {**ends, "unit": self.unit or self.name[:20]}


def outcomes_of(given: Mapping[str, Any]) -> tuple[Outcome, ...]:
    """Outcomes by name, each with any of KEYS: as those of `lersbench.log.write`, the column (by default the name), and
    what an empty cell means. Raises ConfigError for what cannot be meant."""
    return tuple(_outcome(name, said) for name, said in given.items())


def _outcome(name: str, said: Any) -> Outcome:
    if not outcome_in(PREFIX + str(name)):
        fix = "small letters, digits and _, a letter first; clicks have a column of their own"
        raise ConfigError(f"an outcome is called {name!r}. Fix: {fix}")
    if not isinstance(said, Mapping) or not set(said) <= set(KEYS):
        raise ConfigError(f"the outcome {name} is given as {said!r}; give a dict with any of {', '.join(KEYS)}.")
    for key in ("low", "high", "empty"):
        value = said.get(key)
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not number:
            raise ConfigError(f"the outcome {name} has {key} = {value!r}; give a finite number, or None.")
    if said.get("low") is not None and said.get("high") is not None and not said["low"] < said["high"]:
        raise ConfigError(f"the outcome {name} goes from {said['low']} to {said['high']}; give the lower end first.")
    return Outcome(**{"column": name, **said, "name": name}, declared="low" in said or "high" in said)


def rule(outcome: Outcome, table: Table, alias: str) -> Cell:
    """The SQL of a cell, and what can be wrong with it. Raises a ConfigError where no range was declared: that of the
    table's values is only what happened to happen, so it is proposed, not taken."""
    name, empty = outcome.name, cells.missing(alias, table.type_of(alias))
    number = cells.number(alias, table.type_of(alias), f"fill it in, or say --empty-outcome {name}=0", flag=True)
    value, faults = number
    if outcome.empty is not None:
        value, faults = f"CASE WHEN {empty} THEN {outcome.empty}::DOUBLE ELSE {value} END", faults[1:]
    if not outcome.declared:
        least, most = table.work.row(f"SELECT min({value}), max({value}) FROM shown")
        observed = "has no number" if least is None else f"has {least:g} to {most:g}"
        ends = "0:1" if least is None else f"{least:g}:{most:g}"
        raise ConfigError(
            f"{table.name}, column {outcome.column}: the outcome {name} has no range; this table {observed}. Say what "
            f"is possible, not what happened here: --outcome-range {name}={ends}, or wider; an end that nobody knows "
            f"is left out, as {name}=0: (in Python low and high, None for such an end)"
        )
    low, high = (end if end is not None else sign * math.inf for end, sign in ((outcome.low, -1), (outcome.high, 1)))
    inside = " AND ".join(
        f"{cells.value_of(alias)} {sign} {end}"
        for sign, end in ((">=", outcome.low), ("<=", outcome.high))
        if end is not None
    )
    if inside:
        said = f"value outside the declared range [{low:g}, {high:g}]"
        fix = f"correct it, or declare the range that {name} has: --outcome-range {name}=LOW:HIGH"
        faults = [*faults, Fault(alias, f"NOT ({inside})", said, fix)]
    return Cell(value, faults)
