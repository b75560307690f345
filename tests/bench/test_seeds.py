"""The seeds of a run: played at once or one by one, by more or fewer threads, and what becomes of those that fail."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lersbench import columns, growth
from lersbench.bench import objects, replays, scenario, series, session, tidy
from lersbench.bench.curves import Curves
from lersbench.engine import blocks
from lersbench.policy import Policy, find, make
from lersbench.results.tables import load

TABLES = ("curves.parquet", "summary.parquet", "customers.parquet")


def chosen(seeds: int, policies: tuple[str, ...] = ("random", "ucb1"), **changes: Any) -> scenario.Scenario:
    data = {"dataset": "synthetic", "rounds": 200, "items": 6, "d": 2, "users": 30, **changes.pop("data", {})}
    content = {
        "name": "seeds",
        "title": "Seeds",
        "data": data,
        "replay": {"seeds": seeds, "checkpoints": 6, **changes},
        "policies": [{"name": name} for name in policies],
    }
    return scenario.parse(content, "test")


def bench(what: scenario.Scenario, results: Path, threads: int = 1, **more: Any) -> replays.Run:
    return replays.bench(what, results, threads, say=lambda _: None, **more)


def same_tables(one: Path, other: Path) -> None:
    for name in TABLES:
        pd.testing.assert_frame_equal(pd.read_parquet(one / name), pd.read_parquet(other / name), obj=name)


@pytest.mark.parametrize("kind", ["shuffle", "subsample"])
def test_however_seeds_are_shared_out_they_come_to_the_same(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one job, in a job each, by three threads, and first some and then the others. Halves are played in pairs, so
    that a half more is asked for than three seeds have."""
    part = 3 + (kind == "subsample")
    what = chosen(6, replicates=kind)
    monkeypatch.setattr(series, "SHARES", 1 / 6)
    whole = bench(what, tmp_path / "whole")
    kept = tmp_path / "whole" / "seeds" / "contenders"
    assert len(list(kept.glob("*.parquet"))) == 2, "one job of six seeds for each policy"
    monkeypatch.setattr(series, "SHARES", 12)
    for name, threads in (("alone", 1), ("threads", 3)):
        run = bench(what, tmp_path / name, threads)
        assert len(list((run.folder.parent / "contenders").glob("*.parquet"))) == 12
        same_tables(run.folder, whole.folder)
    first = bench(chosen(3, replicates=kind), tmp_path / "grown")
    more = bench(what, tmp_path / "grown")
    assert (first.played, first.reused) == (2 * part, 0)
    assert (more.played, more.reused) == (12 - 2 * part, 2 * part)
    same_tables(more.folder, whole.folder)
    fewer = bench(chosen(3, replicates=kind), tmp_path / "whole")
    assert (fewer.played, fewer.reused) == (0, 2 * part)
    same_tables(fewer.folder, first.folder)


def test_a_fresh_run_plays_all_and_leaves_one_file_a_seed(tmp_path: Path) -> None:
    first = bench(chosen(4), tmp_path)
    again = bench(chosen(3), tmp_path, fresh=True)
    assert (again.played, again.reused) == (6, 0)
    assert bench(chosen(4), tmp_path).played == 2, "the fourth is of before, and was not played anew"
    same_tables(bench(chosen(4), tmp_path).folder, first.folder)


# Seeds that fail ------------------------------------------------------------------------------------------------------
def fragile(bad: tuple[int, ...]) -> Policy:
    """A policy of this process that fails in some of its seeds, which it counts as they come: one job plays them."""
    started: list[int] = []

    @dataclass(frozen=True)
    class Fragile(Policy):
        def init(self, spec: Any) -> dict[str, int]:
            started.append(1)
            return {"seed": len(started) - 2}  # the first is made to compile

        def select(self, state: Any, rng: np.random.Generator, round: Any, slate: np.ndarray) -> None:
            if state["seed"] in bad:
                raise ValueError("it broke")
            slate[:] = rng.permutation(len(round.candidates))[: len(slate)]

        def update(self, state: Any, round: Any, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
            pass

    return Fragile()


def play_fragile(tmp_path: Path, bad: tuple[int, ...], seeds: int) -> replays.Run:
    entries = objects.entries_of({"fragile": fragile(bad), "random": "random"}, ("bandit",))
    return bench(chosen(seeds, ("random",)), tmp_path, entries=entries)


def test_a_seed_that_fails_in_the_middle_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "SHARES", 1 / 10)  # a job plays all seeds
    run = play_fragile(tmp_path, (2, 4), 6)
    head, line = run.failures.splitlines()
    assert head == "2 of 12 runs failed." and line.startswith("  fragile, seeds 2, 4: ValueError: it broke (")
    assert (run.played, run.reused) == (10, 0)
    summary = pd.read_parquet(run.folder / "summary.parquet")
    assert set(summary[summary.policy == "fragile"].seed) == {0, 1, 3, 5}
    curves = pd.read_parquet(run.folder / "curves.parquet")
    over = curves[(curves.policy == "fragile") & curves.seed.isna()]
    assert set(over.seeds) == {4} and set(curves[curves.policy == "fragile"].seed.dropna()) == {0, 1, 3, 5}
    about = json.loads((run.folder / "run.json").read_text())
    assert about["failed"] == ["fragile (2 seeds)"]


def test_after_three_failures_the_other_seeds_are_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "SHARES", 1 / 16)
    run = play_fragile(tmp_path, (1, 2, 3), 8)
    head, broken, others = run.failures.splitlines()
    assert head == "7 of 16 runs failed." and broken.startswith("  fragile, seeds 1 to 3: ValueError: it broke (")
    assert others.startswith("  fragile, seeds 4 to 7: not played, since others of its seeds failed: ValueError: it")
    assert others.count("not played") == 1 and run.played == 9
    assert set(pd.read_parquet(run.folder / "summary.parquet").query("policy == 'fragile'").seed) == {0}


def test_a_policy_in_a_process_of_its_own_is_not_tried_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(
        "from dataclasses import dataclass\nfrom lersbench.policy import Policy\n\n\n@dataclass(frozen=True)\n"
        "class Broken(Policy):\n    def init(self, spec):\n        raise ValueError('it broke')\n"
    )
    what = chosen(40, ("random", str(path)))
    run = bench(what, tmp_path / "results")
    jobs = [line for line in run.failures.splitlines() if "ValueError: it broke" in line]
    assert run.failures.startswith("40 of 80 runs failed.") and len(jobs) == 2
    assert sum("not played, since others of its seeds failed: ValueError" in line for line in jobs) == 1


def test_a_streamed_job_keeps_its_other_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "SHARES", 1 / 10)
    monkeypatch.setattr(session, "KEEP_BYTES", 0)
    monkeypatch.setattr(session, "CHUNK_BYTES", 2048)
    entries = objects.entries_of({"fragile": fragile((1,)), "random": "random"}, ("bandit",))
    run = bench(chosen(4, ("random",), replicates="none"), tmp_path, entries=entries)
    assert run.failures.startswith("1 of 8 runs failed.\n  fragile, seed 1: ValueError: it broke (")
    assert set(pd.read_parquet(run.folder / "summary.parquet").query("policy == 'fragile'").seed) == {0, 2, 3}


# Tables ---------------------------------------------------------------------------------------------------------------
def by_hand(run: Path) -> pd.DataFrame:
    """Each seed's curves, from the files of the contenders: policy, metric, round, seed, value."""
    rows = []
    for path in (run.parent / "contenders").glob("*.parquet"):
        table = pd.read_parquet(path)
        policy = json.loads(pq.read_schema(path).metadata[b"about"])["policy"]
        own = [name for name in table if name not in ("seed", "seconds", "played", "round") and "." not in name]
        for _, one in table.iterrows():
            for metric in own:
                rows += [
                    (policy, metric, at, one.seed, value) for at, value in zip(one["round"], one[metric], strict=True)
                ]
    return pd.DataFrame(rows, columns=["policy", "metric", "round", "seed", "value"])


@pytest.mark.parametrize(("seeds", "kind"), [(3, "shuffle"), (8, "shuffle"), (8, "subsample"), (1, "none")])
def test_tables_are_those_of_a_recount(tmp_path: Path, seeds: int, kind: str) -> None:
    run = bench(chosen(seeds, replicates=kind), tmp_path).folder
    single, curves = by_hand(run), pd.read_parquet(run / "curves.parquet")
    key = ["policy", "metric", "round"]
    over = curves[curves.seed.isna()].astype(dict.fromkeys(key[:2], str)).set_index(key).sort_index()
    groups = single.groupby(key)["value"]
    wanted = pd.DataFrame({"seeds": groups.size(), "mean": groups.mean(), "sd": groups.std()})
    for name, level in columns.QUANTILES.items():
        wanted[name] = groups.quantile(level)
    halves = single.assign(half=single.seed // 2).groupby([*key, "half"])["value"].mean()
    wanted["sd_of_halves"] = halves.groupby(key).std() if kind == "subsample" else np.nan
    pd.testing.assert_frame_equal(over[list(wanted)], wanted.sort_index(), rtol=1e-9, atol=1e-12)
    each = curves[curves.seed.notna()]
    assert len(each) == (len(single) if seeds < columns.FEW else 0)
    if len(each):
        pairs = each.astype(dict.fromkeys(key[:2], str)).set_index([*key, "seed"]).sort_index()
        expected = single.set_index([*key, "seed"]).sort_index()["value"]
        np.testing.assert_array_equal(pairs["mean"], expected)
        assert set(pairs.seeds) == {1} and pairs[["sd", "q05", "q50", "sd_of_halves"]].isna().all(axis=None)
    summary = pd.read_parquet(run / "summary.parquet")
    last = single[single["round"] == 200].set_index(["policy", "metric", "seed"])["value"].sort_index()
    found = summary.astype(dict.fromkeys(key[:2], str)).set_index(["policy", "metric", "seed"])["value"].sort_index()
    pd.testing.assert_series_equal(found, last)
    results = load(run)
    assert results.curves_of("ctr")["seeds"].eq(seeds).all() and "seed" not in results.curves_of("ctr")
    assert len(results.seeds_of("ctr")) == (2 * seeds * 6 if seeds < columns.FEW else 0)


def test_growth_of_regret_is_told_only_where_true_values_are_known(tmp_path: Path) -> None:
    assert growth.NAME not in set(load(bench(chosen(3), tmp_path).folder).summary["metric"])
    rounds, seeds = np.arange(10, 1001, 10), np.arange(2)
    regret = np.stack([2.0 * rounds**0.5, 3.0 * rounds**0.8])
    for metric, told in (("expected_ctr_sum", [0.5, 0.8]), ("ctr", [])):
        values = np.stack([np.full(regret.shape, 0.1), regret], axis=2)
        sums = np.ones((2, 4, len(blocks.NAMES)))
        made = Curves(seeds, rounds, (metric, "regret"), values, sums, np.ones(2), np.full(2, 1000))
        entry = scenario.Entry("random", "random", make(find("random"), {}), ("bandit",))
        one = series.Series("ab", "", entry, scenario.Case("", "", "bandit", 1), (0, 1))
        tables = tidy.tables(one, made, False)
        summary = tables["summary.parquet"].to_pandas()
        assert summary[summary.metric == growth.NAME].sort_values("seed")["value"].tolist() == pytest.approx(
            told, abs=1e-3
        )
        assert set(summary.metric) == {metric, "regret", *([growth.NAME] if told else [])}
        customers = tables["customers.parquet"].to_pandas()
        assert customers["expected"].notna().all() == bool(told) and customers["paid"].notna().all()
