"""`python -m benchmarks.speed [W1 ...]`: the table of speeds beside tuned NumPy, as Markdown.

Each run of ours is followed by one of every NumPy form, `REPEATS` times; the rates are medians. Compilation is apart.
The NumPy twin of a long log plays only its first rounds: its cost does not depend on what it has learned.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

from .workloads import WORKLOADS, Workload  # noqa: E402

REPEATS = 3


def seconds(action, *args) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    action(*args)
    return time.perf_counter() - start


def rates(workload: Workload, repeats: int = REPEATS) -> tuple[float, float]:
    """Rounds a second of the faster NumPy form and of ours, medians of interleaved runs."""
    ours: list[float] = []
    theirs: dict[int, list[float]] = {i: [] for i in range(len(workload.forms))}
    for _ in range(repeats):
        ours.append(seconds(workload.play, workload.contender()) / workload.rounds)
        for i, form in enumerate(workload.forms):
            theirs[i].append(seconds(workload.twin, workload.twin_rounds, form) / workload.twin_rounds)
    return 1 / min(median(times) for times in theirs.values()), 1 / median(ours)


def peak_memory(name: str) -> float:
    """MB of resident memory at the peak of our run above the imported package and the log in memory (Linux)."""
    code = (
        "from benchmarks.workloads import WORKLOADS\n"
        "def resident(what):\n"
        "    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith(what)) / 1024\n"
        "start = resident('VmRSS')\n"
        f"workload = WORKLOADS[{name!r}]()\n"
        "open('/proc/self/clear_refs', 'w').write('5')  # the peak counts from here\n"
        "workload.play(workload.contender())\n"
        "print(resident('VmHWM') - start - sum(a.nbytes for a in workload.rows if hasattr(a, 'nbytes')) / 2**20)\n"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def line(name: str) -> str:
    workload = WORKLOADS[name]()
    differ, gap = workload.verdict(workload.choices())
    numpy, ours = rates(workload)
    cells = [
        workload.name,
        f"{numpy:,.0f}",
        f"{ours:,.0f}",
        f"{ours / numpy:.1f}",
        f"{workload.must:g}",
        f"{workload.reach:g}",
        f"{differ}" + (f" (gap {gap:.0e})" if differ else ""),
        f"{peak_memory(name):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def table(names: list[str]) -> None:
    """Print the table, a line as soon as it is measured."""
    print("| workload | NumPy, rounds/s | lersbench, rounds/s | multiple | must | reach | other choices | peak MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        print(line(name), flush=True)


if __name__ == "__main__":
    table(sys.argv[1:] or list(WORKLOADS))
