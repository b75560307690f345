"""The LERS study from its files to its page: every part of it played on a tiny simulated platform, with one seed."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lersbench.bench import replays, scenario
from lersbench.bench.replays import Run, bench
from lersbench.datasets import build
from lersbench.figures import draw as draw_figures
from lersbench.lab import run as lab_run
from lersbench.lab import scenario as lab_scenario
from lersbench.log import Log
from lersbench.policy import KernelPolicy
from lersbench.report import run as run_report
from lersbench.results import lab as lab_results
from lersbench.results import tables as result_tables
from lersbench.studies import page as study_page
from lersbench.studies import study as studies
from lersbench.system.progress import silent
from lersbench.system.workers import Pool

SCALE = 0.002  # of the platform: 46 customers and 25 products on the recommended day
COMPARED = ["active", "normal", "repeat"]  # all policies, beside what was published
WORLD = ["lers-world"]  # active in a world whose popularity nothing tells; read, not played
OPTIONS = ["lers-contexts", "lers-options"]  # LERS policies beside simple ones; the second is read, not played
LABS = ["lers-cells", "lers-lengths", "lers-codes"]
ALL = COMPARED + OPTIONS[:1]  # that are played
SHORT = ["repeat", "lers-contexts"]  # of them in the fast tests: every policy, with published values and without
PLAYED = [pytest.param(name, marks=[] if name in SHORT else pytest.mark.sibling) for name in ALL]


@dataclass
class Played:
    """A scenario that was played, and the policies that were done when `halfway` was told: a set each time."""

    chosen: scenario.Scenario
    run: Run
    halfway: list[set[str]]

    @property
    def entries(self) -> list[scenario.Entry]:
        return scenario.entries(self.chosen)

    @property
    def summary(self) -> pd.DataFrame:
        return summary_of(self.run.folder)


def summary_of(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "summary.parquet")


def is_lers(entry: scenario.Entry) -> bool:
    return entry.name.startswith("lers")


def small(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy as it stands in a file; a LERS policy tiny, with few draws and epochs, under the same label."""
    if not policy["name"].startswith("lers"):
        return policy
    draws = {"draws": 3} if policy["name"] in ("lers-recommendation", "lers-both") else {}
    epochs = {"pretrain": 1} if "pretrain" in policy else {}
    sizes = {"streamer_state": 8, "basket_state": 8, "orders": 2, "baskets": 3}
    return {"label": policy["name"], **sizes, **draws, **policy, **epochs}


def play(chosen: scenario.Scenario, results: Path, threads: int = 1, process: Pool | None = None) -> Played:
    """Those in PyTorch play in other processes, in `process` or new ones: with more threads side by side."""
    halfway: list[set[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        if process is not None:
            patch.setattr(replays, "Pool", lambda at_once, timeout: nullcontext(process))
        run = bench(
            chosen,
            results,
            threads=threads,
            say=lambda message: None,
            halfway=lambda folder: halfway.append(set(summary_of(folder)["policy"])),
        )
    return Played(chosen, run, halfway)


def tiny_lab(name: str) -> lab_scenario.Experiment:
    changes: dict[str, Any] = {"data.scale": SCALE, "training.seeds": 1, "training.epochs": 1}
    if name == "lers-codes":
        changes |= {"context.streamer_epochs": 1, "context.basket_epochs": 1}
        changes |= {"pictures.methods": ["pca"], "pictures.customers": 50}
    return lab_scenario.read(name, changes, quick=True, dataset="livestream")


@pytest.fixture(scope="module")
def thesis() -> tuple[studies.Study, list[studies.Part]]:
    one = {"replay.seeds": 1, "replay.neural_seeds": 1}
    whole, parts = studies.read("thesis", {"data.scale": SCALE, "replay.checkpoints": 10, **one}, quick=True)
    assert whole is not None
    return whole, parts


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def process() -> Iterator[Pool]:
    """One process for all in PyTorch: each run would start one of its own, which takes seconds to load torch."""
    with Pool(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def played(thesis: tuple[studies.Study, list[studies.Part]], results: Path, process: Pool) -> Callable[[str], Played]:
    """A scenario of the study, played with one seed, by its name in the study."""
    parts = dict(zip(thesis[0].scenarios, thesis[1], strict=True))

    @functools.cache
    def of(name: str) -> Played:
        part = parts[name]
        assert isinstance(part, scenario.Scenario)
        policies = [small(policy) for policy in part.policies]
        return play(part.model_copy(update={"policies": policies}), results, process=process)

    return of


def test_the_study_has_these_parts_and_its_short_version_seeds_enough_for_ranks() -> None:
    whole, parts = studies.read("thesis", quick=True)
    assert whole is not None and whole.scenarios == COMPARED + WORLD + OPTIONS + LABS
    assert [part.data.dataset for part in parts] == ["livestream"] * len(parts)
    assert {part.replay.seeds for part in parts if isinstance(part, scenario.Scenario)} == {20}


@pytest.mark.parametrize("name", PLAYED)
def test_every_policy_has_results_under_each_of_its_regimes(name: str, played: Callable[[str], Played]) -> None:
    here = played(name)
    table = here.summary[here.summary["metric"] == "misses"]
    assert here.run.failures == "" and here.run.reused == 0 and here.run.played == len(table)
    expected = sorted((entry.label, feedback) for entry in here.entries for feedback in entry.feedback)
    assert sorted(zip(table["policy"], table["feedback"], strict=True)) == expected
    assert table["value"].between(0, 1).all()
    for entry in filter(is_lers, here.entries):
        assert set(entry.feedback) == {"bandit", "full"}


@pytest.mark.parametrize("name", PLAYED)
def test_compiled_policies_are_done_first_and_shown_halfway(name: str, played: Callable[[str], Played]) -> None:
    compiled = {entry.label for entry in played(name).entries if isinstance(entry.policy, KernelPolicy)}
    assert played(name).halfway == [compiled]
    assert len(compiled) == {"lers-contexts": 2}.get(name, 20)


@pytest.mark.parametrize("name", PLAYED)
def test_only_lers_policies_may_stay_silent(name: str, played: Callable[[str], Played]) -> None:
    """Of them alone there is a share of rounds with a recommendation; all others recommend in every round."""
    table, silent_ones = played(name).summary, {entry.label for entry in played(name).entries if is_lers(entry)}
    for metric in ("recommend_ratio", "recommend_accuracy"):
        rows = table[table["metric"] == metric]
        assert set(rows["policy"]) == silent_ones
        assert rows["value"].between(0, 1).all()
    assert set(table.loc[table["metric"] == "hr@20", "policy"]) == {entry.label for entry in played(name).entries}


@pytest.mark.parametrize("name", PLAYED)
def test_lers_learns_otherwise_from_the_whole_row(name: str, played: Callable[[str], Played]) -> None:
    curves = pd.read_parquet(played(name).run.folder / "curves.parquet")
    curves = curves[(curves["metric"] == "hr@20") & curves["seed"].isna()]
    for entry in filter(is_lers, played(name).entries):
        of = curves[curves["policy"] == entry.label]
        bandit, full = (of.loc[of["feedback"] == told, "mean"].to_numpy() for told in ("bandit", "full"))
        assert len(bandit) == len(full) == 10
        assert not np.allclose(bandit, full, equal_nan=True), entry.label


@pytest.mark.parametrize("name", PLAYED)
def test_the_report_ranks_regimes_apart_and_sets_the_published_values_beside(
    name: str, played: Callable[[str], Played], tmp_path: Path
) -> None:
    run = result_tables.load(played(name).run.folder)
    few = ("misses", "recommend_ratio")
    figures = draw_figures.draw_all(run, tmp_path / "figures", few) if name == "repeat" else []
    written = run_report.write(run, tmp_path, figures)
    assert [path.name for path in written] == ["report.md", "report.html"]
    text = written[0].read_text()
    assert text.count("full feedback: learns from the whole reward row") == 1  # each regime has a ranking of its own
    assert "bandit feedback: learns only from the items it showed" in text
    assert ("\n## Published and ours\n" in text) == (name in COMPARED)
    assert "There is one seed" in text
    assert all(entry.label in text for entry in played(name).entries)
    if name == "repeat":
        assert figures and all(record.png.stat().st_size > 1000 for record in figures)
        assert "lersbench, after figures of doi 10.6814/NCCU202201098" in text  # whose data


@pytest.mark.parametrize("name", PLAYED)
def test_a_second_run_plays_nothing_and_says_the_same(
    name: str, played: Callable[[str], Played], results: Path
) -> None:
    first = played(name)
    again = play(first.chosen, results)
    assert (again.run.played, again.run.reused) == (0, first.run.played)
    assert again.halfway == []
    pd.testing.assert_frame_equal(again.summary, first.summary)


def test_the_same_seed_gives_the_same_curves_elsewhere_and_in_processes_of_their_own(
    played: Callable[[str], Played], tmp_path: Path
) -> None:
    first = played("repeat")
    chosen = first.chosen.model_copy(
        update={"policies": [policy for policy in first.chosen.policies if policy["name"] in ("ucb1", "lers-both")]}
    )
    chosen = chosen.model_copy(update={"baseline": "ucb1"})
    again = play(chosen, tmp_path, threads=2)
    assert again.run.played == 3
    mine = pd.read_parquet(again.run.folder / "curves.parquet")
    theirs = pd.read_parquet(first.run.folder / "curves.parquet")
    theirs = theirs[theirs["policy"].isin(["ucb1", "lers-both"])]
    by = ["policy", "feedback", "metric", "seed", "round"]
    pd.testing.assert_frame_equal(
        mine.sort_values(by, ignore_index=True), theirs.sort_values(by, ignore_index=True), check_categorical=False
    )


def test_another_past_of_the_users_makes_those_play_again_who_learn_from_it(tmp_path: Path, process: Pool) -> None:
    made = build("livestream", scenario="repeat", scale=SCALE)
    log = tmp_path / "log"
    shutil.copytree(made.path, log)
    told = scenario.load("repeat")[1]
    names = ("random", "ucb1", "lers", "lers-context")
    policies = [small(policy) for policy in told["policies"] if policy["name"] in names]
    changes = {"data": {"log": str(log)}, "policies": policies, "replay.seeds": 1, "replay.checkpoints": 5}
    chosen = scenario.read("repeat", {**changes, "published.policies": told["published"]["policies"][:2]})
    assert play(chosen, tmp_path / "results", process=process).run.played == 2 + 2 * 2
    assert play(chosen, tmp_path / "results", process=process).run.played == 0

    users = log / "users.parquet"
    table = pq.read_table(users)
    static = [[1 - value for value in values] for values in table.column("static").to_pylist()]
    place = table.schema.get_field_index("static")
    changed = table.set_column(place, table.schema.field(place), pa.array(static, table.schema.field(place).type))
    pq.write_table(changed, users)
    info = json.loads((log / "log.json").read_text()) | {"seal": ""}
    info["files"]["users.parquet"] = hashlib.sha256(users.read_bytes()).hexdigest()
    (log / "log.json").write_text(json.dumps(info))
    assert Log(log).info.digest == made.info.digest
    again = play(chosen, tmp_path / "results", process=process)
    assert (again.run.played, again.run.reused) == (2 * 2, 2)
    assert again.halfway == []  # no compiled policy was played anew


@pytest.mark.parametrize("names", [SHORT + LABS[:1], pytest.param(ALL + LABS, marks=pytest.mark.sibling)])
def test_the_page_of_the_study_has_all_its_parts(
    names: list[str],
    thesis: tuple[studies.Study, list[studies.Part]],
    played: Callable[[str], Played],
    results: Path,
    tmp_path: Path,
) -> None:
    runs: list[result_tables.Results | lab_results.LabResults] = []
    for name in names:
        if name not in LABS:
            runs.append(result_tables.load(played(name).run.folder))
            continue
        run = lab_run.bench(tiny_lab(name), results, threads=1, say=lambda message: None, progress=silent)
        assert run.failures == "" and run.played > 0
        runs.append(lab_results.load(run.folder))
    written = study_page.write_study(thesis[0].title, runs, tmp_path, thesis[0].description, figures=[[]] * len(runs))
    assert [path.name for path in written] == ["study.md", "study.html"]
    text = written[0].read_text()
    assert text.startswith(f"# {thesis[0].title}\n")
    titles = [run.title for run in runs]
    places = [text.index(f"\n## {title}\n") for title in titles]
    assert places == sorted(places) and len(set(places)) == len(names)
