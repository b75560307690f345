"""A run as trackers of experiments take it: settings, and for each contender parameters, curves and final values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lersbench.results.tables import Results

FILES = ("report.html", "report.md", "run.json", "summary.parquet", "curves.parquet")


class Record(NamedTuple):
    """One policy in one case of a run, its seeds taken together."""

    name: str  # "linucb alpha=0.3", and the case where there are several
    params: dict[str, str]
    final: dict[str, float]  # by metric: the mean over seeds, "<metric>_sd" the deviation, in fractions and counts
    curves: pd.DataFrame  # a row a checkpoint, "round" and a column a metric: the mean over seeds


def settings(results: Results) -> dict[str, str]:
    """What was run: data, protocol, versions and the digests of the logs, as flat pairs of texts."""
    about = results.scenario
    flat = {f"data.{key}": value for key, value in about["data"].items() if value is not None}
    flat |= {f"replay.{key}": value for key, value in about["replay"].items() if value is not None}
    flat |= {f"version.{key}": value for key, value in results.meta["versions"].items()}
    for number, log in enumerate(results.meta["logs"]):
        flat[f"log.{number}"] = f"{log['variant'] or log['name']}: {log['rounds']} rounds, digest {log['digest']}"
    return {"scenario": about["name"], "seed": str(about["seed"]), **{key: _text(value) for key, value in flat.items()}}


def records(results: Results) -> Iterator[Record]:
    """A record a contender, in the order of the results."""
    curves = results.curves
    several = len(results.variants) > 1
    seconds = {(label, kind): value for label, kind, value in results.meta["policy_seconds"]}
    for (variant, policy), rows in results.summary.groupby(["variant", "policy"], sort=False):
        first = rows.iloc[0]
        params = {key: _text(value) for key, value in json.loads(first["params"]).items()}
        said = {"policy": str(first["name"]), "feedback": str(first["feedback"]), "slate": str(first["slate"])}
        said |= {"seeds": str(rows["seed"].nunique()), **({"variant": str(variant)} if variant else {})}
        values = rows.dropna(subset="value").groupby("metric")["value"]
        final = dict(values.mean())
        final |= {f"{metric}_sd": sd for metric, sd in values.std().dropna().items()}
        if (took := seconds.get((first["entry"], first["feedback"]))) is not None:
            final["seconds_per_seed"] = took
        here = curves[(curves["variant"] == variant) & (curves["policy"] == policy)].dropna(subset="mean")
        wide = here.pivot_table(index="round", columns="metric", values="mean", observed=True)
        name = f"{policy} ({variant})" if several else str(policy)
        yield Record(name, {**said, **params}, {str(key): float(value) for key, value in final.items()}, wide)


def files(results: Results) -> list[Path]:
    """The files of a run that belong to it: tables, report, and the figures that were drawn."""
    there = [results.path / name for name in FILES if (results.path / name).is_file()]
    return [*there, *sorted(path for path in (results.path / "figures").glob("*.*") if path.is_file())]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
