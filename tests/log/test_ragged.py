"""Logs whose rounds differ in length: written, read, checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lersbench.errors import DataError
from lersbench.log import Log, Ragged, validate, write
from lersbench.log.schema import SINCE_2

ITEMS, M = 50, 3


def rounds(n: int, seed: int = 0) -> dict[str, Any]:
    """n rounds of 2 to 9 candidates with slates of 1 to 4 of them, as lists of arrays."""
    rng = np.random.default_rng(seed)
    candidates = [rng.choice(ITEMS, rng.integers(2, 10), replace=False) for _ in range(n)]
    slates = [rng.permutation(offered)[: rng.integers(1, 5)] for offered in candidates]
    return {
        "candidates": candidates,
        "features": [rng.normal(size=(len(offered), M)) for offered in candidates],
        "slate": slates,
        "clicks": [rng.integers(0, 2, len(slate)) for slate in slates],
        "propensities": [np.full(len(s), 1 / len(c)) for s, c in zip(slates, candidates, strict=True)],
    }


def end_to_end(data: dict[str, Any]) -> dict[str, Ragged]:
    return {name: Ragged(np.concatenate(lists), np.array([len(one) for one in lists])) for name, lists in data.items()}


@pytest.mark.parametrize("chunk_bytes", [1, 5_000, 1 << 20])
def test_every_round_comes_back_with_its_own_length(tmp_path: Path, chunk_bytes: int) -> None:
    data = rounds(300)
    parts = [{name: lists[a : a + 100] for name, lists in data.items()} for a in (0, 100, 200)]
    log = write(tmp_path / "log", map(end_to_end, parts), items=ITEMS, propensities="uniform")
    assert (log.info.schema, log.info.ragged) == (2, ("candidates", "slate"))
    assert (log.info.C, log.info.L, log.info.m) == (9, 4, M)
    assert validate(log).ok
    t = 0
    for chunk in log.read(chunk_bytes):
        assert chunk.first is not None and chunk.top is not None
        for row in range(len(chunk.user)):
            of = slice(*chunk.first[row : row + 2])
            at = slice(*chunk.top[row : row + 2])
            np.testing.assert_array_equal(chunk.candidates[of], data["candidates"][t])
            np.testing.assert_array_equal(chunk.features[of], data["features"][t])
            np.testing.assert_array_equal(chunk.candidates[of][chunk.slate[at]], data["slate"][t])
            np.testing.assert_array_equal(chunk.clicks[at], data["clicks"][t])
            np.testing.assert_array_equal(chunk.propensities[at], data["propensities"][t])
            t += 1
    assert t == 300


def test_the_digest_is_that_of_the_rounds_however_they_are_cut(tmp_path: Path) -> None:
    data = rounds(90)
    whole = write(tmp_path / "whole", data, items=ITEMS)
    parts = [{name: lists[a : a + 30] for name, lists in data.items()} for a in (0, 30, 60)]
    pieces = write(tmp_path / "pieces", map(end_to_end, parts), items=ITEMS)
    assert whole.info.digest == pieces.info.digest
    first = Ragged(np.array([1, 2, 3]), np.array([1, 2]))
    other = Ragged(np.array([1, 2, 3]), np.array([2, 1]))
    rewards = np.array([0.0, 1.0, 1.0])
    digests = {
        write(tmp_path / str(i), {"candidates": c, "rewards": Ragged(rewards, c.lengths)}, items=5).info.digest
        for i, c in enumerate((first, other))
    }
    assert len(digests) == 2, "the same values in other rounds are another log"


def test_lists_of_one_length_make_a_log_of_one_width(tmp_path: Path) -> None:
    log = write(tmp_path / "log", {"candidates": [[1, 2], [0, 2]], "rewards": [[1.0, 0.0], [0.0, 1.0]]}, items=3)
    assert log.info.ragged == ()
    assert next(log.read()).rewards.shape == (2, 2)


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        (
            {"clicks": [[1], [0, 1]]},
            "column clicks: list of another length in 1 row; first: row 1 .value 2 where slate",
        ),
        ({"rewards": [[1.0, 0.0], [1.0, 1.0]]}, "column rewards: list of another length.*row 1 .value 2 where candi"),
        ({"candidates": [[1, 2], []]}, "column candidates: empty list in 1 row; first: row 1"),
        ({"slate": [[1], []], "clicks": [[1], []]}, "column slate: empty list in 1 row; first: row 1"),
        ({"slate": [[1], [2]]}, "column slate: slate item not among the candidates in 1 row; first: row 1 .value 2"),
        ({"candidates": [[1, 1], [3]]}, "column candidates: duplicate candidate in 1 row; first: row 0 .value 1"),
        ({"clicks": [[1], [2]]}, "column clicks: click not in {0, 1} in 1 row; first: row 1 .value 2"),
        ({"propensities": [[0.5], [0.5]]}, r"propensity not 1 / \(candidates of its round\).*row 1 .value 0.5"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(tmp_path: Path, changes: dict[str, Any], pattern: str) -> None:
    data = {"candidates": [[1, 2], [3]], "slate": [[1], [3]], "clicks": [[1], [0]], "propensities": [[0.5], [1.0]]}
    with pytest.raises(DataError, match=pattern):
        write(tmp_path / "log", {**data, **changes}, items=5, propensities="uniform")
    assert not (tmp_path / "log").exists()


def test_a_longer_list_in_a_later_chunk_needs_ragged_from_the_first_on(tmp_path: Path) -> None:
    square, longer = {"candidates": [[1, 2]], "rewards": [[1.0, 0.0]]}, {"candidates": [[0]], "rewards": [[1.0]]}
    with pytest.raises(DataError, match=r"column candidates, chunk at row 1.*Ragged from the first chunk on"):
        write(tmp_path / "log", [square, longer], items=3)


def test_damage_in_the_lengths_alone_is_noticed(tmp_path: Path) -> None:
    """The values stay where they are in the file: only the rounds begin elsewhere."""
    data = {"candidates": [[0, 1], [2], [3, 4]], "rewards": [[1.0, 0.0], [1.0], [0.0, 1.0]]}
    log = write(tmp_path / "log", data, items=5)
    file = tmp_path / "log" / "rounds.parquet"
    table, metadata = pq.read_table(file), pq.read_metadata(file).metadata
    moved = [
        pa.ListArray.from_arrays(pa.array([0, 1, 3, 5], pa.int32()), column.combine_chunks().values, type=column.type)
        for column in table.columns
    ]
    with pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(pa.Table.from_arrays(moved, schema=table.schema))
        writer.add_key_value_metadata(metadata)
    with pytest.raises(DataError, match="checksum does not match"):
        list(Log(log.path).read())


def test_a_log_of_schema_1_is_read_and_cannot_be_ragged(tmp_path: Path) -> None:
    log = write(tmp_path / "log", {"rewards": np.eye(3)}, items=3)
    file = tmp_path / "log" / "log.json"
    content = {key: value for key, value in json.loads(file.read_text()).items() if key not in (*SINCE_2, "seal")}
    file.write_text(json.dumps({**content, "schema": 1, "seal": ""}))
    np.testing.assert_array_equal(next(Log(log.path).read()).rewards, np.eye(3))
    file.write_text(json.dumps({**content, "schema": 1, "seal": "", "ragged": ["slate"]}))
    with pytest.raises(DataError, match="unknown key 'ragged'"):
        Log(log.path)
