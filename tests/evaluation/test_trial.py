"""A policy tried on a log of one's own: judged where the log says what was shown, else replayed; what fails is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lersbench.cli.main import cli
from lersbench.evaluation.trial import trial
from lersbench.log import Log, write
from tests.evaluation.test_evaluate import world

ROUNDS = 30


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log that knows every reward, and not what was shown."""
    rewards = np.random.default_rng(0).integers(0, 2, (ROUNDS, 3)).astype(float)
    return write(tmp_path_factory.mktemp("full") / "log", {"rewards": rewards}, name="full")


@pytest.mark.parametrize("policy", ["random", "popular"])
def test_decisions_are_judged_by(tmp_path: Path, policy: str) -> None:
    said, problem = trial(world(tmp_path / "log", 500), policy)
    assert said.startswith(f"is judged on log decisions: {policy}") and not problem


def test_known_rewards_are_replayed(full: Log) -> None:
    assert trial(full, "random") == ("is replayed on log full (30 rounds)", "")


def test_what_a_log_lacks_is_a_problem_in_words(full: Log) -> None:
    said, problem = trial(full, "linucb")
    assert said == "plays on log full" and "linucb" in problem and "context" in problem


def test_the_command_adds_the_trial_to_the_contract(full: Log) -> None:
    ran = CliRunner().invoke(cli, ["check-policy", "first", "--log", full.path])
    assert ran.exit_code == 0 and "18 of 18 checks passed" in ran.output
    assert ran.output.rstrip().endswith("ok     is replayed on log full (30 rounds)")
