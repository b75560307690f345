"""Killed at a random moment: the command resumed comes to the same bytes, no worker lives on, no temporary remains."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench.system.cache_folder import cache_root
from tests.support import leftovers

KINDS = ("compiled", "torch", "figures", "import", "build", "two")
SCENARIO = """
title = "Killed"
[data]
dataset = "synthetic"
rounds = {rounds}
items = 12
d = 4
m = 3
users = 40
[replay]
seeds = {seeds}
checkpoints = 20
[[policies]]
name = "random"
[[policies]]
name = "{policy}"
"""
SIZES = {
    "compiled": (20_000, 8, "linucb"),
    "figures": (300, 2, "ucb1"),
    "torch": (60, 3, "neural-ucb"),
    "build": (200_000, 1, "ucb1"),
    "two": (20_000, 8, "linucb"),
}


class Place:
    """A folder with all that a command reads, and what it must come to."""

    def __init__(self, kind: str, folder: Path):
        self.kind, self.folder = kind, folder
        folder.mkdir(parents=True)
        (folder / "cache").mkdir()
        (cache_root() / "numba").mkdir(parents=True, exist_ok=True)
        (folder / "cache" / "numba").symlink_to(cache_root() / "numba")  # compiling is not what is killed here
        self.env = {**os.environ, "LERSBENCH_CACHE": str(folder / "cache"), "MPLBACKEND": "agg"}
        if kind == "import":
            rng = np.random.default_rng(0)
            lists = np.argsort(rng.random((5000, 12)), axis=1)[:, :4]
            table = {
                "request": np.repeat(np.arange(5000), 4),
                "item": lists.ravel(),
                "position": np.tile(range(4), 5000),
            }
            pd.DataFrame({**table, "click": (rng.random(20_000) < 0.2) * 1}).to_csv(folder / "lists.csv", index=False)
            self.command = ["import", "impressions", "lists.csv", "results/log", "--overwrite"]
        else:
            rounds, seeds, policy = SIZES[kind]
            (folder / "s.toml").write_text(SCENARIO.format(rounds=rounds, seeds=seeds, policy=policy))
            self.command = ["bench", "s.toml", *([] if kind == "figures" else ["--no-plots"])]
        self.run()
        self.clear()
        start = time.monotonic()
        self.run()
        self.seconds = time.monotonic() - start
        self.right = self.result()

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lersbench", *self.command]
        with (self.folder / "talk.txt").open("ab") as talk:
            return subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=talk, stderr=talk)

    def run(self) -> None:
        assert self.start().wait(900) == 0, (self.folder / "talk.txt").read_text()[-3000:]

    def clear(self) -> None:
        shutil.rmtree(self.folder / "results")
        if self.kind == "build":
            shutil.rmtree(self.folder / "cache" / "logs")

    def result(self) -> dict[str, bytes]:
        """The tables of the last run, or the files of the log."""
        where = self.folder / "results"
        run = where / "log" if self.kind == "import" else max(where.glob("s/2*"), key=lambda p: p.stat().st_mtime_ns)
        return {file.name: file.read_bytes() for file in sorted(run.glob("*.parquet"))}

    def kill_once(self, rng: random.Random) -> None:
        """Start from nothing, kill, look for workers, go on, and compare."""
        self.clear()
        first = self.start()
        others = [self.start()] if self.kind == "two" else []
        time.sleep(rng.random() * self.seconds)
        workers = leftovers.workers_of(first.pid)
        first.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM]))
        first.wait(60)
        leftovers.wait_until(lambda: not any(leftovers.lives(pid) for pid in workers), 10)
        for other in others:
            assert other.wait(900) == 0, (self.folder / "talk.txt").read_text()[-3000:]
        self.run()
        assert self.result() == self.right
        hidden = leftovers.temporaries(self.folder / "results") + leftovers.temporaries(self.folder / "cache" / "logs")
        assert not hidden, hidden


def test_a_killed_command_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """An import, the shortest of the kinds; `test_replays` kills a run."""
    place, rng = Place("import", tmp_path / "import"), random.Random(1)
    place.kill_once(rng)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_kills(kind: str, tmp_path: Path) -> None:
    """LERSBENCH_KILLS: how many of all kinds together; 200 where it is not set."""
    if kind == "torch":
        pytest.importorskip("torch")
    place, rng = Place(kind, tmp_path / kind), random.Random(kind)
    for _ in range(-(-int(os.environ.get("LERSBENCH_KILLS", 200)) // len(KINDS))):
        place.kill_once(rng)
