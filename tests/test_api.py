"""`import lersbench as lb`: light, exactly the names it promises, the command line's numbers, errors with a fix."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import lersbench as lb
from lersbench import sources
from lersbench.bench import executors, objects, replays
from lersbench.bench import scenario as scenarios
from lersbench.errors import ConfigError, DataError, RunError
from lersbench.results import ranking, tables, words

ROOT = Path(lb.__file__).parent
NAMES = {
    *("replay", "evaluate", "run", "Results", "Log", "write_log", "validate", "from_impressions", "from_decisions"),
    *("policy_names", "load_policy", "check_policy", "Policy", "KernelPolicy", "Spec", "Round", "kernel"),
    *("load_results", "draw", "write_report", "evaluate"),
}
GREEDY = """
from dataclasses import dataclass
import numpy as np
import lersbench as lb

@dataclass(frozen=True)
class Greedy(lb.Policy):
    "The best running click rate (2026)."
    prior: float = 0.5

    def init(self, spec):
        return np.full(spec.n_items, self.prior), np.ones(spec.n_items)

    def select(self, state, rng, round, slate):
        round.scores[:] = state[0][round.candidates]
        slate[:] = np.argsort(-round.scores + 1e-9 * rng.random(len(round.scores)))[: len(slate)]

    def update(self, state, round, slate, rewards, seen):
        items = round.candidates[slate[seen]]
        state[1][items] += 1
        state[0][items] += (rewards[seen] - state[0][items]) / state[1][items]
"""


def of_a_notebook(code: str = GREEDY) -> Any:
    """The class that a cell defines: its module is `__main__`, whose file does not hold it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "<cell 1>", "exec"), names)
    return names["Greedy"]


def impressions(requests: int = 60, length: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "request": np.repeat(np.arange(requests), length),
            "position": np.tile(np.arange(length), requests),
            "item": rng.permuted(np.tile(np.arange(6), (requests, 1)), axis=1)[:, :length].ravel(),
            "click": rng.integers(0, 2, requests * length),
            "price": rng.random(requests * length).round(2),
        }
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> lb.Log:
    rng = np.random.default_rng(1)
    context = rng.normal(size=(120, 2))
    rewards = (rng.random((120, 5)) < np.linspace(0.1, 0.6, 5)).astype(float)
    users = rng.integers(0, 9, 120)
    folder = tmp_path_factory.mktemp("api") / "shop"
    return lb.write_log(folder, {"user": users, "context": context, "rewards": rewards}, users=9)


@pytest.fixture(scope="module")
def results(log: lb.Log) -> lb.Results:
    return lb.replay({"random": "random", "mine": of_a_notebook()()}, log, slate=2, seeds=3)


def scenario_file(folder: Path, log: lb.Log, policies: str, seeds: int = 3) -> str:
    path = folder / "replay.toml"
    path.write_text(
        f'title = "replay"\n[data]\nlog = "{log.path}"\n[replay]\nslate = 2\nseeds = {seeds}\n{policies}',
        encoding="utf-8",
    )
    return str(path)


# Import ---------------------------------------------------------------------------------------------------------------
def test_importing_takes_milliseconds_and_loads_no_library() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import lersbench; print(time.perf_counter() - start); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    seconds = []
    for _ in range(3):  # others may have the processor
        took, loaded = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert not {"numba", "pandas", "torch", "numpy", "pyarrow", "matplotlib"} & set(loaded.split())
        seconds.append(float(took))
    assert min(seconds) < 0.2


def test_the_face_has_exactly_its_names_and_none_of_a_room() -> None:
    assert set(lb.__all__) == set(dir(lb)) - {"__version__"} == NAMES
    assert all(getattr(lb, name) is not None for name in NAMES)
    assert not NAMES & {path.stem for path in ROOT.iterdir() if path.name != "__init__.py"}
    typed = ast.parse((ROOT / "__init__.pyi").read_text())
    given = {alias.asname for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert given == NAMES
    with pytest.raises(AttributeError, match="no attribute 'reply'"):
        lb.reply  # noqa: B018


def test_what_a_policy_depends_on_is_not_all_of_the_package_since_it_imports_the_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sources.closure("lersbench") == [ROOT / "__init__.py"]
    (tmp_path / "wrapped_for_api.py").write_text("import lersbench as lb\ninner = lb.load_policy('ucb1')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("wrapped_for_api")
    assert ROOT / "policies" / "ucb1.py" in sources.closure("wrapped_for_api")  # its inner policy is


# Numbers --------------------------------------------------------------------------------------------------------------
def test_the_leaderboard_is_that_of_the_command_line(
    log: lb.Log, results: lb.Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same log, seeds and policies: from a file in a process of its own, and from a notebook in this one."""
    (tmp_path / "greedy_of_api.py").write_text(GREEDY)
    chosen = scenarios.read(
        scenario_file(
            tmp_path, log, f'[[policies]]\nname = "random"\n[[policies]]\nname = "{tmp_path}/greedy_of_api.py"\n'
        )
    )
    run = tables.load(replays.bench(chosen, tmp_path / "results", threads=1, say=lambda line: None).folder)
    wanted = ranking.table(run).replace({"policy": {"greedy-of-api": "mine"}})
    pd.testing.assert_frame_equal(results.leaderboard(), wanted)

    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__("greedy_of_api")
    (entry,) = objects.entries_of({"mine": module.Greedy()}, ("bandit",))
    assert executors.plays_apart(entry)
    sent = lb.replay({"random": "random", "mine": module.Greedy()}, log, slate=2, seeds=3, threads=1)
    pd.testing.assert_frame_equal(sent.leaderboard(), wanted)

    for metric in ("misses", "coverage"):
        other = run.curves_of(metric).replace({"policy": {"greedy-of-api": "mine"}})
        pd.testing.assert_frame_equal(results.curves_of(metric).reset_index(drop=True), other.reset_index(drop=True))
    pd.testing.assert_frame_equal(
        results.curves, run.curves.replace({"policy": {"greedy-of-api": "mine"}}).reset_index(drop=True)
    )


def test_results_hold_frames_and_show_themselves(results: lb.Results, tmp_path: Path) -> None:
    last = results.seeds_of("misses").query("round == 120").set_index(["policy", "seed"])["value"]
    final = results.summary.query("metric == 'misses'").set_index(["policy", "seed"])["value"]
    assert last.to_dict() == final.to_dict() and len(last) == 6
    means = results.curves.query("round == 120 and metric == 'misses'").set_index("policy")["mean"]
    assert means.to_dict() == pytest.approx(final.groupby("policy").mean().to_dict())
    assert results.leaderboard("ctr_sum", metrics="coverage").columns[-1] == "same_in_every_seed"
    assert repr(results) == "<Results of replay: 2 policies, 3 seeds, (in memory); leaderboard(), summary, curves>"
    assert str(results) == words.to_terminal(ranking.board(results), bold=False)
    shown = results._repr_html_()
    assert "<td>mine</td>" in shown and "misses %" in shown
    drawn = lb.draw(results, tmp_path, metrics="ctr_sum", policies=["random", "mine"])
    assert {path.stem for path in drawn} == {"curve-ctr-sum", "final-ctr-sum"}
    assert drawn._repr_html_().count("<img") == 2
    assert all(path.is_file() for path in lb.write_report(results, tmp_path / "report"))
    for needs_a_folder in (lb.draw, lb.write_report):
        with pytest.raises(ConfigError, match="no folder of their own"):
            needs_a_folder(results)


def test_labels_come_from_the_name_and_what_differs_from_the_defaults() -> None:
    given = ["random", lb.load_policy("linucb", alpha=0.7), lb.load_policy("ucb1"), of_a_notebook()(0.25)]
    found = objects.entries_of(given, ("bandit",))
    assert [(entry.label, entry.name, entry.local) for entry in found] == [
        ("random", "random", False),
        ("linucb alpha=0.7", "linucb", False),
        ("ucb1", "ucb1", False),
        ("Greedy prior=0.25", "Greedy", True),
    ]

    @dataclass(frozen=True)
    class Inside(lb.Policy):
        pass

    assert objects.name_of(Inside) == "" and not executors.plays_apart(objects.entries_of(Inside(), ("bandit",))[0])


# A scenario -----------------------------------------------------------------------------------------------------------
def test_a_scenario_is_kept_but_a_class_of_a_notebook_is_played_anew(
    log: lb.Log, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    where, store = scenario_file(tmp_path, log, '[[policies]]\nname = "random"\n', seeds=10), tmp_path / "results"
    first = lb.run(where, add=[of_a_notebook()()], seeds=2, results=store)
    assert "not kept for later runs: Greedy. A class of a notebook" in capfd.readouterr().err
    worse = GREEDY.replace("np.argsort(-round", "np.argsort(round")  # same name, same hyper-parameters, other code
    second = lb.run(where, add=[of_a_notebook(worse)()], seeds=2, results=store)
    told = capfd.readouterr().err
    assert "2 contenders, 4 runs, 2 of them already" in told
    kept = [pq.read_table(path) for path in (store / "replay" / "contenders").glob("*.parquet")]
    assert sorted(seed for table in kept for seed in table["seed"].to_pylist()) == [0, 1]  # those of random
    means = [run.leaderboard().set_index("policy")["mean"] for run in (first, second)]
    assert means[0]["random"] == means[1]["random"] and means[0]["Greedy"] < means[1]["Greedy"]
    assert lb.load_results(store / "replay").path == second.path == lb.load_results(second.path).path
    assert len(lb.draw(second, metrics=["misses"])) and (second.path / "figures").is_dir()
    with pytest.raises(ConfigError, match="has a policy 'random' already"):
        lb.run(where, add=["random"], results=store)


def test_studies_and_experiments_are_no_scenarios(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"'thesis' is a study of several scenarios; run one of them: active, normal, "
    ):
        lb.run("thesis", results=tmp_path)
    with pytest.raises(ConfigError, match="'lers-cells' is an experiment"):
        lb.run("lers-cells", results=tmp_path)
    with pytest.raises(ConfigError, match="There is no scenario 'activ'; did you mean 'active'"):
        lb.run("activ", results=tmp_path)


def test_a_policy_that_fails_is_named_and_the_others_are_ranked(log: lb.Log, capfd: pytest.CaptureFixture[str]) -> None:
    broken = of_a_notebook(GREEDY.replace("state[1][items] += 1", "state[1][items] += 1 / 0"))
    found = lb.replay(["random", broken()], log, seeds=2)
    assert list(found.leaderboard()["policy"]) == ["random"]
    assert "Greedy, seeds 0, 1: ZeroDivisionError" in capfd.readouterr().err
    assert found.meta["failed"] == ["Greedy (2 seeds)"] and "UNFINISHED: without Greedy" in str(found)
    with pytest.raises(RunError, match="ZeroDivisionError"):
        lb.replay(broken(), log, seeds=1)


# What is wrong --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"policies": ["linucbb"]}, "There is no policy 'linucbb'; did you mean 'linucb'"),
        ({"policies": [of_a_notebook()]}, r"Greedy is a class, not a policy; give an object of it: Greedy\(\)"),
        ({"policies": 7}, "7 is no policy"),
        ({"policies": []}, "There is no policy to play"),
        ({"policies": ["random", "random"]}, "Two policies are called 'random'"),
        ({"policies": [of_a_notebook()(np.zeros(2))]}, "'prior' is a ndarray; a hyper-parameter is a number"),
        ({"policies": [of_a_notebook()([1, 2])]}, "'prior' is a list; a hyper-parameter is a number"),
        ({"policies": [of_a_notebook(GREEDY.replace("(frozen=True)", ""))()]}, r"put @dataclass\(frozen=True\)"),
        ({"policies": [of_a_notebook(GREEDY.replace("@dataclass(frozen=True)", ""))()]}, "Greedy is no dataclass"),
        ({"log": pd.DataFrame()}, "log is a DataFrame, not a Log. Fix: lb.from_impressions"),
        ({"slate": 6}, "slate = 6, but only 5 candidates are on offer"),
        ({"feedback": "bandits"}, "there is no feedback 'bandits', only .*did you mean 'bandit'"),
        ({"feedback": "logged"}, "needs what was shown, but log 'shop' has no 'slate'"),
        ({"seeds": 0}, "'replay.seeds'"),
        ({"baseline": "ucb1"}, "The baseline 'ucb1' is none of the policies: random"),
        ({"metric": "mises"}, "there is no metric 'mises'; did you mean 'misses'"),
        ({"replicate": "none"}, "unknown key 'replay.replicate'; did you mean 'replicates'"),
    ],
)
def test_a_wrong_request_is_refused_with_its_fix(log: lb.Log, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        lb.replay(**{"policies": ["random"], "log": log, **change})


def test_results_and_logs_are_asked_for_where_they_are_due(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="results is a DataFrame; give the Results"):
        lb.draw(pd.DataFrame(), tmp_path)
    with pytest.raises(ConfigError, match="There are no results at"):
        lb.load_results(tmp_path / "none")
    with pytest.raises(ConfigError, match="Fix: give items = N"):
        lb.write_log(tmp_path / "log", {"slate": np.zeros((3, 1), int), "clicks": np.zeros((3, 1))})


# Impressions ----------------------------------------------------------------------------------------------------------
def test_a_frame_of_impressions_is_the_log_of_its_file(tmp_path: Path) -> None:
    frame = impressions()
    frame["at"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(frame)), unit="min")
    frame.to_parquet(tmp_path / "shown.parquet")
    asked: dict[str, Any] = {"columns": {"time": "at"}, "features": ["price"]}
    of_file = lb.from_impressions(tmp_path / "shown.parquet", tmp_path / "one", **asked)
    of_frame = lb.from_impressions(frame.set_index(frame.index * 7 + 3), **asked)  # any index will do
    assert of_frame.identity == of_file.identity and of_frame.info.provenance["source"] == "the frame"
    assert lb.validate(of_frame).ok and lb.validate(of_file.path).ok and of_frame.info.name == "impressions"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda frame: frame.drop(columns="click"), "the column click is missing; there are request, position, item"),
        (
            lambda frame: frame.assign(click=2),
            r"the frame, column click: click not in {0, 1} in 180 rows; first: row 0",
        ),
        (lambda frame: frame.assign(item=None), "the frame, column item: no value"),
        (lambda frame: frame.assign(item=[1, "a"] * 90), "the frame: cannot be read .*Fix: one type in each column"),
        (lambda frame: frame[:0], "the frame: the table is empty"),
        (lambda frame: frame[["click", *frame.columns]], "two columns are called click"),
    ],
)
def test_a_wrong_frame_is_refused_by_column_and_row(change: Any, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        lb.from_impressions(change(impressions()))


def test_what_is_no_table_makes_no_log() -> None:
    with pytest.raises(ConfigError, match=r"a table is a pandas frame or a file, .*not a list"):
        lb.from_impressions([[1, 2]])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="impressions have no column 'requests' to map"):
        lb.from_impressions(impressions(), columns={"requests": "request"})
