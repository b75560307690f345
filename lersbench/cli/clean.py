"""`lersbench clean`: the parts of a folder of results that nobody needs any more."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lersbench.cli.arguments import LOCAL
from lersbench.errors import ConfigError
from lersbench.system.progress import say
from lersbench.tables import of_rows
from lersbench.words import one_line

if TYPE_CHECKING:
    from lersbench.bench.cleaning import Plan


@click.command()
@click.argument("results", type=LOCAL, default=Path("results"))
@click.option(
    "--keep", type=click.IntRange(1), default=3, show_default=True, help="Whole runs of a scenario that stay."
)
@click.option(
    "--days",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Age from which on the stored result of a contender goes, where no run that stays uses it.",
)
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def clean(results: Path, keep: int, days: float, yes: bool, dry_run: bool) -> None:
    """Remove old runs, runs made halfway, and stored results that no run uses, under RESULTS (results by default).

    What would go is listed with its size, and you are asked. What lersbench has not written stays.
    """
    from lersbench.bench import cleaning

    if yes and dry_run:
        raise ConfigError("--dry-run removes nothing and --yes removes without asking. Fix: leave one of them out.")
    found = cleaning.plan(results, keep, days, time.time())
    for line in found.left:
        say(f"left: {one_line(line)}")
    if not found.removals:
        say(f"nothing to remove in {results}")
        return
    click.echo(_listed(found))
    if dry_run or not (yes or _agreed(found)):
        say("nothing was removed")
        return
    gone = sum(one.size for one in cleaning.remove(found.removals))
    say(f"removed: {_megabytes(gone)}")


def _listed(found: Plan) -> str:
    rows = [{"size": _megabytes(one.size), "what": str(one.path), "why": one.why} for one in found.removals]
    return of_rows(rows)


def _agreed(found: Plan) -> bool:
    """Does the user say yes? Raises ConfigError where there is nobody to ask."""
    count = len(found.removals)
    click.echo(
        f"Remove {'these ' if count > 1 else 'this '}{count}, {_megabytes(found.size)}? [y/N] ", err=True, nl=False
    )
    answer = sys.stdin.readline()
    if not answer:
        raise ConfigError("there is nobody to ask. Fix: --yes removes without asking, --dry-run lists alone.")
    return answer.strip().lower() in ("y", "yes")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.2f} MB"
