"""`lersbench click-model`: fit click models to a log and report them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from lersbench.cli.arguments import LOCAL, WORKERS
from lersbench.system.progress import say

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
    help="Whether records without a click were removed; by default what the log's provenance says, or else a test.",
)
@click.option(
    "--smoothing",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Displays, of the mean attraction, by which every item's are added to; 0 for none.",
)
@click.option("--held-out/--no-held-out", default=True, show_default=True, help="Fit five times more, to foresee.")
@click.option("--executor", metavar="ADDRESS", help=WORKERS)
@click.option(
    "--out",
    type=LOCAL,
    help="Folder of the figure; click-models/NAME by default.",
)
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw the figure.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def click_model(
    log: str,
    model: str,
    rows: int | None,
    filtered: bool | None,
    smoothing: float,
    held_out: bool,
    executor: str | None,
    out: Path | None,
    plots: bool,
    as_json: bool,
) -> None:
    """Fit click models to the ranked lists in LOG: how far down do users look?

    LOG is the folder of a log with slates and clicks. The position-based model (pbm) has one examination weight a
    position, the user browsing model (ubm) one for each position and position of the last click above.
    """
    from lersbench.clicks import facts as click_facts
    from lersbench.clicks import fit as click_fit
    from lersbench.clicks import heldout
    from lersbench.errors import ConfigError
    from lersbench.log import Log
    from lersbench.system import elsewhere

    opened_log = Log(log)
    if rows is not None and rows > opened_log.info.rounds:
        raise ConfigError(f"--rows {rows}: {log} has {opened_log.info.rounds} rows.")
    with elsewhere.opened(executor) as pool:
        counts = click_fit.settled(click_fit.count(opened_log, 0, rows, filtered, pool=pool))
    names = click_fit.MODELS if model == "both" else (model,)
    fits = [click_fit.fit_counts(counts, name, smoothing=smoothing) for name in names]
    stop, held_out_perplexities = rows or opened_log.info.rounds, None
    if held_out:
        held_out_perplexities = heldout.perplexities(opened_log, names, 0, stop, bool(counts.filtered), smoothing)
    facts = click_facts.summary(opened_log.info, counts, fits, held_out_perplexities)
    click.echo(json.dumps(facts, indent=2, allow_nan=False) if as_json else click_facts.text(facts))
    if plots:
        from lersbench.figures import click_models as click_figures
        from lersbench.figures.frame import save

        folder = out or FOLDER / re.sub(r"[^\w.-]+|^[.]+", "-", opened_log.info.name)[:100]
        folder.mkdir(parents=True, exist_ok=True)
        for path in save(click_figures.figure(facts), folder, "click-model"):
            say(f"figure: {path}")
