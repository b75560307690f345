"""From a scenario to results on disk: play every contender that is not there yet, then put the run together."""

from __future__ import annotations

import hashlib
import math
import os
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numba
import numpy as np
import pandas as pd

from lersbench import bounds, files
from lersbench.bench import demands, executors, inputs, scenario
from lersbench.bench.click_fits import Fits
from lersbench.bench.curves import Curves, joined
from lersbench.bench.jobs import Run
from lersbench.bench.runs import assemble, files_read, remove_unfinished
from lersbench.bench.series import Job, Series, Work
from lersbench.bench.session import Clock, Session, spec_of
from lersbench.bench.store import Store
from lersbench.datasets import build, size_of
from lersbench.datasets.transactions import describe
from lersbench.engine.rows import Background
from lersbench.errors import ConfigError, RunError
from lersbench.feedback import REGIMES
from lersbench.log import Log, scales
from lersbench.log.history import NEEDS, arrays_for
from lersbench.log.reward import reward_of
from lersbench.policy import KernelPolicy
from lersbench.system import elsewhere
from lersbench.system.progress import Bar, Progress, silent
from lersbench.system.workers import Pool, Task

LOCAL_NOTE = (
    "Note: played in this process, and not kept for later runs: {}. A class of a notebook, of __main__ or of a "
    "function cannot be sent to another process, nor one with hyper-parameters that no file could hold. Fix: put the "
    "class at the top of a file, and import it."
)
Further = Mapping[tuple[str, str, str], int]  # seeds, by the label of a case, its feedback, and the label of an entry
UNCOMPILED_WEIGHT = 1000
"""What a round of a policy that is not compiled counts in the progress bar; one that is counts 1."""


def bench(
    chosen: scenario.Scenario,
    results: Path,
    threads: int | None = None,
    fresh: bool = False,
    say: Callable[[str], None] = print,
    halfway: Callable[[Path], None] = lambda run: None,
    progress: Progress = silent,
    timeout: float | None = None,
    entries: list[scenario.Entry] | None = None,
    warn: Callable[[str], None] | None = None,
    further: Further = MappingProxyType({}),
    executor: Any = None,
) -> Run:
    """Replay all contenders of a scenario and write `results/<scenario>/<run-id>/`.

    Compiled policies come first, being fast; where some were played and others follow, `halfway` is given a run of
    the compiled ones, which lasts until the whole one is there. `progress` takes the share that is done. `entries`
    are the policies to play, by default those of the scenario. Notes and warnings go to `warn`, by default to `say`
    like all other messages. `further` says which contenders play more seeds than the scenario says, and how many.
    `executor` is what does the work where this process should not: see `system.elsewhere.opened`.

    Contenders whose result is in `results` already are not played again, unless `fresh`. Where some fail the
    run is made of the others; one that takes longer than `timeout` seconds has failed. Raises ConfigError or DataError
    before anything is played, and RunError when all failed.
    """
    clock, at_once, warn = Clock(), threads or os.cpu_count() or 1, warn or say
    entries = scenario.entries(chosen) if entries is None else entries
    if local := [entry.label for entry in entries if entry.local]:
        warn(LOCAL_NOTE.format(", ".join(local)))
    if chosen.left_out:
        warn(
            f"Warning: PyTorch is not installed, so these are not played: {', '.join(chosen.left_out)}. "
            "Fix: pip install 'lersbench[neural]'"
        )
    folder = results / chosen.name
    sizes, asked = [_size_beforehand(data) for _, data in scenario.variants(chosen)], chosen.replay.seeds
    if all(sizes):
        chosen = scenario.with_seeds(chosen, max(size.rounds for size in sizes if size))
    _check_size(chosen, entries, [size for size in sizes if size], at_once, folder, say if all(sizes) else None)
    store = Store(folder, Curves.of_table)
    engine = inputs.engine()  # as it was loaded: the data may take minutes
    policy_inputs = {entry.label: inputs.inputs_of(entry.policy) for entry in entries}
    logs: dict[str, Log] = {}
    wanted: list[Series] = []
    with clock("data"):
        for label, data in scenario.variants(chosen):
            logs[label] = _log(data)
            if "published" in logs[label].info.provenance:
                say(describe(logs[label]))
    chosen = scenario.with_seeds(chosen, max(log.info.rounds for log in logs.values()))
    if asked and chosen.replay.seeds != asked:
        say(f"{chosen.name}: {chosen.replay.seeds} seeds, not {asked}: each random half of the log is played twice")
    if not all(sizes):
        _check_size(chosen, entries, [_size(log) for log in logs.values()], at_once, folder, say)
    store.make()
    cases = scenario.cases(chosen)
    with clock("verify"):
        _identify(list(logs.values()), say)
    _check_units(chosen, list(logs.values()))
    past = {label: _past(log, entries) for label, log in logs.items()}
    for case in cases:
        demands.check(chosen, logs[case.log], case, spec_of(chosen, logs[case.log], case), entries)
        wanted += _wanted(chosen, case, logs[case.log], entries, engine, past[case.log], policy_inputs, further)
    work = Work.of(wanted, store, fresh)
    _say_changed(list(work.missing), files_read(folder), say)
    say(f"{chosen.name}: {len(wanted)} contenders, {work.runs} runs, {work.reused} of them already in {folder}")
    with clock("fit"):
        fits = _fits(chosen, logs, cases, warn)
        backgrounds = {label: fit.background for label, fit in fits.items()}  # an error of it is raised before any play
    if work.missing:
        for log in logs.values():
            if warning := _scale_warning(chosen, log, entries):
                warn(warning)
    replay = _Replay(chosen, folder, logs, fits, backgrounds, cases, work, clock, at_once, timeout)
    with elsewhere.opened(executor if work.missing else None, timeout, warn) as replay.away:
        replay.play_all(halfway, progress)
    if not work.done:
        raise RunError(_failures_in_words(work))
    with clock("write"):
        run = replay.assemble(work.done)
        remove_unfinished(folder, run)
        for series in work.done:
            if series.entry.local:  # never asked for again
                work.files.remove(series)
    return Run(run, work.played, work.reused, dict(clock.seconds), _failures_in_words(work))


def _fits(
    chosen: scenario.Scenario, logs: dict[str, Log], cases: list[scenario.Case], say: Callable[[str], None]
) -> dict[str, Fits]:
    """What is fitted to the first rounds of each log; says which of it a log cannot have."""
    replay = chosen.replay
    asked = {case.log for case in cases if REGIMES[case.feedback].weighed}
    fits = {label: Fits(log, replay.fit, replay.clip, replay.scale, label in asked) for label, log in logs.items()}
    for limit in dict.fromkeys(fits[case.log].limit for case in cases if REGIMES[case.feedback].weighed):
        if limit:
            say(f"Note: {limit}")
    return fits


@dataclass
class _Replay:
    """A scenario with its logs and its jobs, ready to be played."""

    chosen: scenario.Scenario
    folder: Path
    logs: dict[str, Log]
    fits: dict[str, Fits]
    backgrounds: dict[str, Background]
    cases: list[scenario.Case]
    work: Work
    clock: Clock
    at_once: int
    timeout: float | None
    away: elsewhere.Executor | None = None  # where there is one, contenders play there

    def play_all(self, halfway: Callable[[Path], None], progress: Progress) -> None:
        """Play what is missing, compiled policies first; then `halfway` is given a run of these, if others follow."""
        missing = list(self.work.missing)
        compiled = [series for series in missing if isinstance(series.entry.policy, KernelPolicy)]
        uncompiled = [series for series in missing if not isinstance(series.entry.policy, KernelPolicy)]
        total = self._rounds(compiled) + UNCOMPILED_WEIGHT * self._rounds(uncompiled)
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}" if uncompiled else None
        with (
            Bar(progress, total=total, unit=" rounds", unit_scale=True, leave=False, bar_format=form) as bar,
            self._workers() as pool,
        ):
            self._play(compiled, bar, pool)
            finished = [series for series in self.work.done if series not in uncompiled]
            if uncompiled and compiled and finished:  # else there is nothing new to show
                halfway(self.assemble(finished))
            bar.weight = UNCOMPILED_WEIGHT
            self._play(uncompiled, bar, pool)

    def _workers(self) -> AbstractContextManager[elsewhere.Executor]:
        return Pool(self.at_once, self.timeout) if self.away is None else nullcontext(self.away)

    def _rounds(self, series: list[Series]) -> int:
        """The rounds that are missing of these series, together."""
        fit = self.chosen.replay.fit
        return sum((self.logs[one.case.log].info.rounds - fit) * len(self.work.missing[one]) for one in series)

    def _play(self, series: list[Series], bar: Bar, pool: elsewhere.Executor) -> None:
        """Play what is missing of these series, in this process where that is safe and else in the pool."""
        for case in self.cases:
            of_case = [one for one in series if one.case == case]
            if not of_case:
                continue
            log, background = self.logs[case.log], self.backgrounds[case.log]
            session = Session(self.chosen, log, case, background, self.at_once, bar, self.clock)
            session.timeout = self.timeout
            away = self.away is not None  # compiled policies go there too
            local = self._jobs([one for one in of_case if not executors.plays_apart(one.entry, away)])
            apart = self._jobs([one for one in of_case if executors.plays_apart(one.entry, away)])
            if local:
                for job, seed, problem in session.play(local, lambda job, made: self.work.files.keep(job.series, made)):
                    self.work.fail(job.series, {seed: problem})
            if apart:
                bar.set_description_str(" ".join(filter(None, [self.chosen.name, case.label])))
                with self.clock("replay"):
                    self._play_apart(executors.tasks(session, apart, away), apart, pool, bar)

    def _jobs(self, series: list[Series]) -> list[Job]:
        """The jobs of some series: a seed each of policies in PyTorch, which take long."""
        rounds = {label: log.info.rounds for label, log in self.logs.items()}
        at_once = getattr(self.away, "at_once", self.at_once)
        torch = [one for one in series if one.entry.policy.apart]
        others = [one for one in series if not one.entry.policy.apart]
        return [
            *self.work.jobs(others, rounds, at_once),
            *self.work.jobs(torch, rounds, at_once, alone=True),
        ]

    def _play_apart(self, tasks: Mapping[str, Task], jobs: list[Job], pool: elsewhere.Executor, bar: Bar) -> None:
        """Have tasks done in other processes, those of `jobs` by key, and store their curves as they come, so that an
        interruption loses only those under way. Raises OSError where a curve cannot be written."""
        by_key = {job.key: job for job in jobs}
        for key, played, problem in pool.outcomes(tasks, bar.update):
            job = by_key[key]
            curves, failed = played if not problem else ([], [(seed, problem) for seed in job.seeds])
            if curves:
                self.work.files.keep(job.series, joined(curves))
            self.work.fail(job.series, dict(failed))

    def assemble(self, finished: list[Series]) -> Path:
        """The run of these series, which says what it lacks."""
        work = self.work
        later = {one: one.seeds for one in work.wanted if one not in finished and one not in work.problems}
        failed = {one: tuple(seeds) for one, seeds in work.problems.items()}
        absent = {"unfinished": later, "failed": failed}
        new = {one: made for one in finished if (made := work.made(one))}
        facts = {case.label: (self.logs[case.log], self.fits[case.log].facts) for case in self.cases}
        return assemble(
            self.chosen, self.folder, finished, work.files, facts, self.clock.seconds, new, self.at_once, absent
        )


def _failures_in_words(work: Work) -> str:
    """The failures, those of one policy with the same message in one line; "" where there are none."""
    seeds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for series in work.wanted:
        for seed, problem in work.problems.get(series, {}).items():
            seeds[series.entry.label, problem].append(seed)
    lines = [
        f"  {label}, seed{'s' * (len(numbers) > 1)} {_ranges(sorted(numbers))}: {problem}"
        for (label, problem), numbers in seeds.items()
    ]
    return "\n".join([f"{work.failed} of {work.runs} runs failed.", *lines]) if lines else ""


def _ranges(numbers: list[int]) -> str:
    """ "0 to 99", "3, 5, 6"."""
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def _identify(logs: list[Log], say: Callable[[str], None]) -> None:
    """Compute the identity of every log now; one without checksums in log.json is read as a whole for it."""
    for log in logs:
        start = time.perf_counter()
        if log.identity and not log.info.sums:
            reason = f"log '{log.info.name}' carries no checksums, so it was read once more, to know what it holds"
            say(f"{reason} ({time.perf_counter() - start:.1f} s); importing it again with this version spares that")


def _say_changed(missing: list[Series], before: dict[str, dict[str, str]], say: Callable[[str], None]) -> None:
    """Say which contenders are played anew since a file they read has changed since the last run."""
    for label, read in {series.entry.label: series.basis[-1] for series in missing}.items():
        for name in inputs.changed_files(before.get(label, {}), read):
            say(f"{label} is played anew: {name}, which it reads, has changed since the last run")


def _size_beforehand(data: scenario.Data) -> bounds.Size | None:
    """The size of a log, before it is built; None where its data set cannot say."""
    if data.log is not None:
        return _size(Log(data.log))
    assert data.dataset is not None
    return size_of(data.dataset, data.model_extra or {})


def _size(log: Log) -> bounds.Size:
    return bounds.Size(log.info.rounds, log.info.C, log.info.items, log.info.d + log.info.m, 0.0)


def _check_size(
    chosen: scenario.Scenario,
    entries: list[scenario.Entry],
    sizes: list[bounds.Size],
    at_once: int,
    folder: Path,
    say: Callable[[str], None] | None,
) -> None:
    """Say what the run will take, and raise ConfigError where that is more than it may."""
    if not sizes:
        return
    replay = chosen.replay
    kinds: Counter[str] = Counter()
    compiled = {type(entry.policy) for entry in entries if isinstance(entry.policy, KernelPolicy)}
    joint = math.prod(1 + number for number in replay.interactions) if replay.interactions else 0
    for case in scenario.cases(chosen):
        for entry in entries:
            if case.feedback in entry.feedback:
                kind = "torch" if entry.policy.apart else "compiled" if type(entry.policy) in compiled else "python"
                kinds[kind] += scenario.seeds_of(chosen, entry)
    held = replay.replicates == "shuffle"
    estimate = bounds.estimate(sizes, kinds, replay.checkpoints, at_once, held, len(compiled), joint)
    if say:
        say(f"{chosen.name}: {estimate}")
    bounds.check(chosen.name, estimate, folder, chosen.large)


def verify(chosen: scenario.Scenario, run: Path, say: Callable[[str], None]) -> None:
    """Compare a run with the results its scenario expects. Raises RunError naming each that is off."""
    if not chosen.expected:
        return
    summary = pd.read_parquet(run / "summary.parquet")
    deviations = []
    for target in chosen.expected:
        rows = summary[
            (summary.policy == target.policy) & (summary.metric == target.metric) & (summary.variant == target.variant)
        ]
        value = float(rows.value.mean())  # NaN where there is no such row
        if not abs(value - target.value) <= target.tolerance:
            deviations.append(
                f"  {target.policy}, {target.metric}: {value:.6g}, expected {target.value} +- {target.tolerance}"
            )
    if deviations:
        raise RunError(f"{chosen.name} does not come to the results it must come to:\n" + "\n".join(deviations))
    say(f"all {len(chosen.expected)} expected results met")


def _log(data: scenario.Data) -> Log:
    if data.log is not None:
        return Log(data.log)
    assert data.dataset is not None
    return build(data.dataset, **(data.model_extra or {}))


def _check_units(chosen: scenario.Scenario, logs: list[Log]) -> None:
    """Raise ConfigError where the reward is of one unit in one log and of another in another: a table names one."""
    units = {reward_of(log.info, chosen.replay.reward).unit: log.path for log in logs}
    if len(units) > 1:
        there = ", ".join(f"{unit} in {path}" for unit, path in units.items())
        raise ConfigError(f"{chosen.name}: reward = {chosen.replay.reward!r} has several units: {there}. Declare one.")


def _past(log: Log, entries: list[scenario.Entry]) -> dict[str, str]:
    """For each of NEEDS that a policy has, a digest of the past of users and items it learns from, which is no part of
    the log's digest. Raises ConfigError where the log lacks it."""
    digests = {}
    for need in NEEDS:
        if any(need in entry.policy.needs for entry in entries):
            total = hashlib.sha256()
            for name, values in arrays_for((need,), log.user_table(), log.item_table()).items():
                total.update(name.encode() + str(values.shape).encode() + values.tobytes())
            digests[need] = total.hexdigest()
    return digests


def _scale_warning(chosen: scenario.Scenario, log: Log, entries: list[scenario.Entry]) -> str:
    """What is to be said of the scale of a log's columns; "" for nothing, or where no policy reads them as they are."""
    if chosen.replay.scale != "none" or not any({"context", "features"} & set(e.policy.needs) for e in entries):
        return ""
    return scales.warning(log, log.items if chosen.replay.interactions else log.items[:0])


def _wanted(
    chosen: scenario.Scenario,
    case: scenario.Case,
    log: Log,
    entries: list[scenario.Entry],
    engine: str,
    past: dict[str, str],
    policy_inputs: dict[str, inputs.Inputs],
    further: Further,
) -> list[Series]:
    """Every series of one case, with the key of all its results depend on but the seed; `past` as of `_past`."""
    protocol = chosen.replay.model_dump()
    for irrelevant in ("seeds", "neural_seeds", "feedback", "slate"):
        protocol.pop(irrelevant)
    common = [
        engine,
        chosen.name,
        chosen.seed,
        log.identity,
        case.log,
        case.feedback,
        case.slate,
        protocol,
        np.__version__,
        numba.__version__,
    ]
    wanted = []
    for entry in entries:
        if case.feedback not in entry.feedback:
            continue
        particular = [*policy_inputs[entry.label], type(entry.policy).__qualname__, entry.params]
        particular += [past[need] for need in NEEDS if need in entry.policy.needs]
        particular += [uuid.uuid4().hex] if entry.local else []  # its code has no digest
        if entry.policy.apart:
            from lersbench.neural.adapter import in_words as torch_in_words

            particular.append(torch_in_words())
        basis = inputs.basis(log, engine, policy_inputs[entry.label])
        more = further.get((case.label, case.feedback, entry.label), 0)
        seeds = tuple(range(max(scenario.seeds_of(chosen, entry), more)))
        wanted.append(Series(files.digest([common, particular]), case.label, entry, case, seeds, basis))
    return wanted
