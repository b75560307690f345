"""Further seeds go to contenders that cannot be told apart, as long as the time lasts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lersbench.bench.jobs import Run
from lersbench.studies import further
from tests.support import fake_results

CLOSE = {  # two that are the same but for luck, and one far behind
    "random": ("random", {}, "bandit", 0.0),
    "thompson": ("thompson", {}, "bandit", 0.5),
    "popular": ("popular", {}, "bandit", 0.5),
}


def run_of(folder: Path, seeds: int) -> Run:
    run = fake_results.make(folder, policies=CLOSE, seeds=seeds, points=2, leaderboard="misses")
    timing = [[label, "bandit", 0.01] for label in CLOSE]
    fake_results.edit_meta(run, policy_seconds=timing)
    return Run(run, 0, 0, {}, "")


def test_the_close_ones_get_more_seeds_and_the_others_none(tmp_path: Path) -> None:
    asked: list[dict[tuple[str, str, str], int]] = []

    def again(seeds: Mapping[tuple[str, str, str], int]) -> Run:
        asked.append(dict(seeds))
        return run_of(tmp_path / str(len(asked)), max(seeds.values()))

    said: list[str] = []
    further.play_until(0.4, run_of(tmp_path / "first", 6), again, said.append)
    assert asked and {label for seeds in asked for _, _, label in seeds} <= {"thompson", "popular"}
    first = asked[0]
    assert all(count == 9 for count in first.values())  # half of six more
    assert said[0].startswith("further seeds: ") and "(bandit) 9" in said[0]


def test_nothing_is_played_where_the_time_does_not_last_for_a_seed(tmp_path: Path) -> None:
    run = run_of(tmp_path, 6)
    fake_results.edit_meta(run.folder, policy_seconds=[[label, "bandit", 1e6] for label in CLOSE])
    said: list[str] = []
    assert further.play_until(60.0, run, lambda seeds: pytest.fail("played"), said.append) is run
    assert said == ["further seeds: none would tell contenders apart in the time that is left"]
