"""The command line. Data goes to stdout, talk and progress to stderr.

Exit codes: 0 ok, 1 a run failed, 2 usage or configuration, 3 bad data, 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click

from lersbench import __version__
from lersbench.cli import click_models as click_commands
from lersbench.cli import completion
from lersbench.cli import imports as import_commands
from lersbench.cli.arguments import LOCAL, PLACE, WORKERS, Duration, mirrored
from lersbench.cli.clean import clean
from lersbench.cli.evaluate import evaluate
from lersbench.cli.export import export
from lersbench.cli.settings import pairs_of
from lersbench.cli.site import compare, site
from lersbench.errors import LersbenchError, did_you_mean
from lersbench.system import streams
from lersbench.system.ending import end
from lersbench.tables import of_rows
from lersbench.words import shown

RESULTS = click.option(
    "--results",
    type=PLACE,
    callback=mirrored,
    default=Path("results"),
    show_default=True,
    help="Folder of the results, or an address that machines share (s3://bucket/results).",
)
DATASET = click.option("--dataset", metavar="NAME", help="Of another data set that the scenario names.")
QUICK = click.option("--quick", is_flag=True, help="Of the short version.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
SIMULTANEOUS = click.option(
    "--simultaneous", is_flag=True, help="Ranks that are right all at once, which is wider, not each by itself."
)


def say(message: str) -> None:
    """Talk to the user, on stderr."""
    from lersbench.system import progress

    progress.say(message)


class _Group(click.Group):
    """Commands in the order they are used in; a mistyped one gets a suggestion."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], self.commands)
            raise click.UsageError(error.message.rstrip(".") + hint, ctx) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lersbench")
def cli() -> None:
    """Replay logs past bandit recommenders before the A/B test.

    Start with `lersbench bench smoke`, then `lersbench bench active`.

    Exit codes: 0 ok, 1 a run failed, 2 usage or configuration, 3 bad data, 130 interrupted.
    """


@cli.command()
@click.argument("scenario", shell_complete=completion.scenarios)
@click.option("--seeds", type=click.IntRange(1), help="Replicates; the scenario's own number by default.")
@click.option(
    "--policy",
    "added",
    multiple=True,
    metavar="NAME",
    shell_complete=completion.policies,
    help="Add a policy: a name, my_pkg.my_policy or ./my_policy.py, and its options: linucb:alpha=0.1,0.3 (a sweep).",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key of the scenario, as replay.slate=3."
)
@click.option("--threads", type=click.IntRange(1), help="Contenders played at once; all cores by default.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Longest time of a contender."
)
@click.option("--executor", "--cluster", "executor", metavar="ADDRESS", help=WORKERS)
@click.option(
    "--until",
    type=Duration(),
    metavar="TIME",
    help="Give further seeds to contenders that cannot be told apart, until this time (60s, 5min) is up.",
)
@click.option("--large", is_flag=True, help="Start also what is beyond the limits of size.")
@click.option("--fresh", is_flag=True, help="Play every contender again, also those with results.")
@click.option("--dataset", metavar="NAME", help="Another data set that the scenario names; results are kept apart.")
@click.option("--quick", is_flag=True, help="The short version of a study, kept apart from the whole one.")
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw the figures and write the report.")
@SIMULTANEOUS
@RESULTS
@AS_JSON
def bench(
    scenario: str,
    seeds: int | None,
    added: tuple[str, ...],
    settings: tuple[str, ...],
    threads: int | None,
    timeout: float | None,
    until: float | None,
    executor: str | None,
    large: bool,
    fresh: bool,
    dataset: str | None,
    quick: bool,
    plots: bool,
    simultaneous: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Replay a scenario, or all of a study: leaderboard, curves, figures and report.

    SCENARIO is a name (`lersbench ls scenarios`) or a TOML file. Contenders whose results are there
    already are not played again, so adding a policy costs only that policy's time.
    """
    from lersbench.studies import run
    from lersbench.studies.options import Options

    changes = pairs_of(settings, "replay.seeds=3") | ({} if seeds is None else {"replay.seeds": seeds})
    options = Options(threads, timeout, fresh, plots, as_json, until or 0.0, simultaneous, executor)
    run.run(scenario, results, options, say, _show, changes, added, quick, dataset, large)


def _show(table: str) -> None:
    """Data, on stdout, above the bars where there are any."""
    from lersbench.system import progress

    progress.say(table, err=False)


@cli.command()
@click.argument("scenario", required=False, shell_complete=completion.scenarios)
@click.option(
    "--metric",
    shell_complete=completion.metrics,
    help="Metric to rank by; the scenario's own by default (`lersbench ls metrics`).",
)
@click.option("--baseline", help="Policy to take differences to; the scenario's own by default.")
@click.option("--markdown", "style", flag_value="markdown", help="Print Markdown.")
@click.option("--csv", "style", flag_value="csv", help="Print CSV.")
@click.option("--json", "style", flag_value="json", help="Print JSON.")
@click.option("--explain", "style", flag_value="explained", help="Say what every column, interval and test is.")
@SIMULTANEOUS
@DATASET
@QUICK
@RESULTS
def leaderboard(
    scenario: str | None,
    metric: str | None,
    baseline: str | None,
    style: str | None,
    simultaneous: bool,
    dataset: str | None,
    quick: bool,
    results: Path,
) -> None:
    """Rank the policies of the last run of SCENARIO (a name, or the folder of a run); of all there are without it."""
    from lersbench.studies import kinds, last_runs

    for run in last_runs.load(scenario, dataset, quick, results):
        table = kinds.of(run).show(run, style, metric, baseline, simultaneous)
        click.echo(table.text)
        for note in table.notes:
            say(f"note: {note}")


@cli.command()
@click.argument("scenario", required=False, shell_complete=completion.scenarios)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    shell_complete=completion.metrics,
    help="Draw only this metric; may be repeated.",
)
@click.option("--policy", "policies", multiple=True, help="Draw only this policy; may be repeated.")
@DATASET
@QUICK
@RESULTS
def plot(
    scenario: str | None,
    metrics: tuple[str, ...],
    policies: tuple[str, ...],
    dataset: str | None,
    quick: bool,
    results: Path,
) -> None:
    """Draw the figures of the last run of SCENARIO as PNG and SVG: a scenario, a study, or all there are without it."""
    from lersbench.studies import last_runs, run

    for last_run in last_runs.load(scenario, dataset, quick, results):
        run.draw(last_run, say, metrics, policies)
    if scenario:
        run.write_page_of(scenario, dataset, quick, results, say)


@cli.command()
@click.argument("scenario", required=False, shell_complete=completion.scenarios)
@DATASET
@QUICK
@RESULTS
def report(scenario: str | None, dataset: str | None, quick: bool, results: Path) -> None:
    """Write the report of the last run of SCENARIO: what was run, leaderboard, figures, caveats."""
    from lersbench.studies import last_runs, run

    for last_run in last_runs.load(scenario, dataset, quick, results):
        run.report(last_run, say)
    if scenario:
        run.write_page_of(scenario, dataset, quick, results, say)


@cli.command()
@click.argument("what", type=click.Choice(["policies", "scenarios", "datasets", "metrics"]))
@click.option("--for", "log", metavar="LOG", help="With policies: what this log lacks for each.")
@AS_JSON
def ls(what: str, log: str | None, as_json: bool) -> None:
    """List the policies, scenarios, datasets or metrics there are."""
    from lersbench.cli import listing
    from lersbench.log import Log

    if log and what != "policies":
        raise click.UsageError(f"--for asks which policies a log can serve; `ls {what}` lists them all.")
    rows = listing.policies(Log(log) if log else None) if what == "policies" else getattr(listing, what)()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        click.echo(listing.policies_in_words(rows) if what == "policies" else of_rows(rows))


@cli.command()
@click.argument("path")
@AS_JSON
def validate(path: str, as_json: bool) -> None:
    """Check a log: every kind of problem with its count and first rows. Ends with 3 when there are any."""
    from lersbench.log import validate as check

    report = check(path)
    problems = [asdict(problem) for problem in report.problems]
    content = {"path": path, "ok": report.ok, "rounds": report.rounds, "problems": problems, "advice": report.advice}
    click.echo(json.dumps(content, indent=1, default=str) if as_json else shown(str(report)))
    if not report.ok:
        sys.exit(3)


@cli.command()
@click.argument("log")
@click.argument("new")
@click.option("--overwrite", is_flag=True, help="Replace a log that is at NEW already.")
def convert(log: str, new: str, overwrite: bool) -> None:
    """Write LOG, of an earlier version or of another tool, as a log of this version at NEW, with checksums."""
    from lersbench.log import Log
    from lersbench.log import convert as written_again

    before, after = Log(log).info, written_again(log, new, overwrite).info
    same = "the same" if before.digest == after.digest else f"new, {after.digest}"
    say(f"{new}: schema {after.schema}, {after.rounds:,} rounds; the digest is {same}")


cli.add_command(import_commands.group)
cli.add_command(evaluate)
cli.add_command(click_commands.click_model)
cli.add_command(export)
cli.add_command(compare)
cli.add_command(site)
cli.add_command(clean)


@cli.command(name="doctor")
@AS_JSON
def doctor(as_json: bool) -> None:
    """Tell what is installed and whether it works: versions, caches, compiler, torch."""
    from lersbench.cli import listing

    rows = listing.doctor()
    click.echo(json.dumps(rows, indent=1) if as_json else of_rows(rows))
    if any(row["state"] == "broken" for row in rows):
        sys.exit(1)


@cli.command(name="new-policy")
@click.argument("name")
@click.option("--folder", type=LOCAL, default=Path(), help="Where to write the file; here by default.")
def new_policy(name: str, folder: Path) -> None:
    """Write a working policy file NAME.py with a marked place for your formula."""
    from lersbench.cli import new_policy as newpolicy

    path = newpolicy.write(name, folder)
    argument = path if path.is_absolute() else f"./{path}"
    say(f"wrote {path}; try: lersbench check-policy {argument} && lersbench bench smoke --policy {argument}")


@cli.command(name="check-policy")
@click.argument("names", nargs=-1, required=True)
@click.option("--log", metavar="LOG", help="Try the policies on this log as well: a folder.")
@AS_JSON
def check_policy(names: tuple[str, ...], log: str | None, as_json: bool) -> None:
    """Run the contract every policy must keep on NAMES (names, my_pkg.my_policy or ./my_policy.py), each with options
    where it needs any: linucb:alpha=0.1."""
    from lersbench.bench.policy_words import policies_in
    from lersbench.testing import checks

    results = {name: [one for _, _, policy in policies_in(name) for one in checks.check(policy)] for name in names}
    if log is not None:
        from lersbench.evaluation.trial import trial
        from lersbench.log import Log

        opened_log = Log(log)
        for name in names:
            results[name].append(checks.Result("on_log", *trial(opened_log, name)))
    if as_json:
        click.echo(json.dumps({name: [c.as_dict() for c in outcomes] for name, outcomes in results.items()}, indent=1))
    else:
        for name, outcomes in results.items():
            click.echo(checks.as_text(name, outcomes))
    if any(not c.ok for outcomes in results.values() for c in outcomes):
        sys.exit(1)


def main(argv: list[str] | None = None) -> None:
    """Run the command line and end the process with the documented exit code."""
    os.environ["MPLBACKEND"] = "agg"  # no figure is shown; a backend that is not there would stop the import
    leave: Callable[[int], NoReturn] = sys.exit
    if argv is None:  # the process is ours
        streams.outlast_readers()
        leave = end
    try:
        cli.main(args=argv, prog_name="lersbench", standalone_mode=False)
        sys.stdout.flush()
    except LersbenchError as error:
        say(f"Error: {error}")
        leave(error.exit_code)
    except click.exceptions.Exit as error:
        leave(error.exit_code)
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        say(usage.getvalue().rstrip())
        leave(2)
    except (KeyboardInterrupt, click.Abort):
        say("Interrupted. Contenders that were finished are kept; the same command goes on from there.")
        leave(130)
    except MemoryError as error:
        reason = error or "no more was given"
        say(f"Error: The memory does not suffice ({reason}). Fix: fewer or smaller data at once.")
        leave(1)
    except OSError as error:
        say(f"Error: {_of_system(error)}")
        leave(1)


def _of_system(error: OSError) -> str:
    """What the system refused, and of which file."""
    where = f"{error.filename}: " if error.filename else ""
    fixes = {
        errno.ENOSPC: "free some space there, or choose another place; what is finished is kept",
        errno.EDQUOT: "free some space there, or choose another place; what is finished is kept",
        errno.EACCES: "give yourself the right, or choose another place",
        errno.EROFS: "choose a place that can be written",
        errno.EMFILE: "raise the limit of open files (ulimit -n)",
    }
    fix = f" Fix: {fixes[error.errno]}." if error.errno in fixes else ""
    return f"{where}{error.strerror or error}.{fix}"
