"""A run on disk: tidy tables and `run.json`, put together from the contenders that were played."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lersbench import columns, sources
from lersbench.bench import run_folder, scenario, tidy
from lersbench.bench.series import Files, Series
from lersbench.engine import blocks
from lersbench.feedback import CLICK, REGIMES
from lersbench.log import Log
from lersbench.log.reward import Reward, reward_of
from lersbench.results import last_run

_TEXT = pa.dictionary(pa.int32(), pa.string())
_TYPES = {
    **dict.fromkeys(columns.TEXTS, _TEXT),
    **dict.fromkeys(columns.COUNTS, pa.int64()),
    **dict.fromkeys(("value", *columns.OVER_SEEDS[1:]), pa.float64()),
    **dict.fromkeys(blocks.NAMES, pa.list_(pa.float64())),
}
SCHEMA = 3  # of run.json and the tables beside it
TOGETHER = 64  # series whose curves are in memory at a time
TABLES = {
    "curves.parquet": pa.schema({name: _TYPES[name] for name in columns.CURVES}),
    "summary.parquet": pa.schema({name: _TYPES[name] for name in columns.SUMMARY}),
    "customers.parquet": pa.schema({name: _TYPES[name] for name in (*columns.CUSTOMERS, *blocks.NAMES)}),
}
Speed = dict[Series, dict[int, tuple[int, float]]]  # rounds and seconds of each seed of a series


def assemble(
    chosen: scenario.Scenario,
    folder: Path,
    finished: list[Series],
    files: Files,
    logs: dict[str, tuple[Log, dict[str, Any]]],
    seconds: dict[str, float],
    new: Mapping[Series, Sequence[int]],
    threads: int,
    absent: Mapping[str, Mapping[Series, tuple[int, ...]]],
) -> Path:
    """Put the contenders together as one run; an earlier run where nothing has changed since and it is whole.

    `finished` are the series with a result in `files`; `new` the seeds of them that were played just now, in `seconds`;
    `logs` the log of each case with facts of its click models; `absent` the seeds that are not there, by
    reason: "unfinished", "failed".
    """
    absence = {why: _by_label(some) for why, some in absent.items() if some}
    basis = [
        *sorted([series.key, files.seeds(series)] for series in finished),
        scenario.as_json(chosen),
        *([absence] if absence else []),
    ]

    def write(run: Path) -> dict[str, Any]:
        speed = _write(finished, files, run, chosen.replay.replicates == "subsample")
        return _about(chosen, finished, logs, seconds, new, threads, speed) | absence

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


def _by_label(series: Mapping[Series, tuple[int, ...]]) -> list[str]:
    """The contenders in words, a policy each: "neural-ucb (3 seeds)"."""
    seeds: Counter[str] = Counter()
    for one, some in series.items():
        seeds[" ".join(filter(None, [one.entry.label, one.variant]))] += len(some)
    return [f"{label} ({count} seed{'s' * (count > 1)})" for label, count in seeds.items()]


def _write(finished: list[Series], files: Files, folder: Path, halved: bool) -> Speed:
    """Write the tables, contender by contender; rounds and seconds of each seed."""
    speed: Speed = {}
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(pq.ParquetWriter(folder / name, schema, store_schema=False))
            for name, schema in TABLES.items()
        }
        for some in _batches(finished):
            parts: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
            for series in some:
                curves = files.read(series)
                pairs = zip(curves.played.tolist(), curves.seconds.tolist(), strict=True)
                speed[series] = dict(zip(curves.seeds.tolist(), pairs, strict=True))
                for name, table in tidy.tables(series, curves, halved).items():
                    parts[name].append(table)
            for name, schema in TABLES.items():
                whole = pa.concat_tables(parts[name]).unify_dictionaries()
                tables[name].write_table(whole.select(schema.names).cast(schema))
    return speed


def _batches(finished: list[Series]) -> Iterator[list[Series]]:
    """Some series at a time, which share a row group: a metric is read without all the others."""
    for first in range(0, len(finished), TOGETHER):
        yield finished[first : first + TOGETHER]


def _about(
    chosen: scenario.Scenario,
    finished: list[Series],
    logs: dict[str, tuple[Log, dict[str, Any]]],
    seconds: dict[str, float],
    new: Mapping[Series, Sequence[int]],
    threads: int,
    speed: Speed,
) -> dict[str, Any]:
    content = scenario.as_json(chosen)
    packages = ("lersbench", "numpy", "numba", "pandas", "pyarrow")
    torch = {}
    if any(series.entry.policy.apart for series in finished):
        from lersbench.neural.adapter import in_words

        torch = {"torch": in_words()}
    modules = {one.entry.label: type(one.entry.policy).__module__ for one in finished if not one.entry.local}
    digests = {module: sources.digest(module) for module in set(modules.values())}
    rewards = {label: reward_of(log.info, chosen.replay.reward) for label, (log, _) in logs.items()}
    paid = next(reward for reward in rewards.values())  # all in one unit
    return {
        "schema": SCHEMA,
        "scenario": {**content, "replicates": content["replay"]["replicates"]},
        **({} if paid.is_click else {"reward": {"words": paid.words, "unit": paid.unit}}),
        "logs": [
            {"variant": label, **_describe(log), **_range(rewards[label]), "blocks": _blocks(log), **facts}
            for label, (log, facts) in logs.items()
        ],
        "seeds": list(range(chosen.replay.seeds or 0)),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}, **torch},
        "machine": {
            "platform": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": threads,
            "BLAS": _blas(),
        },
        "sources": {label: digests[module] for label, module in modules.items()},
        "torch_policies": sorted({one.entry.label for one in finished if one.entry.policy.apart}),
        "files": {one.entry.label: dict(one.basis[-1].files) for one in finished if one.basis and one.basis[-1].files},
        "contenders": {one.key: [one.variant, one.entry.label, one.feedback, len(one.seeds)] for one in finished},
        "seconds": {name: round(value, 6) for name, value in seconds.items()},
        "rounds_per_second": _rate(new, speed, seconds),
        "policy_seconds": [[*kind, float(np.median(durations))] for kind, durations in _seconds_by_kind(speed).items()],
        "notes": _notes(chosen, [log for log, _ in logs.values()]),
    }


def _seconds_by_kind(speed: Speed) -> dict[tuple[str, str], list[float]]:
    """The seconds of all seeds of a policy under a regime, on all logs."""
    kinds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one, seeds in speed.items():
        kinds[one.entry.label, one.feedback] += [duration for _, duration in seeds.values()]
    return kinds


def _rate(new: Mapping[Series, Sequence[int]], speed: Speed, seconds: dict[str, float]) -> int | None:
    """Rounds offered in the new seeds per second of replay, all threads together."""
    rounds = sum(speed[one][seed][0] for one, seeds in new.items() for seed in seeds)
    return round(rounds / seconds["replay"]) if rounds and seconds.get("replay") else None


def _describe(log: Log) -> dict[str, Any]:
    info = log.info
    fields = ("name", "rounds", "items", "users", "d", "m", "p", "C", "L", "order", "propensities")
    facts = {key: getattr(info, key) for key in (*fields, "licence", "attribution", "digest")}
    return {**facts, "ragged": list(info.ragged), "provenance": dict(info.provenance)}


def _range(reward: Reward) -> dict[str, Any]:
    """The declared range of what an item can pay, None for an end that is not known; nothing where that is clicks."""
    ends = [end if math.isfinite(end) else None for end in (reward.low, reward.high)]
    return {} if reward.is_click else {"reward_range": ends}


def _blocks(log: Log) -> dict[str, Any]:
    """What the sums of `customers.parquet` are over: users, or rounds where the log names none."""
    return {"of": "users" if log.info.users else "rounds", "number": blocks.number_of(log.info.users)}


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
