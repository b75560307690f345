"""A run on disk: tidy tables and `run.json`, put together from the contenders that were played."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
from collections import Counter, defaultdict
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lersbench import columns, sources
from lersbench.bench import run_folder, scenario
from lersbench.bench.session import Job
from lersbench.bench.store import Store
from lersbench.feedback import CLICK, REGIMES
from lersbench.log import Log
from lersbench.log.reward import Reward, reward_of
from lersbench.results import last_run

ROWS = 1 << 18  # of a row group of the tables: as many are in memory at a time
_TEXT = pa.dictionary(pa.int32(), pa.string())
_TYPES = {
    **dict.fromkeys(columns.TEXTS, _TEXT),
    **dict.fromkeys(columns.COUNTS, pa.int64()),
    "value": pa.float64(),
}
TABLES = {
    "curves.parquet": pa.schema({name: _TYPES[name] for name in columns.CURVES}),
    "summary.parquet": pa.schema({name: _TYPES[name] for name in columns.SUMMARY}),
}
Speed = dict[tuple[str, str], list[tuple[int, float]]]  # rounds and seconds of each replicate, by policy and feedback


def assemble(
    chosen: scenario.Scenario,
    folder: Path,
    jobs: list[Job],
    store: Store,
    logs: dict[str, tuple[Log, dict[str, Any]]],
    seconds: dict[str, float],
    new: set[str],
    threads: int,
    absent: dict[str, list[Job]],
) -> Path:
    """Put the contenders together as one run; an earlier run where nothing has changed since and it is whole.

    `new` are the keys of the jobs that were played just now, in `seconds`; `logs` the log of each case with facts of
    its click models; `absent` the jobs that are not among `jobs`, by reason: "unfinished", "failed".
    """
    absence = {why: _by_label(some) for why, some in absent.items() if some}
    basis = [
        *sorted(job.key for job in jobs),
        scenario.as_json(chosen),
        *([absence] if absence else []),
    ]

    def write(run: Path) -> dict[str, Any]:
        speed = _write(jobs, store, run)
        return _about(chosen, jobs, logs, seconds, new, threads, speed) | absence

    return run_folder.assemble(folder, basis, write, bool(new), TABLES)


def remove_unfinished(folder: Path, last: Path) -> None:
    """Remove the runs of a scenario that were made halfway; `last`, made after them, stays."""
    for path in folder.glob("*/run.json"):
        if path.parent != last and not path.parent.name.startswith(".") and _content_of(path).get("unfinished"):
            with suppress(FileNotFoundError):  # another process has done it
                shutil.rmtree(path.parent)


def files_read(folder: Path) -> dict[str, dict[str, str]]:
    """The files that the policies of the last run of a scenario read: label -> name -> sha256; {} where it has none."""
    runs = [path.parent for path in folder.glob("*/run.json") if not path.parent.name.startswith(".")]
    return _content_of(last_run.last_of(runs) / "run.json").get("files", {}) if runs else {}


def _content_of(path: Path) -> dict[str, Any]:
    """The content of a run.json; {} where it is damaged, which loading the run reports."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _by_label(jobs: list[Job]) -> list[str]:
    """The contenders in words, a policy each: "neural-ucb (3 seeds)"."""
    seeds = Counter(" ".join(filter(None, [job.entry.label, job.variant])) for job in jobs)
    return [f"{label} ({count} seed{'s' * (count > 1)})" for label, count in seeds.items()]


def _write(jobs: list[Job], store: Store, folder: Path) -> Speed:
    """Write all curves as one tidy table, their last values as another, contender by contender; rounds and seconds of
    each job by policy."""
    speed: Speed = defaultdict(list)
    with _Tidy(folder, "curves.parquet") as curves, _Tidy(folder, "summary.parquet") as summary:
        for job in jobs:
            curve = store.get(job.key)
            speed[job.entry.label, job.feedback].append((curve.about["rounds"], curve.about["seconds"]))
            curves.add(job, curve.rounds, curve.metrics, curve.values)
            summary.add(job, curve.rounds[-1:], curve.metrics, curve.values[-1:])
    return speed


class _Tidy:
    """A tidy table on its way to a file, with some contenders in memory at a time; text goes as codes."""

    def __init__(self, folder: Path, name: str):
        self.schema = TABLES[name]
        self.file = pq.ParquetWriter(folder / name, self.schema, store_schema=False)
        self.parts: list[tuple[Job, np.ndarray, np.ndarray, np.ndarray]] = []
        self.rows = 0

    def __enter__(self) -> _Tidy:
        return self

    def __exit__(self, *error: object) -> None:
        self._flush()
        self.file.close()

    def add(self, job: Job, rounds: np.ndarray, names: tuple[str, ...], values: np.ndarray) -> None:
        """The values (rounds, metrics) of a job, metric by metric, without those that were not measured."""
        metric, at = np.nonzero(~np.isnan(values.T))
        self.parts.append((job, rounds[at], metric.astype(np.int32), values[at, metric]))
        self.names = names
        self.rows += at.size
        if self.rows >= ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self.rows:
            return
        jobs, rounds, metric, value = zip(*self.parts, strict=True)
        sizes = [part.size for part in value]
        arrays = {
            "variant": _codes([job.variant for job in jobs], sizes),
            "log": _codes([job.case.log for job in jobs], sizes),
            "feedback": _codes([job.feedback for job in jobs], sizes),
            "slate": pa.array(np.repeat([job.case.slate for job in jobs], sizes)),
            "policy": _codes([job.entry.label for job in jobs], sizes),
            "name": _codes([job.entry.name for job in jobs], sizes),
            "params": _codes([json.dumps(job.entry.params) for job in jobs], sizes),
            "seed": pa.array(np.repeat([job.seed for job in jobs], sizes)),
            "round": pa.array(np.concatenate(rounds)),
            "metric": pa.DictionaryArray.from_arrays(np.concatenate(metric), list(self.names)),
            "value": pa.array(np.concatenate(value)),
        }
        self.file.write_table(pa.table([arrays[name] for name in self.schema.names], schema=self.schema))
        self.parts, self.rows = [], 0


def _codes(texts: list[str], sizes: list[int]) -> pa.DictionaryArray:
    """A column in which each text stands so many times."""
    words, codes = np.unique(texts, return_inverse=True)
    return pa.DictionaryArray.from_arrays(np.repeat(codes.astype(np.int32), sizes), words.tolist())


def _about(
    chosen: scenario.Scenario,
    jobs: list[Job],
    logs: dict[str, tuple[Log, dict[str, Any]]],
    seconds: dict[str, float],
    new: set[str],
    threads: int,
    speed: Speed,
) -> dict[str, Any]:
    content = scenario.as_json(chosen)
    packages = ("lersbench", "numpy", "numba", "pandas", "pyarrow")
    torch = {}
    if any(job.entry.policy.apart for job in jobs):
        from lersbench.neural.adapter import in_words

        torch = {"torch": in_words()}
    modules = {job.entry.label: type(job.entry.policy).__module__ for job in jobs if not job.entry.local}
    digests = {module: sources.digest(module) for module in set(modules.values())}
    rewards = {label: reward_of(log.info, chosen.replay.reward) for label, (log, _) in logs.items()}
    paid = next(reward for reward in rewards.values())  # all in one unit
    return {
        "scenario": {**content, "replicates": content["replay"]["replicates"]},
        **({} if paid.is_click else {"reward": {"words": paid.words, "unit": paid.unit}}),
        "logs": [
            {"variant": label, **_describe(log), **_range(rewards[label]), **facts}
            for label, (log, facts) in logs.items()
        ],
        "seeds": list(range(chosen.replay.seeds)),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}, **torch},
        "machine": {
            "platform": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": threads,
            "BLAS": _blas(),
        },
        "sources": {label: digests[module] for label, module in modules.items()},
        "torch_policies": sorted({job.entry.label for job in jobs if job.entry.policy.apart}),
        "files": {job.entry.label: dict(job.basis[-1].files) for job in jobs if job.basis and job.basis[-1].files},
        "contenders": {job.key: [job.variant, job.entry.label, job.feedback, job.seed] for job in jobs},
        "seconds": {name: round(value, 6) for name, value in seconds.items()},
        "rounds_per_second": _rate(jobs, new, speed, seconds),
        "policy_seconds": [
            [label, feedback, float(np.median([duration for _, duration in replicates]))]
            for (label, feedback), replicates in speed.items()
        ],
        "notes": _notes(chosen, [log for log, _ in logs.values()]),
    }


def _rate(jobs: list[Job], new: set[str], speed: Speed, seconds: dict[str, float]) -> int | None:
    """Rounds offered to the new contenders per second of replay, all threads together."""
    replicates = {kind: iter(pairs) for kind, pairs in speed.items()}
    rounds = sum(
        pair[0] for job in jobs if (pair := next(replicates[job.entry.label, job.feedback])) and job.key in new
    )
    return round(rounds / seconds["replay"]) if new else None


def _describe(log: Log) -> dict[str, Any]:
    info = log.info
    fields = ("name", "rounds", "items", "users", "d", "m", "p", "C", "L", "order", "propensities")
    facts = {key: getattr(info, key) for key in (*fields, "licence", "attribution", "digest")}
    return {**facts, "ragged": list(info.ragged), "provenance": dict(info.provenance)}


def _range(reward: Reward) -> dict[str, Any]:
    """The declared range of what an item can pay, None for an end that is not known; nothing where that is clicks."""
    ends = [end if math.isfinite(end) else None for end in (reward.low, reward.high)]
    return {} if reward.is_click else {"reward_range": ends}


def _blas() -> str:
    """Name and version of NumPy's BLAS: datasets reduce features with it."""
    library = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{library['name']} {library['version']}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _notes(chosen: scenario.Scenario, logs: list[Log]) -> list[str]:
    """What a reader of the results has to know."""
    replay = chosen.replay
    notes = []
    if chosen.left_out:
        notes.append(f"Not played, since PyTorch is not installed: {', '.join(chosen.left_out)}.")
    replayed = any(REGIMES[feedback].replayed for feedback in scenario.regimes(chosen))
    if replayed and any(log.info.propensities != "uniform" for log in logs):
        notes.append("Rejection replay on a log that is not uniformly random: every value of it is biased.")
    if replay.fit:
        notes.append(f"The first {replay.fit:,} rounds were used to fit the click models, and not replayed.")
    if replay.batch > 1:
        notes.append(f"Feedback is delivered every {replay.batch} rounds.")
    if replay.delay is not None:
        when = (
            "at the time that the log gives for it" if replay.delay == "logged" else f"{replay.delay} after its round"
        )
        notes.append(
            f"Feedback is delayed: a policy learns an outcome {when}, and never what comes after the last round."
        )
    if replay.reward != CLICK and logs:
        reward = reward_of(logs[0].info, replay.reward)
        scaled = " Policies that need rewards in [0, 1] learn them scaled by the range that the log declares."
        notes.append(f"Reward: {reward.words}, in {reward.unit}.{scaled if reward.is_bounded else ''}")
    if replay.interactions:
        notes.append(
            f"Joint features: products of (1, first {replay.interactions[0]} values of the context) and "
            f"(1, first {replay.interactions[1]} static features of the item)."
        )
    return notes
