"""Policies in words, of a command line and of a scenario; modules that a policy file imports from its folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import lersbench as lb
from lersbench.bench import objects, replays, scenario
from lersbench.bench.policy_words import policies_in, words_of
from lersbench.errors import ConfigError
from lersbench.evaluation import scenario as evaluations
from lersbench.policy import find

MINE = '''
from dataclasses import dataclass

import numpy as np
from helpers import order

from lersbench.policy import Policy


@dataclass(frozen=True)
class Mine(Policy):
    """By a rule of my own (2026)."""

    boost: float = 1.0
    learns = False

    def init(self, spec):
        return None

    def select(self, state, rng, round, slate):
        round.scores[:] = self.boost * order(round.candidates)
        slate[:] = np.argsort(-round.scores)[: len(slate)]

    def update(self, state, round, slate, rewards, seen):
        pass
'''


def write(folder: Path, sign: float = 1.0, policy: str = MINE) -> str:
    """A policy with a neighbour, which has a neighbour of its own, and a package beside it; the path of its file."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(policy)
    (folder / "helpers.py").write_text("from parts.signs import SIGN\n\n\ndef order(x):\n    return SIGN * x\n")
    (folder / "parts" / "signs.py").write_text(f"SIGN = {sign}\n")
    return str(folder / "mine.py")


@pytest.fixture(autouse=True)
def nothing_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the neighbours of another."""
    from lersbench import neighbours

    neighbours._forget(dict.fromkeys(("helpers", "parts"), ""))
    monkeypatch.setattr(neighbours._finder, "places", {})
    monkeypatch.setattr(neighbours._finder, "digests", {})


def played(folder: Path, results: Path, *policies: Any) -> replays.Run:
    content = {
        "name": "small",
        "title": "Small",
        "data": {"dataset": "synthetic", "rounds": 200, "items": 6, "d": 3},
        "replay": {"seeds": 2, "checkpoints": 5},
        "policies": list(policies),
    }
    return replays.bench(scenario.parse(content, "test"), results, threads=1, say=lambda line: None)


def value(run: replays.Run, policy: str) -> float:
    table = pd.read_parquet(run.folder / "summary.parquet")
    return float(table[(table.policy == policy) & (table.metric == "ctr_sum")].value.mean())


# Words ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("linucb", {}),
        ("linucb:alpha=0.1,0.3", {"alpha": [0.1, 0.3]}),
        ("linucb:alpha=0.1,0.3,ridge=2", {"alpha": [0.1, 0.3], "ridge": 2}),
        ("linucb:alpha=0.1:ridge=2", {"alpha": 0.1, "ridge": 2}),
        ("linucb alpha=0.5 ridge=2", {"alpha": 0.5, "ridge": 2}),
        ("scores:table=C:/a.csv,missing=last", {"table": "C:/a.csv", "missing": "last"}),
        ("scores:table='a,b.csv'", {"table": "a,b.csv"}),
        ("scores table='a b,c.csv'", {"table": "a b,c.csv"}),
    ],
)
def test_words_are_the_entry_of_a_scenario(text: str, entry: dict[str, Any]) -> None:
    assert words_of(text) == {"name": re.split("[: ]", text)[0], **entry}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("linucb:alhpa=0.1", "LinUCB has no option 'alhpa'; did you mean 'alpha'"),
        ("linucb:alpha=wide", "'alpha' takes float, not 'wide'"),
        ("linucb:alpha=1,alpha=2", "the option 'alpha' is there twice"),
        ("linucp:alpha=1", "no policy 'linucp'; did you mean 'linucb'"),
        ("linucb alpha=0.5 ridge", "takes hyper-parameters as key=value, not 'ridge'"),
    ],
)
def test_words_that_mean_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(policies_in(text))


def test_names_in_a_scenario_are_its_tables() -> None:
    data = {"name": "s", "title": "S", "data": {"dataset": "synthetic"}}
    short = {**data, "policies": ["random", "linucb:alpha=0.1,0.3", {"name": "linucb", "alpha": 1.0}]}
    tables = [{"name": "random"}, {"name": "linucb", "alpha": [0.1, 0.3]}, {"name": "linucb", "alpha": 1.0}]
    assert scenario.parse(short, "test") == scenario.parse({**data, "policies": tables}, "test")
    assert evaluations.Evaluated(**short, evaluate={}).policies == tables
    content = {**short, "alternatives": {"taobao": {"without": ["linucb"]}}}
    assert scenario.on_dataset(content, "taobao", "test")["policies"] == [{"name": "random"}]


def test_words_are_taken_from_python_too() -> None:
    entries = objects.entries_of(["random", "linucb:alpha=0.1,0.3"], ("bandit",))
    assert [entry.label for entry in entries] == ["random", "linucb alpha=0.1", "linucb alpha=0.3"]
    with pytest.raises(ConfigError, match="'wide' is one label, and 'linucb:alpha=1,2' means 2 policies"):
        objects.entries_of({"wide": "linucb:alpha=1,2"}, ("bandit",))


# Neighbours -----------------------------------------------------------------------------------------------------------
def test_a_changed_neighbour_is_played_anew(tmp_path: Path) -> None:
    """Also a neighbour's neighbour, in the process that has imported it before."""
    mine = write(tmp_path / "a")
    first = played(tmp_path, tmp_path / "results", "random", f"{mine}:boost=1,2")
    assert played(tmp_path, tmp_path / "results", "random", f"{mine}:boost=1,2").played == 0
    write(tmp_path / "a", -1.0)
    again = played(tmp_path, tmp_path / "results", "random", f"{mine}:boost=1,2")
    assert (again.played, again.reused) == (4, 2)
    assert value(again, "mine boost=1") != value(first, "mine boost=1")
    assert value(again, "mine boost=1") == value(again, "mine boost=2")


def test_a_policy_with_a_neighbour_keeps_the_contract(tmp_path: Path) -> None:
    policy = lb.load_policy(write(tmp_path / "a"), boost=2.0)
    assert not [found for found in lb.check_policy(policy) if found.name == "check_same_seed" and not found.ok]


def test_two_neighbours_of_one_name_are_refused(tmp_path: Path) -> None:
    find(write(tmp_path / "a"))
    with pytest.raises(ConfigError, match=r"b.mine.py imports 'helpers' from .*b.helpers.py, and another .*a.helpers"):
        find(write(tmp_path / "b"))


def test_a_neighbour_that_hides_a_package_is_refused(tmp_path: Path) -> None:
    mine = write(tmp_path / "a", policy="import pandas\n" + MINE)
    (tmp_path / "a" / "pandas.py").write_text("")
    with pytest.raises(ConfigError, match=r"which is its neighbour .*a.pandas.py as well as .*pandas"):
        find(mine)


def test_what_lies_in_the_folder_and_is_not_imported_hides_nothing(tmp_path: Path) -> None:
    mine = write(tmp_path / "a", policy="import random\n" + MINE)
    for name in ("random", "numba", "dataclasses"):
        (tmp_path / "a" / f"{name}.py").write_text("raise RuntimeError('the wrong module')")
    assert find(mine).__name__ == "Mine"
