"""The log on disk: what is written comes back, and whatever is wrong is told with file, row, column, value, fix."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

import lersbench.log.writer
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, read_all, reader, validate, write

N, ITEMS, C, L = 50, 6, 4, 2


def rounds(n: int = N, seed: int = 0) -> dict[str, np.ndarray]:
    """Every column there is; the slate is the third and the first candidate."""
    rng = np.random.default_rng(seed)
    candidates = np.argsort(rng.random((n, ITEMS)), axis=1)[:, :C]
    return {
        "user": rng.integers(3, size=n),
        "time": np.datetime64("2024-01-01T00:00:00.000001") + np.arange(n).astype("m8[s]"),
        "context": rng.standard_normal((n, 3)),
        "candidates": candidates,
        "features": rng.standard_normal((n, C, 2)),
        "rewards": rng.integers(2, size=(n, C)).astype(np.float64),
        "expected": rng.random((n, C)),
        "slate": candidates[:, [2, 0]],
        "clicks": rng.integers(2, size=(n, L)),
        "propensities": rng.uniform(0.1, 1.0, size=(n, L)),
    }


def item_table() -> pd.DataFrame:
    return pd.DataFrame({"id": list("abcdef"), "features": [[i, i + 0.5] for i in range(ITEMS)], "price": range(ITEMS)})


def user_table() -> pd.DataFrame:
    return pd.DataFrame({"id": ["x", "y", "z"], "sequence": [[1, 2], [], [5]], "age": [0.1, 0.2, 0.3]})


def save(path: Path, data: dict[str, Any] | None = None, **options: Any) -> Log:
    given = {"name": "test", "items": item_table(), "users": user_table(), "order": "time", "propensities": "logged"}
    return write(path, [rounds() if data is None else data], **(given | options))


def bare(path: Path, data: dict[str, Any] | None = None, change: Callable[[pa.Table], pa.Table] | None = None) -> Path:
    """A log as another tool would write it: plain lists, no checksums; `change` may break its table."""
    save(path)
    data = rounds() if data is None else data
    columns = {k: pa.array(v.reshape(len(v), -1).tolist() if v.ndim > 1 else v) for k, v in data.items()}
    table = pa.table(columns)
    pq.write_table(change(table) if change else table, path / "rounds.parquet")
    edit(path, block=0, sums="", digest="")
    return path


def edit(path: Path, **changes: Any) -> None:
    info = json.loads((path / "log.json").read_text())
    (path / "log.json").write_text(json.dumps(info | {"seal": ""} | changes))


def column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def set_row(name: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        cells = table.column(name).to_pylist()
        cells[row] = value
        return column(table, name, pa.array(cells))

    return change


# ---- what is written comes back


def test_a_log_longer_than_a_chunk_comes_in_eight_or_more_unless_they_would_be_tiny(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "log")
    log = Log(tmp_path / "log")
    whole = log.info.rounds * log.row_bytes()
    assert len(list(log.read(whole - 1))) == 2  # an eighth would be less than a batch
    monkeypatch.setattr(reader, "BATCH_BYTES", 1)
    assert len(list(log.read(whole))) == 1
    chunks = list(log.read(whole - 1))
    assert len(chunks) >= reader.PARTS
    np.testing.assert_array_equal(np.concatenate([c.context for c in chunks]), rounds()["context"])


@pytest.mark.parametrize("stored", ["write", "bare"])
@pytest.mark.parametrize(("chunk_bytes", "multiple"), [(1 << 20, 1), (2000, 1), (2000, 7), (1, 3)])
def test_round_trip(tmp_path: Path, stored: str, chunk_bytes: int, multiple: int) -> None:
    if stored == "write":
        save(tmp_path / "log")
    else:
        bare(tmp_path / "log")
    log, data = Log(tmp_path / "log"), rounds()
    chunks = list(log.read(chunk_bytes, multiple))
    assert [c.start for c in chunks] == list(np.cumsum([0] + [len(c.user) for c in chunks])[:-1])
    assert all(len(c.user) % multiple == 0 for c in chunks[:-1])
    sizes = [sum(a.nbytes for a in c if isinstance(a, np.ndarray)) for c in chunks]
    assert all(s <= max(chunk_bytes, multiple * log.row_bytes()) for s in sizes)
    for name in ("user", "context", "candidates", "features", "expected", "clicks", "propensities"):
        np.testing.assert_array_equal(np.concatenate([getattr(c, name) for c in chunks]), data[name])
    np.testing.assert_array_equal(np.concatenate([c.rewards for c in chunks]), data["rewards"].astype(np.float32))
    for chunk in chunks:
        np.testing.assert_array_equal(chunk.slate, np.tile([2, 0], (len(chunk.user), 1)))
        for name, array in list(chunk._asdict().items())[1:-7]:
            assert array.dtype == (np.int64 if name in ("user", "candidates", "slate") else np.float64)
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert array.flags.owndata or array.base.flags.owndata


def test_time_survives(tmp_path: Path) -> None:
    save(tmp_path / "log")
    stored = pq.read_table(tmp_path / "log/rounds.parquet").column("time").to_numpy()
    np.testing.assert_array_equal(stored, rounds()["time"])


def test_tables_and_info(tmp_path: Path) -> None:
    log = save(tmp_path / "log", licence="CC0", attribution="nobody", provenance={"density": np.float32(0.5)})
    assert (log.info.rounds, log.info.items, log.info.users) == (N, ITEMS, 3)
    assert (log.info.d, log.info.m, log.info.p, log.info.C, log.info.L) == (3, 2, 2, C, L)
    assert (log.info.licence, log.info.attribution, log.info.provenance) == ("CC0", "nobody", {"density": 0.5})
    np.testing.assert_array_equal(log.items, [[i, i + 0.5] for i in range(ITEMS)])
    assert list(log.item_table().columns) == ["item", "id", "features", "price"]
    users = log.user_table()
    assert users is not None
    assert [list(s) for s in users["sequence"]] == [[1, 2], [], [5]]


def test_empty_forms(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [{"rewards": np.ones((3, 5))}], name="plain", items=5)
    (chunk,) = log.read()
    shapes = {name: array.shape for name, array in list(chunk._asdict().items())[1:-7]}
    assert chunk.first is chunk.top is None
    assert shapes == {
        "user": (3,), "context": (3, 0), "candidates": (1, 5), "features": (1, 5, 0), "rewards": (3, 5),
        "expected": (0, 5), "slate": (0, 0), "clicks": (0, 0), "propensities": (0, 0),
        "examined": (0, 0), "attraction": (0, 5), "scores": (0, 5),
    }  # fmt: skip
    assert (chunk.user == -1).all()
    assert log.items.shape == (5, 0)
    assert log.user_table() is None
    np.testing.assert_array_equal(chunk.candidates, [np.arange(5)])


def test_columns_select_what_is_decoded(tmp_path: Path) -> None:
    log = save(tmp_path / "log")
    (chunk,) = log.read(columns={"slate", "clicks"})
    assert chunk.context.shape == (N, 0)
    assert chunk.rewards.shape == (0, C)
    assert chunk.features.shape == (1, C, 0)
    np.testing.assert_array_equal(chunk.slate, np.tile([2, 0], (N, 1)))
    plain = write(tmp_path / "plain", [{"rewards": np.ones((3, 5))}], name="plain", items=5)
    (nothing,) = plain.read(columns=["context"])
    assert nothing.user.shape == (3,)
    with pytest.raises(ConfigError, match="no column 'colour'"):
        next(log.read(columns=["colour"]))


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    log = save(tmp_path / "one")
    data = rounds()
    pieces = [{k: v[at : at + 7] for k, v in data.items()} for at in range(0, N, 7)]
    options: dict[str, Any] = {"name": "other name", "items": item_table(), "users": user_table()}
    assert write(tmp_path / "two", pieces, **options).info.digest == log.info.digest
    data["clicks"][17, 1] = 1 - data["clicks"][17, 1]
    assert save(tmp_path / "three", data).info.digest != log.info.digest
    assert save(tmp_path / "four", items=item_table().assign(price=9)).info.digest != log.info.digest


def test_parts_are_read_in_order(tmp_path: Path) -> None:
    path = bare(tmp_path / "log")
    table = pq.read_table(path / "rounds.parquet")
    (path / "rounds.parquet").unlink()
    (path / "rounds").mkdir()
    pq.write_table(table[:20], path / "rounds/part-00000.parquet")
    pq.write_table(set_row("clicks", 1, [0, 5])(table[20:]), path / "rounds/part-00001.parquet")
    with pytest.raises(DataError, match=r"part-00001.parquet, column clicks: .* row 21 \(value 5"):
        list(Log(path).read())
    pq.write_table(table[20:], path / "rounds/part-00001.parquet")
    np.testing.assert_array_equal(np.concatenate([c.context for c in Log(path).read(2000)]), rounds()["context"])


def test_large_row_groups_of_others_and_wide_types(tmp_path: Path) -> None:
    def narrow(table: pa.Table) -> pa.Table:
        table = column(table, "context", table.column("context").cast(pa.large_list(pa.float32())))
        return column(table, "clicks", table.column("clicks").cast(pa.list_(pa.bool_())))

    (chunk,) = Log(bare(tmp_path / "log", change=narrow)).read()
    np.testing.assert_array_equal(chunk.context, rounds()["context"].astype(np.float32))
    np.testing.assert_array_equal(chunk.clicks, rounds()["clicks"])


def test_urls(tmp_path: Path) -> None:
    write(f"file://{tmp_path}/log", [rounds()], name="x", items=ITEMS, users=3)
    assert Log(f"file://{tmp_path}/log/").info == Log(tmp_path / "log").info
    assert validate(f"file://{tmp_path}/log").ok
    with pytest.raises(ConfigError, match="no kind of address that is known"):
        Log("gopher://hole/log")


def test_upload_to_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store cannot rename folders: the log is copied, its log.json last."""
    (tmp_path / "bucket").mkdir()
    store = pafs.SubTreeFileSystem(str(tmp_path / "bucket"), pafs.LocalFileSystem())
    for module in (lersbench.log.writer, lersbench.log.reader):
        monkeypatch.setattr(module, "locate", lambda path: (store, "folder/log"))
    for _ in range(2):
        log = write("s3://bucket/folder/log", [rounds()], name="x", items=ITEMS, users=3, overwrite=True)
    assert sum(len(c.user) for c in log.read()) == N
    assert sorted(p.name for p in (tmp_path / "bucket/folder/log").iterdir()) == [
        "items.parquet", "log.json", "rounds.parquet",
    ]  # fmt: skip


def test_read_all(tmp_path: Path) -> None:
    log = save(tmp_path / "log")
    assert len(read_all(log, 1 << 20).user) == N
    needed = N * log.row_bytes()
    with pytest.raises(ConfigError, match=rf"takes {needed:,} bytes, but 1,000 are allowed"):
        read_all(log, 1000)


# ---- what is wrong is told


BAD_CELLS = [  # column, wrong cell of row 17, pattern
    ("propensities", [0.5, 0.0], r"propensity outside \(0, 1\] in 1 row; first: row 17 \(value 0.0\)"),
    ("propensities", [1.5, 0.5], r"propensity outside \(0, 1\] in 1 row; first: row 17 \(value 1.5\)"),
    ("propensities", [np.nan, 0.5], r"propensity outside \(0, 1\] in 1 row; first: row 17 \(value nan\)"),
    ("clicks", [0, 2], r"click not in \{0, 1\} in 1 row; first: row 17 \(value 2.0\)"),
    ("rewards", [0.0, 1.25, 0.0, 0.0], r"reward outside \[0, 1\] in 1 row; first: row 17 \(value 1.25\)"),
    ("rewards", [0.0, np.nan, 0.0, 0.0], r"reward outside \[0, 1\] in 1 row; first: row 17 \(value nan\)"),
    ("context", [0.0, np.inf, 0.0], r"not a finite number in 1 row; first: row 17 \(value inf\)"),
    ("features", [[0.0, 0.0], [0.0, np.nan], [0.0, 0.0], [0.0, 0.0]], r"not a finite .* row 17 \(value nan\)"),
    ("expected", [0.0, 0.0, 0.0, -np.inf], r"not a finite number in 1 row; first: row 17 \(value -inf\)"),
    ("user", 3, r"unknown user in 1 row; first: row 17 \(value 3\)"),
    ("user", -1, r"unknown user in 1 row; first: row 17 \(value -1\)"),
    ("candidates", [0, 1, 2, 6], r"unknown item in 1 row; first: row 17 \(value 6\)"),
    ("candidates", [0, 1, 2, 1], r"duplicate candidate in 1 row; first: row 17 \(value 1\)"),
    ("time", np.datetime64("2023-12-31"), r"time running backwards in 1 row; first: row 17 \(value 2023-12-31T"),
]


@pytest.mark.parametrize("stored", ["write", "bare"])
@pytest.mark.parametrize(("name", "cell", "pattern"), BAD_CELLS)
def test_wrong_cells(tmp_path: Path, stored: str, name: str, cell: Any, pattern: str) -> None:
    data = rounds()
    data[name] = data[name].astype(np.float64) if data[name].dtype.kind == "i" and name == "clicks" else data[name]
    data[name][17] = cell
    if stored == "write":
        with pytest.raises(DataError, match=pattern) as caught:
            save(tmp_path / "log", data)
        assert not any(tmp_path.iterdir()), "nothing half-written"
    else:
        path = bare(tmp_path / "log", data)
        with pytest.raises(DataError, match=pattern) as caught:
            list(Log(path).read())
        report = validate(path)
        assert not report.ok
        assert report.rounds == N
        assert [(p.column, p.count, p.rows[0]) for p in report.problems if p.column == name] == [(name, 1, 17)]
    assert f"rounds.parquet, column {name}: " in str(caught.value)
    assert "Fix: " in str(caught.value)


@pytest.mark.parametrize("candidates", [True, False])
@pytest.mark.parametrize(
    ("slate", "kind", "value"),
    [
        ((99, 0), "unknown item", 99),
        ((-5, 0), "unknown item", -5),
        ((3, 3), "duplicate slate item", 3),
        ((3, 5), "slate item not among the candidates", 5),
    ],
)
def test_wrong_slates(tmp_path: Path, candidates: bool, slate: tuple[int, int], kind: str, value: int) -> None:
    n = 9
    data = {"slate": np.tile([1, 2], (n, 1)), "clicks": np.zeros((n, 2))}
    if candidates:
        data["candidates"] = np.tile([0, 1, 2, 3], (n, 1))
    data["slate"][4] = slate
    if not candidates and value == 5:
        log = write(tmp_path / "log", [data], name="x", items=6)  # item 5 is on offer
        assert next(log.read()).slate[4].tolist() == [3, 5]
        return
    with pytest.raises(DataError, match=rf"column slate: {kind} in 1 row; first: row 4 \(value {value}\)") as caught:
        write(tmp_path / "log", [data], name="x", items=6)
    assert str(caught.value).count("\n") == 0, "one fault, one message"


def test_all_problems_are_counted_in_one_pass(tmp_path: Path) -> None:
    data = rounds()
    data["propensities"][5:15, 1] = 0.0
    data["clicks"][[3, 4]] = 7
    data["time"] = data["time"][::-1].copy()
    path = bare(tmp_path / "log", data)
    with pytest.raises(DataError) as caught:
        list(Log(path).read())
    assert "propensity outside (0, 1] in 10 rows; first: row 5 (value 0.0), row 6 (value 0.0), row 7" in str(
        caught.value
    )
    assert "click not in {0, 1} in 2 rows" in str(caught.value)
    with pytest.raises(DataError, match="in 49 rows") as caught:
        list(Log(path).read())
    with pytest.raises(DataError, match="in 2 rows") as caught:  # the first chunk with a problem, and no further
        list(Log(path).read(chunk_bytes=4 * Log(path).row_bytes(), columns=["clicks"], multiple=5))
    report = validate(path)
    assert {(p.column, p.count) for p in report.problems} == {("propensities", 10), ("clicks", 2), ("time", 49)}
    assert "3 kinds of problem in 50 rounds read" in str(report)
    assert str(validate(save(tmp_path / "good").path)).endswith("50 rounds, no problems")


def test_time_may_not_run_backwards_between_chunks(tmp_path: Path) -> None:
    data = rounds()
    with pytest.raises(DataError, match=r"time running backwards in 1 row; first: row 50 "):
        write(tmp_path / "log", [data, data], name="x", items=item_table(), users=3, order="time")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (
            set_row("clicks", 3, [0]),
            r"column clicks: list not of length 2 in 1 row; first: row 3 \(value a list of 1\)",
        ),
        (set_row("context", 3, None), r"column context: null in 1 row; first: row 3"),
        (set_row("context", 3, [1.0, None, 2.0]), r"column context: null in 1 row; first: row 3"),
        (set_row("user", 3, None), r"column user: null in 1 row; first: row 3"),
        (lambda t: t.drop_columns(["slate"]), "column slate is missing"),
        (lambda t: column(t, "slate", t.column("slate").cast(pa.list_(pa.float64()))), "column slate: type double"),
        (lambda t: column(t, "user", t.column("user").cast(pa.string())), "column user: type string"),
        (lambda t: column(t, "clicks", pa.array([1] * N)), "column clicks: type int64. Fix: store lists of int8"),
        (lambda t: column(t, "time", pa.array(range(N))), "column time: type int64"),
        (
            lambda t: column(t, "context", pa.array([[1.0] * 4] * N, pa.list_(pa.float64(), 4))),
            "column context: lists of 4, but log.json says 3",
        ),
        (lambda t: t[:-1], "49 rows, but log.json says 50 rounds"),
        (lambda t: t[:0], "0 rows, but log.json says 50 rounds"),
    ],
)
def test_wrong_shapes_and_types(tmp_path: Path, change: Callable[[pa.Table], pa.Table], pattern: str) -> None:
    path = bare(tmp_path / "log", change=change)
    with pytest.raises(DataError, match=pattern):
        list(Log(path).read())
    report = validate(path)
    assert len(report.problems) == 1
    assert "Fix: " in str(report)


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"schema": 3}, "schema 3, but this version of lersbench reads schema 1 and 2"),
        ({"rounds": 0}, "the log is empty"),
        ({"rounds": "many"}, "rounds is 'many'"),
        ({"rounds": -1}, "rounds is -1"),
        ({"rounds": 51}, "50 rows, but log.json says 51 rounds"),
        ({"users": 4}, "3 rows, but log.json says 4 users"),
        ({"items": 7}, "6 rows, but log.json says 7 items"),
        ({"order": "random"}, "order is 'random'"),
        ({"propensities": "good"}, "propensities is 'good'"),
        ({"d": 0}, "d is 0, but the columns are"),
        ({"d": 2}, "lists of 3, but log.json says 2"),
        ({"C": 5}, "log.json says"),
        ({"p": 3}, "column features: not lists of 3 numbers"),
        ({"p": 0}, "has a column features, but log.json says p 0"),
        ({"columns": ["rewards"]}, "log.json"),
        ({"columns": ["colour"]}, "Fix: only"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_wrong_log_json(tmp_path: Path, changes: dict[str, Any], pattern: str) -> None:
    save(tmp_path / "log")
    edit(tmp_path / "log", **changes)
    with pytest.raises(DataError, match=pattern):
        list(Log(tmp_path / "log").read()) and Log(tmp_path / "log").user_table()
    assert not validate(tmp_path / "log").ok


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere/log.json: no such file"):
        Log(tmp_path / "nowhere")
    save(tmp_path / "log")
    for file, pattern in [
        ("log.json", "cannot be read as JSON"),
        ("items.parquet", "sha256 is not the one in log.json"),
        ("users.parquet", "sha256 is not the one in log.json"),
        ("rounds.parquet", "cannot be decoded"),
    ]:
        shutil.copytree(tmp_path / "log", tmp_path / file)
        content = (tmp_path / file / file).read_bytes()
        (tmp_path / file / file).write_bytes(content[: len(content) // 2])
        report = validate(tmp_path / file)
        assert pattern in str(report), file
        (tmp_path / file / file).unlink()
        assert "no such file" in str(validate(tmp_path / file)) or "missing" in str(validate(tmp_path / file))
    info = json.loads((tmp_path / "log/log.json").read_text())
    del info["licence"]
    (tmp_path / "log/log.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match="the key 'licence' is missing"):
        Log(tmp_path / "log")


def test_an_exchanged_log_is_noticed(tmp_path: Path) -> None:
    save(tmp_path / "log")
    data = rounds()
    data["context"] = data["context"] + 1.0
    save(tmp_path / "other", data)
    shutil.copy(tmp_path / "other/rounds.parquet", tmp_path / "log/rounds.parquet")
    assert "the rounds are not those that log.json was written with" in str(validate(tmp_path / "log"))


# ---- writing


def test_nothing_half_written(tmp_path: Path) -> None:
    def breaks() -> Iterator[dict[str, np.ndarray]]:
        yield rounds()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "log", breaks(), name="x", items=item_table(), users=3)
    assert not any(tmp_path.iterdir())
    old = save(tmp_path / "log")
    with pytest.raises(ConfigError, match="exists already"):
        save(tmp_path / "log")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "log", breaks(), name="x", items=item_table(), users=3, overwrite=True)
    assert Log(tmp_path / "log").info == old.info
    assert save(tmp_path / "log", licence="new", overwrite=True).info.licence == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("chunks", "pattern"),
    [
        ([], "the log is empty"),
        ([{"rewards": np.empty((0, 3))}], "the log is empty"),
        ([{"context": np.ones((2, 2))}], "no feedback"),
        ([{"rewards": np.ones((2, 3)), "colour": np.ones(2)}], "unknown column 'colour'"),
        ([{"rewards": np.ones((2, 3)), "user": np.zeros(2, int)}], "no users"),
        ([{"rewards": np.ones((2, 4))}], r"column rewards.*shape \(2, 4\) where \(2, 3\) is due"),
        ([{"rewards": np.ones((2, 3))}, {"rewards": np.ones((2, 2))}], r"chunk at row 2: shape \(2, 2\)"),
        ([{"rewards": np.ones((2, 3))}, {"expected": np.ones((2, 3))}], "every chunk has the same columns"),
        ([{"rewards": [[1.0, 0.0, 0.0], [1.0]]}], "lists of different lengths, but no column candidates"),
        ([{"rewards": np.array([["a", "b", "c"]])}], "column rewards.*type <U1"),
        ([{"rewards": np.ones((2, 3)), "slate": np.zeros((2, 1))}], "column slate.*type float64"),
        ([{"rewards": np.ones((2, 3)), "time": np.arange(2)}], "column time.*type int64"),
        ([{"rewards": np.ones((1, 3)), "time": np.array(["NaT"], "M8[s]")}], "null in row 0"),
        ([{"rewards": np.ones((2, 3)), "context": np.ones((3, 2))}], r"shape \(3, 2\) where \(2, 2\)"),
        ([{"rewards": np.ones((2, 3)), "features": np.ones((2, 3))}], "column features"),
        ([{"rewards": np.ones((2, 3)), "propensities": np.ones((2, 1))}], "propensities without a slate"),
    ],
)
def test_wrong_chunks(tmp_path: Path, chunks: list[dict[str, Any]], pattern: str) -> None:
    with pytest.raises(DataError, match=pattern):
        write(tmp_path / "log", chunks, name="x", items=3)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("items", "pattern"),
    [
        (pd.DataFrame({"item": [0, 2, 1]}), "row 1, column item: 2 where 1 should be"),
        (pd.DataFrame({"features": [[1.0], [1.0, 2.0], [3.0]]}), "row 1, column features: a list of 2"),
        (pd.DataFrame({"features": [[1.0], [np.nan], [3.0]]}), "row 1, column features: not a finite"),
        (pd.DataFrame({"id": []}), "the table is empty"),
    ],
)
def test_wrong_item_tables(tmp_path: Path, items: pd.DataFrame, pattern: str) -> None:
    with pytest.raises(DataError, match=pattern):
        write(tmp_path / "log", [{"rewards": np.ones((1, 3))}], name="x", items=items)


def test_wrong_options(tmp_path: Path) -> None:
    for options in ({"order": "random"}, {"propensities": "good"}, {"provenance": {"a": object()}}):
        with pytest.raises(ConfigError):
            save(tmp_path / "log", **options)
    assert not any(tmp_path.iterdir())


def test_row_groups_are_small_and_blocks_do_not_straddle_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lersbench.log.schema.BATCH_BYTES", 3000)
    monkeypatch.setattr("lersbench.log.writer.GROUP_BYTES", 10_000)
    data = rounds(200)
    pieces = [{k: v[at : at + 33] for k, v in data.items()} for at in range(0, 200, 33)]
    log = write(tmp_path / "log", pieces, name="x", items=item_table(), users=3)
    meta = pq.ParquetFile(tmp_path / "log/rounds.parquet").metadata
    groups = [meta.row_group(g).num_rows for g in range(meta.num_row_groups)]
    assert len(groups) > 3
    assert all(g % log.info.block == 0 for g in groups[:-1])
    np.testing.assert_array_equal(np.concatenate([c.context for c in log.read(5000)]), data["context"])
    np.testing.assert_array_equal(next(log.read(columns=["user"])).user, data["user"])  # many blocks at a time
    assert validate(tmp_path / "log").ok


# ---- propensities that are said to be uniform


def shown(n: int = 40, share: float = 0.25) -> dict[str, np.ndarray]:
    return {
        "slate": np.tile([2, 0], (n, 1)),
        "clicks": np.zeros((n, 2)),
        "propensities": np.full((n, 2), share),
        "candidates": np.tile([0, 1, 2, 5], (n, 1)),
    }


def test_uniform_propensities_are_one_over_the_candidates(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [shown(share=0.25 * (1 + 9e-7))], name="x", items=6, propensities="uniform")
    assert log.info.propensities == "uniform" and validate(tmp_path / "log").ok
    data = shown()
    data["propensities"][17, 1] = 0.3
    with pytest.raises(DataError, match=r"propensity not 1/4 = 0.25.*in 1 row; first: row 17 \(value 0.3\).*'logged'"):
        write(tmp_path / "other", [data], name="x", items=6, propensities="uniform")
    write(tmp_path / "other", [data], name="x", items=6, propensities="logged")
    assert validate(tmp_path / "other").ok
    edit(tmp_path / "other", propensities="uniform")
    (problem,) = validate(tmp_path / "other").problems
    assert (problem.column, problem.count, problem.rows, problem.values) == ("propensities", 1, [17], [0.3])
    with pytest.raises(DataError, match="calls itself uniform"):
        list(Log(tmp_path / "other").read())


@pytest.mark.parametrize("claim", ["uniform", "logged", "estimated"])
def test_a_claim_without_propensities_is_refused(tmp_path: Path, claim: str) -> None:
    data = {name: values for name, values in shown().items() if name != "propensities"}
    with pytest.raises(ConfigError, match=f"propensities is '{claim}', but the rounds have no column propensities"):
        write(tmp_path / "log", [data], name="x", items=6, propensities=claim)
    write(tmp_path / "log", [data], name="x", items=6)
    edit(tmp_path / "log", propensities=claim)
    with pytest.raises(DataError, match=f"propensities is '{claim}', but there is no column.*Fix: set it to 'none'"):
        Log(tmp_path / "log")
    assert "Fix: set it to 'none'" in str(validate(tmp_path / "log"))


def test_only_logs_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match="is no log, so it is not overwritten"):
        write(tmp_path / "home", [shown()], name="x", items=6, overwrite=True)
    assert (tmp_path / "home" / "thesis.tex").read_text() == "mine"
