"""What is claimed of intervals and ranks, each claim measured in parts that can be played side by side."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lersbench.audit.world import Check

SIGMA = 3.0  # Monte-Carlo errors by which a measured share may miss its bounds


class Found(NamedTuple):
    """What a claim came to: tables in Markdown, each under a line of words ("": none), and checks."""

    tables: Sequence[tuple[str, str]]
    checks: Sequence[Check]


class Claim(NamedTuple):
    """One thing that is claimed, and how it is measured."""

    name: str
    title: str
    about: str  # what is measured in words, above the tables
    parts: Callable[[], Sequence[str]]
    play: Callable[[str, bool, np.random.Generator], Any]  # one part, quickly or in full
    told: Callable[[Mapping[str, Any], bool], Found]  # from what the parts came to

    def one(self, part: str, quick: bool, seed: int) -> Any:
        """A part: the same numbers whoever plays it, and when."""
        return self.play(part, quick, np.random.default_rng([seed, zlib.crc32(f"{self.name} {part}".encode())]))


def noise(chance: float, runs: int) -> float:
    """The Monte-Carlo error of a share of `runs` runs that is `chance` in truth."""
    return math.sqrt(max(chance * (1 - chance), 1 / runs) / runs)


def holds(what: str, measured: float, runs: int, least: float, most: float) -> Check:
    """Does a share that was measured in `runs` runs lie within its bounds, but for SIGMA Monte-Carlo errors?"""
    low, high = least - SIGMA * noise(least, runs), most + SIGMA * noise(most, runs)
    return Check(what, low <= measured <= high, f"{share(measured)} %, between {share(least)} and {share(most)}")


def share(x: float) -> str:
    """In per cent, with one decimal."""
    return "-" if math.isnan(x) else f"{100 * x:.1f}"


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table in Markdown; the first `words` columns stand to the left, the others to the right."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))
