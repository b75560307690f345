"""How large a run will be, estimated before anything is built: runs, time, memory, disk; and how large it may be.

Numbers of contenders and logs are products of the lengths of lists, so a sweep need not be spelled out to be counted.
Time is rough (threefold either way), and that of playing and compiling alone: data, figures and reports come on top.
What is beyond a limit is refused unless the scenario says `large = true`.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lersbench.errors import ConfigError
from lersbench.metrics import NAMES

CONTENDERS, LOGS = 100_000, 1_000
DISK = 20e9  # bytes, of logs, contenders and runs
MEMORY = 0.75  # of what the machine has
SECONDS = 30 * 24 * 3600.0
BASE = 0.3e9  # bytes of a process that has the libraries loaded
TABLE = 120  # bytes in memory of a row of the table of final values
COMPILE = 8.0, 2.0  # seconds: of what all compiled policies share, and of each of them
CONTENDER = 0.03  # seconds of each, beside its rounds: made, kept and written, one after the other
STORED = 16  # bytes on disk of a value of a curve: once with its contender, once in the run
HINT = "Fix: fewer of them, or --large (in the scenario: large = true), which lifts every such limit."


class Size(NamedTuple):
    """How large a log is."""

    rounds: int
    candidates: int
    items: int
    width: int  # values of the context and of the joint features of a candidate
    disk: float  # bytes


@dataclass(frozen=True)
class Estimate:
    """What a run will take."""

    contenders: int
    rounds: int  # of all logs
    seconds: float  # of playing
    compiling: float  # seconds, where nothing is compiled yet
    memory: float  # bytes
    disk: float  # bytes

    def __str__(self) -> str:
        compiling = f", {_time(self.compiling)} more to compile the first time" if self.compiling else ""
        return (
            f"{self.contenders:,} runs, {self.rounds:,} rounds in the logs; roughly {_time(self.seconds)} to play"
            f"{compiling}, {_bytes(self.memory)} of memory, {_bytes(self.disk)} on disk"
        )


def combinations(options: Iterable[Any]) -> int:
    """How many combinations a sweep over those of `options` that are lists has."""
    return math.prod(len(value) for value in options if isinstance(value, list))


def check_numbers(where: str, contenders: int, logs: int, large: bool) -> None:
    """Raise ConfigError for more runs (a contender with one seed each) or logs than there may be."""
    for what, number, limit in (("logs", logs, LOGS), ("runs", contenders, CONTENDERS)):
        if number > limit and not large:
            raise ConfigError(f"{where}: {number:,} {what} would be needed, where the limit is {limit:,}. {HINT}")


def estimate(
    sizes: list[Size],
    contenders: Mapping[str, int],
    checkpoints: int,
    at_once: int,
    held: bool,
    compiled: int = 0,
    joint: int = 0,
) -> Estimate:
    """What it takes to play so many `contenders` by kind ("compiled", "python" or "torch"), evenly over logs of these
    `sizes`; `held`: logs are held in memory as a whole. `compiled` is the number of compiled policies, `joint` that of
    the joint features which are composed in play."""
    number, most = sum(contenders.values()), max(sizes, key=lambda size: size.rounds * size.candidates)
    rounds = sum(size.rounds for size in sizes)
    spent = 0.0
    for size in sizes:
        work = size.candidates * (2 + size.width + joint) * 4e-9  # seconds of a round
        costs = {"compiled": 2e-6 + work, "python": 50e-6 + 10 * work, "torch": 10e-3 + 100 * work}
        spent += sum(count / len(sizes) * size.rounds * costs[kind] for kind, count in contenders.items())
    points = min(checkpoints, max(size.rounds for size in sizes))
    apart = sum(count for kind, count in contenders.items() if kind != "compiled")
    log = 8.0 * most.rounds * most.candidates * (2 + most.width / 4) if held else 0.0
    state = 8.0 * most.items * (4 + most.width**2 / 2) + 8.0 * points * len(NAMES)
    memory = (1 + min(at_once, apart)) * (BASE + log) + min(at_once, number) * state + number * len(NAMES) * TABLE
    disk = sum(size.disk for size in sizes) + float(number) * points * 0.6 * len(NAMES) * STORED
    common, each = COMPILE
    compiling = common + compiled * each / at_once if compiled else 0.0
    return Estimate(number, rounds, spent / at_once + number * CONTENDER, compiling, memory, disk)


def check(where: str, need: Estimate, folder: Path, large: bool) -> None:
    """Raise ConfigError where a run would take more than it may, or than the machine has."""
    if large:
        return
    memory = MEMORY * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [("disk", need.disk, DISK, _bytes), ("memory", need.memory, memory, _bytes)]
    for what, value, limit, words in [*limits, ("time", need.seconds, SECONDS, _time)]:
        if value > limit:
            raise ConfigError(f"{where} would take {words(value)} of {what}, where the limit is {words(limit)}. {HINT}")
    there = _there(folder)
    free = shutil.disk_usage(there).free
    if need.disk > free:
        raise ConfigError(
            f"{where} would take {_bytes(need.disk)} of disk, where {there} has {_bytes(free)} left. Fix: --results "
            "with a folder on another disk, or --large if you know better: the estimate is rough."
        )


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.resolve()
    return folder if folder.exists() else _there(folder.parent)


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def _time(seconds: float) -> str:
    for unit, size in (("seconds", 60.0), ("minutes", 60.0), ("hours", 48.0)):
        if seconds < size:
            number = max(1, round(seconds))
            return f"{number} {unit if number > 1 else unit[:-1]}"
        seconds /= 60 if unit != "hours" else 24
    return f"{seconds:,.0f} days"
