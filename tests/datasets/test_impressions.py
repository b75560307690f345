"""A flat impressions table as a log: hand-worked cases, and every way a table can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from lersbench.cli import imports as import_commands
from lersbench.datasets.impressions import build, describe
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, validate
from lersbench.log.chunk import Chunk

NAMES = {"request": "req", "position": "pos", "item": "sku", "click": "clicked"}

# two requests, written bottom up and interleaved; the second one came earlier
TABLE = pd.DataFrame(
    {
        "req": ["b", "a", "b", "a", "b", "a"],
        "pos": [3, 1, 1, 2, 2, 3],
        "sku": ["007", "7", "9", "007", "7", "9"],
        "clicked": [0, 1, 0, 0, 1, 0],
        "p": [0.5, 0.25, 1.0, 0.125, 0.75, 0.5],
        "at": ["2024-01-01T10:00:00"] * 1
        + ["2024-01-02T10:00:00", "2024-01-01T10:00:01"] * 2
        + ["2024-01-03T00:00:00"],
        "who": ["u", "v", "u", "v", "u", "v"],
        "price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "age": [30.0, 40.0, 30.0, 40.0, 30.0, 40.0],
    }
)


def save(folder: Path, table: pd.DataFrame, kind: str = "csv") -> Path:
    path = folder / f"table.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path, index=False)
    return path


def whole(log: Log) -> Chunk:
    (chunk,) = log.read()
    return chunk


def lists(log: Log) -> list[list[str]]:
    """The logged lists of a log whose requests may differ in length, by the ids of the table."""
    ids, chunk = log.item_table()["id"].to_numpy(), whole(log)
    if chunk.top is None:
        return skus(log)
    shown = []
    for t in range(len(chunk.top) - 1):
        slate = chunk.slate[chunk.top[t] : chunk.top[t + 1]]
        offered = chunk.candidates[0] if chunk.first is None else chunk.candidates[chunk.first[t] : chunk.first[t + 1]]
        shown.append(ids[offered[slate]].tolist())
    return shown


def skus(log: Log) -> list[list[str]]:
    """The logged lists, by the ids of the table."""
    return log.item_table()["id"].to_numpy()[whole(log).slate].tolist()


LISTS = [["9", "7", "007"], ["7", "007", "9"]]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_hand_worked_table(tmp_path: Path, kind: str) -> None:
    more = {"propensity": "p", "time": "at", "user": "who"}
    log = build(save(tmp_path, TABLE, kind), tmp_path / "log", NAMES | more, ["price"], context=["age"])
    assert list(log.item_table()["id"]) == ["7", "007", "9"]  # by a hash, so that no order of ids tells anything
    assert (log.info.order, log.info.propensities, log.info.C, log.info.L, log.info.m, log.info.d) == (
        "time", "logged", 3, 3, 1, 1,
    )  # fmt: skip
    chunk = whole(log)
    # request b came first; its list from the top is 9, 7, 007
    np.testing.assert_array_equal(chunk.candidates, [[0, 1, 2], [0, 1, 2]])
    assert skus(log) == LISTS
    np.testing.assert_array_equal(chunk.clicks, [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(chunk.propensities, [[1.0, 0.75, 0.5], [0.25, 0.125, 0.5]])
    np.testing.assert_array_equal(chunk.features[:, :, 0], [[5.0, 1.0, 3.0], [2.0, 4.0, 6.0]])
    np.testing.assert_array_equal(chunk.context, [[30.0], [40.0]])
    assert log.user_table()["id"].iloc[chunk.user].tolist() == ["u", "v"]
    assert validate(tmp_path / "log").ok


def test_without_features_every_item_is_on_offer(tmp_path: Path) -> None:
    log = build(save(tmp_path, TABLE), tmp_path / "log", NAMES)
    chunk = whole(log)
    assert chunk.candidates.shape == (1, 3)
    assert skus(log) == LISTS  # in the order of appearance: b, then a
    assert log.info.order == "exchangeable"
    assert log.info.propensities == "none"


def test_length_cuts_and_keeps_what_is_shorter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = pd.DataFrame({"req": ["c"], "pos": [1], "sku": ["9"], "clicked": [1]})
    path = save(tmp_path, pd.concat([TABLE[list(short)], short]).assign(clicked=[1, 1, 0, 0, 1, 0, 1]))
    log = build(path, tmp_path / "log", NAMES, length=2)
    assert lists(log) == [*(row[:2] for row in LISTS), ["9"]]
    (cut,) = log.info.provenance["selections"]
    assert {key: cut[key] for key in ("step", "requests", "rows", "clicks")} == {
        "step": "--length 2", "requests": [3, 3], "rows": [7, 5], "clicks": [4, 3],
    }  # fmt: skip
    assert cut["ctr"] == [pytest.approx(4 / 7), pytest.approx(3 / 5)]
    said = (
        "--length 2: 2 of 3 requests cut to their top 2: 2 of 7 rows left out, 1 of 4 clicks lost; clicks a row 57.14%"
    )
    assert said in capsys.readouterr().err
    assert lists(build(path, tmp_path / "whole", NAMES)) == [*LISTS, ["9"]]
    assert build(path, tmp_path / "long", NAMES, length=4).info.provenance["selections"] == []


def test_positions_may_count_from_zero(tmp_path: Path) -> None:
    log = build(save(tmp_path, TABLE.assign(pos=TABLE["pos"] - 1)), tmp_path / "log", NAMES)
    assert skus(log) == LISTS


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("clicked", 3, 2, r"column clicked: click not in \{0, 1\} in 1 row: line 5 \(2\)"),
        ("p", 2, 0.0, r"column p: propensity outside \(0, 1\] in 1 row: line 4 \(0.0\)"),
        ("pos", 2, 2, r"column pos: position out of sequence"),
        ("pos", 0, 9, r"column pos: position out of sequence in 1 row: line 2 \(9\)"),
        ("pos", 0, 2.5, r"column pos: not a whole number"),
        ("sku", 1, "9", r"column sku: item shown twice in a request in 1 row: line 7 \(9\)"),
        ("sku", 1, None, r"column sku: no value in 1 row: line 3"),
        ("at", 4, "yesterday", r"column at: not a time in 1 row: line 6 \(yesterday\)"),
        ("who", 4, "w", r"column who: differs from the top row of its request in 1 row: line 6 \(w\)"),
        ("price", 5, np.inf, r"column price: not a finite number in 1 row: line 7"),
        ("price", 5, "dear", r"column price: not a number in 1 row: line 7 \(dear\)"),
        ("age", 4, 31.0, r"column age: differs from the top row of its request in 1 row: line 6"),
    ],
)
def test_wrong_cells_are_named(tmp_path: Path, column: str, row: int, value: object, message: str) -> None:
    table = TABLE.astype({column: object})
    table.loc[row, column] = value
    names = NAMES | {"propensity": "p", "time": "at", "user": "who"}
    with pytest.raises(DataError, match=message) as caught:
        build(save(tmp_path, table), tmp_path / "log", names, ["price"], context=["age"])
    assert "Fix:" in str(caught.value)
    assert not (tmp_path / "log").exists()


def test_wrong_tables_and_arguments(tmp_path: Path) -> None:
    path, out = save(tmp_path, TABLE), tmp_path / "log"
    with pytest.raises(DataError, match="column request is missing; there are req"):
        build(path, out, {})
    with pytest.raises(DataError, match="no such file"):
        build(tmp_path / "nowhere.csv", out, NAMES)
    with pytest.raises(DataError, match="the table is empty"):
        build(save(tmp_path, TABLE[:0], "parquet"), out, NAMES)
    (tmp_path / "cut.parquet").write_bytes(save(tmp_path, TABLE, "parquet").read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        build(tmp_path / "cut.parquet", out, NAMES)
    with pytest.raises(DataError, match="column price: numbers, where times are due, in 6 rows"):
        build(path, out, NAMES | {"time": "price"})
    with pytest.raises(DataError, match="number positions from 0 or 1"):
        build(save(tmp_path, TABLE.assign(pos=TABLE["pos"] + 1)), out, NAMES)
    for wrong in (
        {"columns": NAMES | {"colour": "x"}},
        {"length": 0},
        {"candidates": "some"},
        {"candidates": "all", "features": ["price"]},
        {"features": ["sku"]},
    ):
        with pytest.raises(ConfigError):
            build(**({"source": path, "out": out, "columns": NAMES} | wrong))


def test_columns_with_our_names_are_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    ours = {"req": "request", "pos": "position", "clicked": "click", "p": "propensity", "at": "time", "who": "user"}
    log = build(save(tmp_path, TABLE.rename(columns=ours)), tmp_path / "log", {"item": "sku"}, ["price"])
    assert (log.info.propensities, log.info.order, log.info.users) == ("logged", "time", 2)
    assert whole(log).propensities[0].tolist() == [1.0, 0.75, 0.5]
    used, ignored = describe(log)
    assert used == "columns used: request, position, item (your sku), click, propensity, time, user, price (a feature)"
    assert ignored == "columns ignored: age"
    # a column that serves another purpose is not taken a second time
    table = TABLE.rename(columns={"age": "time"})
    log = build(save(tmp_path, table), tmp_path / "context", NAMES, context=["time"])
    assert (log.info.d, log.info.order) == (1, "exchangeable")


@pytest.mark.parametrize("claim", ["uniform", "logged", "estimated"])
def test_a_claim_of_propensities_needs_the_column(tmp_path: Path, claim: str) -> None:
    with pytest.raises(ConfigError, match=f"said to be {claim}, but the table has no column propensity.*--column"):
        build(save(tmp_path, TABLE), tmp_path / "log", NAMES, propensities=claim)
    with pytest.raises(ConfigError, match="propensities = 'good' is none of"):
        build(save(tmp_path, TABLE), tmp_path / "log", NAMES, propensities="good")


@pytest.mark.parametrize("candidates", ["shown", "all"])
def test_uniform_is_one_over_the_candidates(tmp_path: Path, candidates: str) -> None:
    """Cut to two positions, "shown" offers two items and "all" three."""
    share = 1 / 2 if candidates == "shown" else 1 / 3
    told = {"length": 2, "candidates": candidates, "propensities": "uniform"}
    names = NAMES | {"propensity": "p"}
    table = TABLE.assign(p=share * (1 + 9e-7))
    table.loc[table["pos"] == 3, "p"] = 0.9  # cut off
    log = build(save(tmp_path, table), tmp_path / "log", names, **told)
    assert log.info.propensities == "uniform" and validate(log.path).ok
    table.loc[3, "p"] = share * 1.00001
    with pytest.raises(DataError, match=r"column p: propensity not 1/[23], .* in 1 row: line 5 \(.*say logged"):
        build(save(tmp_path, table), tmp_path / "other", names, **told)


def test_several_wrong_rows_and_the_rows_of_parquet(tmp_path: Path) -> None:
    table = TABLE.assign(clicked=[0, 2, 0, 2, 0, 0])
    with pytest.raises(DataError, match=r"in 2 rows; first: line 3 \(2\), line 5 \(2\)\."):
        build(save(tmp_path, table), tmp_path / "log", NAMES)
    with pytest.raises(DataError, match=r"in 2 rows; first: row 1 \(2\), row 3 \(2\)\."):
        build(save(tmp_path, table, "parquet"), tmp_path / "log", NAMES)


def test_the_command_tells_which_columns_it_used(tmp_path: Path) -> None:
    path = save(tmp_path, TABLE)
    pairs = [f"--column={ours}={yours}" for ours, yours in NAMES.items()]
    done = CliRunner().invoke(import_commands.group, ["impressions", str(path), str(tmp_path / "log"), *pairs])
    assert done.exit_code == 0, done.output
    assert "columns used: request (your req), position (your pos)" in done.stderr
    assert "columns ignored: p, at, who, price, age" in done.stderr
