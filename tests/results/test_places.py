"""What the parts of a run are called, from made-up results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lersbench.results import places
from lersbench.results import words as result_words
from lersbench.results.ranking import board
from lersbench.results.tables import load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid", "ucb1")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_results.make(tmp_path / "active" / "a", policies=FEW, points=5)


def test_a_batch_is_told_beside_a_slate_of_the_same_size(tmp_path: Path) -> None:
    results = fake_results.in_cases(tmp_path)
    results.scenario["replay"]["batch"] = 3
    assert places.data_in_words(results, "logging=ltr logged K=3").endswith("960 items, batch 3")


def test_the_heading_names_what_differs_from_the_usual_protocol(tmp_path: Path, run: Path) -> None:
    usual = {"slate": 1, "batch": 1, "feedback": "bandit", "seeds": 10}
    plain = json.loads((run / "run.json").read_text())["scenario"]
    fake_results.edit_meta(run, scenario={**plain, "replay": usual})
    assert places.data_in_words(load(run), "") == "completejourney, 1,000 rounds, 200 items"
    fake_results.make(run, policies=FEW, points=2, slate=5)
    fake_results.edit_meta(run, scenario={**plain, "replay": {**usual, "slate": 5, "batch": 10}})
    results = load(run)
    assert places.data_in_words(results, "").endswith("200 items, slate 5, batch 10")
    assert "200 items, slate 5, batch 10" in result_words.to_terminal(board(results))
    replayed = load(fake_results.make(tmp_path / "replayed", policies=FEW, points=2, feedback="replay"))
    assert places.settings(replayed) == ["feedback replay"]
