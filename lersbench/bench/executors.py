"""Contenders that play in processes of their own: their libraries share one badly (torch), or nobody vouches for them.

A policy from outside the package may end its process, hang, or ask for all memory: it takes no other contender along.
"""

from __future__ import annotations

import random
import uuid
from typing import Any, NamedTuple

import numpy as np

from lersbench.bench import inputs, scenario
from lersbench.bench.session import Clock, Job, Session
from lersbench.bench.store import Curve
from lersbench.engine.rows import Known
from lersbench.errors import RunError
from lersbench.log import Log
from lersbench.policy import find, make
from lersbench.system.workers import Step, Task

CHANGED = (
    "not played: the log, its source, or a file it reads was changed while the run went on, which has begun with the "
    "old ones; run again."
)
SPOILT = "a file it reads was changed while it was played; run again"


def wanted(entry: scenario.Entry) -> bool:
    """Does a policy play in a process of its own?"""
    foreign = not type(entry.policy).__module__.startswith("lersbench.policies.")
    return not entry.here and (entry.policy.apart or foreign)


class Assignment(NamedTuple):
    """What another process is told so that it can play a contender: no policy, which cannot be sent, but its name."""

    case_id: str  # the same for all of a case, whose log a process reads once
    chosen: scenario.Scenario
    log: str  # its path
    case: scenario.Case
    known: Known
    key: str
    variant: str
    seed: int
    label: str
    policy: str  # its name, or the path of its file
    params: dict[str, Any]
    basis: tuple[Any, ...]  # engine, log and `inputs.Inputs`, by digest, that the key was made of


def tasks(session: Session, jobs: list[Job]) -> dict[str, Task]:
    """The task of each job of a session, by its key."""
    case = (uuid.uuid4().hex, session.chosen, session.log.path, session.case, session.known)

    def assigned(job: Job) -> Assignment:
        entry = job.entry
        return Assignment(*case, job.key, job.variant, job.seed, entry.label, entry.name, entry.params, job.basis)

    return {job.key: Task(perform, (assigned(job),)) for job in jobs}


class _Bar:
    """Hands progress on to the process that shows it."""

    def __init__(self, step: Step):
        self.update = step

    def set_description_str(self, text: str) -> None:
        """What is compiled here is of no interest there."""


_last: dict[str, Session] = {}  # the session played last, by the id of its case: it holds the log where it fits


def perform(told: Assignment, step: Step) -> Curve:
    """Play one contender here; the same assignment comes to the same curve, in any process and on any machine that has
    the log and the policy. Raises RunError where it cannot be played, or where what its key was made of has changed."""
    if told.case_id not in _last:
        _last.clear()
        _last[told.case_id] = Session(told.chosen, Log(told.log), told.case, told.known, 1, _Bar(step), Clock())
    session = _last[told.case_id]
    session.bar, session.more = _Bar(step), True
    policy = make(find(told.policy), told.params)
    entry = scenario.Entry(told.label, told.policy, policy, (told.case.feedback,))
    if told.basis != inputs.basis(Log(told.log), inputs.engine(), inputs.inputs_of(policy)):
        raise RunError(CHANGED)
    same = int(told.key[:8], 16)  # a policy that draws from a global generator does so anew in each run
    random.seed(same)
    np.random.seed(same)  # noqa: NPY002 the global generator is what is meant
    curves: list[Curve] = []
    job = Job(told.key, told.variant, entry, told.case, told.seed, told.basis)
    failures = session.play([job], lambda _, curve: curves.append(curve))
    if failures:
        raise RunError("\n".join(failure.problem for failure in failures))
    if inputs.inputs_of(policy).files != told.basis[-1].files:
        raise RunError(SPOILT)
    return curves[0]
