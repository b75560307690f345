"""Sizes are told before the work and refused where they are beyond all sense, at once and in little memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lersbench import bounds
from lersbench.bench import scenario
from lersbench.datasets import size_of
from lersbench.errors import ConfigError
from lersbench.lab import scenario as lab_scenario
from lersbench.log import Log
from tests.bench.test_replays import scenario_of
from tests.support import leftovers

MANY = ", ".join(f"{i / 4001:.6f}" for i in range(4000))
TOML = """
title = "Large"
[data]
dataset = "{dataset}"
{data}
[replay]
seeds = {seeds}
checkpoints = {checkpoints}
replicates = "none"
[[policies]]
name = "epsilon-greedy"
{policy}
"""
CASES = {
    "sweep": ({"policy": f"epsilon = [{MANY}]\ndecay = [{MANY}]", "seeds": 1}, "16,000,000 runs"),
    "seeds": ({"seeds": 10**9}, "1,000,000,000 runs"),
    "rounds": ({"data": "rounds = 1000000000000"}, "of disk, where the limit is"),
    "taobao": ({"dataset": "taobao", "data": "rounds = 1000000000000"}, "of disk, where the limit is"),
    "repeat": ({"dataset": "livestream", "data": "scenario = 'repeat'\nrepeats = 1000000000000"}, "of disk, where"),
    "candidates": ({"data": "rounds = 10000\nitems = 1000000"}, "of disk, where the limit is"),
    "checkpoints": ({"data": "rounds = 10000000", "checkpoints": 10**7, "seeds": 1000}, "of disk, where the limit is"),
    "logs": ({"data": f"seed = {list(range(2409))}\nd = {list(range(1, 2409))}"}, "logs would be needed"),
}


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))


BENCH_EACH = """
import contextlib, io, json, os, sys
from lersbench.cli.main import main

for file in sys.argv[1:]:
    code, said, start = 0, io.StringIO(), os.times().user
    try:
        with contextlib.redirect_stderr(said):
            main(["bench", file])
    except SystemExit as end:
        code = end.code
    print(json.dumps([code, said.getvalue(), os.times().user - start]))
"""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, float]]:
    """Exit code, words and seconds of each case: in one process of little memory, which does nothing else."""
    folder = tmp_path_factory.mktemp("large")
    usual = {"dataset": "synthetic", "data": "", "seeds": 3, "checkpoints": 10, "policy": ""}
    for case, (changes, _) in CASES.items():
        (folder / f"{case}.toml").write_text(TOML.format(**{**usual, **changes}))
    command = [sys.executable, "-c", BENCH_EACH, *(f"{case}.toml" for case in CASES)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, preexec_fn=limit_memory)
    assert done.returncode == 0, done.stderr
    assert not (folder / "results").exists()
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_what_is_too_large_is_refused_at_once(case: str, refusals: dict[str, tuple[int, str, float]]) -> None:
    code, said, seconds = refusals[case]
    assert code == 2 and CASES[case][1] in said and "--large" in said, said
    assert seconds < 60


def test_an_experiment_has_limits_too() -> None:
    with pytest.raises(ConfigError, match=r"runs would be needed, where the limit is 100,000\. .* --large"):
        lab_scenario.read("lers-cells", {"replay.seeds": 10**9})


def test_large_is_the_one_word_that_lifts_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CONTENDERS", 5)
    with pytest.raises(ConfigError, match="6 runs would be needed, where the limit is 5"):
        scenario_of()
    assert scenario.contenders(scenario_of(large=True)) == 6


@pytest.mark.parametrize("limit", ["DISK", "MEMORY", "SECONDS"])
def test_an_estimate_beyond_a_limit_is_refused(limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = bounds.estimate([bounds.Size(100, 8, 8, 3, 1e6)], {"compiled": 3}, 10, 2, True)
    bounds.check("small", found, tmp_path / "not" / "there", False)
    monkeypatch.setattr(bounds, limit, 1e-9)
    with pytest.raises(ConfigError, match=r"^small would take .* --large"):
        bounds.check("small", found, tmp_path, False)
    bounds.check("small", found, tmp_path, True)


def test_the_estimate_of_time_has_compilation_and_joint_features() -> None:
    size = bounds.Size(100, 8, 8, 3, 1e6)
    networks = bounds.estimate([size], {"torch": 3}, 10, 2, True)
    assert "roughly 2 seconds to play, " in str(networks) and "compile" not in str(networks)
    plain = bounds.estimate([size], {"compiled": 3}, 10, 2, True, compiled=3)
    assert "roughly 1 second to play, 11 seconds more to compile the first time, " in str(plain)
    joint = bounds.estimate([size], {"compiled": 3}, 10, 2, True, compiled=3, joint=35)
    assert joint.seconds > plain.seconds and joint.memory == plain.memory


def test_a_contender_takes_time_however_short_its_log_is() -> None:
    many = bounds.estimate([bounds.Size(100, 8, 8, 3, 1e6)], {"compiled": 10_000}, 10, 2, True)
    assert "10,000 runs, 100 rounds in the logs; roughly 5 minutes to play, " in str(many)


def test_a_sweep_is_counted_as_it_is_spelled_out() -> None:
    policies = [{"name": "random"}, {"name": "epsilon-greedy", "epsilon": [0.1, 0.2], "feedback": ["bandit", "full"]}]
    chosen = scenario_of(policies, data={"seed": [0, 1, 2]}, replay={"slate": [1, 2]})
    spelled = sum(c.feedback in e.feedback for c in scenario.cases(chosen) for e in scenario.entries(chosen))
    assert scenario.contenders(chosen) == 3 * spelled


def test_the_size_of_a_log_is_foreseen(tmp_path: Path) -> None:
    from lersbench.datasets import build

    options = {"rounds": 5000, "items": 30, "C": 12, "d": 4, "m": 3, "L": 2, "expected": True}
    log, size = build("synthetic", **options), size_of("synthetic", options)
    assert size is not None and (size.rounds, size.candidates, size.items, size.width) == (5000, 12, 30, 7)
    assert isinstance(log, Log)
    on_disk = sum(file.stat().st_size for file in Path(log.path).rglob("*") if file.is_file())
    assert 0.5 * on_disk < size.disk < 2 * on_disk
    assert size_of("livestream", {}) is None


def test_temporaries_are_swept_when_their_process_is_gone(tmp_path: Path) -> None:
    from lersbench.files import replacing
    from lersbench.system import leftovers as names

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = tmp_path / names.name_for("run").replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    (dead / "deep").mkdir(parents=True)
    dead.with_name(dead.name.replace(".run.", ".curve.")).touch()
    other = tmp_path / f".run.{'0' * 6}-{gone.pid}-abcdefgh"  # of another machine: nobody here knows
    other.mkdir()
    (tmp_path / ".mine.12345678").touch()
    with replacing(tmp_path / "whole") as temporary:
        temporary.mkdir()
        names.sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {temporary.name, other.name, ".mine.12345678"}
    os.utime(other, (time.time() - names.OLD - 1,) * 2)
    names.sweep(tmp_path)
    assert [path.name for path in leftovers.temporaries(tmp_path)] == [".mine.12345678"]


@pytest.mark.parametrize("threads", [False, True])
def test_an_erroring_command_ends_with_its_code_whatever_threads_live(threads: bool) -> None:
    """A thread that never ends would hold up the interpreter for ever."""
    code = (
        "import sys, threading, time\n"
        f"if {threads}: threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "sys.argv[1:] = ['bench', 'there is none']\n"
        "from lersbench.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "There is no scenario" in done.stderr
