"""`lersbench evaluate`: would another policy have done better, by the log there is, and can that be believed?"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from lersbench.cli.arguments import LOCAL, WORKERS
from lersbench.cli.settings import pairs_of
from lersbench.errors import ConfigError
from lersbench.feedback import CLICK, QUESTIONS
from lersbench.system.progress import say

FOLDER = Path("evaluations")


@click.command()
@click.argument("log")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME",
    help="A policy to judge: a name or ./my_policy.py, and its options: linucb:alpha=0.1,0.3; may be repeated.",
)
@click.option(
    "--scores",
    "tables",
    multiple=True,
    type=LOCAL,
    metavar="FILE",
    help="A table of a ranker's scores, by item or by request and item, to judge it without Python; may be repeated.",
)
@click.option(
    "--question",
    "questions",
    multiple=True,
    type=click.Choice(list(QUESTIONS)),
    help="What is asked; by default off-policy of fixed policies, progressive and rejection of those that learn.",
)
@click.option("--estimator", "estimators", multiple=True, help="The leading estimator first; what suits the log else.")
@click.option("--target", type=click.Choice(["clicks", "any-click", "gains"]), default="clicks", show_default=True)
@click.option("--reward", default=CLICK, show_default=True, help="The outcome of the log that is counted.")
@click.option("--frozen", metavar="DATE|SHARE", help="Let policies learn from the rows before, then stay as they are.")
@click.option("--folds", type=int, default=3, show_default=True, help="Folds of the reward model, by user.")
@click.option("--model", default="auto", show_default=True, help="The reward model: auto, ridge, logistic, lightgbm...")
@click.option("--clip", default="none", show_default=True, help="The largest weight: a number, slope or none.")
@click.option(
    "--propensities",
    type=click.Choice(["logged", "estimated"]),
    default="logged",
    show_default=True,
    help="Those of the log, or of a model fitted to what it shows: for logs of single items that have none.",
)
@click.option(
    "--embedding", metavar="COLUMN", help="Of the items, for --estimator mips: what an item earns goes by it."
)
@click.option("--max-weight", type=float, help="M of rejection; from the floor of the propensities by default.")
@click.option(
    "--interval",
    type=click.Choice(["cr", "normal", "gamma", "bootstrap", "anytime", "bernstein"]),
    default="cr",
    show_default=True,
)
@click.option(
    "--cluster",
    type=click.Choice(["user", "none"]),
    default="user",
    show_default=True,
    help="What errors are clustered by. Machines are named by --executor.",
)
@click.option("--level", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--slate", type=int, help="Places of re-ranked lists without propensities; as many as logged by default.")
@click.option("--set", "options", multiple=True, metavar="KEY=VALUE", help="An option of the data set that LOG names.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all random numbers.")
@click.option("--executor", metavar="ADDRESS", help=WORKERS)
@click.option("--out", type=LOCAL, help="Folder of tables, figures and report; evaluations/NAME by default.")
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw the figures and write the report.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a policy, estimator and place.")
@click.option("--strict", is_flag=True, help="End with exit code 1 unless every leading estimate is to be believed.")
def evaluate(
    log: str,
    policies: tuple[str, ...],
    tables: tuple[Path, ...],
    questions: tuple[str, ...],
    reward: str,
    options: tuple[str, ...],
    seed: int,
    slate: int | None,
    executor: str | None,
    out: Path | None,
    plots: bool,
    as_json: bool,
    strict: bool,
    **settings: Any,
) -> None:
    """Judge policies by LOG, which another policy wrote: what would they have earned in its place?

    LOG is the folder of a log that holds the propensities of what was shown, or the name of a data set such as
    open-bandit. Each number comes with an interval, diagnostics and a verdict: believe, caution, do not believe. A log
    of lists without propensities is answered by a bracket: between which values the policy's lies. Where some of them
    are in random order (import impressions --random COLUMN), policies are judged by these, and the bracket of the
    others stands beside it.

    Without --policy the usual ones are judged: random and popular.
    """
    from lersbench.evaluation import run
    from lersbench.results import evaluation_folder
    from lersbench.results.evaluation import BELIEVE
    from lersbench.results.evaluation_words import as_text

    folder = out or FOLDER / re.sub(r"[^\w.-]+|^[.]+", "-", log)[-100:]
    evaluation_folder.check(folder)
    try:
        evaluation = run.evaluate(
            run.open_log(log, pairs_of(options, "behaviour=bts")),
            [
                *(policies or (() if tables else run.USUAL)),
                *(f"scores table={shlex.quote(str(table))}" for table in tables),
            ],
            settings=_settings(settings),
            questions=questions,
            reward=reward,
            seed=seed,
            say=say,
            slate=slate,
            executor=executor,
        ).at(folder)
        evaluation.save()
    except KeyboardInterrupt:
        say(f"Interrupted. Nothing was written; an evaluation that was in {folder} before is as it was.")
        sys.exit(130)
    click.echo(json.dumps(evaluation.records(), indent=1, allow_nan=False) if as_json else as_text(evaluation))
    if plots:
        from lersbench.report.evaluation import write

        for path in write(evaluation):
            say(f"report: {path}")
    if strict and evaluation.worst != BELIEVE:
        sys.exit(1)


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """The flags as `[evaluate]` of a scenario has them."""
    clip, frozen = given["clip"], given["frozen"]
    return {
        **{key: value for key, value in given.items() if value is not None},
        "estimators": list(given["estimators"]),
        "clip": clip if clip in ("none", "slope") else _number("--clip", clip),
        "frozen": frozen if frozen is None or "-" in frozen else _number("--frozen", frozen),
    }


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{flag} {text}: this is no number.") from error
