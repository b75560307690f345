"""A run in Weights & Biases: one run there a contender, in one group, and one with the settings and files."""

from __future__ import annotations

import os
from pathlib import Path

from lersbench.errors import ConfigError, MissingPackage
from lersbench.exports.records import files, records, settings
from lersbench.results.tables import Results


def write(results: Results, folder: Path) -> str:
    """Write a run into `folder`/wandb; the name of the group. Nothing is sent unless WANDB_MODE is "online".

    The project is called as the scenario. `wandb sync` sends what lies in the folder later. Raises MissingPackage
    without wandb, ConfigError for what it refuses.
    """
    try:
        import wandb
    except ImportError as error:
        raise MissingPackage(
            "An export to Weights & Biases needs the package wandb, which is not installed: pip install wandb."
        ) from error
    project, group = results.scenario["name"], f"{results.scenario['name']} {results.path.name}"
    usual = {"project": project, "group": group, "dir": str(folder), "mode": os.environ.get("WANDB_MODE", "offline")}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with wandb.init(name=group, job_type="run", config=settings(results), **usual) as run:
            artifact = wandb.Artifact(results.scenario["name"], "results")
            for file in files(results):
                artifact.add_file(str(file), str(file.relative_to(results.path)))
            run.log_artifact(artifact)
        for record in records(results):
            with wandb.init(name=record.name, job_type="contender", config=record.params, **usual) as run:
                for at, row in record.curves.iterrows():
                    run.log(row.dropna().to_dict(), step=int(str(at)))
                run.summary.update(record.final)
    except wandb.errors.Error as error:
        raise ConfigError(f"Weights & Biases refuses: {str(error).splitlines()[0]}") from error
    return group
