"""How the parts of a study are run, and how their results are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

Say = Callable[[str], None]  # takes a message for the user


@dataclass(frozen=True)
class Options:
    """How parts are run; none of it changes a result."""

    threads: int | None = None  # contenders at once; None: as many as there are cores
    timeout: float | None = None  # seconds that one may take
    fresh: bool = False  # run also what has a result already
    plots: bool = True  # draw the figures and write the reports
    as_json: bool = False  # tables as JSON
    until: float = 0.0  # seconds in which further seeds go to contenders that cannot be told apart
    simultaneous: bool = False  # ranks that are right all at once, not each by itself
    executor: str | None = None  # who does the work, where this process does not: see `system.elsewhere.opened`


@dataclass(frozen=True)
class Order:
    """What all parts of a study are run with, beside their own settings."""

    where: str  # what messages call the file
    results: Path  # the folder of all results
    options: Options
    policies: Sequence[str]  # added to those of the files
    changed: bool  # is what is run not quite that of the file?
    say: Say
    show: Say  # takes the tables that were asked for


class RenderedTable(NamedTuple):
    """A table in some style, and remarks that go with it."""

    text: str
    notes: Sequence[str] = ()


class About(NamedTuple):
    """What a list of runs says of one, in words: data, how many seeds, how many policies or settings."""

    data: str
    seeds: str
    policies: str
