"""Jobs and runs: what is missing, what a task in another process comes to, and how a run takes its place."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lersbench.bench import executors, inputs, run_folder, scenario
from lersbench.bench.click_fits import Fits
from lersbench.bench.curves import Curves, joined
from lersbench.bench.jobs import Work
from lersbench.bench.series import Job, Series
from lersbench.bench.session import Clock, Session
from lersbench.bench.store import Store
from lersbench.datasets import build
from lersbench.errors import RunError
from lersbench.lab.curve import Curve
from lersbench.results import last_run
from lersbench.system.workers import Pool, Step, Task


# Work -----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Named:
    """A job that is no more than its key."""

    key: str


def curve_of(value: float) -> Curve:
    return Curve(np.arange(3), ("x",), np.full((3, 1), value), {"rounds": 3})


def come_to(value: float, step: Step) -> Curve:
    step(1.0)
    if value < 0:
        raise RunError(f"{value} is below 0")
    return curve_of(value)


def test_each_job_keeps_the_curve_of_its_own_task_and_a_failed_one_none(tmp_path: Path) -> None:
    kept = Store(tmp_path, Curve.of_table)
    kept.make()
    kept.put("there", curve_of(7.0))
    jobs = [Named(key) for key in ("a", "there", "bad", "b")]
    work = Work(jobs, kept, fresh=False)
    assert [job.key for job in work.missing] == ["a", "bad", "b"]
    tasks = {"a": Task(come_to, (1.0,)), "bad": Task(come_to, (-1.0,)), "b": Task(come_to, (2.0,))}
    steps: list[float] = []
    ends: list[int] = []
    with Pool(2) as pool:
        work.perform(tasks, pool, steps.append, lambda: ends.append(1))
    assert {key: kept.get(key).values[0, 0] for key in ("a", "b", "there")} == {"a": 1.0, "b": 2.0, "there": 7.0}
    assert work.problems == {"bad": "-1.0 is below 0"} and not kept.has("bad")
    assert [job.key for job in work.done] == ["a", "there", "b"]
    assert (work.played, work.reused, len(steps), len(ends)) == (2, 1, 3, 3)
    assert len(Work(jobs, kept, fresh=True).missing) == 4


def test_what_another_process_plays_is_what_is_played_here_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`perform` is told names and digests alone, so a task that was pickled comes to the curve of this process."""
    monkeypatch.chdir(tmp_path)
    content: dict[str, Any] = {
        "name": "small",
        "title": "Small",
        "data": {"dataset": "synthetic", "rounds": 60, "items": 6, "d": 2, "users": 9},
        "replay": {"seeds": 3, "checkpoints": 5},
        "policies": [{"name": "random"}],
    }
    chosen = scenario.parse(content, "test")
    log = build("synthetic", **{key: value for key, value in content["data"].items() if key != "dataset"})
    (case,), (entry,) = scenario.cases(chosen), scenario.entries(chosen)
    basis = inputs.basis(log, inputs.engine(), inputs.inputs_of(entry.policy))
    series = Series("0123456789abcdef0123", case.label, entry, case, (0, 1, 2), basis)
    job = Job(series, (1, 2))
    bar = executors._Bar(lambda done: None)
    session = Session(chosen, log, case, Fits(log, 0, 1.0).background, 1, bar, Clock())
    here: list[Curves] = []
    assert not session.play([job], lambda _, made: here.append(made))
    ((key, task),) = pickle.loads(pickle.dumps(executors.tasks(session, [job]))).items()
    parts, failed = task.function(*task.args, lambda done: None)
    there = joined(parts)
    assert key == job.key == "0123456789abcdef0123-1-2" and task.parts == 2 and not failed
    assert there.seeds.tolist() == here[0].seeds.tolist() == [1, 2] and there.metrics == here[0].metrics
    assert np.array_equal(there.values, here[0].values, equal_nan=True)
    assert np.array_equal(there.blocks, here[0].blocks) and there.played.tolist() == here[0].played.tolist() == [60, 60]
    assert not list(tmp_path.iterdir())
    ((_, changed),) = executors.tasks(session, [Job(replace(series, basis=("other", *basis[1:])), (1, 2))]).items()
    with pytest.raises(RunError, match="was changed while the run went on"):
        changed.function(*changed.args, lambda done: None)


# Run folders ----------------------------------------------------------------------------------------------------------
def write(run: Path) -> dict[str, Any]:
    pq.write_table(pa.table({"x": [1, 2]}), run / "curves.parquet")
    return {"seeds": [0]}


def test_a_run_is_taken_again_only_where_it_is_whole_and_nothing_is_new(tmp_path: Path) -> None:
    run = run_folder.assemble(tmp_path, ["a"], write, new=True)
    facts = json.loads((run / "run.json").read_text())
    assert facts["seeds"] == [0] and list(facts["tables"]) == ["curves.parquet"]
    before = (run / "run.json").stat().st_mtime_ns
    other = run_folder.assemble(tmp_path, ["b"], write, new=True)
    assert other != run and last_run.last_of([run, other]) == other
    assert run_folder.assemble(tmp_path, ["a"], write, new=False) == run
    assert (run / "run.json").stat().st_mtime_ns == before and last_run.last_of([run, other]) == run
    damages = {"curves.parquet": [b"cut short", None], "run.json": [b"{", b'{"seeds": [0]}', b"[]"]}
    for file, content in [(file, content) for file, contents in damages.items() for content in contents]:
        (run / file).unlink()
        if content is not None:
            (run / file).write_bytes(content)
        made = run_folder.assemble(tmp_path, ["a"], write, new=False)
        assert pq.read_metadata(made / "curves.parquet").num_rows == 2
        assert json.loads((made / "run.json").read_text()) == facts
        run = made


def test_a_column_of_lists_is_one_of_the_columns_of_a_table(tmp_path: Path) -> None:
    def lists(run: Path) -> dict[str, Any]:
        pq.write_table(pa.table({"seed": [0, 1], "rounds": [[1.0, 2.0], [3.0, 4.0]]}), run / "customers.parquet")
        return {}

    there = {"customers.parquet": pa.schema({"seed": pa.int64(), "rounds": pa.list_(pa.float64())})}
    first = run_folder.assemble(tmp_path, ["a"], lists, True, there)
    (first / "mark").touch()
    assert (run_folder.assemble(tmp_path, ["a"], lists, False, there) / "mark").is_file()
    more = {"customers.parquet": there["customers.parquet"].append(pa.field("paid", pa.list_(pa.float64())))}
    assert not (run_folder.assemble(tmp_path, ["a"], lists, False, more) / "mark").exists()


def test_a_run_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    def fails(run: Path) -> dict[str, Any]:
        write(run)
        raise RunError("half way")

    with pytest.raises(RunError, match="half way"):
        run_folder.assemble(tmp_path, ["a"], fails, new=True)
    assert not list(tmp_path.iterdir())
