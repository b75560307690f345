"""`python -m benchmarks.public [W1 ...]`: the same workloads through `lersbench bench`, from a log on disk.

The log is written once; then `lersbench bench` runs in a process of its own with one thread, `REPEATS` times, each
with a run of the NumPy twin. What counts as ours is reading, checking and replaying as `run.json` tells them (the
reader works ahead in a second thread); compilation and the start of Python are apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from lersbench.log import write

from .speed import seconds
from .workloads import ALPHA, WORKLOADS, Workload

REPEATS = 5  # medians: a single start can wait 50 ms for fresh memory

SCENARIO = """
title = "{name}"
leaderboard = "ctr_sum"
baseline = "{policy}"
[data]
log = "log"
[replay]
feedback = "{feedback}"
slate = {slate}
seeds = 1
replicates = "none"
ranking = {ranking}
[[policies]]
name = "{policy}"
alpha = {alpha}
"""


def put_log(workload: Workload, folder: Path) -> None:
    """Write the workload's rows as a log, with a scenario beside it."""
    rows, spec = workload.rows, workload.spec
    columns = {"context": rows.context} if spec.d else {"features": rows.wide(rows.features)}
    if workload.replay:
        columns |= {"slate": rows.wide(rows.slate), "clicks": rows.wide((rows.rewards > 0.5).astype(float))}
        columns["propensities"] = 0 * rows.wide(rows.rewards) + 1 / spec.n_candidates
    else:
        columns["rewards"] = rows.wide(rows.rewards)
    step = 20_000
    parts = ({k: v[at : at + step] for k, v in columns.items()} for at in range(0, workload.rounds, step))
    told = "uniform" if workload.replay else "none"
    write(folder / "log", parts, name="workload", items=spec.n_items, propensities=told)
    scenario = SCENARIO.format(
        name=workload.name,
        policy="iba-linucb" if spec.m else "linucb",
        feedback="replay" if workload.replay else "bandit",
        slate=workload.slate,
        ranking=str(workload.ranked).lower(),
        alpha=ALPHA,
    )
    (folder / "workload.toml").write_text(scenario)


MEASURED = """
import sys
from lersbench.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
finally:
    with open("/proc/self/status") as status:
        print(*(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def bench(folder: Path) -> tuple[float, float]:
    """Seconds of reading and replaying, and MB at the peak, of one `lersbench bench` in a process of its own."""
    command = ["bench", "workload.toml", "--threads", "1", "--no-plots", "--fresh"]
    peak = float(run(MEASURED, *command, cwd=folder).splitlines()[-1]) / 1024
    told = json.loads(max((folder / "results" / "workload").glob("*/run.json")).read_text())
    return told["seconds"]["read"] + told["seconds"]["replay"], peak


def run(code: str, *argv: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code, *argv], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def interpreter(folder: Path) -> float:
    """MB of a process that has imported everything `lersbench bench` imports."""
    imports = "import lersbench.bench.replays, lersbench.results.tables, lersbench.report.run"
    return float(run(MEASURED.replace("main(sys.argv[1:])", imports), cwd=folder)) / 1024


def line(name: str, floor: float) -> str:
    workload = WORKLOADS[name]()
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        put_log(workload, Path(folder))
        bench(Path(folder))  # compiles
        for _ in range(REPEATS):
            ours.append(bench(Path(folder)))
            spent = min(seconds(workload.twin, workload.twin_rounds, form) for form in workload.forms)
            theirs.append(spent / workload.twin_rounds)
    rate, numpy = workload.rounds / median(s for s, _ in ours), 1 / median(theirs)
    peak = max(mb for _, mb in ours) - floor
    return f"| {name} | {numpy:,.0f} | {rate:,.0f} | {rate / numpy:.1f} | {workload.must:g} | {peak:.0f} |"


def table(names: list[str]) -> None:
    """Print the table, a line as soon as it is measured."""
    print("| workload | NumPy, rounds/s | lersbench bench, rounds/s | multiple | must | peak MB above imports |")
    print("| --- | --- | --- | --- | --- | --- |")
    floor = interpreter(Path.cwd())
    for name in names:
        print(line(name, floor), flush=True)


if __name__ == "__main__":
    table(sys.argv[1:] or list(WORKLOADS))
