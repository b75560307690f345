"""Studies: what a file says of all its parts, seeds of neural policies, other data sets, progress of the whole."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lersbench import progress, scenario, study
from lersbench.errors import ConfigError
from lersbench.experiment import bench
from lersbench.leaderboard import load

TINY = """
title = "Tiny"
description = "Its own words."
leaderboard = "ctr_sum"
baseline = "random"
[data]
dataset = "synthetic"
rounds = 60
items = 4
m = 3
users = 9
[alternatives.completejourney]
description = "Other words."
scenario = "active"
[alternatives.livestream]
scenario = "repeat"
[replay]
seeds = 3
neural_seeds = 1
checkpoints = 5

[[policies]]
name = "random"
[[policies]]
name = "bayes-by-backprop"
"""
STUDY = 'title = "Both"\nscenarios = ["tiny", "other"]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "scenarios"
    own.mkdir()
    for name in ("tiny", "other"):
        (own / f"{name}.toml").write_text(TINY)
    return own


def test_settings_of_a_study_are_those_of_all_its_parts_and_the_command_line_has_the_last_word(folder: Path) -> None:
    (folder / "both.toml").write_text(STUDY + '[set]\n"replay.neural_seeds" = 2\n"replay.slate" = 2\n')
    parts = study.read("both", {"replay.slate": 3})[1]
    assert [(part.replay.neural_seeds, part.replay.slate) for part in parts] == [(2, 3)] * 2  # type: ignore[union-attr]


def test_minutes_are_of_scenarios_that_are_there(folder: Path) -> None:
    (folder / "both.toml").write_text(STUDY + "[minutes]\nother = 4\n")
    found = study.read("both")[0]
    assert found is not None and [found.minutes_of(number) for number in (0, 1)] == [1.0, 4.0]
    (folder / "both.toml").write_text(STUDY + "[minutes]\nothers = 4\n")
    with pytest.raises(ConfigError, match="'minutes' names others, which is none of its scenarios"):
        study.read("both")


def test_another_data_set_may_bring_words_of_its_own(folder: Path) -> None:
    told = scenario.read("tiny", dataset="completejourney")
    assert (told.name, told.description, told.data.dataset) == (
        "tiny-completejourney",
        "Other words.",
        "completejourney",
    )
    assert told.data.model_extra == {"scenario": "active"}
    assert scenario.read("tiny", dataset="livestream").description == "Its own words."
    with pytest.raises(ConfigError, match="names no data set 'kuairec', only synthetic, completejourney, livestream"):
        scenario.read("tiny", dataset="kuairec")


def test_policies_in_torch_have_seeds_of_their_own_and_come_after_the_compiled_ones(folder: Path) -> None:
    first: list[set[str]] = []
    shares: list[float] = []
    told = scenario.read("tiny")
    run = bench(
        told,
        folder / "results",
        threads=2,
        say=lambda message: None,
        halfway=lambda path: first.append(set(load(path).summary["policy"])),
        progress=shares.append,
    )
    table = load(run.folder).summary
    seeds = table.groupby("policy")["seed"].unique().map(sorted)
    assert dict(seeds) == {"random": [0, 1, 2], "bayes-by-backprop": [0]}
    assert first == [{"random"}]
    more = bench(scenario.read("tiny", {"replay.neural_seeds": 2}), folder / "results", say=lambda message: None)
    assert (more.played, more.reused) == (1, 4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_over_a_whole_study_weighs_its_parts_by_their_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    whole, shares = progress.Whole("both", {"a": 1.0, "b": 3.0}), []
    for name in ("a", "b"):
        with whole.part(name) as tell, progress.Bar(tell, total=20, leave=False) as bar:
            bar.update(5)
            shares.append(whole.bar.n)
            bar.weight = 10
            bar.update(1)
            shares.append(whole.bar.n)
        shares.append(whole.bar.n)
    assert shares == pytest.approx([0.25, 0.75, 1, 1.75, 3.25, 4])
    progress.say("above the bars")
    whole.close()
