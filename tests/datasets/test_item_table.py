"""Items that come and go: a table of items beside one of what was shown."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from lersbench.cli import imports
from lersbench.datasets.impressions import build
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, validate
from tests.support.runs import finals

SHOWN = pd.DataFrame(
    {
        "request": ["b", "b", "a", "c"],
        "position": [1, 2, 1, 1],
        "item": ["007", "x", "x", "7"],
        "click": [0, 1, 1, 0],
        "time": ["2026-03-01T10:10", "2026-03-01T10:10", "2026-03-01T10:00", "2026-03-01T10:20"],
    }
)
ITEMS = pd.DataFrame(
    {
        "id": ["7", "007", "x", "late", "between"],
        "price": [1.0, 2.0, 3.0, 4.0, 5.0],
        "on_from": ["2026-03-01T10:10", None, "2026-03-01T10:00", "2026-03-01T10:21", "2026-03-01T10:11"],
        "on_until": [None, "2026-03-01T10:20", "2026-03-01T10:11", None, "2026-03-01T10:19"],
    }
)


def offers(log: Log) -> list[set[str]]:
    (chunk,) = log.read()
    ids = log.item_table()["id"].to_numpy()
    assert chunk.first is not None
    return [set(ids[chunk.candidates[a:b]]) for a, b in pairwise(chunk.first)]


def test_what_is_on_air_is_on_offer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = build(SHOWN, tmp_path / "log", candidates="on-air", item_table=ITEMS, item_features=["price"])
    # by hand: a at 10:00, b at 10:10, c at 10:20; a beginning counts, an end does not
    assert offers(log) == [{"x", "007"}, {"x", "007", "7"}, {"7"}]
    table = log.item_table().set_index("id")
    assert set(table.index) == {"7", "007", "x"}, "what is never on offer is not in the log"
    assert {name: row[0] for name, row in table["features"].items()} == {"7": 1.0, "007": 2.0, "x": 3.0}
    assert str(table.loc["x", "on_until"]) == "2026-03-01 10:11:00" and pd.isna(table.loc["7", "on_until"])
    assert "items shown with the item table: 3 of 3 items met (100.0%)" in capsys.readouterr().err
    join = {"what": "items shown with the item table", "rows": 3, "met": 3, "unit": "items"}
    assert log.info.provenance["joins"] == [join] and log.info.provenance["candidates"] == "on-air"
    assert validate(log.path).ok


def test_uniform_is_one_of_those_on_air(tmp_path: Path) -> None:
    chosen = SHOWN[SHOWN["item"] != "007"].assign(position=1, propensity=["0.333", "0.5", "1"])
    how: dict[str, Any] = {"candidates": "on-air", "item_table": ITEMS, "propensities": "uniform"}
    log = build(chosen, tmp_path / "log", **how)
    (chunk,) = log.read()
    np.testing.assert_array_equal(chunk.propensities.reshape(-1), [1 / 2, 1 / 3, 1])
    with pytest.raises(DataError, match="propensity not 1/3, though said to be uniform"):
        build(chosen.assign(propensity=["0.2", "0.5", "1"]), tmp_path / "wrong", **how)


def test_features_without_times_leave_candidates_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SHOWN.to_csv(tmp_path / "shown.csv", index=False)
    ITEMS[ITEMS["id"] != "7"].drop(columns=["on_from", "on_until"]).to_csv(tmp_path / "items.csv", index=False)
    asked = ["impressions", tmp_path / "shown.csv", tmp_path / "log"]
    asked += ["--item-table", tmp_path / "items.csv", "--item-feature", "price"]
    done = CliRunner().invoke(imports.group, [str(word) for word in asked])
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    assert "2 of 3 items met (66.7%); warning: the others have nothing of it" in done.stderr
    assert "price (of the item table)" in done.stderr
    log = Log(tmp_path / "log")
    assert "candidates" not in log.info.columns and "on_from" not in log.item_table()
    assert dict(zip(log.item_table()["id"], log.items[:, 0], strict=True)) == {"x": 3, "007": 2, "7": 0}


@pytest.mark.parametrize(
    ("items", "shown", "message"),
    [
        ({"on_until": ["2026-03-01T10:20"] * 3 + [None] * 2}, {},
         r"column item: not on air when it was shown in 1 row: row 3 \(request c, item 7, 2026-03-01 10:20:00; on air "
         r"from 2026-03-01 10:10:00 until 2026-03-01 10:20:00\)"),
        ({}, {"item": ["007", "x", "x", "ghost"]},
         r"\(request c, item ghost, 2026-03-01 10:20:00; not in the item table\)"),
        ({}, {"item": ["p", "q", "r", "s"]},
         "none of 4 items met. Fix: write the same ids in both; .* has '7', say, and here is 'p'"),
        ({"id": ["7", "007", "x", "x", "y"]}, {},
         r"the item table, column id: an item that was there before in 1 row: row 3 \(x\)"),
        ({"on_until": ["2026-02-01T10:20"] * 5}, {}, r"column on_until: before on_from in 4 rows; first: row 0"),
        ({"on_until": ["noon"] * 5}, {}, "column on_until: not a time in 5 rows"),
        ({"price": [1, None, 2, 3, 4]}, {}, "column price: no value in 1 row: row 1"),
        ({"on_from": ["2026-02-01T10:20Z"] * 5}, {}, "of on_from and on_until one has a zone"),
        ({"on_from": ["2026-02-01T10:20Z"] * 5, "on_until": ["2026-04-01T10:20Z"] * 5}, {},
         "of its times and those of the rounds one has a zone"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, items: dict[str, Any], shown: dict[str, Any], message: str) -> None:
    how: dict[str, Any] = {"candidates": "on-air", "item_table": ITEMS.assign(**items), "item_features": ["price"]}
    with pytest.raises(DataError, match=message):
        build(SHOWN.assign(**shown), tmp_path / "log", **how)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"candidates": "on-air"}, "are in a table of items: give --item-table"),
        ({"item_features": ["price"]}, "are in a table of items: give --item-table"),
        ({"item_table": ITEMS}, "say what is to be taken of the item table"),
        (
            {"item_table": ITEMS.drop(columns=["on_from", "on_until"]), "candidates": "on-air"},
            "has neither on_from nor",
        ),
        (
            {"item_table": ITEMS, "candidates": "on-air", "features": ["click"]},
            'use candidates = "shown" with features',
        ),
    ],
)
def test_what_cannot_be_asked_is_said(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(SHOWN, tmp_path / "log", **how)
    with pytest.raises(ConfigError, match="what is on air depends on the time of the round"):
        build(SHOWN.drop(columns="time"), tmp_path / "log", item_table=ITEMS, candidates="on-air")


def test_many_rounds_are_played(tmp_path: Path) -> None:
    """Items are on air for an hour each; what is on offer is compared with a plain loop over all of them."""
    rng = np.random.default_rng(0)
    begin = pd.Timestamp("2026-03-01") + pd.to_timedelta(np.arange(30) * 10, unit="min")
    items = pd.DataFrame({"id": [f"i{i}" for i in range(30)], "on_from": begin, "on_until": begin + pd.Timedelta("1h")})
    rows, due = [], []
    for minute in range(300):
        now = pd.Timestamp("2026-03-01") + pd.Timedelta(minute, "min")
        there = items["id"][(items["on_from"] <= now) & (now < items["on_until"])].to_numpy()
        due.append(set(there))
        shown = rng.permutation(there)[:2]
        rows += [(minute, rank, item, int(rng.random() < 0.4), now) for rank, item in enumerate(shown)]
    table = pd.DataFrame(rows, columns=["request", "position", "item", "click", "time"])
    log = build(table, tmp_path / "log", candidates="on-air", item_table=items)
    assert offers(log) == due
    values = finals(log, tmp_path / "results", feedback="logged", slate=2)
    assert set(values.index) == {"random", "ucb1"} and values["ctr"].between(0.2, 0.6).all()
