"""Delayed feedback and items that come and go, from a scenario to its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lersbench.errors import ConfigError
from lersbench.log import Log, write
from tests.support.runs import finals

ITEMS, N = 30, 400
START = np.datetime64("2024-05-01T00:00", "us")


def on_air(folder: Path, known: bool = True, time: bool = True) -> Log:
    """Rounds a minute apart; item i is on offer from minute 10 i on for an hour, and is known to be liked after 30."""
    rng = np.random.default_rng(0)
    offered = [np.flatnonzero((10 * np.arange(ITEMS) <= t) & (t < 10 * np.arange(ITEMS) + 60)) for t in range(N)]
    offered = [o if len(o) else np.array([ITEMS - 1]) for o in offered]
    rewards = [(rng.random(len(o)) < 0.2 + 0.5 * (o % 3 == 0)).astype(float) for o in offered]
    when = START + np.arange(N) * np.timedelta64(60, "s").astype("m8[us]")
    columns: dict[str, Any] = {"candidates": offered, "rewards": rewards, "context": np.ones((N, 1))}
    columns |= {"time": when} if time else {}
    if known:
        columns["known"] = [np.full(len(o), t + np.timedelta64(1800, "s")) for o, t in zip(offered, when, strict=True)]
    return write(folder, columns, name="air", items=ITEMS, order="time" if time else "exchangeable")


def test_feedback_comes_by_the_clock_of_the_log(tmp_path: Path) -> None:
    log = on_air(tmp_path / "log")
    at_once, logged, fixed, none = (
        finals(log, tmp_path / str(i), **more)
        for i, more in enumerate([{}, {"delay": "logged"}, {"delay": "30 min"}, {"delay": "0 s"}])
    )
    pd.testing.assert_frame_equal(logged, fixed)
    assert logged["undelivered"].to_list() == pytest.approx([30 / N] * 2), "rounds of the last half hour"
    assert "undelivered" not in at_once
    pd.testing.assert_series_equal(at_once["ctr"], none["ctr"])
    assert logged.loc["ucb1", "ctr"] < at_once.loc["ucb1", "ctr"], "half an hour is half of an item's time on air"


def test_what_young_items_get_is_counted(tmp_path: Path) -> None:
    """Every item is on offer in 60 rounds: ten of them are its first ten, a sixth of what random shows."""
    last = finals(on_air(tmp_path / "log"), tmp_path)
    assert last.loc["random", "exposure_first10"] == pytest.approx(1 / 6, abs=0.06)
    assert (last["exposure_first100"] > 0.9).all()
    assert last.loc["random", "reward_first1000"] == pytest.approx(last.loc["random", "ctr"])


@pytest.mark.parametrize(
    ("options", "replay", "words"),
    [
        ({"known": False}, {"delay": "logged"}, "log 'air' has no 'known' column; give a time instead"),
        ({"known": False, "time": False}, {"delay": "5 min"}, "log 'air' has no 'time' column"),
        ({}, {"delay": "soon"}, "it takes 'logged', or a time such as '30 min'"),
        ({}, {"delay": "-5 min"}, "it takes 'logged', or a time such as '30 min'"),
        ({}, {"delay": "logged", "batch": 10}, "leave out 'batch' or 'delay'"),
        ({}, {"delay": "logged", "replicates": "shuffle"}, "with a delay rounds keep their order"),
    ],
)
def test_what_cannot_be_delayed_is_said(
    tmp_path: Path, options: dict[str, bool], replay: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        finals(on_air(tmp_path / "log", **options), tmp_path, **replay)
