"""From scenario to results: resumable, cached by content, identical however it was interrupted."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lersbench import columns
from lersbench.bench import replays, scenario, session, store
from lersbench.bench.curves import Curves
from lersbench.cli import new_policy
from lersbench.errors import ConfigError, DataError, RunError
from lersbench.log import write
from lersbench.sources import PACKAGE, closure, is_ours
from lersbench.system.workers import Pool

POLICY = '''
from dataclasses import dataclass

import numpy as np

from lersbench.policy import Policy


@dataclass(frozen=True)
class Mean(Policy):
    """Shows the item with the best running mean."""

    prior: float = 0.5

    def init(self, spec):
        return np.full(spec.n_items, self.prior), np.ones(spec.n_items)

    def select(self, state, rng, round, slate):
        mean, count = state
        round.scores[:] = mean[round.candidates] + 1e-9 * rng.random(len(round.candidates))
        slate[:] = np.argsort(-round.scores)[: len(slate)]

    def update(self, state, round, slate, rewards, seen):
        mean, count = state
        for item, reward in zip(round.candidates[slate[seen]], rewards[seen]):
            count[item] += 1
            mean[item] += (reward - mean[item]) / count[item]
'''


def scenario_of(policies: list[dict[str, Any]] | None = None, **changes: Any) -> scenario.Scenario:
    data = {"dataset": "synthetic", "rounds": 300, "items": 8, "d": 3, "users": 40, **changes.pop("data", {})}
    told = {"seeds": 3, "checkpoints": 10, **changes.pop("replay", {})}
    return scenario.parse(
        {
            "name": "small",
            "title": "Small",
            "data": data,
            "replay": told,
            "policies": policies or [{"name": "random"}, {"name": "ucb1"}],
            **changes,
        },
        "test",
    )


def bench(chosen: scenario.Scenario, results: Path, threads: int = 1, **more: Any) -> replays.Run:
    """A run. Policies in Python play in as many processes as there are threads; one more takes a second to start."""
    return replays.bench(chosen, results, threads=threads, say=lambda _: None, **more)


def curves(run: replays.Run) -> pd.DataFrame:
    return pd.read_parquet(run.folder / "curves.parquet")


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "mean.py"
    path.write_text(POLICY)
    return path


@pytest.fixture(scope="module")
def kept_pools() -> Iterator[dict[int, Pool]]:
    with ExitStack() as stack:
        yield {at_once: stack.enter_context(Pool(at_once)) for at_once in (1, 2)}


@pytest.fixture
def pools(kept_pools: dict[int, Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that runs share, for policies in one file: such a file is known by its content, and read anew."""
    monkeypatch.setattr(replays, "Pool", lambda at_once, timeout: nullcontext(kept_pools[at_once]))


def test_a_run_is_tidy_and_says_where_it_comes_from(tmp_path: Path) -> None:
    run = bench(scenario_of(), tmp_path)
    table = curves(run)
    assert list(table.columns) == list(columns.CURVES)
    assert set(table.columns) == {
        *("variant", "log", "slate", "feedback", "policy", "name", "params", "metric", "round", "seed", "seeds"),
        *("mean", "sd", "sd_of_halves", "q05", "q25", "q50", "q75", "q95"),
    }
    assert set(table.policy) == {"random", "ucb1"} and table["round"].max() == 300
    assert set(table.seed.dropna()) == {0, 1, 2} and set(table[table.seed.isna()].seeds) == {3}
    assert not table["mean"].isna().any()
    shares = table[table.metric.isin(["ctr", "coverage", "diversity", "hr@20", "misses"])]
    assert shares["mean"].between(0, 1).all() and shares[shares.seed.isna()].q95.between(0, 1).all()
    summary = pd.read_parquet(run.folder / "summary.parquet")
    last = table[(table["round"] == 300) & table.seed.notna()]
    key = ["policy", "seed", "metric"]
    wanted = last.astype({"seed": "int64"}).rename(columns={"mean": "value"})[summary.columns]
    pd.testing.assert_frame_equal(
        summary.sort_values(key, ignore_index=True), wanted.sort_values(key, ignore_index=True)
    )
    about = json.loads((run.folder / "run.json").read_text())
    assert about["logs"][0]["licence"] and about["versions"]["numba"] and about["scenario"]["replicates"] == "shuffle"
    assert about["rounds_per_second"] > 0 and [about["seeds"], len(about["contenders"])] == [[0, 1, 2], 2]


@pytest.mark.usefixtures("pools")
def test_the_second_run_plays_nothing_and_a_new_policy_only_itself(tmp_path: Path, policy_file: Path) -> None:
    first = bench(scenario_of(), tmp_path)
    again = bench(scenario_of(), tmp_path)
    assert (first.played, again.played, again.reused) == (6, 0, 6) and again.folder == first.folder
    more = [{"name": "random"}, {"name": "ucb1"}, {"name": str(policy_file)}]
    added = bench(scenario_of(more), tmp_path)
    assert (added.played, added.reused) == (3, 6)
    old, new = curves(first), curves(added)
    pd.testing.assert_frame_equal(new[new.policy != "mean"].reset_index(drop=True), old)
    more_seeds = bench(scenario_of(more, replay={"seeds": 4}), tmp_path)
    assert (more_seeds.played, more_seeds.reused) == (3, 9)


@pytest.mark.usefixtures("pools")
def test_an_edited_formula_is_played_again(tmp_path: Path, policy_file: Path) -> None:
    policies = [{"name": "random"}, {"name": str(policy_file)}]
    first = bench(scenario_of(policies), tmp_path)
    policy_file.write_text(POLICY.replace("np.argsort(-round.scores)", "np.argsort(round.scores)"))
    edited = bench(scenario_of(policies), tmp_path)
    assert (edited.played, edited.reused) == (3, 3)
    shown = [mean_of(run, "mean", "diversity") for run in (first, edited)]
    assert shown[0] != shown[1]  # it now shows the worst
    policy_file.write_text(POLICY)
    assert bench(scenario_of(policies), tmp_path).played == 0


def test_a_constant_from_a_helper_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number says nothing of the module it came from: the import statement does."""
    monkeypatch.syspath_prepend(tmp_path)
    helper, policy = tmp_path / "constant_of_mean.py", tmp_path / "mean.py"
    helper.write_text("SIGN = 1.0\n")
    policy.write_text("from constant_of_mean import SIGN\n" + POLICY.replace("-round.scores", "-SIGN * round.scores"))
    assert bench(scenario_of([{"name": str(policy)}]), tmp_path).played == 3
    helper.write_text("SIGN = -1.0\n")
    os.utime(helper, ns=(1, 1))
    assert bench(scenario_of([{"name": str(policy)}]), tmp_path).played == 3


def drawn_on(module: str) -> set[str]:
    """The files of the package that a module draws on, by their place in it."""
    return {path.relative_to(PACKAGE).as_posix() for path in closure(module) if is_ours(path)}


def test_every_formula_of_the_package_is_part_of_the_key() -> None:
    own = drawn_on("lersbench.policies.linucb")
    assert {"policies/linucb.py", "learners/per_item.py"} <= own
    assert {f"kernels/{name}.py" for name in ("symmetric", "vectors", "ties", "jit")} <= own
    assert "policies/iba_linucb.py" not in own
    engine = drawn_on("lersbench.bench.session")
    assert {"engine/loop.py", "metrics.py", "kernels/uncounted.py", "log/reader.py"} <= engine
    assert not engine & {"cli/main.py", "figures/curves.py", "report/run.py", "policies/linucb.py"}


def test_an_edited_helper_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    helper, policy = tmp_path / "helper_of_mean.py", tmp_path / "mean.py"
    helper.write_text("SIGN = 1\n")
    policy.write_text(
        "import helper_of_mean\n" + POLICY.replace("-round.scores", "-helper_of_mean.SIGN * round.scores")
    )
    policies = [{"name": str(policy)}]
    assert bench(scenario_of(policies), tmp_path).played == 3
    assert bench(scenario_of(policies), tmp_path).played == 0
    helper.write_text("SIGN = -1\n")
    assert bench(scenario_of(policies), tmp_path).played == 3


def test_an_installed_plugin_is_found_and_its_sources_are_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package with an entry point: by its name, and played again when its helper module is another."""
    site = tmp_path / "site"
    (site / "plug").mkdir(parents=True)
    (site / "plug" / "__init__.py").touch()
    (site / "plug" / "helper.py").write_text("SIGN = 1\n")
    source = POLICY.replace("-round.scores", "-helper.SIGN * round.scores")
    (site / "plug" / "mean.py").write_text("from plug import helper\n" + source)
    (site / "plug-1.dist-info").mkdir()
    (site / "plug-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    (site / "plug-1.dist-info" / "entry_points.txt").write_text("[lersbench.policies]\nplugged = plug.mean\n")
    monkeypatch.syspath_prepend(site)
    chosen = scenario_of([{"name": "random"}, {"name": "plugged"}], replay={"seeds": 1})
    assert [bench(chosen, tmp_path).played for _ in range(2)] == [2, 0]
    (site / "plug" / "helper.py").write_text("SIGN = -1\n")
    assert bench(chosen, tmp_path).played == 1


def mean_of(run: replays.Run, policy: str, metric: str = "ctr_sum") -> float:
    table = pd.read_parquet(run.folder / "summary.parquet")
    return float(table[(table.policy == policy) & (table.metric == metric)].value.mean())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"data": {"seed": 1}},
        {"replay": {"slate": 2}},
        {"replay": {"batch": 5}},
        {"replay": {"feedback": "full"}},
    ],
)
def test_another_protocol_is_another_result(tmp_path: Path, change: dict[str, Any]) -> None:
    bench(scenario_of(), tmp_path)
    assert bench(scenario_of(**change), tmp_path).played == 6


def test_threads_and_chunks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same log in memory, and streamed in small chunks by one thread: the same curves."""
    for kind in ("none", "subsample"):
        told = {"replicates": kind, "batch": 4}
        with monkeypatch.context() as patch:
            patch.setattr(session, "WAVE", 0)  # any number of contenders is many: held in memory
            whole = curves(bench(scenario_of(replay=told), tmp_path / f"whole-{kind}"))
        with monkeypatch.context() as patch:
            patch.setattr(session, "WAVE", 4)  # two passes
            patch.setattr(session, "CHUNK_BYTES", 4096)
            parts = replays.bench(scenario_of(replay=told), tmp_path / f"parts-{kind}", 1, say=lambda _: None)
        pd.testing.assert_frame_equal(curves(parts), whole)


def test_replicates_share_their_order_and_differ_between_seeds(tmp_path: Path) -> None:
    run = bench(scenario_of(replay={"replicates": "none"}), tmp_path)
    table = pd.read_parquet(run.folder / "summary.parquet")
    regret = table[(table.policy == "random") & (table.metric == "ctr_sum")]
    assert regret.value.nunique() == 3  # the policies' own draws still differ
    half = bench(scenario_of(replay={"replicates": "subsample", "seeds": 20}), tmp_path)
    shown = pd.read_parquet(half.folder / "summary.parquet").query("policy == 'random' and metric == 'regret'").value
    assert shown.nunique() > 10


def test_environment_draws_are_common_to_policies_and_independent_of_theirs() -> None:
    chosen = scenario_of()
    tree = [
        session.random_numbers(chosen, purpose, replicate, policy).generate_state(4).tobytes()
        for purpose in ("order", "ties", "policy")
        for replicate in (0, 1)
        for policy in ("", "a", "b")
    ]
    assert len(set(tree)) == len(tree)


def slow() -> str:
    """The policy, two milliseconds a round."""
    return POLICY.replace("mean, count = state\n", "mean, count = state\n        __import__('time').sleep(0.002)\n", 1)


def toml_of(policy: Path) -> str:
    return f"""
title = "Killed"
[data]
dataset = "synthetic"
rounds = 150
items = 8
d = 3
users = 40
[replay]
seeds = 6
checkpoints = 10
[[policies]]
name = "random"
[[policies]]
name = "{policy}"
"""


def started(folder: Path, toml: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lersbench", "bench", toml, "--no-plots", "--threads", "1"]
    return subprocess.Popen(
        command,
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job would ignore Ctrl-C
    )


def whole(finished: Path) -> list[Path]:
    return [p for p in finished.glob("*.parquet") if not p.name.startswith(".")]


def seeds_in(finished: Path) -> int:
    """How many seeds are on disk, of all contenders together."""
    return sum(pq.read_metadata(path).num_rows for path in whole(finished))


def wait_for(finished: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until so many seeds are on disk, while the process is still at work."""
    deadline = time.monotonic() + 120
    while seeds_in(finished) < count and process.poll() is None:
        assert time.monotonic() < deadline, "too few seeds were finished in two minutes"
        time.sleep(0.02)
    assert process.poll() is None, "it was to be stopped in the middle"


@pytest.mark.usefixtures("pools")
def test_killed_in_the_middle_and_resumed_is_the_same_run(tmp_path: Path, policy_file: Path) -> None:
    """kill -9 with contenders in flight: finished ones are whole, the resumed run equals an undisturbed one."""
    policy_file.write_text(slow())
    toml = tmp_path / "killed.toml"
    toml.write_text(toml_of(policy_file))
    process = started(tmp_path, "killed.toml")
    finished = tmp_path / "results" / "killed" / "contenders"
    wait_for(finished, 8, process)
    process.kill()
    process.communicate()
    kept = seeds_in(finished)
    assert 8 <= kept < 12 and len(list(finished.parent.glob("2*"))) <= 1  # that of the compiled ones, shown halfway
    resumed = bench(scenario.read(str(toml)), tmp_path / "results")
    assert (resumed.played, resumed.reused) == (12 - kept, kept)
    undisturbed = bench(scenario.read(str(toml)), tmp_path / "undisturbed")
    pd.testing.assert_frame_equal(curves(resumed), curves(undisturbed))


@pytest.mark.usefixtures("pools")
def test_a_broken_contender_is_named_and_the_others_are_kept(tmp_path: Path, policy_file: Path) -> None:
    policy_file.write_text(POLICY.replace("slate[:] = np", "slate[:] = 99 + np"))
    run = bench(scenario_of([{"name": "random"}, {"name": str(policy_file)}]), tmp_path)
    assert "3 of 6 runs failed" in run.failures and "mean, seeds 0 to 2: " in run.failures
    assert "not in 0..C-1" in run.failures and set(curves(run).policy) == {"random"}
    assert bench(scenario_of([{"name": "random"}]), tmp_path).played == 0
    with pytest.raises(RunError, match="3 of 3"):
        bench(scenario_of([{"name": str(policy_file)}]), tmp_path)


@pytest.mark.usefixtures("pools")
def test_an_error_of_a_policy_names_its_line(tmp_path: Path, policy_file: Path) -> None:
    policy_file.write_text(POLICY.replace("count[item] += 1", "count[item] += 1 / 0"))
    run = bench(scenario_of([{"name": "random"}, {"name": str(policy_file)}]), tmp_path)
    assert "ZeroDivisionError" in run.failures and "mean.py, line 26: count[item] += 1 / 0" in run.failures


@pytest.mark.usefixtures("pools")
@pytest.mark.parametrize("field", ["context", "candidates"])
def test_a_policy_cannot_change_the_log_of_the_others(tmp_path: Path, policy_file: Path, field: str) -> None:
    policies = [{"name": "random"}, {"name": "ucb1"}]
    clean = curves(bench(scenario_of(policies), tmp_path / "clean", threads=2))
    policy_file.write_text(
        POLICY.replace("mean, count = state\n", f"mean, count = state\n        round.{field}[:] = 0\n", 1)
    )
    spoilt = bench(scenario_of([{"name": str(policy_file)}, *policies]), tmp_path / "spoilt", threads=2)
    assert "read-only" in spoilt.failures
    pd.testing.assert_frame_equal(curves(spoilt), clean)


def test_a_kernel_that_writes_to_the_log_is_found_out(tmp_path: Path) -> None:
    path = new_policy.write("scribbler", tmp_path)
    source = path.read_text()
    path.write_text(source.replace("    top_k(round.scores", "    round.context[0] = 0.0\n    top_k(round.scores"))
    assert path.read_text() != source
    clean = curves(bench(scenario_of(), tmp_path / "clean", threads=2))
    spoilt = bench(
        scenario_of([{"name": str(path)}, {"name": "random"}, {"name": "ucb1"}]), tmp_path / "spoilt", threads=2
    )
    assert "wrote to context" in spoilt.failures
    pd.testing.assert_frame_equal(curves(spoilt), clean)


@pytest.mark.usefixtures("pools")
def test_scores_that_are_no_numbers_are_refused_where_they_are_ranked(tmp_path: Path, policy_file: Path) -> None:
    policy_file.write_text(
        POLICY.replace("        slate[:] =", "        round.scores[1:] = np.nan\n        slate[:] =")
    )
    with pytest.raises(RunError, match="not a number"):
        bench(scenario_of([{"name": str(policy_file)}]), tmp_path)


def test_a_damaged_run_is_put_together_again(tmp_path: Path) -> None:
    first = bench(scenario_of(), tmp_path)
    whole = curves(first)
    for name in ("curves.parquet", "summary.parquet", "run.json"):
        (first.folder / name).write_bytes(b"{")
        again = bench(scenario_of(), tmp_path)
        assert again.played == 0
        pd.testing.assert_frame_equal(curves(again), whole)
        first = again


def test_a_run_of_a_version_with_other_columns_is_put_together_again(tmp_path: Path) -> None:
    first = bench(scenario_of(), tmp_path)
    pd.read_parquet(first.folder / "summary.parquet").drop(columns="slate").to_parquet(first.folder / "summary.parquet")
    again = bench(scenario_of(), tmp_path)
    assert again.played == 0
    assert "slate" in pd.read_parquet(again.folder / "summary.parquet")


def test_cases_and_contenders_are_columns(tmp_path: Path) -> None:
    """Two logs, two regimes, two slate sizes, a policy with a parameter: each fact in a column of its own."""
    changes = {"data": {"items": [6, 8]}, "replay": {"seeds": 1, "slate": [1, 2], "feedback": ["bandit", "full"]}}
    run = bench(scenario_of([{"name": "random", "label": "any"}, {"name": "ucb1"}], **changes), tmp_path)
    for name, wanted in (("curves.parquet", columns.CURVES), ("summary.parquet", columns.SUMMARY)):
        table = pd.read_parquet(run.folder / name)
        assert tuple(table.columns) == wanted
        cases = set(table[list(columns.CASE)].drop_duplicates().itertuples(index=False, name=None))
        assert cases == {
            (f"items={items} K={slate}", f"items={items}", feedback, slate)
            for items, feedback, slate in itertools.product((6, 8), ("bandit", "full"), (1, 2))
        }
        entries = table[["policy", "name"]].drop_duplicates().to_numpy().tolist()
        assert sorted(entries) == [["any", "random"], ["ucb1", "ucb1"]]
        assert set(table["params"].map(json.loads).map(type)) == {dict}


def test_a_contender_that_was_cut_short_is_played_again(tmp_path: Path) -> None:
    bench(scenario_of(), tmp_path)
    damaged = sorted((tmp_path / "small" / "contenders").glob("*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    lost = int(damaged.stem.rpartition("-")[2]) - int(damaged.stem.split("-")[1]) + 1
    again = bench(scenario_of(), tmp_path)
    assert (again.played, again.reused) == (lost, 6 - lost) and bench(scenario_of(), tmp_path).played == 0


def test_speed_counts_the_rounds_that_were_played(tmp_path: Path) -> None:
    """Those of the seeds that were taken from an earlier run are no part of it."""
    kept = store.Store(tmp_path / "small", Curves.of_table)
    before = 0
    for seeds in (4, 6):
        run = bench(scenario_of(replay={"replicates": "subsample", "seeds": seeds}), tmp_path)
        about = json.loads((run.folder / "run.json").read_text())
        there = [kept.get(path.stem) for path in whole(kept.folder)]
        rounds = sum(int(each.played.sum()) for each in there)
        assert 0.4 * 2 * seeds * 300 < rounds < 0.6 * 2 * seeds * 300
        speed = (rounds - before) / about["seconds"]["replay"]
        assert about["rounds_per_second"] == pytest.approx(speed, rel=1e-3)
        before = rounds


def test_expected_results_are_checked(tmp_path: Path) -> None:
    told = {"policy": "random", "metric": "ctr_sum", "value": 0.1, "tolerance": 0.05}
    good = scenario_of(expected=[told])
    run = bench(good, tmp_path)
    replays.verify(good, run.folder, lambda _: None)
    bad = scenario_of(expected=[{**told, "value": 0.9}])
    with pytest.raises(RunError, match=r"random, ctr_sum: .* expected 0.9"):
        replays.verify(bad, run.folder, lambda _: None)
    absent = scenario_of(expected=[{**told, "policy": "nobody"}])
    with pytest.raises(RunError, match="nobody"):
        replays.verify(absent, run.folder, lambda _: None)


LOGGED = {"feedback": "logged", "L": 1}


def test_replay_refuses_a_log_that_is_not_uniform_unless_told(tmp_path: Path) -> None:
    def log_of(name: str, propensities: str, values: np.ndarray) -> str:
        rng = np.random.default_rng(0)
        part = {
            "slate": rng.integers(0, 4, (200, 1)),
            "clicks": rng.integers(0, 2, (200, 1)),
            "propensities": values,
            "context": rng.standard_normal((200, 2)),
        }
        return str(write(tmp_path / name, [part], name=name, items=4, propensities=propensities).path)

    def chosen(log: str, **told: Any) -> scenario.Scenario:
        return scenario.parse(
            {
                "name": "r",
                "title": "R",
                "data": {"log": log},
                "replay": {"feedback": "replay", "replicates": "subsample", "seeds": 2, "ranking": False, **told},
                "policies": [{"name": "random"}],
            },
            "test",
        )

    uneven = np.full((200, 1), 0.25)
    uneven[17] = 0.3
    logged = log_of("logged", "logged", uneven)
    with pytest.raises(ConfigError, match="allow_biased"):
        bench(chosen(logged), tmp_path)
    run = bench(chosen(logged, allow_biased=True), tmp_path)
    assert "biased" in " ".join(json.loads((run.folder / "run.json").read_text())["notes"])
    with pytest.raises(DataError, match=r"row 17 \(value 0.3\)"):
        log_of("false", "uniform", uneven)
    hidden = tmp_path / "logged" / "log.json"
    hidden.write_text(json.dumps(json.loads(hidden.read_text()) | {"propensities": "uniform", "seal": ""}))
    with pytest.raises(DataError, match=r"row 17 \(value 0.3\)"):
        bench(chosen(logged), tmp_path)
    honest = bench(chosen(log_of("uniform", "uniform", np.full((200, 1), 0.25))), tmp_path)
    assert 0 < mean_of(honest, "random", "matches") < 60


def test_a_log_in_order_of_time_is_not_shuffled(tmp_path: Path) -> None:
    part = {"rewards": np.eye(4)[np.arange(50) % 4]}
    path = str(write(tmp_path / "timed", [part], name="timed", items=4, order="time").path)
    told = {"name": "t", "title": "T", "data": {"log": path}, "policies": [{"name": "random"}]}
    with pytest.raises(ConfigError, match="'subsample'"):
        bench(scenario.parse(told, "test"), tmp_path)
    told["replay"] = {"replicates": "subsample", "seeds": 2}
    assert bench(scenario.parse(told, "test"), tmp_path).played == 2


def test_ctrl_c_ends_with_130_and_keeps_what_is_finished(tmp_path: Path, policy_file: Path) -> None:
    policy_file.write_text(slow())
    (tmp_path / "slow.toml").write_text(toml_of(policy_file))
    process = started(tmp_path, "slow.toml")
    finished = tmp_path / "results" / "slow" / "contenders"
    wait_for(finished, 7, process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and b"the same command goes on" in told and b"Traceback" not in told
    assert 7 <= seeds_in(finished) < 12


@pytest.mark.parametrize(
    "change,complaint",
    [
        ({"replay": {"feedback": "replay"}}, "has no 'slate'"),
        ({"replay": {"slate": 9}}, "only 8 candidates"),
        ({"data": LOGGED}, "needs the reward of every candidate"),
        ({"policies": [{"name": "linucb-k"}]}, "interactions = "),
        ({"data": {"d": 0}, "policies": [{"name": "linucb"}]}, "needs context"),
        ({"replay": {"interactions": [9, 0]}}, "the context has 3 values"),
        ({"data": {"rouns": 3}}, "did you mean 'rounds'"),
        ({"policies": [{"name": "linucb", "alpha": []}]}, "'alpha' is an empty list"),
        ({"data": {"rounds": []}}, "'rounds' is an empty list"),
        ({"replay": {"feedback": []}}, "names a regime twice"),
        ({"replay": {"feedback": ["full", "full"]}}, "names a regime twice"),
        ({"baseline": "ucb2"}, "did you mean 'ucb1'"),
        ({"seed": -1}, "'seed'"),
        ({"name": "../../outside"}, "names a folder"),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        bench(scenario_of(**change), tmp_path)


def test_sweeps_and_variants(tmp_path: Path) -> None:
    chosen = scenario_of(
        [{"name": "random"}, {"name": "epsilon-greedy", "epsilon": [0.1, 0.5]}],
        data={"click_rate": [0.1, 0.4]},
        replay={"feedback": ["bandit", "full"], "seeds": 1},
    )
    table = pd.read_parquet(bench(chosen, tmp_path).folder / "summary.parquet")
    assert set(table.policy) == {"random", "epsilon-greedy epsilon=0.1", "epsilon-greedy epsilon=0.5"}
    assert set(table.variant) == {"click_rate=0.1", "click_rate=0.4"} and set(table.feedback) == {"bandit", "full"}
