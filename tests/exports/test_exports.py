"""A run for other tools has the numbers of its tables: CSV files, MLflow, Weights & Biases."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from lersbench.bench import replays, scenario
from lersbench.cli.export import export
from lersbench.errors import ConfigError, MissingPackage
from lersbench.exports import mlflow as to_mlflow
from lersbench.exports import tables as to_csv
from lersbench.exports import wandb as to_wandb
from lersbench.results import tables
from lersbench.results.tables import Results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    content = {
        "name": "small",
        "title": "Small",
        "data": {"dataset": "synthetic", "rounds": 200, "items": 6, "d": 3},
        "replay": {"seeds": 3, "checkpoints": 5, "ranking": False},
        "policies": ["random", "linucb:alpha=0.1,0.3"],
    }
    where = tmp_path_factory.mktemp("results")
    made = replays.bench(scenario.parse(content, "test"), where, threads=1, say=lambda line: None)
    (made.folder / "report.html").write_text("a report")
    return tables.load(made.folder)


def mean(results: Results, policy: str, metric: str) -> float:
    rows = results.summary
    return float(rows[(rows["policy"] == policy) & (rows["metric"] == metric)]["value"].mean())


def test_csv_files_are_tidy_and_whole(results: Results, tmp_path: Path) -> None:
    to_csv.write(results, tmp_path / "out")
    frames = {path.stem: pd.read_csv(path) for path in (tmp_path / "out").iterdir()}
    assert frames.keys() == {"settings", "contenders", "leaderboard", "summary", "curves"}
    told = [column for column in results.summary if column not in ("variant", "log")]  # empty here, and read as missing
    pd.testing.assert_frame_equal(frames["summary"][told], results.summary[told], check_dtype=False)
    assert len(frames["curves"]) == len(results.curves)
    alphas = frames["contenders"].query("parameter == 'alpha'").set_index("contender")["value"].astype(float)
    assert alphas.to_dict() == {"linucb alpha=0.1": 0.1, "linucb alpha=0.3": 0.3}
    with pytest.raises(ConfigError, match=r"is there already\. Fix: name another folder"):
        to_csv.write(results, tmp_path / "out")


def test_the_command_exports_the_last_run(results: Results, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["small", "--to", "csv", "--results", str(results.path.parent.parent)]
    done = CliRunner().invoke(export, asked)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "small-csv" / "curves.csv").is_file()
    wrong = CliRunner().invoke(export, [*asked, "--uri", "http://localhost"])
    assert isinstance(wrong.exception, ConfigError) and "--uri is of --to mlflow" in str(wrong.exception)


@pytest.mark.filterwarnings("ignore")  # of MLflow's own imports
def test_mlflow_has_parameters_curves_and_files(results: Results, tmp_path: Path, monkeypatch: Any) -> None:
    if importlib.util.find_spec("mlflow") is None:
        with pytest.raises(MissingPackage, match=r"pip install 'lersbench\[mlflow\]'"):
            to_mlflow.write(results, tmp_path.as_uri())
        pytest.skip("MLflow is not installed")
    for name in ("MLFLOW_ALLOW_FILE_STORE", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "true")  # as the export sets them, and taken away again
    from mlflow.tracking import MlflowClient

    uri = (tmp_path / "mlruns").as_uri()
    parent = to_mlflow.write(results, uri)
    client = MlflowClient(tracking_uri=uri)
    whole = client.get_run(parent)
    assert whole.data.params["replay.seeds"] == "3" and whole.data.params["scenario"] == "small"
    assert {file.path for file in client.list_artifacts(parent)} >= {"report.html", "run.json", "curves.parquet"}
    runs = client.search_runs([whole.info.experiment_id], f"tags.mlflow.parentRunId = '{parent}'")
    found = {run.info.run_name: run for run in runs}
    assert found.keys() == {"random", "linucb alpha=0.1", "linucb alpha=0.3"}
    for name, run in found.items():
        assert run.data.metrics["ctr_sum"] == pytest.approx(mean(results, name, "ctr_sum"))
    assert json.loads(found["linucb alpha=0.3"].data.params["alpha"]) == 0.3
    curve = client.get_metric_history(found["random"].info.run_id, "misses")
    rows = results.curves.query("policy == 'random' and metric == 'misses'").groupby("round")["mean"].mean()
    assert {point.step: point.value for point in curve} == pytest.approx(rows.to_dict())


def test_wandb_writes_offline_or_says_what_is_missing(results: Results, tmp_path: Path) -> None:
    if importlib.util.find_spec("wandb") is None:
        with pytest.raises(MissingPackage, match="pip install wandb"):
            to_wandb.write(results, tmp_path)
        pytest.skip("wandb is not installed: only its error was tested")
    to_wandb.write(results, tmp_path)
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 4
