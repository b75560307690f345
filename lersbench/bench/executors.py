"""Contenders that play in processes of their own: their libraries share one badly (torch), or nobody vouches for them.

A policy from outside the package may end its process, hang, or ask for all memory: it takes no other contender along.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from lersbench.bench import inputs, scenario, store
from lersbench.bench.session import Clock, Failure, Job, Session
from lersbench.engine.replay import Known
from lersbench.log import Log
from lersbench.policy import find, make
from lersbench.system.workers import Pool, Task

CHANGED = (
    "not played: the log, its source, or a file it reads was changed while the run went on, which has begun with the "
    "old ones; run again."
)
SPOILT = "a file it reads was changed while it was played; run again"


def wanted(entry: scenario.Entry) -> bool:
    """Does a policy play in a process of its own?"""
    foreign = not type(entry.policy).__module__.startswith("lersbench.policies.")
    return not entry.here and (entry.policy.apart or foreign)


def play(session: Session, jobs: list[Job], kept: store.Store, pool: Pool) -> list[Failure]:
    """Play the jobs of a session in the processes of a pool, and keep what they come to; those that failed."""
    case = (uuid.uuid4().hex, session.chosen, session.log.path, session.case, session.known)
    tasks = {job.key: Task(_play, (*case, _told(job), kept)) for job in jobs}
    failures, by_key = [], {job.key: job for job in jobs}
    session.bar.set_description_str(" ".join(filter(None, [session.chosen.name, session.case.label])))
    with session.clock("replay"):
        for key, problem in pool.outcomes(tasks, session.bar.update):
            if problem:
                failures.append(Failure(by_key[key], problem))
    return failures


def _told(job: Job) -> tuple[str, str, int, str, dict[str, Any]]:
    """A job as another process can take it: a policy from a user's file cannot be sent, but can be found again."""
    return (
        job.key,
        job.variant,
        job.seed,
        job.entry.name,
        {
            "label": job.entry.label,
            "params": job.entry.params,
            "basis": job.basis,
        },
    )


class _Bar:
    """Hands progress on to the process that shows it."""

    def __init__(self, step: Callable[[float], None]):
        self.update = step

    def set_description_str(self, text: str) -> None:
        """What is compiled here is of no interest there."""


_last: dict[str, Session] = {}  # the session played last, which holds the log in memory where it does


def _play(
    token: str,
    chosen: scenario.Scenario,
    path: str,
    case: scenario.Case,
    known: Known,
    told: tuple[str, str, int, str, dict[str, Any]],
    kept: store.Store,
    step: Callable[[float], None],
) -> str:
    """Play one job here; what went wrong, or "". Jobs of one `token` are of the same case."""
    if token not in _last:
        _last.clear()
        _last[token] = Session(chosen, Log(path), case, known, 1, _Bar(step), Clock())
    session = _last[token]
    session.bar, session.more = _Bar(step), True
    key, variant, seed, name, more = told
    policy = make(find(name), more["params"])
    entry = scenario.Entry(more["label"], name, policy, (case.feedback,))
    if more["basis"] and more["basis"] != inputs.basis(Log(path), inputs.engine(), inputs.inputs_of(policy)):
        return CHANGED
    same = int(key[:8], 16)  # a policy that draws from a global generator does so anew in each run
    random.seed(same)
    np.random.seed(same)  # noqa: NPY002 the global generator is what is meant
    failures = session.play([Job(key, variant, entry, case, seed)], kept)
    if not failures and more["basis"] and inputs.inputs_of(policy).files != more["basis"][-1].files:
        kept.path(key).unlink()
        return SPOILT
    return "\n".join(failure.problem for failure in failures)
