"""`python -m benchmarks.scale [--folder docs] [--quick]`: what a replay costs, and against what it grows.

Processor seconds (of all threads and processes, medians of REPEATS), so that other work on the machine matters little,
beside wall seconds where processes are counted. Each quantity is doubled alone, from the base. Prints tables as
Markdown; writes scale.csv and, as a log-log figure, scale.png.
"""

from __future__ import annotations

import argparse
import csv
import os
import pickle
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from benchmarks import evaluation as decisions  # noqa: E402
from benchmarks.workloads import rows_of, sphere  # noqa: E402
from lersbench.bench import scenario  # noqa: E402
from lersbench.bench.replays import bench  # noqa: E402
from lersbench.engine.contender import Contender  # noqa: E402
from lersbench.engine.play import play, protocol_of  # noqa: E402
from lersbench.evaluation.run import evaluate  # noqa: E402
from lersbench.log import Log, parts  # noqa: E402
from lersbench.offpolicy.sums import new_sums  # noqa: E402
from lersbench.policy import Spec, load  # noqa: E402

REPEATS = 5
BASE = {"T": 16_000, "N": 16, "K": 1, "d": 8}
DOUBLED = {
    "T": [4_000, 16_000, 64_000, 256_000],
    "N": [8, 16, 32, 64, 128, 256],
    "K": [1, 2, 4, 8, 16],
    "d": [4, 8, 16, 32, 64],
}
POLICIES = ("random", "ucb1", "linucb")
MANY = {"seeds": [1, 4, 16, 64], "contenders": [1, 4, 16, 64]}
WORDS = {
    "T": "T, rounds", "N": "N, candidates of a round", "K": "K, positions", "d": "d, columns of the context",
    "seeds": "seeds", "contenders": "contenders",
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    policy: str
    what: str
    size: int
    seconds: float  # of the processor


def processor() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def spent(action: Callable[[], object], repeats: int) -> float:
    """The median of the processor seconds of an action."""
    took = []
    for _ in range(repeats):
        start = processor()
        action()
        took.append(processor() - start)
    return statistics.median(took)


def replay(policy: str, size: dict[str, int], repeats: int) -> float:
    """Seconds of a replay in memory, compiled before."""
    rng = np.random.default_rng(0)
    context = sphere(rng, size["T"], size["d"])
    rewards = (rng.random((size["T"], size["N"])) < 0.1).astype(float)
    rows = rows_of(context, rewards, size["N"], size["K"])
    spec = Spec(size["N"], size["N"], size["K"], size["d"], 0, size["T"], 0, np.empty((size["N"], 0)))
    none = np.empty(0, np.int64)

    def contender() -> Contender:
        protocol = protocol_of("bandit", size["K"], ties=1, ranking=False)
        made = Contender(load(policy), spec, protocol, np.random.default_rng(1), np.array([size["T"]]))
        made.play(rows, none, none)
        return made

    made = [contender() for _ in range(repeats)]
    return spent(lambda: play(made.pop(), rows), repeats)


def one_at_a_time(repeats: int, most: int) -> list[Point]:
    return [
        Point(policy, what, value, replay(policy, {**BASE, what: value}, repeats))
        for what, values in DOUBLED.items()
        for policy in POLICIES
        for value in values[:most]
    ]


def scenario_of(contenders: int, seeds: int, rounds: int) -> scenario.Scenario:
    """Contenders that differ in alpha."""
    alphas = [round(0.1 + 0.01 * i, 2) for i in range(contenders)]
    content = {
        "name": "scale",
        "title": "Scale",
        "large": True,
        "data": {"dataset": "synthetic", "rounds": rounds, "items": BASE["N"], "d": BASE["d"], "users": 100},
        "replay": {"seeds": seeds, "checkpoints": 50},
        "policies": [{"name": "linucb", "alpha": alpha, "label": f"linucb {alpha}"} for alpha in alphas],
        "baseline": "linucb 0.1",
    }
    return scenario.parse(content, "scale")


def run(contenders: int, seeds: int, rounds: int, executor: str | None = None) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        chosen = scenario_of(contenders, seeds, rounds)
        made = bench(chosen, Path(folder), 1, say=lambda line: None, executor=executor)
        if made.failures:
            raise RuntimeError(made.failures)
        return made.folder


def many(repeats: int, most: int) -> list[Point]:
    """Whole runs, tables included: of one contender in many seeds, of many contenders in one."""
    run(1, 1, 2000)  # compiles
    points = []
    for number in MANY["seeds"][:most]:
        points.append(Point("linucb", "seeds", number, spent(lambda n=number: run(1, n, 4000), repeats)))  # type: ignore[misc]
    for number in MANY["contenders"][:most]:
        points.append(Point("linucb", "contenders", number, spent(lambda n=number: run(n, 1, 4000), repeats)))  # type: ignore[misc]
    return points


def processes(repeats: int, rounds: int) -> list[tuple[str, float, float]]:
    """Wall and processor seconds of one job here, and on one and two processes of a cluster; medians, interleaved."""
    kinds: dict[str, str | None] = {"here, 1 thread": None, "local:1": "local:1", "local:2": "local:2"}
    wall, cpu = ({kind: [] for kind in kinds} for _ in range(2))  # type: ignore[var-annotated]
    for _ in range(repeats):
        for kind, executor in kinds.items():
            start, before = time.perf_counter(), processor()
            run(8, 16, rounds, executor)
            wall[kind].append(time.perf_counter() - start)
            cpu[kind].append(processor() - before)
    return [(kind, statistics.median(wall[kind]), statistics.median(cpu[kind])) for kind in kinds]


def per_row(repeats: int, rows: int) -> dict[str, float]:
    """Processor seconds a row: of reading a log from disk, of counting a policy's weights, and sizes in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        log = decisions.log_of(Path(folder) / "log", rows)

        def read() -> None:
            for _ in Log(log.path).read():
                pass

        def judge(count: int) -> Callable[[], object]:
            policies = {f"p{i}": load("softmax", temperature=0.1 + 0.01 * i) for i in range(count)}
            settings = {"estimators": ["snips"], "frozen": 0.02}
            return lambda: evaluate(Log(log.path), policies, settings, ("off-policy",))

        judge(1)()  # compiles
        reading = spent(read, repeats) / rows
        few, more = spent(judge(1), repeats), spent(judge(9), repeats)
        size = sum(path.stat().st_size for path in Path(log.path).rglob("*") if path.is_file()) / rows
        return {
            "reading a row": reading,
            "a row, of a policy": (more - few) / 8 / rows,
            "a row, whoever is judged": max(0.0, few - (more - few) / 8) / rows,
            "bytes of a row on disk": size,
            "bytes of the sums of a policy": float(len(pickle.dumps(new_sums(), protocol=5))),
            "parts of a log at most": float(parts.MOST),
        }


def slope(points: list[Point]) -> float:
    """The exponent: of the last two doublings, where what does not grow matters least."""
    last = points[-2:]
    return float(np.diff(np.log([p.seconds for p in last]))[0] / np.diff(np.log([p.size for p in last]))[0])


def by_line(points: list[Point]) -> dict[tuple[str, str], list[Point]]:
    lines: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        lines.setdefault((point.what, point.policy), []).append(point)
    return lines


def draw(points: list[Point], path: Path) -> None:
    """A panel a quantity, both axes logarithmic; a slope of 1 is dotted."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    panels = dict(zip(WORDS, figure.subplots(2, 3, sharey="row").flat, strict=True))
    for (what, policy), line in by_line(points).items():
        x, y = [p.size for p in line], [p.seconds for p in line]
        panels[what].loglog(x, y, marker="o", markersize=4, label=f"{policy}, slope {slope(line):.2f}")
        panels[what].loglog(x, [y[-1] * size / x[-1] for size in x], color="0.7", linestyle=":", linewidth=1)
    for what, panel in panels.items():
        sizes = sorted({p.size for p in points if p.what == what})
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        panel.set_xlabel(WORDS[what])
        panel.legend(fontsize=8, frameon=False)
    for first in (panels["T"], panels["d"]):
        first.set_ylabel("processor seconds")
    figure.suptitle("What a replay costs: each quantity alone, from the base")
    figure.savefig(path, dpi=150)


def table(points: list[Point]) -> str:
    lines = ["| grows | policy | sizes | processor seconds | slope at the end |", "| --- | --- | --- | --- | --- |"]
    for (what, policy), line in by_line(points).items():
        sizes = ", ".join(f"{p.size:,}" for p in line)
        seconds = ", ".join(f"{p.seconds:.3g}" for p in line)
        lines.append(f"| {WORDS[what]} | {policy} | {sizes} | {seconds} | {slope(line):.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs"))
    parser.add_argument("--quick", action="store_true", help="Two sizes of each, once.")
    given = parser.parse_args()
    repeats, most = (1, 2) if given.quick else (REPEATS, 99)
    points = one_at_a_time(repeats, most) + many(min(3, repeats), most)
    print(table(points), end="\n\n", flush=True)
    draw(points, given.folder / "scale.png")
    facts: dict[str, Any] = per_row(min(3, repeats), 20_000 if given.quick else 100_000)
    for kind, wall, cpu in processes(min(3, repeats), 2_000 if given.quick else 20_000):
        facts |= {f"wall seconds, {kind}": wall, f"processor seconds, {kind}": cpu}
    print("| what | value |\n| --- | --- |")
    for what, value in facts.items():
        print(f"| {what} | {value:.4g} |")
    with (given.folder / "scale.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["what", "policy", "size", "value"])
        lines.writerows([p.what, p.policy, p.size, f"{p.seconds:.6g}"] for p in points)
        lines.writerows([what, "", "", f"{value:.6g}"] for what, value in facts.items())


if __name__ == "__main__":
    main()
