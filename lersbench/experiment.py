"""From a scenario to results on disk: play every contender that is not there yet, then put the run together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import pandas as pd
from tqdm import tqdm

from lersbench import scenario, store
from lersbench.datasets import build
from lersbench.datasets.transactions import describe
from lersbench.errors import ConfigError, RunError
from lersbench.log import Log
from lersbench.runs import assemble
from lersbench.session import Clock, Failure, Job, Session, spec_of, tell
from lersbench.sources import closure


@dataclass
class Run:
    """What `bench` hands on."""

    folder: Path
    played: int
    reused: int
    seconds: dict[str, float]
    failures: str  # what failed, in words; "" where nothing did


def bench(
    chosen: scenario.Scenario,
    results: Path,
    threads: int | None = None,
    fresh: bool = False,
    say: Callable[[str], None] = print,
) -> Run:
    """Replay all contenders of a scenario and write `results/<scenario>/<run-id>/`.

    Contenders whose result is in `results` already are not played again, unless `fresh`. Where some fail the
    run is made of the others. Raises ConfigError or DataError before anything is played, and RunError when
    all failed.
    """
    clock, at_once = Clock(), threads or os.cpu_count() or 1
    folder = results / chosen.name
    kept = store.Store(folder)
    entries = scenario.entries(chosen)
    logs: dict[str, Log] = {}
    jobs: list[Job] = []
    with clock("data"):
        for label, data in scenario.variants(chosen):
            logs[label] = _log(data)
            if "published" in logs[label].info.provenance:
                say(describe(logs[label]))
    try:
        kept.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The folder of the results, {folder}, cannot be made ({error.strerror}).") from error
    core = store.file_digest(closure("lersbench.session"))
    for label, log in logs.items():
        for feedback in scenario.regimes(chosen):
            _check(chosen, log, feedback, entries)
            jobs += _jobs(chosen, label, log, feedback, entries, core)
    missing = [job for job in jobs if fresh or not kept.has(job.key)]
    say(f"{chosen.name}: {len(jobs)} contenders, {len(jobs) - len(missing)} of them already in {folder}")
    failures: list[Failure] = []
    total = sum(logs[job.variant].info.rounds for job in missing)
    with tqdm(total=total, unit=" rounds", unit_scale=True, disable=None, file=sys.stderr, dynamic_ncols=True) as bar:
        for label, log in logs.items():
            for feedback in scenario.regimes(chosen):
                wanted = [job for job in missing if (job.variant, job.feedback) == (label, feedback)]
                if wanted:
                    failures += Session(chosen, log, feedback, at_once, bar, clock).play(wanted, kept)
    failed = {failure.job for failure in failures}
    told = f"{len(failed)} of {len(jobs)} contenders failed.\n{tell(failures)}" if failures else ""
    done = [job for job in jobs if job not in failed]
    if not done:
        raise RunError(told)
    new = {job.key for job in missing} - {job.key for job in failed}
    with clock("write"):
        run = assemble(chosen, folder, done, kept, logs, clock.seconds, new, at_once)
    return Run(run, len(new), len(done) - len(new), dict(clock.seconds), told)


def verify(chosen: scenario.Scenario, run: Path, say: Callable[[str], None]) -> None:
    """Compare a run with the results its scenario expects. Raises RunError naming each that is off."""
    if not chosen.expected:
        return
    summary = pd.read_parquet(run / "summary.parquet")
    wrong = []
    for told in chosen.expected:
        rows = summary[
            (summary.policy == told.policy) & (summary.metric == told.metric) & (summary.variant == told.variant)
        ]
        came = float(rows.value.mean())  # NaN where there is no such row
        if not abs(came - told.value) <= told.tolerance:
            wrong.append(f"  {told.policy}, {told.metric}: {came:.6g}, expected {told.value} +- {told.tolerance}")
    if wrong:
        raise RunError(f"{chosen.name} does not come to the results it must come to:\n" + "\n".join(wrong))
    say(f"all {len(chosen.expected)} expected results met")


def _log(data: scenario.Data) -> Log:
    if data.log is not None:
        return Log(data.log)
    assert data.dataset is not None
    return build(data.dataset, **(data.model_extra or {}))


def _check(chosen: scenario.Scenario, log: Log, feedback: str, entries: list[scenario.Entry]) -> None:
    """Raise ConfigError where the protocol or a policy asks for what the log does not have."""
    info, told = log.info, chosen.replay
    spec = spec_of(chosen, log, feedback)
    logged = {"slate", "clicks"} <= set(info.columns)
    if feedback in ("bandit", "full") and "rewards" not in info.columns:
        raise ConfigError(
            f"{chosen.name}: feedback = '{feedback}' needs the reward of every candidate, but log '{info.name}' has no "
            "'rewards' column; use feedback = 'logged' or 'replay'."
        )
    if feedback in ("logged", "replay") and not logged:
        raise ConfigError(
            f"{chosen.name}: feedback = '{feedback}' needs what was shown, but log '{info.name}' has no 'slate' "
            "and 'clicks' columns; use feedback = 'bandit'."
        )
    if told.replicates == "shuffle" and info.order == "time":
        raise ConfigError(
            f"{chosen.name}: the order of log '{info.name}' is time, so it cannot be shuffled; set replicates = "
            "'subsample' (each seed keeps half of the rounds) or 'none'."
        )
    if told.slate > spec.n_candidates:
        raise ConfigError(
            f"{chosen.name}: slate = {told.slate}, but only {spec.n_candidates} candidates are on offer in a round."
        )
    if feedback == "replay" and told.slate != info.L:
        raise ConfigError(
            f"{chosen.name}: rejection replay compares whole slates: set slate = {info.L}, the length in the log."
        )
    if feedback == "replay" and "propensities" not in info.columns and not told.allow_biased:
        raise ConfigError(
            f"{chosen.name}: log '{info.name}' holds no propensities, so nothing shows that it is uniformly random. "
            "Add them (1 / candidates each), or set allow_biased = true."
        )
    if feedback == "replay" and info.propensities != "uniform" and not told.allow_biased:
        raise ConfigError(
            f"{chosen.name}: rejection replay is unbiased only on a uniformly random log, but the propensities of "
            f"'{info.name}' are '{info.propensities}'. Set allow_biased = true to see the biased value all the same."
        )
    if told.interactions is not None:
        if info.m:
            raise ConfigError(f"{chosen.name}: log '{info.name}' brings joint features; leave 'interactions' out.")
        if told.interactions[0] > info.d or told.interactions[1] > info.p:
            raise ConfigError(
                f"{chosen.name}: interactions = {list(told.interactions)}, but the context has {info.d} values "
                f"and an item {info.p} static features."
            )
    have = {"context": spec.d > 0, "features": spec.m > 0}
    fix = {
        "context": "choose a log with a context",
        "features": "set [replay] interactions = [U, I] to build them from U values of the context and I of the item",
    }
    for entry in entries:
        for need in entry.policy.needs:
            if not have[need]:
                raise ConfigError(
                    f"{chosen.name}: policy '{entry.label}' needs {need}, which log '{info.name}' lacks: {fix[need]}."
                )


def _jobs(
    chosen: scenario.Scenario, variant: str, log: Log, feedback: str, entries: list[scenario.Entry], core: str
) -> list[Job]:
    """Every contender of one log and regime, with the key of all its result depends on."""
    told = chosen.replay.model_dump()
    for irrelevant in ("seeds", "feedback"):
        told.pop(irrelevant)
    common = [
        core,
        chosen.name,
        chosen.seed,
        log.info.digest,
        log.info.propensities,
        variant,
        feedback,
        told,
        np.__version__,
        numba.__version__,
    ]
    found = []
    for entry in entries:
        own = [store.file_digest(closure(type(entry.policy).__module__)), type(entry.policy).__qualname__, entry.params]
        for seed in range(chosen.replay.seeds):
            found.append(Job(store.digest([common, own, seed]), variant, entry, feedback, seed))
    return found
