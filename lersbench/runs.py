"""A run on disk: tidy tables and `run.json`, put together from the contenders that were played."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lersbench import scenario, store
from lersbench.log import Log
from lersbench.policy import source_files
from lersbench.session import Job


def assemble(
    chosen: scenario.Scenario,
    folder: Path,
    jobs: list[Job],
    kept: store.Store,
    logs: dict[str, Log],
    seconds: dict[str, float],
    played: int,
) -> Path:
    """Put the contenders together as one run; the last run itself where nothing has changed since."""
    name = store.digest([*sorted(job.key for job in jobs), scenario.as_json(chosen)])[:8]
    if not played and (same := sorted(folder.glob(f"*-{name}"))):
        (same[-1] / "run.json").touch()  # the last run is the one whose run.json is newest
        return same[-1]
    curves, speed = _tidy(jobs, kept)
    last = curves.groupby(["variant", "policy", "feedback", "seed", "metric"], sort=False, observed=True).tail(1)
    run = folder / f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{name}"
    with store.replacing(run) as temporary:
        temporary.mkdir(parents=True)
        curves.to_parquet(temporary / "curves.parquet", index=False)
        last.drop(columns="round").to_parquet(temporary / "summary.parquet", index=False)
        about = _about(chosen, jobs, logs, seconds, played, speed)
        (temporary / "run.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return run


def _tidy(jobs: list[Job], kept: store.Store) -> tuple[pd.DataFrame, dict[str, list[float]]]:
    """All curves as one tidy table; and the rounds per second of each policy."""
    parts: list[pd.DataFrame] = []
    speed: dict[str, list[float]] = defaultdict(list)
    for job in jobs:
        curve = kept.get(job.key)
        speed[job.entry.label].append(curve.about["rounds"] / max(curve.about["seconds"], 1e-9))
        measured = [j for j in range(len(curve.metrics)) if not np.isnan(curve.values[:, j]).all()]
        values = curve.values[:, measured].T.ravel()
        part = pd.DataFrame(
            {
                "seed": np.int64(job.seed),
                "round": np.tile(curve.rounds, len(measured)),
                "metric": np.repeat([curve.metrics[j] for j in measured], curve.rounds.size),
                "value": values,
            }
        )
        part = part[~np.isnan(values)]
        parts.append(
            part.assign(
                variant=job.variant,
                policy=job.entry.label,
                name=job.entry.name,
                params=json.dumps(job.entry.params),
                feedback=job.feedback,
            )
        )
    columns = ["variant", "policy", "name", "params", "seed", "feedback", "round", "metric", "value"]
    return pd.concat(parts, ignore_index=True)[columns], speed


def _about(
    chosen: scenario.Scenario,
    jobs: list[Job],
    logs: dict[str, Log],
    seconds: dict[str, float],
    played: int,
    speed: dict[str, list[float]],
) -> dict[str, Any]:
    told = scenario.as_json(chosen)
    packages = ("lersbench", "numpy", "numba", "pandas", "pyarrow")
    return {
        "scenario": {**told, "replicates": told["replay"]["replicates"]},
        "logs": [{"variant": label, **_describe(log)} for label, log in logs.items()],
        "seeds": list(range(chosen.replay.seeds)),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "machine": {"platform": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "sources": {job.entry.label: store.file_digest(source_files(type(job.entry.policy))) for job in jobs},
        "contenders": {job.key: [job.variant, job.entry.label, job.feedback, job.seed] for job in jobs},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "rounds_per_second": round(played / seconds["replay"]) if played else None,
        "policy_rounds_per_second": {label: round(float(np.median(values))) for label, values in speed.items()},
        "notes": _notes(chosen, logs),
    }


def _describe(log: Log) -> dict[str, Any]:
    info = log.info
    kept = ("name", "rounds", "items", "users", "d", "m", "p", "C", "L", "order", "propensities")
    told = {key: getattr(info, key) for key in (*kept, "licence", "attribution", "digest")}
    return {**told, "provenance": dict(info.provenance)}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _notes(chosen: scenario.Scenario, logs: dict[str, Log]) -> list[str]:
    """What a reader of the results has to know."""
    told = chosen.replay
    found = []
    if "replay" in scenario.regimes(chosen) and any(log.info.propensities != "uniform" for log in logs.values()):
        found.append("Rejection replay on a log that is not uniformly random: every value of it is biased.")
    if told.batch > 1:
        found.append(f"Feedback is delivered every {told.batch} rounds.")
    if told.interactions:
        found.append(
            f"Joint features: products of (1, first {told.interactions[0]} values of the context) and "
            f"(1, first {told.interactions[1]} static features of the item)."
        )
    return found
