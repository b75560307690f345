"""`python -m lersbench.audit`: are estimates, intervals and verdicts right where the truth is known?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from lersbench import files
from lersbench.audit import worlds
from lersbench.audit.page import page
from lersbench.audit.run import Audited, Plan, audit
from lersbench.errors import LersbenchError
from lersbench.system.progress import say

OUT = Path("results") / "audit"


@click.command()
@click.option("--world", "names", multiple=True, metavar="NAME", help="W4, or 'W4 B'; may be repeated. All by default.")
@click.option("--runs", type=click.IntRange(2), help="Runs of a world, at most.")
@click.option("--quick", is_flag=True, help="Few runs: does it work, not is it true.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all random numbers.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Folder of runs and page.")
@click.option("--page", "target", type=click.Path(path_type=Path), help="Also write the page there, if all was played.")
@click.option("--keep", is_flag=True, help="Take the runs that are in the folder, whatever code made them.")
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count() or 1, help="Worlds at once; all cores.")
def main(
    names: tuple[str, ...],
    runs: int | None,
    quick: bool,
    seed: int,
    out: Path,
    target: Path | None,
    keep: bool,
    threads: int,
) -> None:
    """Draw logs of worlds whose truth is known, judge them as `lersbench evaluate` does, and check what comes out.

    Worlds that are in the folder are not played again. Ends with exit code 1 if a check fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        plan = Plan(worlds.chosen(names), out, seed, runs, quick, keep, threads)
        found = audit(plan)
        _write(found, out / "truth.md")
        if target is not None:
            whole = not names and runs is None and not quick and not found.problems
            if whole:
                _write(found, target)
            else:
                say(f"{target} is left as it is: it takes all worlds, all runs, and no failure to play them.")
    except LersbenchError as error:
        say(f"Error: {error}")
        sys.exit(2)
    _tell(found, out)
    sys.exit(1 if found.failed or found.problems else 0)


def _write(found: Audited, path: Path) -> None:
    with files.replacing(path) as temporary:
        temporary.write_text(page(found), encoding="utf-8")


def _tell(found: Audited, out: Path) -> None:
    """The checks, failures first."""
    every = [pair for group in found.plan.groups for pair in found.checks(group)]
    for name, check in sorted(every, key=lambda pair: pair[1].passed):
        say(f"{'ok    ' if check.passed else 'FAILED'} {name}: {check.what} ({check.measured})", err=False)
    for name, why in found.problems.items():
        say(f"NOT PLAYED {name}: {why}", err=False)
    passed = len(every) - len(found.failed)
    say(f"{passed} of {len(every)} checks passed in {found.seconds:.0f} s. Page and figures: {out}", err=False)


if __name__ == "__main__":
    main()
