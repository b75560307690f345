"""The built wheel works without the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_runs_a_stock_scenario_in_an_empty_environment(tmp_path: Path) -> None:
    """Build, install with nothing but its own dependencies, and bench from a folder that holds nothing."""

    def run(*command: str, cwd: Path = tmp_path) -> str:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        done = subprocess.run(
            command, cwd=cwd, env={**clean, "LERSBENCH_CACHE": str(tmp_path / "cache")}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    source = tmp_path / "source"
    run("git", "clone", "--quiet", str(REPOSITORY), str(source))
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source))
    run(sys.executable, "-m", "venv", str(tmp_path / "empty"))
    python = str(tmp_path / "empty" / "bin" / "python")
    (wheel,) = tmp_path.glob("lersbench-*.whl")
    run(python, "-m", "pip", "install", "--quiet", "--constraint", str(source / "constraints.txt"), str(wheel))
    assert str(REPOSITORY) not in run(python, "-c", "import lersbench; print(lersbench.__file__)")
    assert "active" in run(python, "-m", "lersbench", "ls", "scenarios")
    assert "random" in run(python, "-m", "lersbench", "bench", "smoke", "--seeds", "10")
    assert list(tmp_path.glob("results/smoke/*/report.html"))
