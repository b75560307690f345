"""Parts of a log: read apart, they hold what the whole holds, and their checksums are compared."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from lersbench.errors import DataError
from lersbench.log import Log, parts, write
from lersbench.log import writer as log_writer


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    """A log of many row groups."""
    monkeypatch.setattr(parts, "LEAST", 500)
    rng = np.random.default_rng(0)
    n = 40_000
    written = write(
        tmp_path / "log",
        [{"context": rng.random((n // 4, 200)), "rewards": rng.integers(0, 2, (n // 4, 3)) * 1.0} for _ in range(4)],
    )
    assert len(written.row_groups) > 4
    return written


def test_parts_cover_a_log_and_are_cut_at_row_groups(log: Log) -> None:
    n = log.info.rounds
    for first, end in ((0, n), (7, n - 3), (n // 2, n)):
        found = parts.parts_of(log, first, end)
        assert len(found) > 1 and found[0][0] == first and found[-1][1] == end
        assert all(one[1] == other[0] for one, other in itertools.pairwise(found))
        assert {low for low, _ in found[1:]} <= set(log.row_groups.tolist())
    assert parts.parts_of(log, 5, 600) == [(5, 600)]


def test_parts_hold_what_the_whole_holds(log: Log) -> None:
    whole = np.concatenate([chunk.context for chunk in log.read()])
    for low, high in [*parts.parts_of(log), (0, 1), (log.info.rounds - 1, log.info.rounds), (1234, 1235)]:
        chunks = list(log.read(1 << 20, start=low, stop=high))
        start = chunks[0].start
        assert start <= low and start in log.row_groups
        read = np.concatenate([chunk.context for chunk in chunks])
        assert start + len(read) >= high and np.array_equal(read, whole[start : start + len(read)])
        assert len(read) < len(whole)


def test_a_part_that_was_changed_is_found_where_it_is_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checksums are those of its own place in the file: read with those of another they do not match."""
    low, high = parts.parts_of(log)[-1]
    list(log.read(start=low, stop=high))
    real = Log._checksums
    monkeypatch.setattr(
        Log, "_checksums", lambda self, *given: {k: iter([*list(v)[1:], 0]) for k, v in real(self, *given).items()}
    )
    with pytest.raises(DataError, match="the checksum does not match"):
        list(log.read(start=low, stop=high))
    assert log_writer  # the writer decides on row groups
