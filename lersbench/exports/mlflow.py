"""A run in MLflow: a run with its settings and files, and below it one a contender, with parameters and curves."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from lersbench.errors import ConfigError, MissingPackage
from lersbench.exports.records import Record, files, records, settings
from lersbench.results.tables import Results

LONGEST = 500  # characters of a parameter
BATCH = 1000  # values that MLflow takes at once
PARENT = "mlflow.parentRunId"  # the tags by which MLflow's pages show runs below another, and name them
NAME = "mlflow.runName"


def write(results: Results, uri: str) -> str:
    """Write a run to the MLflow at `uri`, a folder or a server; the id of its run there.

    The experiment is that of the scenario's name, and made where there is none. Metrics are named as here but for @,
    which MLflow does not take: hr_at_20. Raises MissingPackage without MLflow, ConfigError for what MLflow refuses.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing goes where nobody sent it
    if uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # else MLflow 3 refuses folders
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise MissingPackage(
            "An export to MLflow needs MLflow, which is not installed: pip install 'lersbench[mlflow]'."
        ) from error
    try:
        client = MlflowClient(tracking_uri=uri)
        name = results.scenario["name"]
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        parent = client.create_run(experiment, tags={NAME: f"{name} {results.path.name}"}).info.run_id
        _parameters(client, parent, settings(results))
        for file in files(results):
            client.log_artifact(parent, str(file), "figures" if file.parent.name == "figures" else None)
        for record in records(results):
            child = client.create_run(experiment, tags={NAME: record.name, PARENT: parent}).info.run_id
            _contender(client, child, record)
        client.set_terminated(parent)
    except MlflowException as error:
        raise ConfigError(f"MLflow at {uri} refuses: {str(error).splitlines()[0]}") from error
    return str(parent)


def default_uri() -> str:
    """What the environment names (MLFLOW_TRACKING_URI), else the folder mlruns, here."""
    return os.environ.get("MLFLOW_TRACKING_URI") or (Path.cwd() / "mlruns").as_uri()


def _parameters(client: Any, run: str, params: dict[str, str]) -> None:
    from mlflow.entities import Param

    client.log_batch(run, params=[Param(_called(key), value[:LONGEST]) for key, value in params.items()])


def _contender(client: Any, run: str, record: Record) -> None:
    """Curves by round, and the final values after the last."""
    from mlflow.entities import Metric

    _parameters(client, run, record.params)
    now, last = int(time.time() * 1000), int(record.curves.index.max()) if len(record.curves) else 0
    points = [
        Metric(_called(str(metric)), float(value), now, int(str(at)))
        for metric, curve in record.curves.items()
        for at, value in curve.dropna().items()
    ]
    drawn = set(record.curves.columns)
    points += [Metric(_called(key), value, now, last) for key, value in record.final.items() if key not in drawn]
    for start in range(0, len(points), BATCH):
        client.log_batch(run, metrics=points[start : start + BATCH])
    client.set_terminated(run)


def _called(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))
