"""Contenders that play in processes of their own, because their libraries do not share one well (torch)."""

from __future__ import annotations

from typing import Any

from joblib import Parallel, delayed
from tqdm import tqdm

from lersbench import scenario, store
from lersbench.log import Log
from lersbench.policy import find, make
from lersbench.replay import Known
from lersbench.session import Clock, Failure, Job, Session


def play(session: Session, jobs: list[Job], kept: store.Store) -> list[Failure]:
    """Play the jobs of a session, as many at once as it has threads, and keep what they come to; those that failed."""
    tasks = [
        delayed(_play)(session.chosen, session.log.path, session.case, session.known, _told(job), kept) for job in jobs
    ]
    failures, by_key = [], {job.key: job for job in jobs}
    session.bar.set_description_str(" ".join(filter(None, [session.chosen.name, session.case.label])))
    with session.clock("replay"):
        for key, problem in Parallel(n_jobs=session.threads, return_as="generator_unordered")(tasks):
            session.bar.update(session.rounds)
            if problem:
                failures.append(Failure(by_key[key], problem))
    return failures


def _told(job: Job) -> tuple[str, str, int, str, dict[str, Any]]:
    """A job as another process can take it: a policy from a user's file cannot be sent, but can be found again."""
    return job.key, job.variant, job.seed, job.entry.name, {"label": job.entry.label, "params": job.entry.params}


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
    with tqdm(disable=True) as bar:
        session = Session(chosen, Log(path), case, known, 1, bar, Clock())
        failures = session.play([Job(key, variant, entry, case, seed)], kept)
    return key, "\n".join(failure.problem for failure in failures)
