"""A run as a folder of CSV files, one table each, a row an observation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lersbench.errors import ConfigError
from lersbench.exports.records import records, settings
from lersbench.files import replacing
from lersbench.results.evaluation import Evaluation
from lersbench.results.evaluation_folder import TABLES
from lersbench.results.ranking import table
from lersbench.results.tables import Results


def write(results: Results | Evaluation, folder: Path) -> list[Path]:
    """Write a run into `folder`, which is made; the files. Raises ConfigError where the folder has something in it.

    Of a replay: settings.csv, contenders.csv (the parameters of each), leaderboard.csv, summary.csv (final values by
    seed) and curves.csv. Of an evaluation: its tables. Values are fractions and counts.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already. Fix: name another folder with --out, or remove it.")
    frames = _of_evaluation(results) if isinstance(results, Evaluation) else _of_replay(results)
    with replacing(folder) as unfinished:
        unfinished.mkdir(parents=True)
        for name, frame in frames.items():
            frame.to_csv(unfinished / f"{name}.csv", index=False)
    return [folder / f"{name}.csv" for name in frames]


def _of_replay(results: Results) -> dict[str, pd.DataFrame]:
    contenders: list[dict[str, Any]] = [
        {"contender": record.name, "parameter": key, "value": value}
        for record in records(results)
        for key, value in record.params.items()
    ]
    return {
        "settings": pd.DataFrame(list(settings(results).items()), columns=["setting", "value"]),
        "contenders": pd.DataFrame(contenders),
        "leaderboard": table(results),
        "summary": results.summary,
        "curves": results.curves,
    }


def _of_evaluation(results: Evaluation) -> dict[str, pd.DataFrame]:
    about = [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in results.about.items()]
    frames = {name: getattr(results, name) for name in TABLES}
    there = {name: frame for name, frame in frames.items() if len(frame)}
    return {"settings": pd.DataFrame(about, columns=["setting", "value"]), **there}
