"""Files of public data sets: which ones there are, their lines, and their columns; nothing is held but a block.

What is wrong becomes a DataError that names the file, the line, the column, the value and the fix.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from lersbench.datasets.places import places
from lersbench.errors import DataError

PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
LONGEST = 64 << 20  # characters of a line
BLOCK_BYTES = 8 << 20  # of a table, decoded at a time
Row = TypeVar("Row")
DAMAGE = (OSError, EOFError, lzma.LZMAError)


class Place(NamedTuple):
    """A line of a file, from 1."""

    path: Path
    line: int

    def refuse(self, problem: str, fix: str) -> NoReturn:
        raise DataError(f"{self.path}, line {self.line}: {problem}. Fix: {fix}")


def find(path: str | Path, patterns: Sequence[str], what: str) -> list[Path]:
    """The file `path`, or the files of the folder `path` that match one of the patterns, by name; the first pattern
    that finds any counts. Raises DataError where there is none; `what` says what should be there."""
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"{place}: no such file or folder. Fix: give {what}")
    for pattern in patterns:
        if files := sorted(file for file in place.glob(pattern) if file.is_file()):
            return files
    raise DataError(f"{place}: holds no file {' or '.join(patterns)}. Fix: give {what}")


def lines(paths: Sequence[Path], encoding: str = "utf-8") -> Iterator[tuple[Place, str]]:
    """The lines of text files one after the other, packed or not, without their ends; blank lines are passed over."""
    for path in paths:
        number = 0
        try:
            with PACKED.get(path.suffix, open)(path, "rt", encoding=encoding) as file:
                while line := file.readline(LONGEST):
                    number += 1
                    if len(line) == LONGEST:
                        Place(path, number).refuse(f"more than {LONGEST:,} characters", "give a file of lines")
                    if line := line.rstrip("\r\n"):
                        yield Place(path, number), line
        except UnicodeDecodeError as error:
            Place(path, number + 1).refuse(f"is not {encoding} ({error})", f"convert the file to {encoding}")
        except DAMAGE as error:
            raise DataError(f"{path}: cannot be read after line {number} ({error}). Fix: get the file again") from error


def objects(paths: Sequence[Path]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The lines of text files, each a JSON object."""
    for place, line in lines(paths):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            place.refuse(f"is no JSON ({error})", "give one JSON object a line")
        if not isinstance(content, dict):
            place.refuse(f"holds a {type(content).__name__}", "give one JSON object a line")
        yield place, content


def blocks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Rows in lists of `size`; the last one may be shorter."""
    rest = iter(rows)
    while block := list(islice(rest, size)):
        yield block


class Part(NamedTuple):
    """Some rows of a table as texts; `line` is that of the first one in its file, but for blank lines."""

    path: Path
    line: int
    columns: Mapping[str, pa.Array]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def refuse(self, wrong: Any, column: str, rule: str, fix: str) -> None:
        """Raise a DataError for the first row that is marked in `wrong` (n,) bool."""
        rows = np.flatnonzero(np.asarray(wrong))
        if len(rows):
            value = self.columns[column][int(rows[0])].as_py()
            (place,) = places(self.path, [self.line + int(rows[0]) - 2], "CSV")  # counts blank lines, which are no rows
            raise DataError(f"{self.path}, {place}: column {column} is {value!r}; it must {rule}. Fix: {fix}")

    def texts(self, column: str) -> pa.Array:
        """An id a row."""
        self.refuse(pc.equal(self.columns[column], ""), column, "not be empty", "fill it in, or drop the row")
        return self.columns[column]

    def integers(self, column: str, least: int = -(2**62), most: int = 2**62) -> np.ndarray:
        """(n,) int64 from `least` to `most`."""
        texts = self.columns[column]
        whole = pc.match_substring_regex(texts, r"^-?[0-9]{1,18}$").to_numpy(zero_copy_only=False)
        self.refuse(~whole, column, "be a whole number", "repair or drop the row")
        values = texts.cast(pa.int64()).to_numpy()
        self.refuse((values < least) | (values > most), column, _within(least, most), "repair or drop the row")
        return values

    def numbers(self, column: str, least: float = -np.inf, most: float = np.inf) -> np.ndarray:
        """(n,) finite float64 from `least` to `most`."""
        values = np.array([_number(text) for text in self.columns[column].to_pylist()])
        self.refuse(~np.isfinite(values), column, "be a finite number", "repair or drop the row")
        self.refuse((values < least) | (values > most), column, _within(least, most), "repair or drop the row")
        return values

    def times(self, column: str, unit: str, years: tuple[int, int] = (1990, 2100)) -> np.ndarray:
        """(n,) datetime64[us] of numbers since 1970 in "s" or "ms". Raises DataError for a year out of `years`: then
        the unit is another one."""
        values = self.integers(column).astype(f"datetime64[{unit}]")
        low, high = (np.datetime64(f"{year}-01-01") for year in years)
        rule = f"be a time between {years[0]} and {years[1]} in {unit} since 1970"
        self.refuse((values < low) | (values >= high), column, rule, f"write {unit} since 1970")
        return values.astype("datetime64[us]")


def _within(least: float, most: float) -> str:
    if np.isinf(most) or most == 2**62:
        return f"be at least {least}"
    return f"lie in {least}..{most}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def table(
    path: Path,
    columns: Sequence[str],
    *,
    delimiter: str = ",",
    names: Sequence[str] | None = None,
    quoted: bool = True,
    aliases: Mapping[str, str] | None = None,
) -> Iterator[Part]:
    """The rows of a table with a header, or without one and with these `names`, in blocks; only `columns` are kept.

    `aliases` are other names that the header may have for a column: {theirs: ours}.
    """
    header = _header(path, delimiter) if names is None else list(names)
    theirs = {ours: other for other, ours in (aliases or {}).items() if other in header and ours not in header}
    for column in columns:
        if theirs.get(column, column) not in header:
            fault = f"column {column} is missing; there are {', '.join(header)}"
            Place(path, 1).refuse(fault, "give the file as it was published, header included")
        if header.count(theirs.get(column, column)) > 1:
            Place(path, 1).refuse(f"column {column} is there twice", "give the file as it was published")
    line = 1 if names is not None else 2
    wanted = [theirs.get(column, column) for column in columns]
    try:
        reader = pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False, column_names=names),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char='"' if quoted else False),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            kept = {ours: batch.column(wanted.index(name)) for ours, name in zip(columns, wanted, strict=True)}
            yield Part(path, line, kept)
            line += batch.num_rows
    except (pa.ArrowException, *DAMAGE) as error:
        reason = " ".join(str(error).split())
        fix = "give the file as it was published, in UTF-8"
        raise DataError(f"{path}: cannot be read after line {line - 1} ({reason}). Fix: {fix}") from error


def _header(path: Path, delimiter: str) -> list[str]:
    for _, line in lines([path]):
        return [name.strip().strip('"') for name in line.removeprefix("\ufeff").split(delimiter)]
    raise DataError(f"{path}: is empty. Fix: give the file as it was published")
