"""An evaluation in parts of its log: the same bits whoever has read them, and the numbers of one pass."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lersbench as lb
from lersbench.clicks import counts
from lersbench.errors import ConfigError, RunError
from lersbench.evaluation import partitions
from lersbench.log import Log, parts, schema, write
from lersbench.log import writer as log_writer
from lersbench.results.evaluation import Evaluation
from lersbench.system import cluster
from lersbench.system.workers import Task
from tests.evaluation import test_evaluate, test_lists
from tests.evaluation.test_evaluate import N, Sure, world

pytest.importorskip("distributed")
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "shrunk": {"estimators": ["ips", "dr", "dros", "switch-dr", "ips-cv", "dm"], "clip": "slope"},
    "cut": {"estimators": ["snips", "ips"], "clip": 3.0, "interval": "bootstrap"},
    "frozen": {"frozen": 0.5},
    "anytime": {"estimators": ["ips"], "interval": "anytime"},  # not split
}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster.opened("local:2") as pool:
        yield pool.client


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of thousands of rows have many row groups, and several parts."""
    monkeypatch.setattr(schema, "BATCH_BYTES", 1 << 12)
    monkeypatch.setattr(log_writer, "GROUP_BYTES", 1 << 14)
    monkeypatch.setattr(parts, "LEAST", 600)
    for world_module in (test_evaluate, test_lists):
        monkeypatch.setattr(world_module, "write", in_chunks)


def in_chunks(folder: Path, columns: Any, **more: Any) -> Log:
    """`write`, ten chunks after each other, as an import does."""
    (columns,) = [columns] if isinstance(columns, dict) else columns
    size = -(-len(columns["clicks"]) // 10)
    cuts = [slice(first, first + size) for first in range(0, len(columns["clicks"]), size)]
    return write(folder, ({name: values[cut] for name, values in columns.items()} for cut in cuts), **more)


def tables(evaluation: Evaluation) -> list[pd.DataFrame]:
    return [evaluation.estimates, evaluation.differences, evaluation.sensitivity, evaluation.weights, evaluation.items]


def evaluated(log: Log, executor: Any = None, **settings: Any) -> Evaluation:
    policies = {"random": "random", "sure": Sure(), "linucb": lb.load_policy("linucb", alpha=0.3)}
    return lb.evaluate(log, policies, executor=executor, **settings)


@pytest.mark.parametrize("case", CASES)
def test_sums_of_parts_have_the_same_bits_wherever_they_were_read(case: str, tmp_path: Path, client: Any) -> None:
    log = world(tmp_path / "log", users=300, user=np.random.default_rng(1).integers(0, 300, N))
    assert len(parts.parts_of(log)) >= 4
    here, there = evaluated(log, **CASES[case]), evaluated(log, client, **CASES[case])
    for one, other in zip(tables(here), tables(there), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert here.about == there.about


def test_parts_come_to_the_numbers_of_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = world(tmp_path / "log", users=300, user=np.random.default_rng(1).integers(0, 300, N))
    split = evaluated(log)
    monkeypatch.setattr(parts, "LEAST", N)
    assert len(parts.parts_of(log)) == 1
    for one, other in zip(tables(split), tables(evaluated(log)), strict=True):
        pd.testing.assert_frame_equal(one, other, rtol=1e-9)


def test_lists_are_split_too(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = test_lists.world(tmp_path / "log", test_lists.PBM, test_lists.ranker())
    assert len(parts.parts_of(log)) >= 4
    here, there = (lb.evaluate(log, {"sure": test_lists.Sure()}, executor=one) for one in (None, client))
    pd.testing.assert_frame_equal(here.estimates, there.estimates, check_exact=True)
    monkeypatch.setattr(parts, "LEAST", 1 << 20)
    once = lb.evaluate(log, {"sure": test_lists.Sure()})
    pd.testing.assert_frame_equal(here.estimates, once.estimates, rtol=1e-9)


def test_parts_of_one_pass_are_read_by_several_workers(tmp_path: Path, client: Any) -> None:
    log = world(tmp_path / "log")
    seen: list[str] = []

    class Watched(cluster.Cluster):
        def outcomes(self, tasks: Any, step: Any = print) -> Any:
            seen.extend(f"{type(task).__name__} {task.args[1].part.number}" for task in tasks.values())
            return super().outcomes(tasks, step)

    pool = Watched(client)
    setup = partitions.setup_of(log, ["random"], *_about())
    partitions.ran(setup, pool)
    assert seen == [f"{Task.__name__} {number}" for number in range(len(parts.parts_of(log)))]


def _about() -> tuple[Any, ...]:
    from lersbench.evaluation.setup import settings_of

    return settings_of({}), "click", 0


def test_a_log_that_no_worker_reaches_is_named(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = world(tmp_path / "log")
    real = partitions.ran

    def gone(*given: Any) -> Any:
        _ = given[0].log.row_groups, given[0].source.cuts, given[0].source.spells, given[0].log.identity
        shutil.move(log.path, tmp_path / "elsewhere")
        return real(*given)

    monkeypatch.setattr(partitions, "ran", gone)
    with pytest.raises(RunError, match="none of the 2 workers of the cluster can be used") as raised:
        evaluated(log, client)
    assert str(raised.value).count("the log cannot be read there: ") == 2


def test_clicks_are_counted_in_parts_too(tmp_path: Path, client: Any) -> None:
    log = test_lists.world(tmp_path / "log", test_lists.PBM, test_lists.ranker())
    whole, split = (counts.count(log, 7, 4900, but=(3, 5), pool=one) for one in (None, cluster.Cluster(client)))
    for name, one, other in zip(whole._fields, whole, split, strict=True):
        assert np.array_equal(one, other), name
    with pytest.raises(ConfigError, match="clickless records were removed, but"):
        counts.count(log, filtered=True, pool=cluster.Cluster(client))
