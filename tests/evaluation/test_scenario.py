"""A scenario with [evaluate]: run once, kept, shown in every style, drawn and reported as any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lersbench.cli.main import cli
from lersbench.errors import ConfigError
from lersbench.evaluation.scenario import read
from tests.evaluation.test_evaluate import world

TEXT = """title = "Decisions"
[data]
log = "{log}"
[replay]
feedback = {feedback}
[evaluate]
estimators = ["snips", "ips"]
[[policies]]
name = "random"
[[policies]]
name = "epsilon-greedy"
epsilon = [0.1, 0.5]
"""


def scenario(tmp_path: Path, feedback: str = '["off-policy"]') -> Path:
    file = tmp_path / "judge.toml"
    file.write_text(TEXT.format(log=world(tmp_path / "log", n=600).path, feedback=feedback))
    return file


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_it_is_run_once_and_shown_in_every_style(tmp_path: Path) -> None:
    file, results = str(scenario(tmp_path)), str(tmp_path / "results")
    rows = json.loads(run("bench", file, "--results", results, "--json", "--no-plots"))
    assert {row["policy"] for row in rows} == {"random", "epsilon-greedy epsilon=0.1", "epsilon-greedy epsilon=0.5"}
    again = CliRunner().invoke(cli, ["bench", file, "--results", results, "--json", "--no-plots"])
    assert json.loads(again.stdout) == rows and "0 policies judged, 3 taken from earlier runs" in again.stderr
    assert json.loads(run("leaderboard", "judge", "--results", results, "--json")) == rows
    assert "| policy |" in run("leaderboard", "judge", "--results", results, "--markdown")
    assert "What ran earned" in run("leaderboard", "judge", "--results", results)
    run("plot", "judge", "--results", results)
    run("report", "judge", "--results", results)
    (folder,) = (path.parent for path in (tmp_path / "results" / "judge").glob("*/run.json"))
    assert (folder / "report.html").is_file() and (folder / "figures" / "values.png").is_file()


@pytest.mark.parametrize(
    ("feedback", "words"),
    [('["off-policy", "replay"]', "replays belong into a scenario of their own"), ('"full"', "answers off-policy")],
)
def test_a_regime_of_replays_is_refused(tmp_path: Path, feedback: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(str(scenario(tmp_path, feedback)))


def test_unknown_keys_and_sweeps_over_logs_are_refused(tmp_path: Path) -> None:
    file = scenario(tmp_path)
    file.write_text(file.read_text().replace("estimators", "estimater"))
    with pytest.raises(ConfigError, match="did you mean 'estimators'"):
        read(str(file))
