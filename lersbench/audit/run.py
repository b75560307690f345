"""The audit, carried out: the missing runs of the worlds in processes side by side, kept world by world."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lersbench import files
from lersbench.audit import runs as kept
from lersbench.audit import worlds
from lersbench.audit.runs import Runs, joined, runs_of
from lersbench.audit.summary import checks_of, lines_of
from lersbench.audit.world import Check, Fixed, Group, Line, World
from lersbench.offpolicy.verdict import THRESHOLDS
from lersbench.sources import digest
from lersbench.system.progress import Bar, silent
from lersbench.system.workers import Pool, Step, Task

PARTS = 20  # of the runs of a world: what one process does at a time


@dataclass(frozen=True)
class Plan:
    """What is wanted."""

    groups: Sequence[Group]
    out: Path
    seed: int = 0
    most: int | None = None  # runs of a world, at most
    quick: bool = False
    keep: bool = False  # take runs that are there whatever code made them
    at_once: int = 1

    def runs(self, world: World) -> int:
        """How many runs of a world; 0: none in a quick audit."""
        wanted = world.quick if self.quick else world.runs
        return min(wanted, self.most) if self.most is not None else wanted


@dataclass
class Audited:
    """What was found."""

    plan: Plan
    runs: dict[str, Runs] = field(default_factory=dict)  # by world
    fixed: dict[str, Fixed] = field(default_factory=dict)  # by group
    problems: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def lines(self, world: World) -> dict[tuple[str, str], Line]:
        return lines_of(self.runs[world.name])

    def checks(self, group: Group) -> list[tuple[str, Check]]:
        """The checks of a group, each with the name of its world."""
        found = [(group.name, check) for check in (self.fixed[group.name].checks if group.name in self.fixed else [])]
        for world in group.worlds:
            if world.name in self.runs:
                found += [(world.name, check) for check in checks_of(world, self.lines(world))]
        return found

    @property
    def failed(self) -> list[tuple[str, Check]]:
        return [pair for group in self.plan.groups for pair in self.checks(group) if not pair[1].passed]

    @property
    def played(self) -> list[tuple[World, Runs]]:
        """The worlds that were played, with their runs."""
        every = [world for group in self.plan.groups for world in group.worlds]
        return [(world, self.runs[world.name]) for world in every if world.name in self.runs]


def audit(plan: Plan) -> Audited:
    """Play what is not kept, keep it, and gather all of it."""
    begun, found = time.monotonic(), Audited(plan)
    parts: dict[str, tuple[World, int]] = {}
    tasks: dict[str, Task] = {}
    for group in plan.groups:
        if group.fixed is not None:
            tasks[group.name] = Task(look, (group.name,))
        for world in group.worlds:
            _plan_world(plan, world, found, tasks, parts)
    total = sum(plan.runs(world) for world in {world.name: world for world, _ in parts.values()}.values())
    done: dict[str, dict[int, Runs]] = {}
    with Bar(silent, total=total, unit=" runs", desc="audit") as bar, Pool(plan.at_once) as pool:
        for outcome in pool.outcomes(tasks, bar.update):
            if outcome.problem:
                found.problems[outcome.key] = outcome.problem
            elif outcome.key in parts:
                world, first = parts[outcome.key]
                done.setdefault(world.name, {})[first] = outcome.result
                _finish(plan, world, done[world.name], found)
            else:
                found.fixed[outcome.key] = outcome.result
    found.seconds = time.monotonic() - begun
    _write_figures(found)
    return found


def _plan_world(
    plan: Plan, world: World, found: Audited, tasks: dict[str, Task], parts: dict[str, tuple[World, int]]
) -> None:
    """Take the runs that are kept, or plan those of a world in parts."""
    wanted = plan.runs(world)
    if not wanted:
        return
    there = kept.load(_path(plan, world), None if plan.keep else _key(plan, world))
    if there is not None:
        found.runs[world.name] = there
        return
    step = -(-wanted // PARTS)
    for first in range(0, wanted, step):
        key = f"{world.name}, runs {first}.."
        tasks[key] = Task(play, (world.name, plan.seed, first, min(first + step, wanted)))
        parts[key] = world, first


def play(name: str, seed: int, first: int, last: int, step: Step) -> Runs:
    """Some runs of a world, in a process of its own."""
    world, played = worlds.world_of(name), []
    for run in range(first, last):
        played.append(world.one(seed, run))
        step(1)
    return runs_of(played)


def look(name: str, step: Step) -> Fixed:
    """What is looked at once, in a process of its own."""
    group = worlds.group_of(name)
    assert group.fixed is not None
    return group.fixed()


def _finish(plan: Plan, world: World, done: dict[int, Runs], found: Audited) -> None:
    """Keep the runs of a world whose parts are all there."""
    if sum(part.numbers.shape[0] for part in done.values()) == plan.runs(world):
        found.runs[world.name] = joined([done[first] for first in sorted(done)])
        kept.save(_path(plan, world), found.runs[world.name], _key(plan, world))


def _path(plan: Plan, world: World) -> Path:
    return plan.out / (re.sub(r"[^a-z0-9]+", "-", world.name.lower()).strip("-") + ".npz")


def _key(plan: Plan, world: World) -> str:
    """What the runs of a world depend on: their number, the seed, and all code they draw on."""
    return files.digest([world.name, plan.runs(world), plan.seed, list(THRESHOLDS), _sources()])


@cache
def _sources() -> str:
    return digest(worlds.__name__)


def _write_figures(found: Audited) -> None:
    """All figures of the tables as JSON."""
    content: dict[str, Any] = {"seed": found.plan.seed, "python": sys.version.split()[0], "worlds": {}}
    for world, runs in found.played:
        lines = [line._asdict() for line in found.lines(world).values()]
        content["worlds"][world.name] = {"runs": int(runs.numbers.shape[0]), "lines": lines}
    content["checks"] = [
        {"world": world, **check._asdict()} for group in found.plan.groups for world, check in found.checks(group)
    ]
    with files.replacing(found.plan.out / "truth.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
