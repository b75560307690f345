"""The table of kinds: which row a file, a part, a run and its settings belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lersbench.bench import scenario
from lersbench.errors import ConfigError
from lersbench.lab import scenario as lab_scenario
from lersbench.results.lab import LabResults
from lersbench.studies import kinds


def test_a_part_and_its_results_are_of_the_same_kind(tmp_path: Path) -> None:
    cells = lab_scenario.read("lers-cells")
    assert kinds.of(cells) is kinds.EXPERIMENT and kinds.of(scenario.read("smoke")) is kinds.SCENARIO
    assert kinds.of(LabResults(tmp_path, pd.DataFrame(), pd.DataFrame(), {})) is kinds.EXPERIMENT
    with pytest.raises(TypeError, match="str is neither"):
        kinds.of("smoke")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["smoke", "lers-cells"])
def test_a_file_says_of_which_kind_it_is_and_so_does_its_run(name: str, tmp_path: Path) -> None:
    """Or else a leaderboard would be looked for where a table of trained models lies."""
    content = scenario.load(name)[1]
    kind = kinds.of_content(content)
    part = kind.read(name, None, None, None)
    assert isinstance(part, kind.part)
    assert kinds.of_content({kind.key: part.model_dump(mode="json"), "seeds": [0]}) is kind
    assert all(kinds.of_content(junk) is kinds.SCENARIO for junk in ({}, [], None, "experiment"))


@pytest.mark.parametrize(
    ("setting", "takers"),
    [
        ("data.scale", {"scenario", "experiment", "evaluate"}),
        ("replay.seeds", {"scenario", "experiment"}),
        ("replay.slate", {"scenario", "evaluate"}),
        ("replay.slat", set()),
        ("evaluate.estimators", {"evaluate"}),
        ("training.epochs", {"experiment"}),
        ("trainig.epochs", set()),
    ],
)
def test_a_setting_goes_to_the_kinds_that_take_it(setting: str, takers: set[str]) -> None:
    assert {kind.key for kind in kinds.KINDS if kind.takes(setting)} == takers


def test_the_short_version_of_a_scenario_is_its_studys_and_of_an_experiment_its_own() -> None:
    short: dict[str, Any] = {"replay.seeds": 2}
    assert kinds.SCENARIO.read("smoke", None, short, None).replay.seeds == 2
    assert kinds.SCENARIO.read("smoke", {"replay.seeds": 1}, short, None).replay.seeds == 1
    for kind, name in ((kinds.SCENARIO, "smoke"), (kinds.EXPERIMENT, "lers-cells")):
        assert (kind.read(name, None, {}, None).name, kind.read(name, None, None, None).name) == (f"{name}-quick", name)


@pytest.mark.parametrize("content", [None, "{", json.dumps({"experiment": {}})])
def test_a_folder_that_holds_no_run_is_told_as_one_of_its_kind(content: str | None, tmp_path: Path) -> None:
    if content:
        (tmp_path / "run.json").write_text(content)
    lab = content is not None and "experiment" in content
    with pytest.raises(Exception, match="run the experiment again" if lab else "curves.parquet"):
        kinds.load(tmp_path)
    with pytest.raises(ConfigError, match="There are no results"):
        kinds.load(tmp_path / "nowhere")
