"""Outcomes and the times at which they are known, from a user's table to the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from lersbench.cli import imports
from lersbench.datasets.impressions import DECISIONS, build
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, Ragged, validate
from tests.support.runs import finals

SHOWN = pd.DataFrame(
    {
        "request": ["a", "a", "b", "b", "b"],
        "position": [1, 2, 1, 2, 3],
        "item": ["x", "y", "y", "z", "x"],
        "click": [1, 0, 1, 1, 0],
        "paid": ["12.5", "", "0", "-3", "99"],
        "time": ["2026-03-01T10:00"] * 2 + ["2026-03-01T11:00"] * 3,
        "booked": ["2026-03-01T10:00", "2026-03-01T10:30", "2026-03-02", "2026-03-01T11:00:01", "2026-03-01T12:00"],
    }
)
REVENUE = {"column": "paid", "low": -10, "high": 100, "unit": "EUR", "empty": 0}
DECIDED = pd.DataFrame({"action": ["a", "b", "a", "c"], "reward": [0.5, 4, 0, 2], "stars": [1, 2, 3, 4]})


def command(*words: Any) -> Result:
    return CliRunner().invoke(imports.group, [str(word) for word in words])


def test_outcomes_and_their_times_go_into_the_log(tmp_path: Path) -> None:
    log = build(SHOWN, tmp_path / "log", outcomes={"revenue": REVENUE}, known_time="booked")
    (chunk,) = log.read()
    assert chunk.top is not None and chunk.outcomes["revenue"].tolist() == [12.5, 0, 0, -3, 99]
    assert chunk.clicks.tolist() == [1, 0, 1, 1, 0]
    known = chunk.clicks_known.astype("M8[us]").astype("M8[s]").astype(str).tolist()
    assert known == [
        f"2026-03-{day}" for day in ("01T10:00:00", "01T10:30:00", "02T00:00:00", "01T11:00:01", "01T12:00:00")
    ]
    assert log.info.outcomes == {"revenue": {"low": -10.0, "high": 100.0, "unit": "EUR"}}
    assert log.info.provenance["outcomes"] == {"revenue": "paid"} and validate(log.path).ok
    assert log.info.provenance["selections"][0]["said"] == "--empty-outcome revenue: 1 empty cells of paid are 0"


def test_the_command_says_the_same(tmp_path: Path) -> None:
    SHOWN.to_csv(tmp_path / "shown.csv", index=False)
    asked = ["--outcome", "revenue=paid", "--outcome-range", "revenue=-10:", "--outcome-unit", "revenue=EUR"]
    asked += ["--empty-outcome", "revenue=0", "--known-time", "booked", "--length", "2"]
    done = command("impressions", tmp_path / "shown.csv", tmp_path / "log", *asked)
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    assert "revenue (your paid) (an outcome, -10 to inf EUR)" in done.stderr and "known (your booked)" in done.stderr
    log = Log(tmp_path / "log")
    (chunk,) = log.read()
    assert chunk.outcomes["revenue"].tolist() == [[12.5, 0], [0, -3]]
    assert log.info.outcomes == {"revenue": {"low": -10.0, "unit": "EUR"}}


def test_a_table_without_clicks_is_said_to_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = build(SHOWN.drop(columns="click"), tmp_path / "log", outcomes={"revenue": REVENUE}, length=2)
    assert "clicks" not in log.info.columns and log.info.provenance["click"] == "none"
    said = capsys.readouterr().err
    assert 'clicks: the log has none, only outcomes; play it with [replay] reward = "revenue"' in said
    assert "1 of 5 rows left out, 99 of 108.5 revenue lost; revenue a row 21.7 before, 2.375 after" in said
    assert log.info.provenance["selections"][-1]["revenue"] == [108.5, 9.5]


@pytest.mark.parametrize(
    ("table", "more", "message"),
    [
        ({}, {"outcomes": {"revenue": {"column": "paid"}}},
         r"column paid: the outcome revenue has no range; this table has -3 to 99\..*-range revenue=-3:99, or"),
        ({}, {"outcomes": {"revenue": {**REVENUE, "empty": None}}},
         r"column paid: no value in 1 row: row 1 \(\)\. Fix: fill it in, or say --empty-outcome revenue=0"),
        ({}, {"outcomes": {"revenue": {**REVENUE, "high": 50}}},
         r"column paid: value outside the declared range \[-10, 50\] in 1 row: row 4 \(99\)"),
        ({"paid": ["1", "much", "1", "1", "1"]}, {"outcomes": {"revenue": REVENUE}},
         r"column paid: not a number in 1 row: row 1 \(much\)"),
        ({"booked": ["2026-03-01T09:59"] * 5}, {"known_time": "booked"},
         r"column booked: before the time of its round in 5 rows; first: row 0 \(2026-03-01 09:59:00\)"),
        ({"booked": ["2026-03-03T09:59Z"] * 5}, {"known_time": "booked"},
         "column booked: its times have a zone, those of time have none. Fix: write both with a zone"),
        ({"booked": ["2026-03-03", None, "2026-03-03", "2026-03-03", "2026-03-03"]}, {"known_time": "booked"},
         "column booked: no value in 1 row: row 1"),
        ({}, {"known_time": "shipped"}, "the column shipped is missing"),
    ],
)  # fmt: skip
def test_wrong_cells_are_named(tmp_path: Path, table: dict[str, Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        build(SHOWN.assign(**table), tmp_path / "log", **more)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--outcome-range", "revenue=0:5"], "revenue is no outcome; say --outcome revenue too"),
        (
            ["--outcome", "revenue=paid", "--outcome-range", "revenu=0:5"],
            "revenu is no outcome; did you mean 'revenue'",
        ),
        (["--outcome", "revenue=paid", "--outcome-range", "revenue=5"], "a range is LOW:HIGH"),
        (["--outcome", "revenue=paid", "--outcome-range", "revenue=a:5"], "'a' is no number"),
        (["--outcome", "revenue=paid", "--outcome-range", "revenue=5:1"], "goes from 5.0 to 1.0"),
        (["--outcome", "Revenue=paid"], "an outcome is called 'Revenue'. Fix: small letters"),
        (["--known-time", "booked", "--column", "time=booked"], "'booked' of the table is used twice"),
    ],
)
def test_wrong_flags_are_named(tmp_path: Path, flags: list[str], message: str) -> None:
    SHOWN.to_csv(tmp_path / "shown.csv", index=False)
    done = command("impressions", tmp_path / "shown.csv", tmp_path / "log", *flags)
    assert isinstance(done.exception, ConfigError) and message in str(done.exception)


def test_a_reward_that_is_any_number_is_an_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"reward not in \{0, 1\} in 3 rows?.*--reward-range 0:4 or wider"):
        build(DECIDED.assign(reward=[3, 4, 0, 2]), tmp_path / "log", kind=DECISIONS)
    DECIDED.rename(columns={"reward": "score"}).to_csv(tmp_path / "d.csv", index=False)
    asked = ["decisions", tmp_path / "d.csv", tmp_path / "log", "--column", "reward=score", "--reward-range", "0:5"]
    done = command(*asked)
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    assert "clicks: the log has none, only outcomes" in done.stderr and "--click-above 0 would make" in done.stderr
    (chunk,) = Log(tmp_path / "log").read()
    assert chunk.outcomes["reward"].tolist() == [[0.5], [4], [0], [2]] and not chunk.clicks.size
    done = command(*asked, "--click-above", "1", "--overwrite", "--outcome-unit", "reward=points")
    assert "clicks: a click is a reward above 1" in done.stderr, f"{done.output} {done.exception}"
    (chunk,) = Log(tmp_path / "log").read()
    assert chunk.clicks.tolist() == [[0], [1], [0], [1]]
    with pytest.raises(ConfigError, match="click_above is of decisions whose reward is an outcome"):
        build(DECIDED, tmp_path / "x", kind=DECISIONS, click_above=1.0)


def test_imports_are_played_by_revenue_and_by_their_clock(tmp_path: Path) -> None:
    """One of three actions pays 6, the others 1: a policy finds it, later where it is told a day later."""
    rng, n = np.random.default_rng(0), 3000
    action = rng.integers(0, 3, n)
    time = pd.Timestamp("2026-03-01") + pd.to_timedelta(np.arange(n), unit="min")
    table = pd.DataFrame({"action": action.astype(str), "reward": np.where(action == 1, 6.0, 1.0), "time": time})
    table = table.assign(propensity="0.333", booked=time + pd.Timedelta("1D"), cost=-table["reward"])
    rewards = {"reward": {"low": 0, "high": 10, "unit": "EUR"}, "cost": {"low": -10, "high": 0, "unit": "EUR"}}
    log = build(table, tmp_path / "log", outcomes=rewards, kind=DECISIONS, known_time="booked", propensities="uniform")
    at_once = finals(log, tmp_path / "1", feedback="replay", reward="reward")
    assert at_once.loc["random", "reward_sum"] == pytest.approx(8 / 3, abs=0.3)
    assert at_once.loc["ucb1", "reward_sum"] > 5
    late = finals(log, tmp_path / "2", feedback="replay", reward="reward", delay="logged")
    assert late.loc["ucb1", "reward_sum"] < at_once.loc["ucb1", "reward_sum"]
    assert late.loc["ucb1", "undelivered"] > 0
    spent = finals(log, tmp_path / "3", feedback="replay", reward="cost")
    assert spent.loc["ucb1", "reward_sum"] > -2


def test_lists_of_any_length_are_played_by_revenue(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [
        (
            f"r{t}",
            rank,
            f"p{item}",
            int(rng.random() < 0.3),
            float(item),
            pd.Timestamp("2026-03-01") + pd.Timedelta(t, "h"),
        )
        for t in range(300)
        for rank, item in enumerate(rng.permutation(6)[: rng.integers(2, 6)])
    ]
    table = pd.DataFrame(rows, columns=["request", "position", "item", "click", "revenue", "time"])
    table["booked"] = table["time"] + pd.Timedelta("90min")
    log = build(
        table,
        tmp_path / "log",
        outcomes={"revenue": {"low": 0, "high": 10, "unit": "EUR"}},
        known_time="booked",
        candidates="shown",
    )
    assert set(log.info.ragged) == {"candidates", "slate"}
    (chunk,) = log.read()
    assert isinstance(chunk.top, np.ndarray) and not isinstance(chunk.clicks_known, Ragged)
    values = finals(log, tmp_path, feedback="logged", slate=2, reward="revenue", delay="logged")
    assert values.loc["ucb1", "reward_sum"] > values.loc["random", "reward_sum"]
