"""Contenders that play in processes of their own, because their libraries do not share one well (torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from lersbench import inputs, scenario, store
from lersbench.log import Log
from lersbench.policy import find, make
from lersbench.replay import Known
from lersbench.session import Clock, Failure, Job, Session

KILLED = (
    "not finished when one of the processes that work side by side was killed, most likely for want of memory; run "
    "again with --threads 1, which does one at a time and only what is missing."
)
CHANGED = (
    "not played: the log, its source, or a file it reads was changed while the run went on, which has begun with the "
    "old ones; run again."
)

Task = tuple[Callable[..., tuple[str, str]], tuple[Any, ...], dict[str, Any]]  # what joblib's `delayed` makes


def play(session: Session, jobs: list[Job], kept: store.Store) -> list[Failure]:
    """Play the jobs of a session, as many at once as it has threads, and keep what they come to; those that failed."""
    tasks = {
        job.key: delayed(_play)(session.chosen, session.log.path, session.case, session.known, _told(job), kept)
        for job in jobs
    }
    failures, by_key = [], {job.key: job for job in jobs}
    session.bar.set_description_str(" ".join(filter(None, [session.chosen.name, session.case.label])))
    with session.clock("replay"):
        for key, problem in outcomes(tasks, session.threads):
            session.bar.update(session.rounds)
            if problem:
                failures.append(Failure(by_key[key], problem))
    return failures


def outcomes(tasks: Mapping[str, Task], at_once: int) -> Iterator[tuple[str, str]]:
    """Run tasks in processes, `at_once` side by side; key and problem ("": none) of each, as they are finished.

    A task returns its key and its problem. Where one of the processes is killed the others end too, and what has not
    been told by then has the problem KILLED. At one at a time there is no other process than this.
    """
    waiting = set(tasks)
    try:
        for key, problem in Parallel(n_jobs=at_once, return_as="generator_unordered")(tasks.values()):
            waiting.remove(key)
            yield key, problem
    except TerminatedWorkerError:
        yield from ((key, KILLED) for key in tasks if key in waiting)


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


def _play(
    chosen: scenario.Scenario,
    path: str,
    case: scenario.Case,
    known: Known,
    told: tuple[str, str, int, str, dict[str, Any]],
    kept: store.Store,
) -> tuple[str, str]:
    """Play one job here; its key, and what went wrong, or ""."""
    key, variant, seed, name, more = told
    policy = make(find(name), more["params"])
    entry = scenario.Entry(more["label"], name, policy, (case.feedback,))
    log = Log(path)
    if more["basis"] and more["basis"] != inputs.basis(log, inputs.engine(), inputs.inputs_of(policy)):
        return key, CHANGED
    with tqdm(disable=True) as bar:
        session = Session(chosen, log, case, known, 1, bar, Clock())
        failures = session.play([Job(key, variant, entry, case, seed)], kept)
    return key, "\n".join(failure.problem for failure in failures)
