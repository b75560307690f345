"""`lersbench export`: a run for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from lersbench.cli.arguments import LOCAL
from lersbench.errors import ConfigError
from lersbench.system.progress import say

TARGETS = ("csv", "mlflow", "wandb")


@click.command()
@click.argument("run")
@click.option("--to", "target", type=click.Choice(TARGETS), required=True, help="The tool.")
@click.option("--out", type=LOCAL, help="Folder: of csv NAME-csv, of mlflow mlruns, of wandb the one it makes here.")
@click.option("--uri", metavar="URI", help="Of mlflow: the address of a server, in place of a folder.")
@click.option("--dataset", metavar="NAME", help="Of another data set that the scenario names.")
@click.option("--quick", is_flag=True, help="Of the short version.")
@click.option("--results", type=LOCAL, default=Path("results"), show_default=True, help="Folder of the results.")
def export(
    run: str, target: str, out: Path | None, uri: str | None, dataset: str | None, quick: bool, results: Path
) -> None:
    """Write the last run of RUN, a scenario or the folder of a run, for another tool: tidy CSV files, MLflow or wandb.

    Parameters, curves (means over seeds), final values, figures and the report go there; nothing leaves this machine
    unless you name a server.
    """
    from lersbench.exports import mlflow, tables, wandb
    from lersbench.results.evaluation import Evaluation
    from lersbench.results.tables import Results
    from lersbench.studies import last_runs

    if uri and (target != "mlflow" or out):
        raise ConfigError("--uri is of --to mlflow, in place of --out.")
    for one in last_runs.load(run, dataset, quick, results):
        name = one.scenario["name"]
        if isinstance(one, Results | Evaluation) and target == "csv":
            for path in tables.write(one, out or Path(f"{name}-csv")):
                say(f"wrote {path}")
        elif not isinstance(one, Results):
            raise ConfigError(f"{name} is no replay of policies, so it has no curves for {target}. Fix: --to csv.")
        elif target == "mlflow":
            place = uri or (out.resolve().as_uri() if out else mlflow.default_uri())
            say(f"run {mlflow.write(one, place)} of MLflow at {place}")
        else:
            say(f"group '{wandb.write(one, out or Path())}' in {(out or Path()) / 'wandb'}")
