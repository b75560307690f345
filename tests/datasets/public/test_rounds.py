"""Parts on disk and lines of files: nothing is lost, changed or left behind."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lersbench.datasets.public import rounds
from lersbench.datasets.public.files import find, lines, table
from lersbench.datasets.public.rounds import Ids, Spool, Tally, spool, write_rounds
from lersbench.errors import ConfigError, DataError
from lersbench.log import Ragged


def part(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    lengths = rng.integers(0, 4, rows)
    return {
        "time": rng.integers(0, 20, rows).astype("datetime64[s]").astype("datetime64[us]"),
        "user": rng.integers(0, 5, rows),
        "context": rng.normal(size=(rows, 3)),
        "candidates": Ragged(rng.integers(0, 99, lengths.sum()), lengths),
        "features": Ragged(rng.normal(size=(lengths.sum(), 2)), lengths),
        "clicks": rng.integers(0, 2, (rows, 1)).astype(np.int8),
    }


def rows_of(parts: Any) -> list[tuple[Any, ...]]:
    found = []
    for one in parts:
        edges = np.concatenate([[0], np.cumsum(one["candidates"].lengths)])
        for row in range(len(one["time"])):
            own = slice(edges[row], edges[row + 1])
            lists = one["candidates"].values[own].tolist(), one["features"].values[own].tolist()
            flat = one["time"][row], one["user"][row], one["context"][row].tolist(), one["clicks"][row].tolist()
            found.append((*flat, *lists))
    return found


@pytest.mark.parametrize("size", [7, 16_384])
def test_parts_come_back_as_they_were_sorted_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(rounds, "ROWS", size)
    rng = np.random.default_rng(0)
    parts = [part(rng, n) for n in (30, 1, 0, 12)]
    wanted = rows_of(parts)
    for keys, key in (((), None), (("time",), lambda row: row[0]), (("user", "time"), lambda row: (row[1], row[0]))):
        with spool(tmp_path / "log") as kept:
            for one in parts:
                kept.add(one)
            assert (kept.rows, kept.has_time) == (43, True)
            assert rows_of(kept.sorted_by(*keys)) == (sorted(wanted, key=key) if key else wanted)
    assert not list(tmp_path.iterdir())


def test_parts_in_order_need_no_sort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "duckdb", None)
    with spool(tmp_path / "log") as kept:
        for second in (1, 1, 2):
            kept.add({"time": np.array([second], "datetime64[s]").astype("datetime64[us]"), "user": np.array([second])})
        assert [one["user"].tolist() for one in kept.sorted_by("time")] == [[1, 1, 2]]
        kept = Spool(tmp_path)
        for second in (1, 0):
            kept.add({"time": np.array([second], "datetime64[s]").astype("datetime64[us]")})
        with pytest.raises(AttributeError):  # these do
            list(kept.sorted_by("time"))


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def parts() -> Any:
        yield {"slate": np.array([[0]]), "clicks": np.array([[1]])}
        raise DataError("broken")

    items = Ids("item")
    items.code("a")
    with pytest.raises(DataError, match="broken"):
        write_rounds(tmp_path / "log", parts(), items, None, Tally())
    assert not list(tmp_path.iterdir())


def test_a_log_in_the_way_is_met_before_anything_is_read(tmp_path: Path) -> None:
    def parts() -> Any:
        raise AssertionError("read")
        yield

    (tmp_path / "log").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        write_rounds(tmp_path / "log", parts(), Ids("item"), None, Tally())
    with pytest.raises(ConfigError, match="is no log, so it is not overwritten"):
        write_rounds(tmp_path / "log", parts(), Ids("item"), None, Tally(), overwrite=True)


def test_ids_are_texts_numbered_by_their_hash() -> None:
    ids = Ids("item")
    assert ids.codes(pa.array(["7", "007", "7", "x"])).tolist() == [0, 1, 0, 2]
    table = ids.table({"more": ["a", "b", "c"]})
    assert table["id"].to_numpy()[ids.numbers()].tolist() == ["7", "007", "x"]
    assert dict(zip(table["id"], table["more"], strict=True)) == {"7": "a", "007": "b", "x": "c"}
    again = Ids("item")
    again.codes(pa.array(["x", "007", "7"]))
    assert again.table({})["id"].tolist() == table["id"].tolist()  # whatever order they come in


def test_lines_name_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n\ntwo\r\n\xff\n")
    with pytest.raises(DataError, match=r"a\.txt, line \d: is not utf-8 .* Fix: convert"):
        list(lines([path]))
    path.write_bytes(b"one\n\ntwo\r\n")
    assert [(place.line, line) for place, line in lines([path])] == [(1, "one"), (3, "two")]
    packed = tmp_path / "b.txt.gz"
    packed.write_bytes(gzip.compress(b"x\n" * 10_000)[:-9])
    with pytest.raises(DataError, match=r"b\.txt\.gz: cannot be read after line"):
        list(lines([packed]))


def test_a_table_without_rows_or_content_and_a_pattern_without_files(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n")
    assert sum(len(one) for one in table(path, ("x",))) == 0
    path.write_text('x,y\n1,"a"\n\n\n2x,b\n')
    with pytest.raises(DataError, match=r"a\.csv, line 5: column x is '2x'"):
        [one.integers("x") for one in table(path, ("x",))]
    path.write_text("1\t2\n\nx\t3\n")
    with pytest.raises(DataError, match=r"a\.csv, line 3: column u is 'x'"):
        [one.integers("u") for one in table(path, ("u",), delimiter="\t", names=("u", "v"))]
    path.write_text("")
    with pytest.raises(DataError, match=r"a\.csv: is empty"):
        list(table(path, ("x",)))
    assert find(tmp_path, ["*.tsv", "*.csv"], "a table") == [path]
    with pytest.raises(DataError, match=r"holds no file \*\.tsv\. Fix: give a table"):
        find(tmp_path, ["*.tsv"], "a table")
