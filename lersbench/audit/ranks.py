"""`python -m lersbench.audit.ranks`: do intervals and ranks keep what they claim? See `claims`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from lersbench import files
from lersbench.audit.measured import CLAIMS, measured, page
from lersbench.errors import ConfigError, LersbenchError
from lersbench.system.progress import say


def _known(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in CLAIMS:
            raise click.BadParameter(f"there is no claim '{name}'; there are {', '.join(CLAIMS)}.")
    return names or tuple(CLAIMS)


@click.command()
@click.option("--claim", "names", multiple=True, metavar="NAME", callback=_known, help=f"{', '.join(CLAIMS)}.")
@click.option("--quick", is_flag=True, help="Few runs: does it work, not is it true.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all random numbers.")
@click.option("--page", "target", type=click.Path(path_type=Path), help="Write the page there, too.")
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count() or 1, help="Parts at once; all cores.")
def main(names: tuple[str, ...], quick: bool, seed: int, target: Path | None, threads: int) -> None:
    """Measure what is claimed of intervals and ranks, and print the tables. Ends with exit code 1 if a check fails."""
    begun = time.monotonic()
    try:
        if target is not None and (quick or set(names) != set(CLAIMS)):
            raise ConfigError("--page takes all claims in full: leave out --quick and --claim.")
        found = measured(names, quick, seed, threads)
    except LersbenchError as error:
        say(f"Error: {error}")
        sys.exit(2)
    text = page(found, seed, quick)
    say(text, err=False)
    checks = [check for one in found.values() for check in one.checks]
    passed = sum(check.passed for check in checks)
    say(f"{passed} of {len(checks)} checks passed in {time.monotonic() - begun:.0f} s.")
    if target is not None:
        with files.replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    sys.exit(0 if passed == len(checks) else 1)


if __name__ == "__main__":
    main()
