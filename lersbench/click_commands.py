"""`lersbench click-model`: fit click models to a log and report them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from lersbench.arguments import LOCAL
from lersbench.progress import say

FOLDER = Path("click-models")


@click.command(name="click-model")
@click.argument("log")
@click.option(
    "--model", type=click.Choice(["pbm", "ubm", "both"]), default="both", show_default=True, help="What to fit."
)
@click.option("--rows", type=click.IntRange(1), help="Fit the first so many records; all by default.")
@click.option(
    "--filtered/--not-filtered",
    default=None,
    help="Whether records without a click were removed from the log; by default where every record has one.",
)
@click.option(
    "--out",
    type=LOCAL,
    help="Folder of the figure; click-models/NAME by default.",
)
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw the figure.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def click_model(
    log: str, model: str, rows: int | None, filtered: bool | None, out: Path | None, plots: bool, as_json: bool
) -> None:
    """Fit click models to the ranked lists in LOG: how far down do users look?

    LOG is the folder of a log with slates and clicks. The position-based model (pbm) has one examination weight a
    position, the user browsing model (ubm) one for each position and position of the last click above.
    """
    from lersbench import clickfacts, clickfit
    from lersbench.errors import ConfigError
    from lersbench.log import Log

    opened = Log(log)
    if rows is not None and rows > opened.info.rounds:
        raise ConfigError(f"--rows {rows}: {log} has {opened.info.rounds} rows.")
    counts = clickfit.count(opened, 0, rows, filtered)
    names = clickfit.MODELS if model == "both" else (model,)
    told = clickfacts.summary(opened.info, counts, [clickfit.fit_counts(counts, name) for name in names])
    click.echo(json.dumps(told, indent=2, allow_nan=False) if as_json else clickfacts.text(told))
    if plots:
        from lersbench import clickfigure
        from lersbench.drawing import save

        folder = out or FOLDER / re.sub(r"[^\w.-]+|^[.]+", "-", opened.info.name)[:100]
        for path in save(clickfigure.figure(told), folder, "click-model"):
            say(f"figure: {path}")
