"""Yahoo! front page, R6A and R6B (Webscope): an article drawn uniformly from about 20, and whether it was clicked.

A line is `time article click |user FEATURES |ARTICLE FEATURES |ARTICLE FEATURES ...`, the time in seconds. In R6A
users and articles have six numbers, as 2:0.306 (feature 1 is constant); in R6B a user has those of 136 binary features
that are 1, an article none. Each line is a round with candidates of its own, and the propensity is 1 by their number.

Articles without all of their features are no candidates: among those left the display is still uniform. A line whose
displayed article is not left, or whose user has not all features, is left out and counted. The features of an article
are those it had first; how often they changed later is in the provenance. Layout: programs that read these files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public import options as known
from lersbench.datasets.public.files import Place, blocks, find, lines
from lersbench.datasets.public.rounds import Ids, Sides, Tally, listed, write_rounds
from lersbench.log import Log

TITLE = "Yahoo! front page R6A and R6B: articles shown uniformly, with clicks, from your own files"
LICENCE = "Yahoo! Webscope data sharing agreement (research only, by application, no redistribution)"
ATTRIBUTION = (
    "Yahoo! Webscope R6A and R6B, user click logs of the Today Module. Lihong Li, Wei Chu, John Langford, Xuanhui "
    "Wang: Unbiased Offline Evaluation of Contextual-bandit-based News Article Recommendation Algorithms, WSDM 2011"
)
TRIED = NOT_TRIED
WHAT = "a file ydata-fp-td-clicks-v1_0.20090501.gz (R6A) or ydata-fp-td-clicks-v2_0.20111002.gz (R6B), or their folder"
NUMBERS = 6  # of a user and of an article, R6A
BINARY = 136  # of a user, R6B
LINES = 4096  # parsed at a time
UNKNOWN = -1  # an article without all of its features


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.Files`. Raises DataError for a file that is missing or wrong."""
    files = find(known.Files(**values).path, ["ydata-fp-td-clicks-*"], WHAT)
    reader = Reader()

    def finish() -> Sides:
        facts = {
            "source": [str(file) for file in files],
            "version": "R6B" if reader.binary else "R6A",
            "articles whose features changed": reader.changed,
            "tried": TRIED,
        }
        features = {} if reader.binary else {"features": reader.features}
        return Sides(features, propensities="uniform", provenance=facts)

    return write_rounds(
        out,
        (part for rows in blocks(lines(files), LINES) if (part := reader.part(rows))),
        reader.items,
        None,
        reader.tally,
        finish,
        name=name or "yahoo-r6",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        overwrite=overwrite,
    )


class Reader:
    """What is known of the articles so far; a block of text is parsed once."""

    def __init__(self) -> None:
        self.items, self.tally = Ids("item"), Tally("lines")
        self.features: list[list[float]] = []
        self.binary: bool | None = None  # R6B?
        self.changed = 0
        self._codes: dict[str, int] = {}  # by block

    def part(self, rows: list[tuple[Place, str]]) -> dict[str, Any]:
        """The rounds of some lines; {} where none is left."""
        kept = [one for one in (self._line(place, line) for place, line in rows) if one is not None]
        if not kept:
            return {}
        time, user, offer, shown, click = (list(column) for column in zip(*kept, strict=True))
        return {
            "time": np.array(time, "datetime64[s]").astype("datetime64[us]"),
            "context": np.array(user),
            "candidates": listed(offer, np.int64),
            "slate": np.array(shown, np.int64)[:, None],
            "clicks": np.array(click, np.int8)[:, None],
            "propensities": 1.0 / np.array([[len(codes)] for codes in offer], float),
        }

    def _line(self, place: Place, line: str) -> tuple[int, np.ndarray, list[int], int, int] | None:
        head, *parts = line.split("|")
        words = head.split()
        fix = "give the lines as they were published: time article click |user ... |article ..."
        if len(words) != 3 or not words[0].isdecimal() or words[2] not in ("0", "1"):
            place.refuse(f"begins with {head.strip()!r}, not with time, article and click", fix)
        if len(parts) < 2 or parts[0].split()[:1] != ["user"]:
            place.refuse("has no block |user and no article", fix)
        click = int(words[2])
        self.tally.read(1, click)
        user = self._user(place, parts[0].split()[1:])
        offer = [code for code in (self._article(place, part.strip()) for part in parts[1:]) if code != UNKNOWN]
        if len(set(offer)) < len(offer):
            place.refuse("an article is there twice", "keep one of the two")
        shown = self.items.code(words[1]) if words[1] in self.items else UNKNOWN
        if user is None:
            self.tally.leave_out("the user has not all features", 1, click)
        elif shown not in offer:
            self.tally.leave_out("the displayed article is no candidate, or has not all features", 1, click)
        else:
            return int(words[0]), user, offer, shown, click
        return None

    def _user(self, place: Place, words: list[str]) -> np.ndarray | None:
        """(6,) or (136,); None where some of the six are missing."""
        if self.binary is None:
            self.binary = not any(":" in word for word in words)
        if not self.binary:
            values = _numbers(place, words)
            return None if values is None else np.array(values)
        user = np.zeros(BINARY)
        for word in words:
            if not (word.isdecimal() and 1 <= int(word) <= BINARY):
                place.refuse(f"user feature {word!r} is not one of 1..{BINARY}", "give R6A and R6B each by itself")
            user[int(word) - 1] = 1.0
        return user

    def _article(self, place: Place, block: str) -> int:
        """The code of the article in a block, new or known; UNKNOWN where features are missing."""
        if (code := self._codes.get(block)) is not None:
            return code
        article, *words = block.split() or [""]
        if not article:
            place.refuse("an article block is empty", "give the lines as they were published")
        values = [] if self.binary else _numbers(place, words)
        if self.binary and words:
            place.refuse(f"article {article} has features, but its user is of R6B", "give R6A and R6B each by itself")
        if values is None:
            code = UNKNOWN
        else:
            self.changed += article in self.items
            if article not in self.items:
                self.features.append(values)
            code = self.items.code(article)
        self._codes[block] = code
        return code


def _numbers(place: Place, words: list[str]) -> list[float] | None:
    """The six numbers of feature:value; None where some are missing."""
    values: list[float | None] = [None] * NUMBERS
    for word in words:
        number, _, value = word.partition(":")
        try:
            at, parsed = int(number) - 1, float(value)
        except ValueError:
            place.refuse(f"{word!r} is no feature:value", "give R6A and R6B each by itself, as published")
        if not 0 <= at < NUMBERS or not np.isfinite(parsed):
            place.refuse(f"{word!r} is no finite feature 1..{NUMBERS}", "give the lines as they were published")
        values[at] = parsed
    full = [value for value in values if value is not None]
    return full if len(full) == NUMBERS else None
