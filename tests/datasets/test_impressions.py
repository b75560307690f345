"""A flat impressions table as a log: hand-worked cases, and every way a table can be wrong."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from lersbench.cli import imports as import_commands
from lersbench.datasets import impressions, shown_rounds
from lersbench.datasets.impressions import DECISIONS, build, describe
from lersbench.datasets.tables import reading
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


# Lists of any length --------------------------------------------------------------------------------------------------
def flat(lists: dict[str, list[tuple[str, int]]], first: int = 1) -> pd.DataFrame:
    """A table from the items and clicks of each request."""
    rows = [(request, at, *shown) for request, of in lists.items() for at, shown in enumerate(of, first)]
    return pd.DataFrame(rows, columns=["request", "position", "item", "click"])


def ragged_table(requests: int = 200, seed: int = 0) -> pd.DataFrame:
    """Lists of 2 to 6 of 18 items."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(18)[: rng.integers(2, 7)] for _ in range(requests)]
    return flat({f"r{t}": [(f"i{i}", int(rng.random() < 0.2)) for i in order] for t, order in enumerate(orders)})


@pytest.mark.parametrize("candidates", ["shown", "all"])
@pytest.mark.parametrize("length", [None, 4])
def test_requests_keep_their_own_lengths(tmp_path: Path, candidates: str, length: int | None) -> None:
    table = ragged_table()
    due = [of["item"].tolist()[:length] for _, of in table.groupby("request", sort=False)]
    log = build(save(tmp_path, table), tmp_path / "log", candidates=candidates, length=length)
    assert lists(log) == due and log.info.rounds == 200 and (length or 6) == log.info.L
    chunk = whole(log)
    assert chunk.clicks.sum() == table.groupby("request").head(length or 6)["click"].sum()
    assert chunk.top is not None and np.diff(chunk.top).tolist() == [len(one) for one in due]
    assert (chunk.first is None) == (candidates == "all")
    assert validate(log.path).ok


def test_features_and_propensities_of_lists_of_any_length_stay_with_their_items(tmp_path: Path) -> None:
    table = ragged_table(50)
    table["price"] = table["item"].str[1:].astype(float) + table["request"].str[1:].astype(float) * 100
    table["propensity"] = (1 / table.groupby("request")["item"].transform("size")).round(5)
    log = build(table, tmp_path / "log", features=["price"], propensities="uniform")
    chunk, ids = whole(log), log.item_table()["id"].to_numpy()
    assert chunk.first is not None and chunk.top is not None
    round_of = np.repeat(np.arange(50), np.diff(chunk.first))
    np.testing.assert_array_equal(
        chunk.features[:, 0], [float(one[1:]) for one in ids[chunk.candidates]] + round_of * 100.0
    )
    np.testing.assert_array_equal(chunk.propensities, np.repeat(1 / np.diff(chunk.top), np.diff(chunk.top)))


def test_lists_of_one_length_make_arrays_of_one_width(tmp_path: Path) -> None:
    table = ragged_table()
    cut = build(table, tmp_path / "log", candidates="shown", length=2)
    assert cut.info.ragged == () and whole(cut).slate.shape == (200, 2)
    assert build(table, tmp_path / "ragged").info.ragged == ("slate",)


def test_lists_larger_than_a_batch_are_not_cut_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    due = lists(build(ragged_table(), tmp_path / "log"))
    monkeypatch.setattr(shown_rounds, "CHUNK_ROWS", 3)
    assert lists(build(ragged_table(), tmp_path / "small")) == due


# Repairs --------------------------------------------------------------------------------------------------------------
def test_one_request_that_counts_otherwise_is_named(tmp_path: Path) -> None:
    table = flat({f"r{t}": [("a", 1), ("b", 0), ("c", 1)] for t in range(8)})
    table.loc[table["request"] == "r3", "position"] -= 1
    path = save(tmp_path, table)
    said = r"column position: request r3 counts its positions from 0, the other 7 from 1: line 11 \(0\)\. Fix: number"
    with pytest.raises(DataError, match=said):
        build(path, tmp_path / "log")
    log = build(path, tmp_path / "log", renumber=True)
    assert lists(log) == [["a", "b", "c"]] * 8
    assert log.info.provenance["selections"] == [
        {"step": "--renumber", "said": "--renumber: 3 rows have another position than the table says"}
    ]
    table.loc[table["request"].isin(["r5", "r6"]), "position"] -= 1
    with pytest.raises(
        DataError, match="3 requests count their positions from 0, the other 5 from 1, first request r3"
    ):
        build(save(tmp_path, table), tmp_path / "other")


def test_one_request_that_begins_with_one_is_named_where_others_begin_with_zero(tmp_path: Path) -> None:
    table = flat({f"r{t}": [("a", 1), ("b", 0)] for t in range(4)}, first=0)
    table.loc[table["request"] == "r2", "position"] += 1
    with pytest.raises(DataError, match=r"request r2 counts its positions from 1, the other 3 from 0: row 4 \(1\)"):
        build(table, tmp_path / "log")


def test_renumbering_needs_an_order(tmp_path: Path) -> None:
    table = flat({"a": [("x", 1), ("y", 0)], "b": [("x", 0), ("y", 0)]}).assign(position=[4, 9, 2, 2])
    said = r"column position: a position that its request has already in 1 row: row 3 \(2\)"
    with pytest.raises(DataError, match=said):
        build(table, tmp_path / "log", renumber=True)
    assert lists(build(table[:2], tmp_path / "log", renumber=True)) == [["x", "y"]]
    log = build(table.assign(position=[4, 9, 2, 1]), tmp_path / "top", renumber=True, length=1)
    assert lists(log) == [["x"], ["y"]] and [one["step"] for one in log.info.provenance["selections"]] == [
        "--renumber", "--length 1",
    ]  # fmt: skip


def test_the_first_of_doubled_items_stays_where_that_is_asked_for(tmp_path: Path) -> None:
    table = flat({"a": [("x", 1), ("y", 0), ("x", 1), ("z", 1)], "b": [("y", 0), ("x", 1)]})
    with pytest.raises(DataError, match=r"item shown twice in a request in 1 row: row 2 \(x\).*--first-of-doubled"):
        build(table, tmp_path / "log")
    log = build(table, tmp_path / "log", first_of_doubled=True)
    assert lists(log) == [["x", "y", "z"], ["y", "x"]]
    (record,) = log.info.provenance["selections"]
    assert record["rows"] == [6, 5] and record["clicks"] == [4, 3] and record["ctr"] == [pytest.approx(4 / 6), 3 / 5]
    gap = flat({"a": [("x", 1), ("x", 0)], "b": [("y", 0), ("x", 1)]}).assign(position=[1, 2, 1, 3])
    with pytest.raises(DataError, match="position out of sequence in 1 row: row 3"):  # not of the request repaired
        build(gap, tmp_path / "other", first_of_doubled=True)
    both = pd.concat([table[:2]] * 2)  # an export that wrote every row twice
    assert lists(build(both, tmp_path / "both", first_of_doubled=True)) == [["x", "y"]]


def test_an_empty_click_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    table = flat({"a": [("x", 1), ("y", 0)], "b": [("y", 0), ("x", 1)]}).astype({"click": object})
    table.loc[table["click"] == 0, "click"] = None
    path = save(tmp_path, table)
    with pytest.raises(
        DataError, match=r"column click: no value in 2 rows; first: line 3, line 4\. Fix: say --empty-click 0"
    ):
        build(path, tmp_path / "log")
    for source in (path, table.astype({"click": float})):
        log = build(source, tmp_path / "log", empty_click=0, overwrite=True)
        assert whole(log).clicks.tolist() == [[1, 0], [0, 1]]
        assert log.info.provenance["selections"][0]["said"] == "--empty-click: 2 empty cells of click are 0"
    table.loc[1, "click"] = 0
    with pytest.raises(DataError, match=r"column click: no value in 1 row: line 4\. Fix: fill it in"):
        build(save(tmp_path, table), tmp_path / "other")


def test_requests_without_a_user_are_of_one_user_where_that_is_asked_for(tmp_path: Path) -> None:
    table = flat({"a": [("x", 1)], "b": [("y", 0)], "c": [("y", 0)]}).assign(user=["u", None, " "])
    path = save(tmp_path, table)
    with pytest.raises(DataError, match=r"column user: no value in 2 rows.*--unknown-user"):
        build(path, tmp_path / "log")
    log = build(path, tmp_path / "log", unknown_user=True)
    users = log.user_table()
    assert users is not None and users["id"].iloc[whole(log).user].tolist() == ["u", "unknown", "unknown"]
    with pytest.raises(DataError, match="a user called unknown"):
        build(save(tmp_path, table.assign(user=["unknown", None, "u"])), tmp_path / "other", unknown_user=True)


# Propensities as exports write them -----------------------------------------------------------------------------------
@pytest.mark.parametrize("written", ["0.029412", "0.02941", "0.0294117647", "2.9412e-02", ".029"])
def test_a_rounded_propensity_of_a_uniform_log_is_taken_for_what_it_was(tmp_path: Path, written: str) -> None:
    table = pd.DataFrame({"request": np.arange(340), "position": 1, "item": np.arange(340) % 34, "click": 0})
    table["propensity"] = written
    log = build(save(tmp_path, table), tmp_path / "log", propensities="uniform")
    assert (whole(log).propensities == 1 / 34).all() and validate(log.path).ok
    assert (whole(build(save(tmp_path, table), tmp_path / "as_is")).propensities == float(written)).all()


@pytest.mark.parametrize("written", ["0.029411", "0.0293", "0.0294120", "3e-02000"])
def test_one_that_does_not_round_to_it_is_refused(tmp_path: Path, written: str) -> None:
    table = pd.DataFrame({"request": np.arange(34), "position": 1, "item": np.arange(34), "click": 0})
    table["propensity"] = ["0.029412"] * 33 + [written]
    with pytest.raises(DataError, match=r"column propensity: .* in 1 row: line 35"):
        build(save(tmp_path, table), tmp_path / "log", propensities="uniform")


# Categories -----------------------------------------------------------------------------------------------------------
def test_columns_of_text_become_columns_of_zeros_and_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = flat({r: [("x", 1), ("y", 0)] for r in "abcd"})
    table["device"] = np.repeat(["tv", "app", "app", "web"], 2)
    table["colour"] = ["red", "blue"] * 4
    log = build(table, tmp_path / "log", categories=["device"], item_categories=["colour"], category_cap=1)
    assert log.info.provenance["categories"] == {"device": ["app", "other"], "colour": ["blue", "other"]}
    assert whole(log).context.tolist() == [[0, 1], [1, 0], [1, 0], [0, 1]]
    assert "--category-cap 1: 2 of 3 values of device are 'other', in 2 of 4 requests" in capsys.readouterr().err
    log = build(table, tmp_path / "full", categories=["device"], item_categories=["colour"])
    assert log.info.provenance["categories"] == {"device": ["app", "tv", "web"], "colour": ["blue", "red"]}
    chunk, ids = whole(log), log.item_table()["id"].to_numpy()
    assert chunk.context.tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(chunk.features[:, :, 0], ids[chunk.candidates] == "y")
    assert validate(log.path).ok
    with pytest.raises(DataError, match="column device: differs from the top row of its request in 1 row: row 1"):
        build(table.assign(device=["tv", "app", *["web"] * 6]), tmp_path / "other", categories=["device"])
    with pytest.raises(DataError, match="column device: no value in 1 row: row 1"):
        build(table.assign(device=["tv", None, *["tv"] * 6]), tmp_path / "other", categories=["device"])


def test_a_value_called_other_shares_the_column_of_the_rare_ones(tmp_path: Path) -> None:
    table = flat({r: [("x", 1)] for r in "abcde"}).assign(device=["other", "other", "tv", "tv", "web"])
    log = build(table, tmp_path / "log", categories=["device"], category_cap=2)
    assert log.info.provenance["categories"] == {"device": ["tv", "other"]}
    assert whole(log).context.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0], [0, 1]]


# Decisions ------------------------------------------------------------------------------------------------------------
DECIDED = pd.DataFrame(
    {
        "action": ["a", "b", "007", "a"],
        "reward": [0, 1, 1, 0],
        "propensity": [0.5, 0.25, 0.25, 0.5],
        "time": ["2024-01-04", "2024-01-01", "2024-01-03", "2024-01-02"],
        "user": ["u", "v", "u", "v"],
        "age": [1.0, 2.0, 3.0, 4.0],
        "device": ["tv", "app", "tv", "app"],
    }
)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_decisions_are_rounds_of_one_position(tmp_path: Path, kind: str) -> None:
    log = build(save(tmp_path, DECIDED, kind), tmp_path / "log", context=["age"], categories=["device"], kind=DECISIONS)
    assert skus(log) == [["b"], ["a"], ["007"], ["a"]]  # by time
    chunk = whole(log)
    assert chunk.clicks.tolist() == [[1], [0], [1], [0]] and chunk.propensities.tolist() == [
        [0.25],
        [0.5],
        [0.25],
        [0.5],
    ]
    assert chunk.context.tolist() == [[2, 1, 0], [4, 1, 0], [3, 0, 1], [1, 0, 1]]
    users = log.user_table()
    assert users is not None and users["id"].iloc[chunk.user].tolist() == ["v", "v", "u", "u"]
    assert (log.info.C, log.info.L, log.info.order, log.info.propensities) == (3, 1, "time", "logged")
    assert validate(log.path).ok and log.info.name == "table"
    assert log.info.provenance["columns"]["action"] == "action"


def test_decisions_say_what_is_wrong_by_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the column action is missing; .*--column action=YOURS"):
        build(DECIDED.rename(columns={"action": "arm"}), tmp_path / "log", kind=DECISIONS)
    with pytest.raises(DataError, match=r"column reward: reward not in .* row 1 \(2\)"):
        build(DECIDED.assign(reward=[0, 2, 0, 0]), tmp_path / "log", kind=DECISIONS)
    with pytest.raises(ConfigError, match="decisions have no column 'item' to map"):
        build(DECIDED, tmp_path / "log", {"item": "action"}, kind=DECISIONS)
    for wrong in ({"features": ["age"]}, {"candidates": "shown"}, {"length": 3}, {"renumber": True}):
        with pytest.raises(ConfigError, match="decision"):
            build(DECIDED, tmp_path / "log", kind=DECISIONS, **wrong)
    log = build(DECIDED.assign(propensity="0.33"), tmp_path / "log", kind=DECISIONS, propensities="uniform")
    assert (whole(log).propensities == 1 / 3).all()
    log = build(DECIDED, tmp_path / "some", kind=DECISIONS, where="device = 'tv'")
    assert skus(log) == [["007"], ["a"]] and log.info.provenance["selections"][0]["clicks"] == [2, 1]


def test_the_commands_take_what_they_say(tmp_path: Path) -> None:
    DECIDED.to_csv(tmp_path / "d.csv", index=False)
    flags = ["--category", "device", "--context", "age", "--where", "device = 'tv'", "--propensities", "logged"]
    done = CliRunner().invoke(
        import_commands.group, ["decisions", str(tmp_path / "d.csv"), str(tmp_path / "log"), *flags]
    )
    assert done.exit_code == 0, done.output
    assert "2 of 4 rows left out" in done.stderr and "device (1 columns of 0 and 1)" in done.stderr
    save(tmp_path, ragged_table())
    flags = ["--length", "3", "--candidates", "shown"]
    done = CliRunner().invoke(
        import_commands.group, ["impressions", str(tmp_path / "table.csv"), str(tmp_path / "lists"), *flags]
    )
    assert done.exit_code == 0, done.output
    assert "requests cut to their top 3" in done.stderr


def test_a_disk_that_is_full_is_not_blamed_on_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(out: Path, chunks: object, **_: object) -> None:
        next(iter(chunks))  # type: ignore[call-overload]
        raise OSError(errno.ENOSPC, "No space left on device", str(out))

    monkeypatch.setattr(impressions, "write", full)
    with pytest.raises(OSError, match="No space left"):
        build(TABLE, tmp_path / "log", NAMES)
    assert not list(tmp_path.glob(".*"))


def test_what_the_memory_does_not_hold_is_spilled_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ragged_table(30_000)
    due = build(table, tmp_path / "log")
    monkeypatch.setattr(reading, "MEMORY", "16MB")
    assert build(table, tmp_path / "small").identity == due.identity
    assert not list(tmp_path.glob(".*"))
