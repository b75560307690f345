"""`import impressions --random COLUMN`: which requests were put in random order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import lersbench as lb
from lersbench.cli import imports
from lersbench.errors import ConfigError, DataError

N = 20


def impressions() -> pd.DataFrame:
    request = np.repeat(np.arange(N), 3)
    columns = {"request": request, "position": np.tile([1, 2, 3], N), "item": np.tile([4, 5, 6], N), "click": 0}
    return pd.DataFrame(columns | {"shuffled": (request % 5 == 0).astype(int)})


@pytest.mark.parametrize("write", [lambda x: x, lambda x: x == 1, lambda x: np.where(x == 1, "True", "false")])
def test_the_log_keeps_it_as_its_logger(write: Callable[[Any], Any], tmp_path: Path) -> None:
    frame = impressions()
    log = lb.from_impressions(frame.assign(shuffled=write(frame["shuffled"])), tmp_path / "log", random="shuffled")
    assert np.concatenate([chunk.logger for chunk in log.read()]).tolist() == [int(i % 5 == 0) for i in range(N)]
    said = log.info.provenance
    assert (said["random_logger"], said["requests in random order"]) == (1, 4)
    assert said["loggers"] == ["the ranker", "random order"]
    assert said["selections"][0]["said"] == "--random shuffled: 4 of 20 requests are in random order, 12 of 60 rows"


def test_a_column_called_logger_may_be_it(tmp_path: Path) -> None:
    frame = impressions().rename(columns={"shuffled": "logger"})
    assert lb.from_impressions(frame, tmp_path / "log", random="logger").info.provenance["random_logger"] == 1


WRONG: list[tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = [
    (lambda f: f.assign(shuffled=f["shuffled"] * 2), r"shuffled: random not in \{0, 1\} in 12 rows; first: row 0 \(2"),
    (lambda f: f.assign(shuffled=f["position"] == 2), r"shuffled: differs from the top row of its request in 20 rows"),
    (lambda f: f.assign(shuffled=None), r"shuffled: no value in 60 rows"),
    (lambda f: f.assign(shuffled=0), r"shuffled: 1 in no request. Fix: write 1"),
    (lambda f: f.drop(columns="shuffled"), r"the column shuffled is missing; there are request"),
    (lambda f: f[f["position"] == 1], r"shows one item, and the order of one item says nothing"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_columns(change: Callable[[pd.DataFrame], pd.DataFrame], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        lb.from_impressions(change(impressions()), tmp_path / "log", random="shuffled")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"columns": {"logger": "click"}}, "leave out --column logger=click, or leave out --random"),
        ({"propensities": "plackett-luce=1", "columns": {"score": "position"}}, "ordered otherwise"),
        ({"first_of_doubled": True}, "no item twice"),
    ],
)
def test_what_contradicts_it_is_refused(more: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        lb.from_impressions(impressions(), tmp_path / "log", random="shuffled", **more)


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    impressions().to_csv("shown.csv", index=False)
    run = CliRunner().invoke(imports.group, ["impressions", "shown.csv", "log", "--random", "shuffled"])
    assert run.exit_code == 0 and "4 of 20 requests are in random order" in run.stderr
    assert lb.Log("log").info.provenance["random_logger"] == 1
