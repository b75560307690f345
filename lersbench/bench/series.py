"""The series of a run: a policy under one protocol on one log, in all of its seeds. What of them is there, what is
missing, what failed; and the jobs that play what is missing.

A series is kept in files of seeds that follow each other, `<key>-<first>-<last>.parquet`, one where all were played in
one call. A run that asks for more seeds plays only these, and one that asks for fewer takes them from the file.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lersbench.bench import scenario
from lersbench.bench.curves import Curves, joined
from lersbench.bench.store import Store

ROUNDS = 4_000_000  # that one job replays at most, all its seeds together: what is lost when it is interrupted
SHARES = 8  # jobs for each of those at work, so that all have something to do to the end
FILE = re.compile(r"([0-9a-f]+)-(\d+)-(\d+)")


@dataclass(frozen=True, eq=False)  # each is itself alone
class Series:
    """A policy under one protocol on one log."""

    key: str  # a digest of all that its results depend on, but for the seed
    variant: str
    entry: scenario.Entry
    case: scenario.Case
    seeds: tuple[int, ...]  # wanted, ascending
    basis: tuple[Any, ...] = ()  # engine, log and `inputs.Inputs` that the key was made of

    @property
    def feedback(self) -> str:
        return self.case.feedback


@dataclass(frozen=True, eq=False)
class Job:
    """Some seeds of a series, which follow each other: one call plays them all."""

    series: Series
    seeds: tuple[int, ...]

    @property
    def key(self) -> str:
        return file_of(self.series.key, self.seeds)

    @property
    def entry(self) -> scenario.Entry:
        return self.series.entry


def file_of(key: str, seeds: Sequence[int]) -> str:
    return f"{key}-{seeds[0]}-{seeds[-1]}"


@dataclass
class Files:
    """The seeds of each series that are in a store, by file; one that was cut short counts as missing."""

    store: Store[Curves]
    of: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # first and last seed of the files of a series
    outdated: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # those that are not to be read any more
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def there(cls, store: Store[Curves], wanted: Sequence[Series]) -> Files:
        """The whole files of these series, the longest first."""
        files, keys = cls(store), {series.key for series in wanted}
        for path in store.folder.glob("*.parquet"):
            found = FILE.fullmatch(path.stem)
            if found and found[1] in keys and store.has(path.stem):
                files.of.setdefault(found[1], []).append((int(found[2]), int(found[3])))
        for spans in files.of.values():
            spans.sort(key=lambda span: (span[0] - span[1], span[0]))
        return files

    def covering(self, series: Series) -> list[tuple[str, list[int]]]:
        """Files that together have the wanted seeds which are there, each with those that are taken from it."""
        left, parts = set(series.seeds), []
        for first, last in self.of.get(series.key, []):
            taken = sorted(left & set(range(first, last + 1)))
            if taken:
                parts.append((file_of(series.key, (first, last)), taken))
                left -= set(taken)
        return parts

    def seeds(self, series: Series) -> list[int]:
        """The wanted seeds that are there, ascending."""
        return sorted(seed for _, taken in self.covering(series) for seed in taken)

    def outdate(self) -> None:
        """Read no file that is there now; those of a series are removed when the first of its new ones is kept."""
        self.outdated, self.of = self.of, {}

    def keep(self, series: Series, curves: Curves) -> None:
        """Store what was played, before all older files of these seeds. Raises OSError where it cannot be written."""
        with self.lock:  # else a new file of another thread could be removed
            for span in self.outdated.pop(series.key, []):  # a later run could not tell which of two is the new one
                self.store.path(file_of(series.key, span)).unlink(missing_ok=True)
        for part in curves.runs():
            first, last = int(part.seeds[0]), int(part.seeds[-1])
            self.store.put(file_of(series.key, (first, last)), part)
            spans = self.of.setdefault(series.key, [])
            for span in [span for span in spans if first <= span[0] and span[1] <= last and span != (first, last)]:
                self.store.path(file_of(series.key, span)).unlink(missing_ok=True)
                spans.remove(span)
            if (first, last) in spans:
                spans.remove((first, last))
            spans.insert(0, (first, last))

    def remove(self, series: Series) -> None:
        """Remove all files of a series."""
        for span in self.of.pop(series.key, []):
            self.store.path(file_of(series.key, span)).unlink(missing_ok=True)

    def read(self, series: Series) -> Curves:
        """All wanted seeds that are there. Raises DataError where a file is damaged."""
        return joined([self.store.get(key).of(taken) for key, taken in self.covering(series)])


@dataclass
class Work:
    """The series of a run, and how far they are."""

    wanted: list[Series]
    files: Files
    missing: dict[Series, tuple[int, ...]] = field(default_factory=dict)  # seeds to play, of series that have any
    problems: dict[Series, dict[int, str]] = field(default_factory=dict)  # why a seed failed

    @classmethod
    def of(cls, wanted: list[Series], store: Store[Curves], fresh: bool) -> Work:
        files = Files.there(store, wanted)
        if fresh:
            files.outdate()
        work = cls(wanted, files)
        for series in wanted:
            there = files.seeds(series)
            if left := tuple(seed for seed in series.seeds if seed not in there):
                work.missing[series] = left
        return work

    @property
    def runs(self) -> int:
        """How many runs through a log are wanted, a seed each."""
        return sum(len(series.seeds) for series in self.wanted)

    @property
    def reused(self) -> int:
        return self.runs - sum(map(len, self.missing.values()))

    @property
    def played(self) -> int:
        return self.runs - self.reused - self.failed

    @property
    def failed(self) -> int:
        return sum(map(len, self.problems.values()))

    @property
    def done(self) -> list[Series]:
        """Those that have a result in a seed at least."""
        return [series for series in self.wanted if self.files.of.get(series.key) and self.files.seeds(series)]

    def made(self, series: Series) -> list[int]:
        """The seeds of a series that were played in this run so far, ascending."""
        return sorted(set(self.missing.get(series, ())) & set(self.files.seeds(series)))

    def fail(self, series: Series, problems: dict[int, str]) -> None:
        if problems:  # else a series without one would be told as failed
            self.problems.setdefault(series, {}).update(problems)

    def jobs(self, series: Sequence[Series], rounds: dict[str, int], at_once: int, alone: bool = False) -> list[Job]:
        """The jobs that play what is missing of these `series`, on logs of so many `rounds`, by the label of the log.

        With `alone` a job is a seed: those of networks take long, and go to as many cores as there are.
        """
        missing = {one: self.missing[one] for one in series if one in self.missing}
        share = math.ceil(sum(map(len, missing.values())) / (SHARES * at_once))
        jobs = []
        for one, seeds in missing.items():
            most = 1 if alone else max(1, min(share, ROUNDS // max(1, rounds[one.case.log])))
            jobs += [Job(one, part) for part in _pieces(seeds, most)]
        return jobs


def _pieces(seeds: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """The seeds in pieces of seeds that follow each other, `most` at most in one, as even as can be."""
    edges = [0, *(n for n in range(1, len(seeds)) if seeds[n] != seeds[n - 1] + 1), len(seeds)]
    for first, last in pairwise(edges):
        count = math.ceil((last - first) / most)
        cuts = [first + (last - first) * i // count for i in range(count + 1)]
        yield from (tuple(seeds[start:stop]) for start, stop in pairwise(cuts))
