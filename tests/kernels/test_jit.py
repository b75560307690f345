"""Compilation: an edit anywhere is noticed, old caches go, and a user's types never reach the shared cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import lersbench
from lersbench.cli import new_policy
from lersbench.policy import load
from lersbench.system.cache_folder import cache_root
from lersbench.testing import engines, worlds

PACKAGE = Path(lersbench.__file__).parent


def run(code: str, tmp_path: Path, package: Path = PACKAGE) -> str:
    """Run Python code in a process with a cache of its own; what it printed."""
    path = os.pathsep.join([str(package.parent), str(tmp_path)])
    env = {**os.environ, "LERSBENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SELECT = """
import numpy as np
from lersbench.policies.random import State, select
from lersbench.policy import Round
slate, none = np.zeros(1, np.int64), np.zeros(0)
out = np.array([1.0, 3.0, 2.0]), np.zeros(1), np.zeros(1, np.int64)
round = Round(0, -1, none, np.arange(3), np.zeros((3, 0)), 7, *out)
select(State(np.zeros(1, np.int64)), np.random.default_rng(0), round, slate)
print(slate[0], sum(select.stats.cache_hits.values()))
"""


def test_an_edit_compiles_what_draws_on_it_and_nothing_else(tmp_path: Path) -> None:
    """A figure's edit, or another policy's, compiles nothing anew; one policy's edit that policy.

    The policy calls `ties.top_k`: once that is edited, the policy's compiled kernel must not be used again.
    """
    package = tmp_path / "copy" / "lersbench"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))

    def edit(name: str) -> None:
        with (package / name).open("a") as file:
            file.write("\nCOLOUR = 1\n")

    assert run(SELECT, tmp_path, package) == "1 0"
    edit("figures/style.py")
    edit("policies/linucb.py")
    assert run(SELECT, tmp_path, package) == "1 1"  # from disk
    edit("policies/random.py")
    assert run(SELECT, tmp_path, package) == "1 0"
    ties = package / "kernels/ties.py"
    ties.write_text(ties.read_text().replace("slate[0] = best(scores, ties)", "slate[0] = 0"))
    assert run(SELECT, tmp_path, package) == "0 0"


def test_compiled_code_that_nobody_uses_is_removed_after_two_weeks(tmp_path: Path) -> None:
    old, recent = tmp_path / "cache" / "numba" / "old", tmp_path / "cache" / "numba" / "recent"
    for folder, days in ((old, 15), (recent, 13)):
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - days * 86400,) * 2)
    run("import lersbench.kernels.jit", tmp_path)
    assert recent.is_dir() and not old.exists()


def test_a_users_policy_leaves_nothing_in_the_shared_cache(tmp_path: Path) -> None:
    """Cached under a user's types, a kernel of ours could not be loaded where that user's module is missing.

    It begins with what the package's own policies have left in the cache of these tests, which so stays untouched.
    """
    world = worlds.make_world(3, 4, 2)
    engines.Bench(load("random")).play(world)
    (tmp_path / "cache").mkdir(mode=0o700)
    shutil.copytree(cache_root() / "numba", tmp_path / "cache/numba", ignore=shutil.ignore_patterns("*.tmp.*"))
    play = (
        "from lersbench.policy import load\nfrom lersbench.testing import engines, worlds\n"
        "bench, world = engines.Bench(load('./{name}.py')), worlds.make_world(3, 4, 2)\n"
        "print(*bench.play(world).slates[:, 0], *bench.play(world, 'batched').slates[:, 0])"
    )
    shown = []
    for name in ("mine", "another"):
        path = new_policy.write(name, tmp_path)
        shown.append(run(play.format(name=name), tmp_path).split())
        assert shown[-1][:3] == shown[-1][3:]
        path.unlink()
    assert len(shown[0]) == 6 and shown[0] == shown[1]
