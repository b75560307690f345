"""Random logs come back as written; damaged files are a DataError or read as if undamaged, nothing else."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lersbench.bench import replays, scenario
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, validate, write
from lersbench.log.chunk import Chunk

COMMON = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@st.composite
def logs(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The rounds of a valid log with a random choice of columns and widths, and the options to write it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, items, users = draw(st.integers(1, 60)), draw(st.integers(1, 9)), draw(st.integers(0, 4))
    C = draw(st.integers(1, items)) if draw(st.booleans()) else items
    own = items > C or draw(st.booleans())
    d, m, p, L = (draw(st.integers(0, 4)) for _ in range(4))
    L = min(L, C)
    data: dict[str, np.ndarray] = {}
    candidates = np.argsort(rng.random((n, items)), axis=1)[:, :C]
    if own:
        data["candidates"] = candidates
    if users and draw(st.booleans()):
        data["user"] = rng.integers(users, size=n)
    if draw(st.booleans()):
        data["time"] = np.datetime64("2020-01-01", "us") + np.cumsum(rng.integers(3, size=n)).astype("m8[us]")
    if d:
        data["context"] = rng.standard_normal((n, d)) * 10.0 ** draw(st.integers(-300, 300))
    if m:
        data["features"] = rng.standard_normal((n, C, m))
    if L:
        index = np.argsort(rng.random((n, C)), axis=1)[:, :L]
        data["slate"] = np.take_along_axis(candidates, index, axis=1) if own else index
        data["clicks"] = rng.integers(2, size=(n, L))
        if draw(st.booleans()):
            data["propensities"] = 1.0 - rng.random((n, L))
    if not L or draw(st.booleans()):
        data["rewards"] = rng.random((n, C)).astype(np.float32)
        if "time" in data and draw(st.booleans()):
            data["known"] = data["time"][:, None] + rng.integers(9, size=(n, C)).astype("m8[us]")
    if draw(st.booleans()):
        data["expected"] = rng.random((n, C))
    table = pd.DataFrame({"id": np.arange(items).astype(str)})
    if p:
        table["features"] = list(rng.standard_normal((items, p)))
    return data, {"name": "random", "items": table, "users": users or None}


def decoded(log: Log, chunk_bytes: int, multiple: int = 1) -> dict[str, np.ndarray]:
    """The whole log column by column, slates as items again."""
    chunks = list(log.read(chunk_bytes, multiple))
    has = set(log.info.columns)
    whole = {name: np.concatenate([getattr(c, name) for c in chunks]) for name in Chunk._fields[1:] if name in has}
    for name in log.info.outcomes:
        whole[f"outcome_{name}"] = np.concatenate([c.outcomes[name] for c in chunks])
    if "slate" in has and "candidates" in has:
        whole["slate"] = np.take_along_axis(whole["candidates"], whole["slate"], axis=1)
    return whole


@settings(max_examples=60, **COMMON)  # type: ignore[arg-type]
@given(logs(), st.integers(1, 5000), st.integers(1, 9), st.integers(1, 60))
def test_random_schemas_round_trip(
    log: tuple[dict[str, np.ndarray], dict[str, Any]], chunk_bytes: int, multiple: int, step: int
) -> None:
    data, options = log
    n = len(next(iter(data.values())))
    with tempfile.TemporaryDirectory() as folder:
        pieces = [{k: v[at : at + step] for k, v in data.items()} for at in range(0, n, step)]
        found = decoded(write(Path(folder) / "log", pieces, **options), chunk_bytes, multiple)
        assert validate(Path(folder) / "log").ok
    assert set(found) == set(data)
    for name, values in found.items():
        given = data[name].view(np.int64) if data[name].dtype.kind == "M" else data[name]
        np.testing.assert_array_equal(values, given, err_msg=name)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray], np.ndarray]:
    """A log of several blocks and row groups, what it holds, and its item features."""
    path = tmp_path_factory.mktemp("sound") / "log"
    rng = np.random.default_rng(5)
    n = 300
    candidates = np.argsort(rng.random((n, 8)), axis=1)[:, :5]
    data = {
        "user": rng.integers(4, size=n),
        "time": np.datetime64("2020-01-01", "us") + np.arange(n).astype("m8[us]"),
        "context": rng.standard_normal((n, 3)),
        "candidates": candidates,
        "slate": candidates[:, 1:3],
        "clicks": rng.integers(2, size=(n, 2)),
        "propensities": rng.uniform(0.1, 1.0, (n, 2)),
        "rewards": rng.random((n, 5)),
        "outcome_cost": rng.uniform(-2.0, 0.0, (n, 2)),
    }
    declared = {"cost": {"low": -2, "high": 0, "unit": "EUR"}}
    items = pd.DataFrame({"features": list(rng.standard_normal((8, 2)))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lersbench.log.schema.BATCH_BYTES", 4000)
        patch.setattr("lersbench.log.writer.GROUP_BYTES", 10_000)
        users = pd.DataFrame({"id": list("abcd")})
        log = write(path, [data], name="sound", items=items, users=users, outcomes=declared)
    assert log.info.block < 50
    return path, decoded(log, 1 << 20), log.items


def outcome(path: Path, truth: dict[str, np.ndarray], items: np.ndarray) -> str:
    """ "told" where reading raises a DataError, "same" where the numbers are right; anything else fails the test."""
    try:
        log = Log(path)
        found = decoded(log, 3000)
        log.user_table()
    except DataError as error:
        assert str(error)
        assert not validate(path).ok
        return "told"
    assert set(found) == set(truth)
    for name, values in found.items():
        np.testing.assert_array_equal(values, truth[name], err_msg=name)
    np.testing.assert_array_equal(log.items, items)
    return "same"


FILES = ["rounds.parquet", "items.parquet", "users.parquet", "log.json"]


def damaged(sound: Path, file: str, content: bytes, folder: str) -> Path:
    shutil.copytree(sound, Path(folder) / "log")
    (Path(folder) / "log" / file).write_bytes(content)
    return Path(folder) / "log"


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=40, **COMMON)  # type: ignore[arg-type]
@given(data=st.data())
def test_truncated_files(sound: tuple[Path, dict[str, np.ndarray], np.ndarray], file: str, data: st.DataObject) -> None:
    path, truth, items = sound
    content = (path / file).read_bytes()
    end = data.draw(st.integers(0, len(content.rstrip()) - 1))
    with tempfile.TemporaryDirectory() as folder:
        assert outcome(damaged(path, file, content[:end], folder), truth, items) == "told"


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=120, **COMMON)  # type: ignore[arg-type]
@given(data=st.data())
def test_overwritten_bytes(
    sound: tuple[Path, dict[str, np.ndarray], np.ndarray], file: str, data: st.DataObject
) -> None:
    path, truth, items = sound
    content = bytearray((path / file).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        outcome(damaged(path, file, bytes(content), folder), truth, items)


@pytest.mark.parametrize("name", [b"element", b"context", b"list"])
def test_a_damaged_column_name_is_told(
    sound: tuple[Path, dict[str, np.ndarray], np.ndarray], tmp_path: Path, name: bytes
) -> None:
    """A name that is no UTF-8 any more is found outside of Arrow's own errors."""
    path, truth, items = sound
    content = bytearray((path / "rounds.parquet").read_bytes())
    content[content.rfind(name) + 2] = 0xFF
    content[content.find(name, len(content) - int.from_bytes(content[-8:-4], "little") - 8) + 2] = 0xFF
    assert outcome(damaged(path, "rounds.parquet", bytes(content), str(tmp_path)), truth, items) == "told"


@settings(max_examples=60, **COMMON)  # type: ignore[arg-type]
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_in_a_value_is_told(
    sound: tuple[Path, dict[str, np.ndarray], np.ndarray], at: float, bit: int
) -> None:
    """The context is stored as it is in memory: a flip there leaves a sound Parquet file with a wrong number."""
    path, truth, _ = sound
    content = bytearray((path / "rounds.parquet").read_bytes())
    row = int(at * len(truth["context"]))
    where = content.find(truth["context"][row].tobytes())
    assert where > 0
    content[where + int(at * 1000) % 24] ^= 1 << bit
    with tempfile.TemporaryDirectory() as folder:
        folder_path = damaged(path, "rounds.parquet", bytes(content), folder)
        with pytest.raises(DataError, match=r"column context, rows .*checksum does not match"):
            list(Log(folder_path).read())


# ---- the whole way: `validate` and `bench` of mutated logs


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, pd.DataFrame]:
    """A log whose values lie bare in its file, another of the same sizes, and what `bench` makes of the first."""
    folder = tmp_path_factory.mktemp("played")
    for seed, name in enumerate(["log", "other"]):
        rng = np.random.default_rng(seed)
        data = {
            "user": rng.integers(40, size=6000),
            "context": rng.standard_normal((6000, 8)),
            "rewards": (rng.random((6000, 4)) < 0.3).astype(float),
        }
        items = pd.DataFrame({"features": list(rng.standard_normal((4, 2)))})
        write(folder / name, [data], name="x", items=items, users=40, provenance={"seed": seed})
    return folder / "log", folder / "other", curves_of(folder / "log", folder / "results")


def curves_of(log: Path, results: Path) -> pd.DataFrame:
    """What a minimal `bench` comes to."""
    content = {
        "name": "fuzz",
        "title": "Fuzz",
        "data": {"log": str(log)},
        "replay": {"seeds": 1, "checkpoints": 3, "replicates": "none"},
        "policies": [{"name": "linucb"}],
    }
    run = replays.bench(scenario.parse(content, "fuzz"), results, threads=1, say=lambda _: None)
    assert not run.failures
    return pd.read_parquet(run.folder / "curves.parquet")


def mutate(log: Path, other: Path, rng: np.random.Generator) -> str:
    """Change a log in one of many ways; the way."""
    files = ["rounds.parquet", "items.parquet", "log.json"]
    way = str(rng.choice(["bytes", "sectors", "cut", "file", "key", "values", "values and sums", "pages", "repeated"]))
    path = log / str(rng.choice(files, p=[0.6, 0.2, 0.2]))
    content = bytearray(path.read_bytes())
    if way == "bytes":
        for _ in range(rng.integers(1, 4)):
            content[rng.integers(len(content))] = rng.integers(256)
    elif way in ("sectors", "pages", "repeated"):
        path, size = log / "rounds.parquet", int({"sectors": 4096, "pages": 512, "repeated": 64}[way])
        content = bytearray(path.read_bytes())
        for _ in range(rng.integers(1, 5)):
            one, to = (int(x) * 8 for x in rng.integers((len(content) - size) // 8, size=2))
            first, second = content[one : one + size], content[to : to + size]
            content[to : to + size] = first
            if way != "repeated":
                content[one : one + size] = second
    elif way == "cut":
        content = content[: rng.integers(len(content))]
    elif way == "file":
        content = bytearray((other / path.name).read_bytes())
    if way == "key":
        path = log / "log.json"
        content = bytearray(json.dumps(other_json(json.loads(path.read_text()), rng)).encode())
    elif way.startswith("values"):
        path = log / "rounds.parquet"
        table, column = pq.read_table(path), str(rng.choice(["user", "context", "rewards"]))
        sums = pq.ParquetFile(path).metadata.metadata if way == "values and sums" else {}
        place, rows = table.schema.get_field_index(column), rng.permutation(table.num_rows)
        moved = table.column(place).take(pa.array(rows)) if rng.random() < 0.5 else table.column(place).slice(1)
        moved = pa.chunked_array([*moved.chunks, *table.column(place)[: table.num_rows - len(moved)].chunks])
        table = table.set_column(place, table.schema.field(place), moved)
        pq.write_table(table.replace_schema_metadata(sums), path)
        return way
    path.write_bytes(bytes(content))
    return way


def other_json(said: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """log.json with one key changed, renamed, dropped or added; its seal is left as it was."""
    key = str(rng.choice([name for name in said if name != "seal"]))
    value = said[key]
    ways = {
        int: lambda: value + int(rng.integers(-2, 3)),
        str: lambda: rng.choice(["", value[::-1], value + "x", "time", "uniform"]).item(),
        list: lambda: value[::-1] if rng.random() < 0.5 else value[:-1],
        dict: lambda: {**value, "seed": int(rng.integers(9)), "weights": [[1.0]]},
    }
    what = rng.random()
    rest = {name: x for name, x in said.items() if name != key}
    if what < 0.1:
        return rest
    if what < 0.2:
        return rest | {key + "s": value}
    junk = [None, [], {}, -1, 1e300, "junk", True]
    return said | {key: ways[type(value)]() if what < 0.8 else junk[rng.integers(len(junk))]}


def fuzz(played: tuple[Path, Path, pd.DataFrame], folder: Path, times: int, seed: int) -> Counter[str]:
    """Mutate a log so many times; how each ended. Fails at a traceback and at a number that is silently other."""
    log, other, truth = played
    rng, ends = np.random.default_rng(seed), Counter[str]()
    for number in range(times):
        state = rng.bit_generator.state
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(log, folder / "log")
        way = mutate(folder / "log", other, rng)
        told = f"mutation {number} ({way}) after the state {state}"
        same = all((folder / "log" / file.name).read_bytes() == file.read_bytes() for file in log.iterdir())
        report = validate(folder / "log")  # raises nothing, whatever the log is
        try:
            found = curves_of(folder / "log", folder / "results")
        except (DataError, ConfigError) as error:
            assert str(error), told
            assert not report.ok, told
            ends[f"{way}: told"] += 1
            continue
        pd.testing.assert_frame_equal(found, truth, obj=told)
        ends[f"{way}: {'nothing changed' if same else 'told by validate' if not report.ok else 'right'}"] += 1
    return ends


def test_mutated_logs_are_told_or_come_to_the_same(played: tuple[Path, Path, pd.DataFrame], tmp_path: Path) -> None:
    ends = fuzz(played, tmp_path / "fuzz", 60, 0)
    assert sum(ends.values()) == 60 and sum(count for end, count in ends.items() if end.endswith("told")) > 40


@pytest.mark.slow
def test_ten_thousand_mutated_logs(played: tuple[Path, Path, pd.DataFrame], tmp_path: Path) -> None:
    """LERSBENCH_MUTATIONS and LERSBENCH_MUTATION_SEED make it another number of them, and others."""
    times, seed = (int(os.environ.get(f"LERSBENCH_MUTATION{end}", no)) for end, no in (("S", 10_000), ("_SEED", 1)))
    ends = fuzz(played, tmp_path / "fuzz", times, seed)
    print("\n".join(f"{count:6,} {end}" for end, count in sorted(ends.items())))
    assert sum(ends.values()) == times
