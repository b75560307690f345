"""Criteo's counterfactual test-bed: banners filled at random from scores, with the probability of the banner.

An impression is a line `example ID: HASH CLICKED PROPENSITY SLOTS CANDIDATES feature:value ...`, and then a line for
each candidate product, `CLICKED exid:ID feature:value ...`; the first SLOTS of them are those that were shown, in the
order of their places. Products have no ids: an item of the log is only a number that each candidate gets by a hash of
the impression, and says neither what the product is nor whether it was shown. Only policies that learn from joint
features can learn here. Features are hashed (see `hashing`) after a column of ones.

The propensity is that of the whole banner. A log of ours has one for each place, which is the same thing for banners of
one product only: by default those are kept, the others counted. With more slots the log has no propensities.

A later release of the same data writes 1 by the probability. Which one a file has is seen from its values: above 1 it
can only be the inverse, below 1 only the probability; a file with both is refused. One in ten of the impressions
without a click was kept (the programs that score this data count each of them ten times), so click rates are too high.
Layout: the authors' page at Cornell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lersbench.datasets.hashed import hashed_numbers
from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public import options as known
from lersbench.datasets.public.files import Place, blocks, find, lines
from lersbench.datasets.public.hashing import hashed
from lersbench.datasets.public.rounds import Ids, Sides, Tally, listed, write_rounds
from lersbench.errors import DataError
from lersbench.log import Log, Ragged

TITLE = "Criteo counterfactual: banners drawn at random with propensities, from your own files"
LICENCE = "CC BY-NC-SA 4.0 (Criteo's usual licence of data; see the terms that come with yours)"
ATTRIBUTION = (
    "Damien Lefortier, Adith Swaminathan, Xiaotao Gu, Thorsten Joachims, Maarten de Rijke: Large-scale Validation of "
    "Counterfactual Learning Methods: A Test-Bed, 2016, arXiv:1612.00367; data (c) Criteo"
)
TRIED = NOT_TRIED
WHAT = "the unpacked file of CriteoBannerFillingChallenge, or the folder of its parts (*.txt, *.gz)"
BLOCKS = 1024  # impressions parsed at a time
HEADER = "example ID: HASH CLICKED PROPENSITY SLOTS CANDIDATES feature:value ..."


class Impression(NamedTuple):
    """A banner: what was written as its propensity, and the display's and the candidates' features."""

    name: str
    written: float
    slots: int
    clicked: list[int]  # by candidate, the shown ones first
    display: np.ndarray
    products: list[np.ndarray]


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.Criteo`. Raises DataError for a file that is missing or wrong."""
    options = known.Criteo(**values)
    files = find(options.path, ["*.txt", "*.txt.gz", "*.gz"], WHAT)
    for file in files:
        if file.name.endswith((".tar.gz", ".tgz")):
            raise DataError(f"{file}: is an archive. Fix: unpack it (tar -xzf) and give the file in it")
    reader = Reader(files, options)

    def finish() -> Sides:
        facts = {
            "source": [str(file) for file in files],
            "slots": options.slots or "all",
            "propensity in the file": "1 by the probability" if reader.inverse else "the probability",
            "items": "numbers without a meaning of their own: the products have no ids",
            "context": f"1, and the display's features hashed into {options.context}",
            "features": f"1, and the product's features hashed into {options.features}",
            "impressions without a click": "one in ten of them was kept, so click rates are too high",
            "tried": TRIED,
        }
        return Sides(propensities="logged" if options.slots == 1 else "none", provenance=facts)

    return write_rounds(
        out,
        (reader.part(rows) for rows in blocks(reader.impressions(), BLOCKS)),
        reader.items,
        None,
        reader.tally,
        finish,
        name=name or "criteo-counterfactual",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        overwrite=overwrite,
    )


class Reader:
    """Reads impressions, and sees which way round the propensities are written."""

    def __init__(self, files: list[Path], options: known.Criteo) -> None:
        self.files, self.options = files, options
        self.items, self.tally = Ids("item"), Tally("impressions")
        self.inverse: bool | None = None  # not known before a value other than 1

    def impressions(self) -> Iterator[Impression]:
        """Those that are kept."""
        rows = lines(self.files)
        for place, line in rows:
            one = self._impression(place, line, rows)
            clicks = sum(one.clicked)
            self.tally.read(1, clicks)
            if self.options.slots in (0, one.slots):
                yield one
            else:
                self.tally.leave_out(f"not of {self.options.slots} slots", 1, clicks)

    def part(self, rows: list[Impression]) -> dict[str, Any]:
        offers = []
        for row in rows:
            numbers = hashed_numbers(range(len(row.products)), f"candidate of {row.name}")
            offers.append([self.items.code(str(number)) for number in numbers])
        part: dict[str, Any] = {
            "context": np.array([row.display for row in rows]),
            "candidates": listed(offers, np.int64),
            "features": Ragged(
                np.array([product for row in rows for product in row.products]),
                np.array([len(row.products) for row in rows], np.int64),
            ),
            "slate": self._shown([offer[: row.slots] for row, offer in zip(rows, offers, strict=True)], np.int64),
            "clicks": self._shown([row.clicked[: row.slots] for row in rows], np.int8),
        }
        if self.options.slots == 1:
            written = np.array([[row.written] for row in rows])
            part["propensities"] = 1 / written if self.inverse else written
        return part

    def _shown(self, lists: list[list[int]], dtype: Any) -> Any:
        """(n, slots), or lists of different lengths where banners of all lengths are kept."""
        return np.array(lists, dtype) if self.options.slots else listed(lists, dtype)

    def _impression(self, place: Place, line: str, rows: Iterator[tuple[Place, str]]) -> Impression:
        words = line.split()
        if len(words) < 7 or words[0] != "example" or not words[1].endswith(":"):
            place.refuse(f"begins with {line[:60]!r}", f"an impression begins with {HEADER}")
        name = words[1].removesuffix(":")
        if words[3] not in ("0", "1"):
            place.refuse(f"CLICKED is {words[3]!r}", f"write 0 or 1, in {HEADER}")
        slots, candidates = (_count(place, word) for word in words[5:7])
        if slots > candidates:
            place.refuse(f"{slots} slots, but {candidates} candidates", f"keep the order of {HEADER}")
        written = self._propensity(place, words[4])
        display = _features(place, words[7:], self.options.context)
        clicked, products = [], []
        for number in range(candidates):
            spot, product = next(rows, (place, ""))
            cells = product.split()
            if len(cells) < 2 or cells[0] not in ("0", "1") or cells[1] != f"exid:{name}":
                fault = f"candidate {number + 1} of {candidates} of impression {name} is {product[:60]!r}"
                spot.refuse(fault, f"a candidate is CLICKED exid:{name} feature:value ...")
            if number >= slots and cells[0] == "1":
                spot.refuse("a product that was not shown is clicked", f"the first {slots} candidates are those shown")
            clicked.append(int(cells[0]))
            products.append(_features(spot, cells[2:], self.options.features))
        return Impression(name, written, slots, clicked, display, products)

    def _propensity(self, place: Place, word: str) -> float:
        value = _float(word)
        if not (value > 0 and math.isfinite(value)):
            place.refuse(f"the propensity is {word!r}", "write the probability of the banner, or 1 by it")
        if value != 1:
            if self.inverse is not None and self.inverse != (value > 1):
                before = "above" if self.inverse else "below"
                fault = (
                    f"the propensity is {word}, where those before are {before} 1: probability and inverse are mixed"
                )
                place.refuse(fault, "import the releases one by one")
            self.inverse = value > 1
        return value


def _count(place: Place, word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        place.refuse(f"{word!r} is no number of slots or candidates", f"keep the order of {HEADER}")
    return int(word)


def _float(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _features(place: Place, words: list[str], width: int) -> np.ndarray:
    """(1 + width,) a one, and the features hashed."""
    pairs = []
    for word in words:
        name, colon, text = word.partition(":")
        value = _float(text) if colon else math.nan
        if not math.isfinite(value):
            place.refuse(f"{word!r} is no feature:value", "write finite numbers")
        pairs.append((name, value))
    return np.concatenate([[1.0], hashed(pairs, width)])
