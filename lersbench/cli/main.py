"""The command line. Data goes to stdout, talk and progress to stderr.

Exit codes: 0 ok, 1 a run failed, 2 usage or configuration, 3 bad data, 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lersbench import __version__
from lersbench.cli import click_models as click_commands
from lersbench.cli import imports as import_commands
from lersbench.cli.arguments import LOCAL
from lersbench.errors import ConfigError, LersbenchError, RunError, did_you_mean
from lersbench.files import parse_toml
from lersbench.system import streams
from lersbench.system.ending import end
from lersbench.words import check, shown

if TYPE_CHECKING:
    from lersbench.figures.records import Record
    from lersbench.results.lab import LabResults
    from lersbench.results.tables import Results
    from lersbench.system.progress import Tell

RESULTS = click.option(
    "--results",
    type=LOCAL,
    default=Path("results"),
    show_default=True,
    help="Folder of the results.",
)
DATASET = click.option("--dataset", metavar="NAME", help="Of another data set that the scenario names.")
QUICK = click.option("--quick", is_flag=True, help="Of the short version.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


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


def _changes(settings: tuple[str, ...]) -> dict[str, Any]:
    """`--set key=value` pairs; a value is TOML, or else a string."""
    found = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set takes key=value, such as replay.seeds=3, not '{setting}'.")
        try:
            found[key.strip()] = parse_toml(f"value = {text}", f"--set {key}")["value"]
        except ConfigError:  # no value of TOML, so a text
            found[key.strip()] = text
    check(found, "--set")
    return found


@cli.command()
@click.argument("scenario")
@click.option("--seeds", type=click.IntRange(1), help="Replicates; the scenario's own number by default.")
@click.option(
    "--policy", "added", multiple=True, metavar="NAME", help="Add a policy: a name, my_pkg.my_policy or ./my_policy.py."
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key of the scenario, as replay.slate=3."
)
@click.option("--threads", type=click.IntRange(1), help="Contenders played at once; all cores by default.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Longest time of a contender."
)
@click.option("--large", is_flag=True, help="Start also what is beyond the limits of size.")
@click.option("--fresh", is_flag=True, help="Play every contender again, also those with results.")
@click.option("--dataset", metavar="NAME", help="Another data set that the scenario names; results are kept apart.")
@click.option("--quick", is_flag=True, help="The short version of a study, kept apart from the whole one.")
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw the figures and write the report.")
@RESULTS
@AS_JSON
def bench(
    scenario: str,
    seeds: int | None,
    added: tuple[str, ...],
    settings: tuple[str, ...],
    threads: int | None,
    timeout: float | None,
    large: bool,
    fresh: bool,
    dataset: str | None,
    quick: bool,
    plots: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Replay a scenario, or all of a study: leaderboard, curves, figures and report.

    SCENARIO is a name (`lersbench ls scenarios`) or a TOML file. Contenders whose results are there
    already are not played again, so adding a policy costs only that policy's time.
    """
    from lersbench.studies import study as studies
    from lersbench.system import progress

    changes = _changes(settings)
    if seeds is not None:
        changes["replay.seeds"] = seeds
    lifted = {"large": True} if large else {}  # changes no result
    study, parts = studies.read(scenario, {**changes, **lifted}, quick, dataset)
    started = time.perf_counter()
    if study is None:
        chosen = _with(parts[0], added, scenario)
        _bench(chosen, results, threads, timeout, fresh, plots, as_json, bool(changes), progress.silent)
        return
    failed, changed = dict[str, LersbenchError](), bool(changes or study.set or quick)
    weights = {chosen.name: study.minutes_of(number) for number, chosen in enumerate(parts)}
    with closing(progress.Whole(study.name, weights)) as whole:
        for number, chosen in enumerate(parts, 1):
            passed = f"{(time.perf_counter() - started) / 60:.0f} minutes passed"
            say(f"[{number}/{len(parts)}] {chosen.name}: {chosen.title} ({passed})")
            try:
                with whole.part(chosen.name) as tell:
                    made = _with(chosen, added, scenario)
                    _bench(made, results, threads, timeout, fresh, plots, as_json, changed, tell)
            except LersbenchError as error:  # the other scenarios of the study can still be run
                say(f"Error: {error}")
                failed[chosen.name] = error
    if failed:
        kinds = {type(error) for error in failed.values()}
        kind = kinds.pop() if len(kinds) == 1 else RunError  # the exit code says what all have in common
        raise kind(f"{len(failed)} of the {len(parts)} scenarios failed: {', '.join(failed)}.")
    if plots:
        _study_page(study, parts, results)
    say(f"{study.name}: {(time.perf_counter() - started) / 60:.1f} minutes for all {len(parts)} scenarios")


def _with(chosen: Any, added: tuple[str, ...], where: str) -> Any:
    """A scenario with policies added to its own; an experiment as it is."""
    from lersbench.bench import scenario as scenarios
    from lersbench.lab.scenario import Experiment
    from lersbench.policy import find

    if not added:
        return chosen
    if isinstance(chosen, Experiment):
        say(f"{chosen.name} is an experiment, which has no policies: {', '.join(added)} left out")
        return chosen
    for name in added:
        find(name)  # one that was asked for is not left out where its package is missing
    told = chosen.model_dump(exclude_unset=True)
    told["policies"] = [*chosen.policies, *({"name": name} for name in added)]
    return scenarios.parse(told, where)


def _bench(
    chosen: Any,
    results: Path,
    threads: int | None,
    timeout: float | None,
    fresh: bool,
    plots: bool,
    as_json: bool,
    changed: bool,
    tell: Tell,
) -> None:
    """Replay one scenario, and show what came out; `changed` when it is not quite that of its file. `tell` is told the
    share that is done."""
    from lersbench.bench import replays
    from lersbench.lab.scenario import Experiment
    from lersbench.results import ranking, tables, words

    if isinstance(chosen, Experiment):
        from lersbench.cli import lab as lab_commands

        lab_commands.bench(chosen, results, threads, fresh, plots, as_json, say, tell)
        return

    def halfway(folder: Path) -> None:
        say("The compiled policies are done; the others follow, and the leaderboard of all.")
        if not as_json:
            say(words.to_terminal(ranking.board(tables.load(folder)), bold=False))

    run = replays.bench(chosen, results, threads, fresh, say, halfway, tell, timeout)
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.seconds.items())
    say(f"{run.played} contenders played, {run.reused} taken from earlier runs ({times})")
    loaded = tables.load(run.folder)
    _show(loaded, as_json)
    if plots and not run.played and (run.folder / "report.html").is_file():
        say(f"figures and report are there already (`lersbench plot` draws anew): {run.folder / 'report.html'}")
    elif plots:
        _report(loaded, _draw(loaded))
    if chosen.expected and changed:
        say("the expected results were not compared: settings were changed")
    else:
        replays.verify(chosen, run.folder, say)
    say(f"results: {run.folder}")
    if run.failures:
        raise RunError(f"{run.failures}\nThe leaderboard is of the others; they will not be played again.")


def _show(results: Results, as_json: bool) -> None:
    from lersbench.report import run as reports
    from lersbench.results import ranking, words
    from lersbench.system import progress

    board = ranking.board(results)
    progress.say(words.to_json(board) if as_json else words.to_terminal(board), err=False)
    told = [] if as_json else board.warnings
    for caveat in [caveat for caveat in reports.caveats(results) if caveat not in told]:
        say(f"note: {caveat}")


def _draw(results: Results | LabResults, metrics: tuple[str, ...] = (), policies: tuple[str, ...] = ()) -> list[Record]:
    from lersbench.figures import curves as curve_figures
    from lersbench.results.lab import LabResults

    if isinstance(results, LabResults):
        from lersbench.cli import lab as lab_commands

        return lab_commands.draw(results, say)
    folder = results.path / "figures"
    drawn = curve_figures.draw_all(results, folder, metrics or None, policies or None)
    say(f"{2 * len(drawn)} figure files: {folder}")
    return drawn


def _report(results: Results | LabResults, figures: list[Record] | None = None) -> None:
    from lersbench.report import run as reports
    from lersbench.results.lab import LabResults

    if isinstance(results, LabResults):
        from lersbench.cli import lab as lab_commands

        lab_commands.report(results, say, figures)
        return
    for path in reports.write(results, results.path, figures):
        say(f"report: {path}")


def _study_page(study: Any, parts: list[Any], results: Path) -> None:
    """One page from the last runs of all scenarios of a study."""
    from lersbench.studies import page as study_page

    runs = [_last(part.name, results) for part in parts]
    for path in study_page.write_study(study.title, runs, results / study.name, study.description):
        say(f"study: {path}")


def _study_page_of(scenario: str, dataset: str | None, quick: bool, results: Path) -> None:
    """The page of the study of that name, if it is one."""
    from lersbench.bench import scenario as scenarios
    from lersbench.studies import study as studies

    if scenario in scenarios.available() or scenario.endswith(".toml"):
        study, parts = studies.read(scenario, {}, quick, dataset)
        if study:
            _study_page(study, parts, results)


def _loaded(run: Path) -> Results | LabResults:
    """The results in the folder of a run: of a scenario, or of an experiment."""
    from lersbench.results import lab as lab_results
    from lersbench.results import tables

    return lab_results.load(run) if lab_results.is_lab(run) else tables.load(run)


def _last(name: str, results: Path, asked: str = "") -> Results | LabResults:
    """The last run of a scenario, by the name of its folder in `results`; `asked` as of `last_run.latest`."""
    from lersbench.results import tables

    return _loaded(tables.latest(results, name, asked))


def _runs(scenario: str | None, dataset: str | None, quick: bool, results: Path) -> list[Results | LabResults]:
    """The last runs of a scenario or study, the run whose folder is given, or the last of everything in `results`."""
    from lersbench.bench import scenario as scenarios
    from lersbench.studies import study as studies

    if scenario is None:
        if dataset or quick:
            raise ConfigError("--dataset and --quick are of a scenario: name it too.")
        names = sorted({path.parent.parent.name for path in results.glob("*/*/run.json")})
        if not names:
            raise ConfigError(f"There are no results in {results}. Fix: lersbench bench active")
        return [_last(name, results) for name in names]
    if (Path(scenario) / "run.json").is_file():
        return [_loaded(Path(scenario))]
    if scenario in scenarios.available() or scenario.endswith(".toml"):
        asked = " ".join([scenario, *(["--dataset", dataset] if dataset else []), *(["--quick"] if quick else [])])
        return [_last(part.name, results, asked) for part in studies.read(scenario, {}, quick, dataset)[1]]
    if not any(results.glob("*/*/run.json")):
        scenarios.load(scenario)  # there is none of this name: it says so
    return [_last(scenario, results)]


@cli.command()
@click.argument("scenario", required=False)
@click.option("--metric", help="Metric to rank by; the scenario's own by default (`lersbench ls metrics`).")
@click.option("--baseline", help="Policy to take differences to; the scenario's own by default.")
@click.option("--markdown", "style", flag_value="markdown", help="Print Markdown.")
@click.option("--csv", "style", flag_value="csv", help="Print CSV.")
@click.option("--json", "style", flag_value="json", help="Print JSON.")
@DATASET
@QUICK
@RESULTS
def leaderboard(
    scenario: str | None,
    metric: str | None,
    baseline: str | None,
    style: str | None,
    dataset: str | None,
    quick: bool,
    results: Path,
) -> None:
    """Rank the policies of the last run of SCENARIO (a name, or the folder of a run); of all there are without it."""
    from lersbench.results import ranking, words
    from lersbench.results.lab import LabResults

    styles = {None: words.to_terminal, "markdown": words.to_markdown, "csv": words.to_csv, "json": words.to_json}
    for run in _runs(scenario, dataset, quick, results):
        if isinstance(run, LabResults):
            from lersbench.cli import lab as lab_commands

            lab_commands.show(run, style, say)
            continue
        click.echo(styles[style](ranking.board(run, metric=metric, baseline=baseline)))


@cli.command()
@click.argument("scenario", required=False)
@click.option("--metric", "metrics", multiple=True, help="Draw only this metric; may be repeated.")
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
    for run in _runs(scenario, dataset, quick, results):
        _draw(run, metrics, policies)
    if scenario:
        _study_page_of(scenario, dataset, quick, results)


@cli.command()
@click.argument("scenario", required=False)
@DATASET
@QUICK
@RESULTS
def report(scenario: str | None, dataset: str | None, quick: bool, results: Path) -> None:
    """Write the report of the last run of SCENARIO: what was run, leaderboard, figures, caveats."""
    for run in _runs(scenario, dataset, quick, results):
        _report(run)
    if scenario:
        _study_page_of(scenario, dataset, quick, results)


@cli.command()
@click.argument("what", type=click.Choice(["policies", "scenarios", "datasets", "metrics"]))
@AS_JSON
def ls(what: str, as_json: bool) -> None:
    """List the policies, scenarios, datasets or metrics there are."""
    from lersbench.cli import listing

    rows = getattr(listing, what)()
    click.echo(json.dumps(rows, indent=1) if as_json else listing.as_text(rows))


@cli.command()
@click.argument("path")
@AS_JSON
def validate(path: str, as_json: bool) -> None:
    """Check a log: every kind of problem with its count and first rows. Ends with 3 when there are any."""
    from lersbench.log import validate as check

    found = check(path)
    problems = [asdict(problem) for problem in found.problems]
    told = {"path": path, "ok": found.ok, "rounds": found.rounds, "problems": problems}
    click.echo(json.dumps(told, indent=1, default=str) if as_json else shown(str(found)))
    if not found.ok:
        sys.exit(3)


cli.add_command(import_commands.group)
cli.add_command(click_commands.click_model)


@cli.command(name="doctor")
@AS_JSON
def doctor(as_json: bool) -> None:
    """Tell what is installed and whether it works: versions, caches, compiler, torch."""
    from lersbench.cli import listing

    rows = listing.doctor()
    click.echo(json.dumps(rows, indent=1) if as_json else listing.as_text(rows))
    if any(row["state"] == "broken" for row in rows):
        sys.exit(1)


@cli.command(name="new-policy")
@click.argument("name")
@click.option("--folder", type=LOCAL, default=Path(), help="Where to write the file; here by default.")
def new_policy(name: str, folder: Path) -> None:
    """Write a working policy file NAME.py with a marked place for your formula."""
    from lersbench.cli import new_policy as newpolicy

    path = newpolicy.write(name, folder)
    told = path if path.is_absolute() else f"./{path}"
    say(f"wrote {path}; try: lersbench check-policy {told} && lersbench bench smoke --policy {told}")


@cli.command(name="check-policy")
@click.argument("names", nargs=-1, required=True)
@AS_JSON
def check_policy(names: tuple[str, ...], as_json: bool) -> None:
    """Run the contract every policy must keep on NAMES (names, my_pkg.my_policy or ./my_policy.py)."""
    from lersbench.testing import checks

    found = {name: checks.check(name) for name in names}
    if as_json:
        click.echo(json.dumps({name: [c.as_dict() for c in results] for name, results in found.items()}, indent=1))
    else:
        for name, results in found.items():
            click.echo(checks.as_text(name, results))
    if any(not c.ok for results in found.values() for c in results):
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
