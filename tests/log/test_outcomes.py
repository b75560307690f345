"""Outcomes beside the click: written, read, declared, checked, and summed to a reward."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, Ragged, read_all, validate, write
from lersbench.log.reward import CLICKS, reward_of

DECLARED = {
    "revenue": {"low": -20, "high": 500, "unit": "EUR"},
    "cost": {"low": 0, "high": 5.5, "unit": "EUR"},
    "watch_s": {"low": 0, "unit": "s"},
}


def rounds(n: int, ragged: bool = False, seed: int = 0) -> dict[str, Any]:
    """Slates of three of five items, or of one to three."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 4, n) if ragged else np.full(n, 3)
    slates = [rng.permutation(5)[:length] for length in lengths]
    lists: dict[str, list[np.ndarray]] = {
        "slate": slates,
        "clicks": [rng.integers(0, 2, length) for length in lengths],
        "outcome_watch_s": [rng.gamma(2.0, 30.0, length) for length in lengths],
        "outcome_revenue": [rng.uniform(-20, 500, length) for length in lengths],
        "outcome_cost": [rng.uniform(0, 5.5, length) for length in lengths],
    }
    if not ragged:
        return {name: np.stack(values) for name, values in lists.items()}
    return {name: Ragged(np.concatenate(values), lengths) for name, values in lists.items()}


def written(folder: Path, n: int = 40, ragged: bool = False, **changes: Any) -> Log:
    columns = {name: values for name, values in (rounds(n, ragged) | changes).items() if values is not None}
    return write(folder, columns, items=5, outcomes=DECLARED)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("chunk_bytes", [1, 2_000, 1 << 20])
def test_every_value_comes_back_beside_its_position(tmp_path: Path, ragged: bool, chunk_bytes: int) -> None:
    log, data = written(tmp_path / "log", ragged=ragged), rounds(40, ragged)
    assert log.info.columns == ("slate", "clicks", "outcome_cost", "outcome_revenue", "outcome_watch_s")
    assert log.info.outcomes == DECLARED and validate(log).ok
    chunks = list(log.read(chunk_bytes))
    for name in DECLARED:
        due = data[f"outcome_{name}"]
        read = np.concatenate([chunk.outcomes[name] for chunk in chunks])
        np.testing.assert_array_equal(read, due.values if isinstance(due, Ragged) else due)
    only = next(log.read(columns=["outcome_cost", "slate"]))
    assert set(only.outcomes) == {"cost"} and not only.clicks.size


def test_a_log_may_have_outcomes_and_no_clicks(tmp_path: Path) -> None:
    log = written(tmp_path / "log", clicks=None)
    assert "clicks" not in log.info.columns and validate(log).ok
    assert reward_of(log.info, "revenue").columns == ("outcome_revenue",)
    with pytest.raises(ConfigError, match="log 'log' has no outcome 'click'; it has cost, revenue, watch_s"):
        reward_of(log.info, {"click": 1, "cost": -1})


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("revenue", 500.01, r"value outside the declared range \[-20, 500\] in 1 row; first: row 7 \(value 500.01\)"),
        ("revenue", -20.01, r"value outside the declared range \[-20, 500\] in 1 row; first: row 7 \(value -20.01\)"),
        ("watch_s", -1e-9, r"value outside the declared range \[0, inf\) in 1 row; first: row 7"),
        ("watch_s", math.inf, r"not a finite number in 1 row; first: row 7 \(value inf\)"),
        ("cost", math.nan, r"not a finite number in 1 row; first: row 7 \(value nan\)"),
    ],
)
def test_a_value_outside_the_declared_range_is_named_and_nothing_is_written(
    tmp_path: Path, column: str, value: float, fault: str
) -> None:
    values = rounds(40)[f"outcome_{column}"]
    values[7, 1] = value
    with pytest.raises(DataError, match=f"column outcome_{column}: {fault}"):
        written(tmp_path / "log", **{f"outcome_{column}": values})
    assert not (tmp_path / "log").exists()


def test_reading_checks_the_range_that_log_json_declares(tmp_path: Path) -> None:
    written(tmp_path / "log")
    file = tmp_path / "log" / "log.json"
    content = json.loads(file.read_text())
    content["outcomes"]["revenue"]["high"], content["seal"] = 100, ""
    file.write_text(json.dumps(content))
    assert "value outside the declared range [-20, 100]" in str(validate(tmp_path / "log"))
    with pytest.raises(DataError, match="column outcome_revenue: value outside the declared range"):
        list(Log(tmp_path / "log").read())


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        ({"revenue": {"low": 0, "high": 9}}, "the unit is a text"),
        ({"revenue": {"low": 9, "high": 9, "unit": "EUR"}}, "low lies below high"),
        ({"revenue": {"low": "0", "unit": "EUR"}}, "low and high are finite numbers"),
        ({"revenue": {"high": math.inf, "unit": "EUR"}}, "low and high are finite numbers"),
        ({"revenue": {"lo": 0, "unit": "EUR"}}, "a dict with the keys low, high, unit"),
        ({"revenue": "EUR"}, "a dict with the keys low, high, unit"),
        ({}, "the outcome revenue is not declared"),
        ({"revenues": {"unit": "EUR"}}, "no column outcome_revenues; did you mean 'revenue'"),
        ({"Revenue": {"unit": "EUR"}}, "an outcome is called 'Revenue'"),
        ({"click": {"unit": "clicks"}}, "an outcome is called 'click'"),
    ],
)
def test_what_is_declared_wrongly_is_refused_when_writing_and_when_reading(
    tmp_path: Path, declared: dict[str, Any], fault: str
) -> None:
    data = {name: values for name, values in rounds(9).items() if name in ("slate", "clicks", "outcome_revenue")}
    with pytest.raises(ConfigError, match=fault):
        write(tmp_path / "log", data, items=5, outcomes=declared)
    assert not (tmp_path / "log").exists()
    write(tmp_path / "log", data, items=5, outcomes={"revenue": DECLARED["revenue"]})
    file = tmp_path / "log" / "log.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"outcomes": declared, "seal": ""}))
    with pytest.raises(DataError, match=fault):
        Log(tmp_path / "log")


def test_unknown_columns_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown column 'outcome_Revenue'"):
        written(tmp_path / "log", outcome_Revenue=np.zeros((40, 3)))
    with pytest.raises(DataError, match="outcome_cost without a slate"):
        write(tmp_path / "log", {"rewards": np.zeros((4, 2)), "outcome_cost": np.zeros((4, 2))}, outcomes=DECLARED)
    log = written(tmp_path / "log")
    with pytest.raises(ConfigError, match="no column 'outcome_'"):
        next(log.read(columns=["outcome_"]))


def test_a_column_that_log_json_does_not_name_and_one_of_schema_1(tmp_path: Path) -> None:
    written(tmp_path / "log")
    file, rounds_file = tmp_path / "log" / "log.json", tmp_path / "log" / "rounds.parquet"
    whole, content = rounds_file.read_bytes(), json.loads(file.read_text())
    file.write_text(json.dumps(content | {"schema": 1, "seal": ""}))
    with pytest.raises(DataError, match=r"unknown key .(ragged|outcomes|propensity_kind)."):
        Log(tmp_path / "log")
    file.write_text(json.dumps(content))
    table = pq.read_table(rounds_file)
    pq.write_table(table.append_column("outcome_more", table.column("outcome_cost")), rounds_file)
    with pytest.raises(DataError, match=r"has a column outcome_more that log.json does not name"):
        Log(tmp_path / "log")
    rounds_file.write_bytes(whole)
    assert validate(tmp_path / "log").ok


def test_the_range_is_part_of_what_a_result_is_known_by(tmp_path: Path) -> None:
    data = rounds(40)
    wider = {**DECLARED, "watch_s": {"low": 0, "high": 9000, "unit": "s"}}
    first = write(tmp_path / "a", data, items=5, outcomes=DECLARED).identity
    assert write(tmp_path / "b", data, items=5, outcomes=DECLARED).identity == first
    assert write(tmp_path / "c", data, items=5, outcomes=wider).identity != first


def test_a_changed_value_does_not_match_its_checksum(tmp_path: Path) -> None:
    log = written(tmp_path / "log")
    file = tmp_path / "log" / "rounds.parquet"
    content = bytearray(file.read_bytes())
    at = content.find(rounds(40)["outcome_cost"][3].tobytes())
    assert at > 0
    content[at] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"column outcome_cost.*the checksum does not match"):
        list(log.read())


@pytest.mark.parametrize("ragged", [False, True])
def test_a_reward_is_the_weighted_sum_and_has_the_range_and_unit_of_its_parts(tmp_path: Path, ragged: bool) -> None:
    log = written(tmp_path / "log", ragged=ragged)
    chunk = read_all(log, 1 << 20)
    assert reward_of(log.info, "click") == reward_of(log.info, {"click": 1}) == CLICKS
    assert CLICKS.is_click and not reward_of(log.info, {"click": 2}).is_click
    assert CLICKS.of(chunk) is chunk.clicks

    margin = reward_of(log.info, {"revenue": 1, "cost": -1})
    assert (margin.low, margin.high, margin.unit, margin.words) == (-25.5, 500.0, "EUR", "revenue - cost")
    np.testing.assert_array_equal(margin.of(chunk), chunk.outcomes["revenue"] - chunk.outcomes["cost"])

    points = reward_of(log.info, {"click": 1, "cost": -10})
    assert (points.low, points.high, points.unit, points.words) == (-55.0, 1.0, "points", "click - 10 cost")
    np.testing.assert_array_equal(points.of(chunk), chunk.clicks - 10 * chunk.outcomes["cost"])

    watched = reward_of(log.info, {"watch_s": -1})
    assert (watched.low, watched.high, watched.unit, watched.words) == (-math.inf, 0.0, "s", "-watch_s")
    assert not watched.is_bounded and margin.is_bounded
    with pytest.raises(ConfigError, match=r"has no outcome 'revenu'; did you mean 'revenue'"):
        reward_of(log.info, "revenu")
