"""From an experiment's file to results on disk: run every work that is not there yet, then put the run together.

`results/<name>/contenders/<key>.parquet` is the table of one work with one seed, written once under a temporary name
and renamed; a second run, and one that goes on after an interruption, does only what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench import files
from lersbench.bench import run_folder
from lersbench.bench.jobs import Run, Work
from lersbench.bench.session import Clock
from lersbench.bench.store import Store
from lersbench.datasets import sentence_package, stamp
from lersbench.datasets.purchases import sequences
from lersbench.errors import ConfigError, DataError, LersbenchError, RunError
from lersbench.lab import projections, works
from lersbench.lab import scenario as lab_scenario
from lersbench.lab.curve import Curve
from lersbench.lab.rules import RULES, linear_rules, with_orders
from lersbench.lab.works import WORKS, states_of
from lersbench.sources import digest
from lersbench.system import leftovers
from lersbench.system.cache_folder import cache_root
from lersbench.system.progress import Bar, Progress, silent
from lersbench.system.workers import Pool, Step, Task

PACKAGES = ("lersbench", "numpy", "pandas", "torch", "scikit-learn", "umap-learn")

DIGESTS = 2  # how `data_of` makes the digest of its arrays: with their types and shapes

TRAINED = ("streamer", "basket", "code")  # works whose tables are curves over epochs


@dataclass(frozen=True)
class Job:
    """A work with one seed; `before` are the jobs whose tables it builds on."""

    root: str  # a digest of what every work depends on, see `_root`
    work: str
    label: str
    params: dict[str, Any]
    seed: int
    before: tuple[Job, ...] = ()

    @property
    def depth(self) -> int:
        return 1 + max((job.depth for job in self.before), default=-1)

    @cached_property
    def key(self) -> str:
        """The name of its file: what its result depends on. The label is no part."""
        before = [job.key for job in self.before]
        return files.digest([self.root, self.work, self.params, self.seed, before, *self._package()])

    def _package(self) -> list[str]:
        """The package that draws a picture, if one does, and its version."""
        module = projections.MODULES.get(self.params["method"]) if self.work == "picture" else None
        return [f"{projections.PACKAGES[module]} {_version(projections.PACKAGES[module])}"] if module else []


class Assignment(NamedTuple):
    """What another process needs to do a job: names, and the tables of the jobs before it."""

    work: str
    params: dict[str, Any]
    seed: int
    data: Path  # the folder of the arrays, see `arrays_in`
    before: tuple[Curve, ...]


def bench(
    chosen: lab_scenario.Experiment,
    results: Path,
    threads: int | None = None,
    fresh: bool = False,
    say: Callable[[str], None] = print,
    progress: Progress = silent,
    timeout: float | None = None,
) -> Run:
    """Run all works of an experiment and write `results/<name>/<run-id>/`: curves, points where drawn, run.json.

    Works whose result is in `results` already are not run again, unless `fresh`. Where some fail the run is made of
    the others; one that takes longer than `timeout` seconds has failed. `progress` takes the share that is done.
    Raises ConfigError or DataError before anything is trained, and RunError when all failed.
    """
    clock, at_once = Clock(), threads or os.cpu_count() or 1
    _check_torch(chosen)
    with clock("data"):
        data, about = data_of(chosen.data)
    say(f"{chosen.name}: {about['customers']:,} customers of {about['name']} with {sequences.LEAST} orders or more")
    folder = results / chosen.name
    store = Store(folder, Curve.of_table)
    store.make()
    notes = [why for method in _methods(chosen) if (why := projections.missing(method))]
    for why in notes:
        say(f"Warning: a picture cannot be drawn. {why}")
    jobs = plan(chosen, _root(about["digest"]))
    work = Work(list({job.key: job for job in jobs}.values()), store, fresh)  # two settings may be the same
    say(f"{chosen.name}: {len(work.jobs)} training runs and pictures, {work.reused} of them already there")
    with (
        clock("work"),
        Bar(progress, total=len(work.missing), unit=" works", leave=False) as bar,
        Pool(at_once, timeout) as pool,
    ):
        _perform_all(work, data, pool, bar)
    done = [job for job in jobs if job.key not in work.problems]
    if not any(job.work in TRAINED for job in done):
        raise RunError(_failures_in_words(work))
    notes += [
        f"UNFINISHED: {job.work} {job.label}, seed {job.seed}, failed" for job in jobs if job.key in work.problems
    ]
    run = _assemble(chosen, folder, done, store, data, about, clock.seconds, notes, bool(work.missing))
    return Run(run, work.played, work.reused, dict(clock.seconds), _failures_in_words(work))


def _root(data: str) -> str:
    """A digest of what every work depends on: data of this digest, sources, and the libraries that compute."""
    from lersbench.neural.adapter import in_words as torch_in_words

    sources = digest(works.__name__)
    return files.digest([data, sources, torch_in_words(), f"numpy {np.__version__}"])


def plan(chosen: lab_scenario.Experiment, root: str) -> list[Job]:
    """All jobs of an experiment, each after those it needs; `root` is as of `_root`."""
    settings, seeds = lab_scenario.settings(chosen), range(chosen.training.seeds)
    shared = {key: value for key, value in chosen.training.model_dump().items() if key != "seeds" and value is not None}
    if chosen.experiment == "codes":
        return _plan_codes(chosen, root, settings, shared)
    longest = 1 + max(setting.params["length"] for setting in settings)
    jobs = []
    for setting in settings:
        params = {key: value for key, value in setting.params.items() if value is not None}
        task, customers = params.pop("task", "streamer"), params.pop("customers", "own")
        least = longest if customers == "same" else params["length"] + 1
        jobs += [Job(root, task, setting.label, {**shared, **params, "least": least}, seed) for seed in seeds]
    return jobs


def _plan_codes(
    chosen: lab_scenario.Experiment, root: str, settings: Sequence[lab_scenario.Setting], shared: dict[str, Any]
) -> list[Job]:
    context = Job(root, "context", "context", chosen.context.model_dump(), 0)
    jobs, pictured = [context], [context]
    for setting in settings:
        setting_params = {key: value for key, value in setting.params.items() if key != "picture"}
        params = {**shared, **setting_params}
        jobs += [Job(root, "code", setting.label, params, seed, (context,)) for seed in range(chosen.training.seeds)]
        if setting.params["picture"]:
            pictured.append(Job(root, "codes", setting.label, params, 0, (context,)))
    methods = [method for method in _methods(chosen) if not projections.missing(method)]
    pictures = [
        Job(root, "picture", job.label, {"method": method, "customers": chosen.pictures.customers}, 0, (job,))
        for job in pictured
        for method in methods
    ]
    return [*jobs, *pictured[1:], *pictures]


def _methods(chosen: lab_scenario.Experiment) -> list[str]:
    return list(dict.fromkeys(chosen.pictures.methods)) if chosen.experiment == "codes" else []


def _check_torch(chosen: lab_scenario.Experiment) -> None:
    try:
        version("torch")
    except PackageNotFoundError as error:
        raise ConfigError(
            f"{chosen.name} trains networks, which needs torch: pip install 'lersbench[neural]'"
        ) from error


# Data -----------------------------------------------------------------------------------------------------------------
def data_of(data: lab_scenario.Data) -> tuple[Path, dict[str, Any]]:
    """The folder with the arrays of the customers' sequences, made now or before, and facts about them."""
    options = sequences.known_options(data.dataset, data.options)
    texts = [Path(options["text_path"]).expanduser()] if options["text_path"] else []
    stamps = [stamp(p) for top in texts for p in sorted(top.rglob("*")) if p.is_file()]
    sources = digest(sequences.__name__)
    key = files.digest([DIGESTS, options, stamps, sources, *sentence_package(options)])
    folder = cache_root() / "sequences" / f"{data.dataset}-{key}"
    if not (folder / "about.json").is_file():
        leftovers.sweep(folder.parent)
        histories = sequences.read(data.dataset, options)
        with files.replacing(folder) as temporary:
            temporary.mkdir(parents=True)
            for name, values in histories.arrays.items():
                np.save(temporary / f"{name}.npy", values)
            about = {**histories.about, "digest": _digest(histories.arrays)}
            (temporary / "about.json").write_text(json.dumps(about, default=str), encoding="utf-8")
    return folder, json.loads((folder / "about.json").read_text(encoding="utf-8"))


def arrays_in(folder: Path) -> dict[str, np.ndarray]:
    """The arrays that `data_of` has stored. Raises a DataError where they are not those of their digest."""
    try:
        arrays = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
        recorded_digest = json.loads((folder / "about.json").read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is damaged ({error}). Fix: delete it and run again") from error
    if _digest(arrays) != recorded_digest:
        raise DataError(f"{folder} is damaged: its arrays are not those of about.json. Fix: delete it and run again")
    return arrays


def _digest(arrays: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        total.update(f"{name} {values.dtype.str} {values.shape}".encode() + values.tobytes())
    return total.hexdigest()


# Work -----------------------------------------------------------------------------------------------------------------
def _perform_all(work: Work[Job, Curve], data: Path, pool: Pool, bar: Bar) -> None:
    """Do the missing jobs side by side in processes, those that others build on first."""
    for depth in sorted({job.depth for job in work.missing}):
        tables: dict[str, Curve] = {}  # each is read once, however many jobs build on it
        tasks = {}
        for job in (job for job in work.missing if job.depth == depth):
            try:
                before = tuple(_table(each, work, tables) for each in job.before)
            except LersbenchError as error:
                work.problems[job.key] = str(error)
                bar.update()
            else:
                tasks[job.key] = Task(perform, (Assignment(job.work, job.params, job.seed, data, before),))
        work.perform(tasks, pool, finished=bar.update)


def _table(job: Job, work: Work[Job, Curve], tables: dict[str, Curve]) -> Curve:
    """The table of a job that another builds on. Raises RunError where it failed, DataError where it is damaged."""
    if job.key in work.problems:
        raise RunError("what it builds on failed")
    if job.key not in tables:
        tables[job.key] = work.store.get(job.key)
    return tables[job.key]


def perform(assignment: Assignment, step: Step) -> Curve:
    """Do one job on one core; its table. Raises RunError where it fails."""
    from lersbench.neural.adapter import cores_for

    start = time.perf_counter()
    try:
        with cores_for(0):
            curve = WORKS[assignment.work](
                arrays_in(assignment.data), list(assignment.before), assignment.seed, **assignment.params
            )
    except LersbenchError:
        raise
    except Exception as error:  # the message says where
        raise RunError(traceback.format_exc(limit=-3)) from error
    seconds = round(time.perf_counter() - start, 3)
    curve.about |= {"work": assignment.work, "params": assignment.params, "seed": assignment.seed, "seconds": seconds}
    return curve


def _failures_in_words(work: Work[Job, Curve]) -> str:
    if not work.problems:
        return ""
    rows = [
        f"  {job.work} {job.label}, seed {job.seed}: {work.problems[job.key]}"
        for job in work.jobs
        if job.key in work.problems
    ]
    head = f"{len(work.problems)} of {len(work.jobs)} training runs and pictures failed."
    return "\n".join([head, *dict.fromkeys(rows)])


# The run --------------------------------------------------------------------------------------------------------------
def _assemble(
    chosen: lab_scenario.Experiment,
    folder: Path,
    jobs: Sequence[Job],
    store: Store[Curve],
    data: Path,
    about: dict[str, Any],
    seconds: dict[str, float],
    notes: list[str],
    new: bool,
) -> Path:
    """Put the tables together as one run; an earlier run where nothing has changed since."""
    experiment = chosen.model_dump(mode="json")

    def write(run: Path) -> dict[str, Any]:
        tables = [(job, store.get(job.key)) for job in jobs]
        _write(tables, run)
        return {
            "experiment": experiment,
            "settings": {setting.label: setting.params for setting in lab_scenario.settings(chosen)},
            "data": about,
            "rules": _rules(chosen, arrays_in(data), tables),
            "seeds": list(range(chosen.training.seeds)),
            "versions": {"python": platform.python_version(), **_versions()},
            "machine": {"platform": platform.platform(), "cores": os.cpu_count(), "device": _device()},
            "jobs": {job.key: [job.work, job.label, job.seed] for job in jobs},
            "seconds": {key: round(value, 3) for key, value in seconds.items()},
            "work_seconds": {job.key: curve.about["seconds"] for job, curve in tables},
            "notes": notes,
        }

    return run_folder.assemble(folder, [*sorted(job.key for job in jobs), experiment, notes], write, new)


def _write(tables: Sequence[tuple[Job, Curve]], run: Path) -> None:
    """Write the curves over epochs as one tidy table, and the points of pictures, if there are any, as another."""
    trained = [_tidy(job, curve) for job, curve in tables if job.work in TRAINED]
    pd.concat(trained).to_parquet(run / "curves.parquet", index=False)
    if points := [_points(job, curve) for job, curve in tables if job.work == "picture"]:
        pd.concat(points).to_parquet(run / "points.parquet", index=False)


def _tidy(job: Job, curve: Curve) -> pd.DataFrame:
    wide = pd.DataFrame(curve.values, columns=list(curve.metrics)).assign(epoch=curve.rounds)
    tidy = wide.melt("epoch", var_name="metric", value_name="value")
    return tidy.assign(label=job.label, work=job.work, seed=job.seed)


def _points(job: Job, curve: Curve) -> pd.DataFrame:
    wide = pd.DataFrame(curve.values, columns=list(curve.metrics)).assign(customer=curve.rounds)
    return wide.astype({"streamer": "int64"}).assign(label=job.label, method=job.params["method"])


def _rules(
    chosen: lab_scenario.Experiment, data: dict[str, np.ndarray], tables: Sequence[tuple[Job, Curve]]
) -> dict[str, Any]:
    """Results of simple rules: by setting, and for codes the linear ones, and the explained shares of variance."""
    if chosen.experiment != "codes":
        rules = _rules_of(data, [job for job, _ in tables], chosen.training.split)
        return {"customers": {job.label: _customers(data, job) for job, _ in tables}, "by_setting": rules}
    states = {job.label: states_of(curve) for job, curve in tables if job.work in ("context", "codes")}
    context = states["context"]
    sizes = sorted({0, *(job.params["size"] for job, _ in tables if job.work == "code")})
    return {
        "width": context.shape[1],
        "linear_error": linear_rules(context, sizes, chosen.training.split, chosen.training.seeds),
        "explained": {label: projections.explained(x).tolist() for label, x in states.items()},
    }


def _rules_of(data: dict[str, np.ndarray], jobs: Sequence[Job], split: float) -> dict[str, dict[str, float]]:
    """Results of the simple rules on the customers that a setting's encoders are tested on; mean over seeds."""
    by_label: dict[str, list[dict[str, float]]] = {}
    for job in jobs:
        values = RULES[job.work](data, job.params["length"], job.params["least"], split, job.seed)
        by_label.setdefault(job.label, []).append(values)
    return {
        label: {rule: float(np.mean([values[rule] for values in seeds])) for rule in seeds[0]}
        for label, seeds in by_label.items()
    }


def _customers(data: dict[str, np.ndarray], job: Job) -> int:
    return len(with_orders(data, job.params["least"])["orders"])


def _versions() -> dict[str, str]:
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _device() -> str:
    from lersbench.neural.adapter import device

    return str(device())
