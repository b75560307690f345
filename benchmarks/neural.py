"""`python -m benchmarks.neural [active|normal ...] [--policy NAME] [--against FOLDER]`: processor seconds of networks.

Each policy plays the simulated live-shopping platform in the study's size (active: 1,000 customers x 200 products,
normal: 2,602 x 1,023), on one core, as `lersbench bench` plays it: in a worker process, a seed after the other. What
the worker has spent when the first fortieth of the first seed is played, less what a fortieth takes, is its start:
imports, reading and first calls. The rest is the seeds. Linux alone tells what another process has spent so far.

`--against` measures another checkout too, worker by worker in turn with this one, and prints what this one takes of
its seconds, in %.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import click

HERE = Path(__file__).parents[1]
BOTH = ("bandit", "full")
POLICIES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {  # label: (name, options, regimes)
    "lers": ("lers", {}, BOTH),
    "lers-context": ("lers-context", {}, BOTH),
    "lers-recommendation": ("lers-recommendation", {}, BOTH),
    "lers-both": ("lers-both", {}, BOTH),
    "neural-ucb": ("neural-ucb", {}, ("bandit",)),
    "neural-ucb diagonal": ("neural-ucb", {"matrix": "diagonal"}, ("bandit",)),
    "neural-ts": ("neural-ts", {}, ("bandit",)),
    "neural-linear": ("neural-linear", {}, ("bandit",)),
    "bayes-by-backprop": ("bayes-by-backprop", {}, ("bandit",)),
}
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Cost(NamedTuple):
    """Processor seconds."""

    seed: float
    start: float


def spent(checkout: Path, which: str, label: str, feedback: str, seeds: int) -> Cost:
    """What a worker that plays so many seeds with the code of a checkout spends."""
    told = json.dumps([which, label, feedback, seeds])
    env = {**os.environ, **ONE_CORE, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-P", __file__, "--worker", told]
    return Cost(*json.loads(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout))


def play(which: str, label: str, feedback: str, seeds: int) -> Cost:
    """The same with the code at hand."""
    from lersbench.bench import replays, scenario

    name, options, _ = POLICIES[label]
    told = scenario.read(which, {"replay.seeds": seeds, "replay.neural_seeds": seeds}, "livestream")
    entry = {"name": name, "label": label, "feedback": feedback, **options}
    told = told.model_copy(update={"name": "x", "policies": [entry]})
    first: list[tuple[float, float]] = []  # share of all rounds, seconds so far

    def progress(share: float) -> None:
        if share > 0 and not first:
            first.append((share, so_far()))

    with tempfile.TemporaryDirectory() as folder:
        replays.bench(told, Path(folder), threads=1, say=lambda message: None, progress=progress)
    workers, (share, begun) = resource.getrusage(resource.RUSAGE_CHILDREN), first[0]
    all_rounds = (workers.ru_utime + workers.ru_stime - begun) / (1 - share)
    return Cost(all_rounds / seeds, begun - share * all_rounds)


def so_far() -> float:
    """Processor seconds of the processes that work for this one."""
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        for worker in (task / "children").read_text().split():
            ticks += sum(map(int, Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


@click.command(help=__doc__)
@click.argument("scenarios", nargs=-1)
@click.option("--policy", "only", multiple=True, type=click.Choice([*POLICIES]), help="These alone.")
@click.option("--feedback", type=click.Choice(BOTH), help="This regime alone.")
@click.option("--seeds", default=1, show_default=True)
@click.option("--against", type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path))
@click.option("--worker", hidden=True)
def main(
    scenarios: tuple[str, ...],
    only: tuple[str, ...],
    feedback: str | None,
    seeds: int,
    against: Path | None,
    worker: str | None,
) -> None:
    """Print a table of seconds."""
    if worker:
        click.echo(json.dumps(play(*json.loads(worker))))
        return
    checkouts = [HERE, *([against] if against else [])]
    there = " there: a seed | there: start | a seed, % | start, % |" if against else ""
    click.echo(f"| scenario | policy | feedback | a seed, s | start, s |{there}")
    click.echo(f"| --- | --- | --- | ---: | ---: |{' ---: | ---: | ---: | ---: |' if against else ''}")
    for which in scenarios or ("active",):
        for folder in checkouts:  # makes the log, and compiles what is compiled once
            spent(folder, which, "neural-ucb diagonal", "bandit", 1)
        for label in only or POLICIES:
            for regime in POLICIES[label][2]:
                if feedback in (None, regime):
                    costs = [spent(folder, which, label, regime, seeds) for folder in checkouts]
                    click.echo(line(which, label, regime, costs))


def line(which: str, label: str, regime: str, costs: list[Cost]) -> str:
    cells = [which, label, regime]
    cells += [f"{seconds:.2f}" for one in costs for seconds in one]
    if len(costs) == 2:
        cells += [f"{100 * ours / theirs:.0f}" for ours, theirs in zip(*costs, strict=True)]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
