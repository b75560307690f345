"""Contenders that play in processes of their own: those of torch, which shares a process badly, and foreign policies.

A policy from outside the package may end its process, hang, or take all memory: no other contender dies with it.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from typing import Any, NamedTuple

import numpy as np

from lersbench.bench import inputs, luggage, scenario
from lersbench.bench.curves import Curves
from lersbench.bench.series import Job, Series
from lersbench.bench.session import ENOUGH, NOT_TRIED, Clock, Session
from lersbench.engine.rows import Background
from lersbench.errors import ConfigError, DataError, RunError, Unfit
from lersbench.log import Log
from lersbench.policy import Policy, find, make
from lersbench.system.workers import Step, Task

CHANGED = (
    "not played: the log, its source, or a file it reads was changed while the run went on, which has begun with the "
    "old ones; run again."
)
SPOILT = "a file it reads was changed while it was played; run again"


def plays_apart(entry: scenario.Entry, away: bool = False) -> bool:
    """Does a policy play in a process of its own, where a crash of another package takes no other along? Where work is
    done `away` from here, all do that can."""
    foreign = not type(entry.policy).__module__.startswith("lersbench.policies.")
    return not entry.local and (away or entry.policy.apart or foreign or bool(entry.policy.packages))


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
    luggage: luggage.Luggage | None = None  # of a user's policy that goes to another machine
    torch: str = ""  # the version that a policy of torch needs there


def tasks(session: Session, jobs: list[Job], travels: bool = False) -> dict[str, Task]:
    """The task of each job of a session, by its key; those that `travel` to other machines take along what they need.

    Raises ConfigError for a policy that is too large to travel.
    """
    case = (uuid.uuid4().hex, session.chosen, session.log.address, session.case, session.background)
    taken = {job.series: _taken_along(job.entry) if travels else (None, "") for job in jobs}
    assigned: dict[str, Task] = {}
    for job in jobs:
        entry, one = job.entry, job.series
        assignment = Assignment(
            *case, one.key, one.variant, job.seeds, entry.label, entry.name, entry.params, one.basis,
            *taken[one],
        )  # fmt: skip
        assigned[job.key] = Task(perform, (assignment,), len(job.seeds))
    return assigned


class _Bar:
    """Sends progress to the process that shows it."""

    def __init__(self, step: Step):
        self.update = step

    def set_description_str(self, text: str) -> None:
        """What is compiled here is of no interest there."""


def _taken_along(entry: scenario.Entry) -> tuple[luggage.Luggage | None, str]:
    return luggage.packed(entry.policy, entry.name), _torch() if entry.policy.apart else ""


def _torch() -> str:
    from lersbench.neural.adapter import in_words

    return in_words()


_last: dict[str, Session] = {}  # the last session, by the id of its case: it holds the log in memory where that fits


Played = tuple[list[Curves], list[tuple[int, str]]]  # of the seeds that did not fail; and which seeds did, and why


def perform(assignment: Assignment, step: Step) -> Played:
    """Play some seeds of a series in this process; the same assignment gives the same curves, in any process and on any
    machine that has the log and the policy. Raises RunError where none can be played, and Unfit where another machine
    might: this one lacks the log or a package, or `basis` is another here."""
    session = _session(assignment)
    session.bar = _Bar(step)
    with luggage.opened(assignment.luggage, assignment.policy) as name:
        return _played(assignment, session, _policy(assignment, name))


def _session(assignment: Assignment) -> Session:
    if assignment.case_id not in _last:
        _last.clear()
        try:
            log = Log(assignment.log)
        except (ConfigError, DataError) as error:
            raise Unfit(f"the log cannot be read there: {error}") from error
        _last[assignment.case_id] = Session(
            assignment.chosen, log, assignment.case, assignment.background, 1, _Bar(lambda done: None), Clock()
        )
    return _last[assignment.case_id]


def _policy(assignment: Assignment, name: str) -> Policy:
    try:
        policy = make(find(name), assignment.params)
        basis = inputs.basis(Log(assignment.log), inputs.engine(), inputs.inputs_of(policy))
    except (ConfigError, ImportError) as error:
        raise Unfit(f"policy {assignment.label} cannot be made there: {error}") from error
    if assignment.torch and assignment.torch != _torch():
        raise Unfit(f"it has {_torch()} (here {assignment.torch}). Fix: install the same version there.")
    if assignment.basis != basis:
        raise Unfit(CHANGED)
    return policy


def _played(assignment: Assignment, session: Session, policy: Policy) -> Played:
    case, seeds = assignment.case, assignment.seeds
    entry = scenario.Entry(assignment.label, assignment.policy, policy, (case.feedback,))
    series = Series(assignment.key, assignment.variant, entry, case, seeds, assignment.basis)
    played: Played = ([], [])
    for seed in seeds:
        if len(played[1]) >= ENOUGH:
            played[1].append((seed, NOT_TRIED.format(played[1][ENOUGH - 1][1])))
            continue
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
