"""What `import lersbench as lb` offers beside the classes: each a few lines over the room that does the work.

Errors are those of the command line: ConfigError for what cannot be carried out as asked, DataError for broken data,
RunError where every policy failed; all of them are `lersbench.errors.LersbenchError`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lersbench.errors import ConfigError
from lersbench.feedback import CLICK, USUAL
from lersbench.system.progress import say

if TYPE_CHECKING:
    from lersbench.figures.notebook import Figures
    from lersbench.log import Log
    from lersbench.policy import Policy
    from lersbench.results.evaluation import Evaluation
    from lersbench.results.ranked import Results

_folders: list[tempfile.TemporaryDirectory[str]] = []  # of logs that last as long as this process


def replay(
    policies: str | Policy | Iterable[str | Policy] | Mapping[str, str | Policy],
    log: Log | str | Path,
    feedback: str | Sequence[str] = USUAL,
    slate: int | Sequence[int] = 1,
    seeds: int | None = None,
    batch: int = 1,
    *,
    metric: str | None = None,
    baseline: str | None = None,
    seed: int = 0,
    name: str = "replay",
    threads: int | None = None,
    timeout: float | None = None,
    executor: Any = None,
    **settings: Any,
) -> Results:
    """Play policies over a log and rank them. Nothing is kept on disk: what comes out is the Results.

    `policies` are names (`policy_names`), objects, or a dict of label: policy. One whose class is defined in a notebook
    or in `__main__` plays in this process; one of a file of yours, in a process of its own. `log` is a Log, or its
    folder. `feedback` is "bandit", "full", "logged", "simulated" or "replay"; `slate` the positions to fill (K); a list
    of either compares each by itself. `seeds` is how often each policy plays (those in PyTorch at most `neural_seeds`
    of `settings`, 5): by default 100 times, fewer on a log of more than 20,000 rounds, 10 from 200,000 on, and
    20 on random halves of a log (two each). `batch` is how many rounds pass before their feedback is delivered.

    `metric` is what the leaderboard ranks by: by default misses, or reward_sum where `reward` is not clicks. `baseline`
    is the policy that others are compared with ("random" where it plays). `name` and `seed` are the root of all random
    numbers: a scenario of the same name, seed, log and protocol comes to the same numbers. `threads` policies play at
    once, all cores by default; one that takes longer than `timeout` seconds fails. `executor` has others do the work:
    the address of a Dask scheduler, "local:4" for four processes, a distributed.Client, a joblib.Parallel of processes
    or the name of such a backend; the numbers are the same. `settings` are the other keys of
    `[replay]` in a scenario, such as replicates = "subsample" for a log in order of time, fit = 1000, interactions =
    (3, 2), or reward = "revenue" for an outcome of the log.

    A policy that fails is named on stderr and in `Results.meta["failed"]`, and left out. Raises ConfigError for what
    the log or a policy cannot do, DataError for a broken log, RunError where all policies failed.
    """
    from lersbench.bench import objects, replays
    from lersbench.results import ranked

    protocol = {"feedback": feedback, "slate": slate, "seeds": seeds, "batch": batch, **settings}
    about = {"name": name, "title": name, "seed": seed, **({"leaderboard": metric} if metric else {})}
    chosen, entries = objects.scenario_of(policies, _folder_of(log), protocol, about, baseline)
    with tempfile.TemporaryDirectory(prefix="lersbench-") as folder:
        run = replays.bench(
            chosen,
            Path(folder),
            threads,
            say=lambda line: None,
            timeout=timeout,
            entries=entries,
            warn=say,
            executor=executor,
        )
        if run.failures:
            say(run.failures)
        return ranked.load(run.folder).in_memory()


def run(
    scenario: str,
    add: str | Policy | Iterable[str | Policy] | Mapping[str, str | Policy] = (),
    seeds: int | None = None,
    *,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    results: str | Path = "results",
    threads: int | None = None,
    timeout: float | None = None,
    executor: Any = None,
    fresh: bool = False,
) -> Results:
    """Replay a scenario (a name, or a TOML file) with the policies `add` beside its own, as `lersbench bench` does.

    Everything is kept in the folder `results` (or at an address such as s3://bucket/results), and not played again
    where it is there already, unless `fresh`; a run that was interrupted goes on. The results of a class that is
    defined in a notebook or in `__main__` are not kept, since nothing tells whether its code has changed: it is played
    anew each time, in this process. `seeds` and
    `settings` ({"replay.slate": 3}) change the scenario, `dataset` takes another of the data sets that it names.
    `threads`, `timeout` and `executor` as of `replay`. No figures are drawn: see `draw` and `write_report`.

    Raises ConfigError, DataError and RunError as `replay` does.
    """
    from lersbench.bench import addresses, objects, replays
    from lersbench.results import ranked
    from lersbench.studies import study as studies

    changes = {**(settings or {}), **({} if seeds is None else {"replay.seeds": seeds})}
    study, parts = studies.read(scenario, changes, dataset=dataset)
    if study is not None:
        hint = f"run one of them: {', '.join(study.scenarios)}"
        raise ConfigError(f"'{scenario}' is a study of several scenarios; {hint}.")
    chosen, entries = objects.extended(parts[0], add)
    with addresses.mirrored(results) as folder:
        made = replays.bench(chosen, folder, threads, fresh, say, timeout=timeout, entries=entries, executor=executor)
    if made.failures:
        say(made.failures)
    return ranked.load(made.folder)


def evaluate(
    log: Log | str | Path,
    policies: str | Policy | Iterable[str | Policy] | Mapping[str, str | Policy],
    questions: str | Sequence[str] = (),
    *,
    reward: str | Mapping[str, float] = CLICK,
    seed: int = 0,
    executor: Any = None,
    **settings: Any,
) -> Evaluation:
    """What policies would have earned on a log that another policy wrote: off-policy evaluation, with verdicts.

    `log` is a Log, or its folder, with the propensities of what was shown; or one that says which of its lists are in
    random order (`random` of `from_impressions`), by which policies are judged then. `policies` as of `replay`.
    `questions` are "off-policy" (policies as they are), "rejection" (learners on line) and "progressive" (learners
    trained on the log); by default the first for policies that do not learn, the others for those that do. `reward` is
    the outcome that is counted; `executor` as of `replay`. `settings` are the keys of `[evaluate]` in a scenario:
    estimators = ["dr", "snips"], frozen = 0.5 (learn from the first half, then stay fixed), target, folds, model, clip,
    max_weight, interval, cluster, level, draws, propensities = "estimated" (fitted to a log of single items that has
    none), embedding (a column of items, for mips).

    The Evaluation has the tables `estimates` and `differences` (pandas), and shows itself as text. Nothing is written:
    `.at(folder).save()` does that, and `lersbench.report.evaluation.write` makes figures and a report.

    Raises ConfigError for what the log or a policy cannot answer, DataError for a broken log.
    """
    from lersbench.evaluation import run
    from lersbench.log import Log

    asked = (questions,) if isinstance(questions, str) else tuple(questions)
    paid = reward if isinstance(reward, str) else dict(reward)
    return run.evaluate(Log(_folder_of(log)), policies, settings, asked, paid, seed, say, executor=executor)


def from_impressions(
    frame: Any,
    folder: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    features: Sequence[str] = (),
    context: Sequence[str] = (),
    categories: Sequence[str] = (),
    item_categories: Sequence[str] = (),
    outcomes: Mapping[str, Mapping[str, Any]] | None = None,
    known_time: str | None = None,
    item_table: Any = None,
    item_features: Sequence[str] = (),
    scores: Any = None,
    random: str | None = None,
    **options: Any,
) -> Log:
    """A log of ranked lists from impressions, one row an item shown: a pandas, polars or Arrow `frame`, or files.

    Files, named in place of a frame, are CSV, JSON lines or Parquet, packed or not, one, a folder or a pattern. The
    columns are request, position (from 0 or 1), item, click (0 or 1) and, where there are any, propensity, time, user,
    logger and score; `columns` maps each of these to what it is called in the table. `features` and `context` name
    numeric columns, `item_categories` and `categories` columns of text. `outcomes` declares columns of what else came
    of an item, as {"revenue": {"column": "paid", "low": 0, "high": 500, "unit": "EUR"}}, and `known_time` the column of
    the times at which that was known. `item_table` is a table of the items (id, numbers named by `item_features`, and
    on_from and on_until for candidates = "on-air"). `scores` is a table of the logging policy's scores (request, item,
    score), of which propensities = "plackett-luce=1", "softmax=1" or "epsilon=0.1" are made. `random` names a column
    that is 1 where the list of a request was put in uniformly random order, else 0: `evaluate` judges policies on these
    requests. `options` are the fields
    of `datasets.options.ListOptions`, such as `length`, `candidates`, `propensities`, `propensity_kind`,
    `reward_window`, `where`, `time_format`, `name`, `overwrite`; what they mean: `datasets.impressions.build`. The log
    is written to `folder`, or to a temporary one that lasts as long as this process.

    Raises ConfigError for wrong arguments, DataError for wrong data: it names the row of the frame, from 0.
    """
    from lersbench.datasets import impressions

    options |= {"context": context, "categories": categories, "item_categories": item_categories}
    options |= {"outcomes": outcomes or {}, "known_time": known_time}
    options |= {"item_table": item_table, "item_features": item_features, "scores": scores}
    options |= {"random": random}
    return impressions.build(frame, _log_folder(folder), columns or {}, features, **options)


def from_decisions(
    frame: Any,
    folder: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    context: Sequence[str] = (),
    categories: Sequence[str] = (),
    outcomes: Mapping[str, Mapping[str, Any]] | None = None,
    known_time: str | None = None,
    scores: Any = None,
    **options: Any,
) -> Log:
    """A log from decisions, one row each: action, reward (0 or 1) and, where there are any, propensity, time and user.

    Every action of the table is on offer in every round. A reward that is not 0 or 1 is declared as an outcome,
    outcomes = {"reward": {"low": 0, "high": 5}}; it is no click then, unless `click_above` says from where on it is.
    With `scores` a round offers the actions that have one; scores by request need the column request.
    All else is as in `from_impressions`.
    """
    from lersbench.datasets import impressions

    options |= {"context": context, "categories": categories, "kind": impressions.DECISIONS}
    options |= {"outcomes": outcomes or {}, "known_time": known_time, "scores": scores}
    return impressions.build(frame, _log_folder(folder), columns or {}, **options)


def _log_folder(folder: str | Path | None) -> str | Path:
    if folder is not None:
        return folder
    _folders.append(tempfile.TemporaryDirectory(prefix="lersbench-log-"))
    return Path(_folders[-1].name) / "log"


def load_results(folder: str | Path) -> Results:
    """The results of a run from disk: its folder, or that of a scenario (results/active), whose last run it takes.

    Raises ConfigError where there are none, DataError where they are damaged.
    """
    from lersbench.results.ranked import with_ranking
    from lersbench.results.tables import Results, latest
    from lersbench.studies import kinds

    folder = Path(folder)
    if not (folder / "run.json").is_file() and any(folder.glob("*/run.json")):
        folder = latest(folder.parent, folder.name)
    results = kinds.load(folder)
    if not isinstance(results, Results):
        raise ConfigError(f"{folder} holds an experiment on context models, which has no leaderboard of policies.")
    return with_ranking(results)


def draw(
    results: Results,
    folder: str | Path | None = None,
    metrics: str | Sequence[str] | None = None,
    policies: str | Sequence[str] | None = None,
) -> Figures:
    """Draw figures as PNG and SVG into `folder` (of a run on disk, by default its own) and return their paths.

    As the last line of a notebook's cell they are shown. By default all that the results have; `metrics` and `policies`
    (labels) take some of them. Raises ConfigError for a metric or policy that the results do not have.
    """
    from lersbench.figures.draw import draw_all
    from lersbench.figures.notebook import Figures

    some = ([only] if isinstance(only, str) else only for only in (metrics, policies))
    drawn = draw_all(results, _folder_for(results, folder, "figures"), *some)
    return Figures(path for figure in drawn for path in (figure.png, figure.svg))


def write_report(results: Results, folder: str | Path | None = None) -> list[Path]:
    """Write report.md and report.html with all figures into `folder` (of a run on disk, by default its own).

    Returns the two paths.
    """
    from lersbench.report.run import write

    return write(results, _folder_for(results, folder, ""))


def _folder_of(log: Any) -> str:
    """The folder of a log that is given as a Log or a path."""
    from lersbench.log import Log

    if isinstance(log, Log):
        return log.path
    if isinstance(log, str | Path):
        return str(log)
    raise ConfigError(
        f"log is a {type(log).__name__}, not a Log. Fix: lb.from_impressions makes one of a pandas frame, lb.write_log "
        "of arrays; one on disk is opened by lb.Log(folder)."
    )


def _folder_for(results: Any, folder: str | Path | None, inside: str) -> Path:
    """Where to write what is made of results: the `folder` asked for, or one in that of the run."""
    from lersbench.results.tables import Results

    if not isinstance(results, Results):
        raise ConfigError(f"results is a {type(results).__name__}; give the Results of replay, run or load_results.")
    if folder is None and results.held is not None:
        raise ConfigError("these results have no folder of their own; name one to write to.")
    return results.path / inside if folder is None else Path(folder)
