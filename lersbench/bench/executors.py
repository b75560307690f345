"""Contenders that play in processes of their own: those of torch, which shares a process badly, and foreign policies.

A policy from outside the package may end its process, hang, or take all memory: no other contender dies with it.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from typing import Any, NamedTuple

import numpy as np

from lersbench.bench import inputs, scenario
from lersbench.bench.curves import Curves
from lersbench.bench.series import Job, Series
from lersbench.bench.session import Clock, Session
from lersbench.engine.rows import Background
from lersbench.errors import RunError
from lersbench.log import Log
from lersbench.policy import find, make
from lersbench.system.workers import Step, Task

CHANGED = (
    "not played: the log, its source, or a file it reads was changed while the run went on, which has begun with the "
    "old ones; run again."
)
SPOILT = "a file it reads was changed while it was played; run again"


def plays_apart(entry: scenario.Entry) -> bool:
    """Does a policy play in a process of its own?"""
    foreign = not type(entry.policy).__module__.startswith("lersbench.policies.")
    return not entry.local and (entry.policy.apart or foreign)


class Assignment(NamedTuple):
    """What another process needs to play a contender; the name of its policy, since the object cannot be sent."""

    case_id: str  # the same for all of a case, whose log a process reads once
    chosen: scenario.Scenario
    log: str  # its path
    case: scenario.Case
    background: Background
    key: str  # of the series
    variant: str
    seeds: tuple[int, ...]
    label: str
    policy: str  # its name, or the path of its file
    params: dict[str, Any]
    basis: tuple[Any, ...]  # digests of engine, log and `inputs.Inputs`, of which the key was made


def tasks(session: Session, jobs: list[Job]) -> dict[str, Task]:
    """The task of each job of a session, by its key."""
    case = (uuid.uuid4().hex, session.chosen, session.log.path, session.case, session.background)
    assigned: dict[str, Task] = {}
    for job in jobs:
        entry, one = job.entry, job.series
        assignment = Assignment(
            *case, one.key, one.variant, job.seeds, entry.label, entry.name, entry.params, one.basis
        )
        assigned[job.key] = Task(perform, (assignment,), len(job.seeds))
    return assigned


class _Bar:
    """Sends progress to the process that shows it."""

    def __init__(self, step: Step):
        self.update = step

    def set_description_str(self, text: str) -> None:
        """What is compiled here is of no interest there."""


_last: dict[str, Session] = {}  # the last session, by the id of its case: it holds the log in memory where that fits


Played = tuple[list[Curves], list[tuple[int, str]]]  # of the seeds that did not fail; and which seeds did, and why


def perform(assignment: Assignment, step: Step) -> Played:
    """Play some seeds of a series in this process; the same assignment gives the same curves, in any process and on any
    machine that has the log and the policy. Raises RunError where none can be played, or its `basis` has changed."""
    if assignment.case_id not in _last:
        _last.clear()
        _last[assignment.case_id] = Session(
            assignment.chosen, Log(assignment.log), assignment.case, assignment.background, 1, _Bar(step), Clock()
        )
    session = _last[assignment.case_id]
    session.bar = _Bar(step)
    policy = make(find(assignment.policy), assignment.params)
    entry = scenario.Entry(assignment.label, assignment.policy, policy, (assignment.case.feedback,))
    if assignment.basis != inputs.basis(Log(assignment.log), inputs.engine(), inputs.inputs_of(policy)):
        raise RunError(CHANGED)
    case, seeds = assignment.case, assignment.seeds
    series = Series(assignment.key, assignment.variant, entry, case, seeds, assignment.basis)
    played: Played = ([], [])
    for seed in seeds:
        _seed_the_global_generators(assignment.key, seed)
        curves, failed = session.play_one(Job(series, (seed,)))
        played[0].extend(curves)
        played[1].extend(failed)
    if inputs.inputs_of(policy).files != assignment.basis[-1].files:
        raise RunError(SPOILT)
    return played


def _seed_the_global_generators(key: str, seed: int) -> None:
    """A policy that draws from a global generator does so anew in each seed, whoever plays it and after what."""
    number = int(hashlib.sha256(f"{key}-{seed}".encode()).hexdigest()[:8], 16)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 the global generator is what is meant
