"""A log larger than what may be held: written and streamed in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_MB = 400

PROGRAM = """
import resource, sys
import numpy as np
from lersbench.log import Log, validate, write

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux

before = peak()
task, path = sys.argv[1:]
n, pieces, C, m = 5_000, 80, 34, 20
if task == "write":
    rng = np.random.default_rng(0)
    chunks = (
        {
            "candidates": np.tile(np.arange(C), (n, 1)),
            "features": rng.standard_normal((n, C, m)),
            "slate": rng.integers(C, size=(n, 1)),
            "clicks": rng.integers(2, size=(n, 1)),
        }
        for _ in range(pieces)
    )
    write(path, chunks, name="large", items=C)
elif task == "validate":
    assert validate(path).ok
else:
    assert sum(len(chunk.features) for chunk in Log(path).read()) == pieces * n
print(peak() - before)
"""


def run(task: str, path: Path) -> float:
    """Megabytes by which the peak of the resident memory rose above the imports."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, task, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.slow
def test_a_log_of_two_gigabytes_in_bounded_memory(tmp_path: Path) -> None:
    assert run("write", tmp_path / "log") < LIMIT_MB
    file = tmp_path / "log" / "rounds.parquet"
    assert file.stat().st_size > 2e9
    try:
        assert run("read", tmp_path / "log") < LIMIT_MB
        assert run("validate", tmp_path / "log") < LIMIT_MB
    finally:
        file.unlink()
