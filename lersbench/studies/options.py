"""How the parts of a study are run, and how their results are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


class RenderedTable(NamedTuple):
    """A table in some style, and remarks that go with it."""

    text: str
    notes: Sequence[str] = ()
