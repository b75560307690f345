"""Random logs come back as written; damaged files are a DataError or read as if undamaged, nothing else."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lersbench.errors import DataError
from lersbench.log import Chunk, Log, validate, write

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
    assert set(found) == set(data) - {"time"}
    for name, values in found.items():
        np.testing.assert_array_equal(values, data[name], err_msg=name)


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
    }
    items = pd.DataFrame({"features": list(rng.standard_normal((8, 2)))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lersbench.logformat.BATCH_BYTES", 4000)
        patch.setattr("lersbench.logwrite.GROUP_BYTES", 10_000)
        log = write(path, [data], name="sound", items=items, users=pd.DataFrame({"id": list("abcd")}))
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
