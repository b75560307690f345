"""Off-policy evaluation from a log on disk to its tables: seconds and memory of many policies on many rows.

python -m benchmarks.evaluation [--rows 1000000] [--policies 50]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lersbench.evaluation.run import evaluate
from lersbench.log import Log, write

ARMS, D, CHUNK = 34, 20, 50_000


def log_of(folder: Path, rows: int) -> Log:
    """Decisions among 34 arms by a softmax of the context, clicks of 2 %, users of 20 rows each."""

    def chunks() -> Iterator[dict[str, Any]]:
        rng = np.random.default_rng(0)
        taste, liking = rng.normal(size=(D, ARMS)) * 0.2, rng.normal(size=(D, ARMS)) * 0.2
        for start in range(0, rows, CHUNK):
            n = min(CHUNK, rows - start)
            context = rng.normal(size=(n, D))
            worth = np.exp(context @ taste)
            chance = 0.8 * worth / worth.sum(1, keepdims=True) + 0.2 / ARMS
            action = (chance.cumsum(1) > rng.random((n, 1))).argmax(1)
            rate = 0.02 * np.exp((context * liking.T[action]).sum(1))
            yield {
                "user": rng.integers(rows // 20, size=n),
                "context": context,
                "slate": action[:, None],
                "clicks": (rng.random(n) < rate).astype(np.int8)[:, None],
                "propensities": chance[np.arange(n), action][:, None],
            }

    made = {"items": ARMS, "users": rows // 20, "order": "exchangeable", "propensities": "logged"}
    return write(folder, chunks(), name="many", **made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--policies", type=int, default=50)
    options = parser.parse_args()
    names = [f"linucb alpha={0.1 + number / 100:.2f}" for number in range(options.policies // 2)]
    names += [f"epsilon-greedy epsilon={0.01 * (number + 1):.2f}" for number in range(options.policies - len(names))]
    with tempfile.TemporaryDirectory() as folder:
        log = log_of(Path(folder) / "log", options.rows)
        settings = {"estimators": ["snips", "ips"], "frozen": 0.01}
        evaluate(log, names[:1] + names[-1:], settings, ["off-policy"])  # compiles
        before, started, cpu = _peak(), time.perf_counter(), time.process_time()
        evaluate(log, names, settings, ["off-policy"])
        seconds, spent = time.perf_counter() - started, time.process_time() - cpu
        each = 1e9 * spent / options.rows / options.policies
        print(
            f"{options.policies} policies on {options.rows:,} rows of {ARMS} arms: {seconds:.1f} s, {spent:.1f} CPU s, "
            f"{each:.0f} ns a row and policy; {_peak() - before} MB above what two policies took"
        )
        started = time.perf_counter()
        evaluate(log, names[:1], {"frozen": 0.01}, ["off-policy"])
        print(f"one policy with DR, its model included: {time.perf_counter() - started:.1f} s")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
