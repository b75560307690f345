"""`lersbench site` and `lersbench compare`: all runs as pages, and two of them beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lersbench.cli.arguments import LOCAL
from lersbench.errors import ConfigError
from lersbench.system.progress import say

RESULTS = click.option(
    "--results", type=LOCAL, default=Path("results"), show_default=True, help="Folder of the results."
)


@click.command()
@click.argument("results", type=LOCAL, default=Path("results"))
@click.argument("site", type=LOCAL, default=Path("site"))
def site(results: Path, site: Path) -> None:
    """Write all runs under RESULTS (results by default) as pages into SITE (site by default), to be served or opened.

    The index lists runs, studies, experiments and evaluations, old ones too, with what each found; two runs of a
    scenario that follow each other in time have a page of what was changed and what moved. A site that is there is
    replaced; a folder with anything else in it is not touched.
    """
    from lersbench.site import write

    say(f"site: {write.write(results, site, say)}")


@click.command()
@click.argument("run")
@click.argument("other", required=False)
@click.option("--page", type=LOCAL, metavar="FOLDER", help="Write compare.md and compare.html into this folder too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@RESULTS
def compare(run: str, other: str | None, page: Path | None, as_json: bool, results: Path) -> None:
    """Compare two runs of one scenario: what was changed, and which values moved by more than chance.

    RUN is the one before, OTHER the one after: each the folder of a run, its name, or a scenario, whose last run it is
    then. Of a scenario alone the last two in time are compared.
    """
    from lersbench.report.pages import write_pages
    from lersbench.site import comparison
    from lersbench.studies import kinds

    before, after = (
        kinds.load(path) for path in (_last_two(run, results) if other is None else _both(run, other, results))
    )
    found = comparison.of_runs(before, after)
    if as_json:
        click.echo(json.dumps(comparison.records(before, after, found), indent=1, allow_nan=False))
    else:
        click.echo(comparison.text(before, after, found))
    if page is not None:
        blocks = comparison.document(before, after, found)
        for path in write_pages(blocks, f"{after.title}: what changed", page, "compare"):
            say(f"page: {path}")


def _both(run: str, other: str, results: Path) -> list[Path]:
    from lersbench.site import catalogue

    return [catalogue.run_called(name, results) for name in (run, other)]


def _last_two(scenario: str, results: Path) -> list[Path]:
    """The last two runs of a scenario in time. Raises ConfigError where there are not two."""
    from lersbench.site import catalogue

    some = catalogue.runs(results).get(scenario)
    if some is None:
        catalogue.run_called(scenario, results)  # raises, where there is no such run either
        raise ConfigError(f"{scenario} is one run. Fix: name another run of its scenario as well.")
    if len(some) < 2:
        raise ConfigError(f"{scenario} has one run in {results}. Fix: run it again with what you changed.")
    return catalogue.in_time(some)[-2:]
