"""Studies: what a file says of all its parts, seeds of neural policies, other data sets, progress of the whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from lersbench.bench import replays, scenario
from lersbench.bench.replays import bench
from lersbench.datasets import DATASETS
from lersbench.errors import ConfigError
from lersbench.results.tables import load
from lersbench.studies import study
from lersbench.system import progress
from lersbench.system.workers import Pool

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


@pytest.mark.parametrize("minutes", ["0", "-3", "inf", "nan", '"four"'])
def test_minutes_are_a_number_above_0(minutes: str, folder: Path) -> None:
    (folder / "both.toml").write_text(STUDY + f"[minutes]\nother = {minutes}\n")
    with pytest.raises(ConfigError, match=r"both\.toml: 'minutes\.other': Input should be .* \(it is "):
        study.read("both")


def test_options_of_data_are_of_the_data_set_of_the_study_alone(folder: Path) -> None:
    """In [set] and [quick]; those of the command line hold whatever the data set."""
    (folder / "both.toml").write_text(
        STUDY + '[set]\n"data.users" = 8\n"replay.slate" = 2\n[quick]\n"data.items" = 3\n"replay.seeds" = 1\n'
    )

    def options(dataset: str | None, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        parts = study.read("both", changes, quick=True, dataset=dataset)[1]
        for part in parts:
            assert isinstance(part, scenario.Scenario) and (part.replay.slate, part.replay.seeds) == (2, 1)
        assert parts[0].data.model_extra == parts[1].data.model_extra
        return dict(parts[0].data.model_extra or {})

    own = {"rounds": 60, "items": 3, "m": 3, "users": 8}
    assert options(None) == options("synthetic") == own
    assert options("livestream") == {"scenario": "repeat"}
    assert options("livestream", {"data.scale": 0.01}) == {"scenario": "repeat", "scale": 0.01}
    (folder / "both.toml").write_text(
        STUDY + 'dataset = "livestream"\n[quick]\n"data.scale" = 0.05\n"replay.slate" = 2\n"replay.seeds" = 1\n'
    )
    assert options(None) == options("livestream") == {"scenario": "repeat", "scale": 0.05}
    assert options("completejourney") == {"scenario": "active"}


def test_the_thesis_can_be_run_on_real_purchases_in_its_short_version_too() -> None:
    """Its [quick] makes the simulated platform smaller, which the real data have no option for."""
    for quick in (True, False):
        parts = study.read("thesis", quick=quick, dataset="completejourney")[1]
        assert [part.data.dataset for part in parts] == ["completejourney"] * 9
        assert not any("scale" in (part.data.model_extra or {}) for part in parts)
        for part in parts[:6]:  # the others take the options of sequences
            assert set(part.data.model_extra or {}) <= set(DATASETS["completejourney"].options)


ALONE = """
title = "Alone"
[data]
dataset = "synthetic"
rounds = 60
[[policies]]
name = "random"
[[policies]]
name = "ucb1"
label = "with a name"
[quick]
"data.rounds" = 20
"replay.seeds" = 2
[alternatives.livestream]
scenario = "repeat"
"""


def test_a_scenario_may_have_a_short_version_of_its_own(folder: Path) -> None:
    (folder / "alone.toml").write_text(ALONE)
    (whole,), (short,) = (study.read("alone", quick=quick)[1] for quick in (False, True))
    assert isinstance(whole, scenario.Scenario) and isinstance(short, scenario.Scenario)
    assert (whole.name, whole.replay.seeds, whole.data.model_extra) == ("alone", None, {"rounds": 60})
    assert (short.name, short.replay.seeds, short.data.model_extra) == ("alone-quick", 2, {"rounds": 20})
    (other,) = study.read("alone", {"replay.seeds": 5}, quick=True, dataset="livestream")[1]
    assert isinstance(other, scenario.Scenario)
    assert (other.name, other.replay.seeds) == ("alone-livestream-quick", 5)
    assert other.data.model_extra == {"scenario": "repeat"}, "options of data are those of the file's own data set"
    assert study.names("alone", quick=True)[1] == ["alone-quick"]
    (folder / "alone.toml").write_text(ALONE.replace("[quick]", "[alternatives.taobao]"))
    with pytest.raises(ConfigError, match=r"alone\.toml is a single scenario without a \[quick\]; try --seeds 2"):
        study.read("alone", quick=True)


def test_another_data_set_may_do_without_policies_and_have_its_own_protocol(folder: Path) -> None:
    other = 'without = ["with a name"]\nreplay = {seeds = 4, replicates = "none"}\n'
    (folder / "alone.toml").write_text(ALONE + other)
    made, own = scenario.read("alone", dataset="livestream"), scenario.read("alone")
    assert [entry.label for entry in scenario.entries(made)] == ["random"]
    assert (made.replay.seeds, made.replay.replicates) == (4, "none")
    assert [entry.label for entry in scenario.entries(own)] == ["random", "with a name"] and own.replay.seeds is None
    assert made.data.model_extra == {"scenario": "repeat"}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('["with a nam"]', "'without' names 'with a nam'.*did you mean 'with a name'"),
        ('"random"', r"'without' takes a list of the names or labels of \[\[policies\]\], not 'random'"),
    ],
)
def test_who_is_left_out_must_be_there(value: str, says: str, folder: Path) -> None:
    (folder / "alone.toml").write_text(f"{ALONE}without = {value}\n")
    with pytest.raises(ConfigError, match=rf"alone\.toml: alternatives\.livestream: {says}"):
        scenario.read("alone", dataset="livestream")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('data = "active"', "'data'"),
        ("alternatives = 3", "'alternatives'"),
        ("[alternatives]\nlivestream = 3", r"'alternatives\.livestream'"),
    ],
)
@pytest.mark.parametrize("dataset", [None, "livestream"])
def test_what_is_no_table_is_told_with_file_and_key(line: str, key: str, dataset: str | None, folder: Path) -> None:
    head = {"title": "'Odd'", "data": '{dataset = "synthetic"}', "policies": '[{name = "random"}]'}
    rest = [f"{name} = {value}" for name, value in head.items() if not line.startswith(name)]
    (folder / "odd.toml").write_text("\n".join([*rest, line]))
    with pytest.raises(ConfigError, match=rf"odd\.toml: {key}"):
        scenario.read("odd", dataset=dataset)


@pytest.mark.parametrize(
    ("line", "key", "dataset"),
    [
        ("quick = 3", "'quick'", None),
        ('data = "livestream"', "'data'", None),
        ('data = "livestream"', "'data'", "synthetic"),
        ("alternatives = 3", "'alternatives'", "synthetic"),
        ("[alternatives]\nsynthetic = 3", r"'alternatives\.synthetic'", "synthetic"),
    ],
)
def test_what_is_no_table_in_an_experiment_is_told_with_file_and_key(
    line: str, key: str, dataset: str | None, folder: Path
) -> None:
    head = {"title": "'Odd'", "experiment": "'cells'", "data": '{dataset = "livestream"}', "settings": "[{}]"}
    rest = [f"{name} = {value}" for name, value in head.items() if not line.startswith(name)]
    (folder / "odd.toml").write_text("\n".join([*rest, line]))
    with pytest.raises(ConfigError, match=rf"odd\.toml: {key}"):
        study.read("odd", quick=True, dataset=dataset)


def test_a_label_is_text(folder: Path) -> None:
    (folder / "tiny.toml").write_text(TINY + "label = 3\n")
    with pytest.raises(ConfigError, match="entry 2 has label = 3, which is no text"):
        scenario.read("tiny")


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


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One process for the policies in PyTorch of two runs: it takes seconds to load torch."""
    with Pool(1) as pool:
        monkeypatch.setattr(replays, "Pool", lambda at_once, timeout: nullcontext(pool))
        yield


@pytest.mark.usefixtures("one_process")
def test_policies_in_torch_have_seeds_of_their_own_and_come_after_the_compiled_ones(folder: Path) -> None:
    first: list[set[str]] = []
    shares: list[float] = []
    told = scenario.read("tiny")
    run = bench(
        told,
        folder / "results",
        threads=1,
        say=lambda message: None,
        halfway=lambda path: first.append(set(load(path).summary["policy"])),
        progress=shares.append,
    )
    table = load(run.folder).summary
    seeds = table.groupby("policy")["seed"].unique().map(sorted)
    assert dict(seeds) == {"random": [0, 1, 2], "bayes-by-backprop": [0]}
    assert first == [{"random"}]
    told = scenario.read("tiny", {"replay.neural_seeds": 2})
    more = bench(told, folder / "results", threads=1, say=lambda message: None)
    assert (more.played, more.reused) == (1, 4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_over_a_whole_study_weighs_its_parts_by_their_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    whole, shares = progress.StudyBar("both", {"a": 1.0, "b": 3.0}), []
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
