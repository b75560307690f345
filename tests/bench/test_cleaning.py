"""What a folder of results can do without: by rule, and nothing that is not known."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lersbench.bench import cleaning
from lersbench.bench.series import FILE, file_of
from lersbench.errors import ConfigError
from lersbench.studies import kinds
from tests.support import fake_evaluation, fake_lab, fake_results

NOW = 1_800_000_000.0
DAY = 24 * 3600
KEYS = [f"{number:020x}" for number in range(9)]


def run(folder: Path, number: int, keys: tuple[str, ...] = (), age: float = 0.0, **content: object) -> Path:
    made = folder / f"2026010{number}T000000Z-0000000{number}"
    (made / "figures").mkdir(parents=True)
    about = {"scenario": {"name": folder.name}, "contenders": {key: ["", "a", "bandit", 2] for key in keys}, **content}
    for name in ("summary.parquet", "report.html", "lift-by-slate.csv", "figures/curve-misses.png"):
        (made / name).write_text("made up")
    (made / "run.json").write_text(json.dumps(about))
    os.utime(made / "run.json", (NOW - age * DAY + number,) * 2)
    return made


def stored(folder: Path, name: str, age: float) -> Path:
    path = folder / "contenders" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("made up")
    os.utime(path, (NOW - age * DAY,) * 2)
    return path


def going(results: Path, keep: int = 3, days: float = 30.0) -> dict[Path, str]:
    return {one.path: one.why for one in cleaning.plan(results, keep, days, NOW).removals}


def test_the_last_runs_of_each_scenario_stay(tmp_path: Path) -> None:
    runs = {name: [run(tmp_path / name, number) for number in range(1, 6)] for name in ("active", "normal")}
    wanted = [one for some in runs.values() for one in some[:2]]
    assert going(tmp_path) == dict.fromkeys(wanted, "older than the last 3")
    assert len(going(tmp_path, keep=1)) == 8 and going(tmp_path, keep=5) == {}


def test_the_last_run_is_the_one_that_was_asked_for_last(tmp_path: Path) -> None:
    """As `lersbench leaderboard` has it: an older run that was taken again is the last one."""
    first, second, third = (run(tmp_path / "active", number) for number in (1, 2, 3))
    (tmp_path / "active" / "last").write_text(f"{first.name}\n{third.name}\n{second.name}\n")
    assert set(going(tmp_path, keep=1)) == {second, third}


def test_a_run_made_halfway_goes_after_a_day_and_takes_no_place_of_a_whole_one(tmp_path: Path) -> None:
    folder = tmp_path / "active"
    whole = run(folder, 1, age=3)
    old, young = (run(folder, 2 + n, age=age, unfinished=["hybrid (3 seeds)"]) for n, age in enumerate((1.1, 0.5)))
    assert going(tmp_path, keep=1) == {old: "made halfway"}
    assert whole.is_dir() and young.is_dir()


def test_stored_contenders_go_when_they_are_old_and_no_run_that_stays_was_made_from_them(tmp_path: Path) -> None:
    folder = tmp_path / "active"
    run(folder, 1, (KEYS[0],))
    run(folder, 2, (KEYS[1],))
    names = [file_of(key, (0, 99)) for key in KEYS[:3]]
    old = [stored(folder, f"{name}.parquet", 31) for name in names]
    stored(folder, f"{KEYS[3]}-0-4.parquet", 29)
    assert all(FILE.fullmatch(name) and cleaning.STORED.fullmatch(f"{name}.parquet") for name in names)
    why = "of no run that stays, older than 30 days"
    assert going(tmp_path) == {old[2]: why}
    assert [path for path in going(tmp_path, keep=1) if path.suffix] == [old[0], old[2]]
    assert len(going(tmp_path, days=20)) == 2


def test_works_of_an_experiment_are_known_too(tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    made = run(folder, 1, jobs={KEYS[0]: ["streamer", "GRU", 0]})
    content = json.loads((made / "run.json").read_text())
    del content["contenders"]
    (made / "run.json").write_text(json.dumps(content))
    stored(folder, f"{KEYS[0]}.parquet", 40)
    gone = stored(folder, f"{KEYS[1]}.parquet", 40)
    assert list(going(tmp_path)) == [gone]


@pytest.mark.parametrize("content", ["{}", "[]", "not JSON", '{"contenders": 3}'])
def test_where_a_run_does_not_say_what_it_was_made_from_no_contender_goes(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "active"
    made = run(folder, 1)
    (made / "run.json").write_text(content)
    stored(folder, f"{KEYS[0]}-0-1.parquet", 90)
    found = cleaning.plan(tmp_path, 1, 30, NOW)
    assert found.removals == [] and "does not say which of these files it was made from" in found.left[0]


def test_what_is_not_known_stays(tmp_path: Path) -> None:
    folder = tmp_path / "active"
    runs = [run(folder, number) for number in range(1, 7)]
    (runs[0] / "notes.txt").write_text("mine")
    (runs[1] / "figures" / "mine.pdf").write_text("mine")
    (runs[2] / "figures" / "deep").mkdir()
    (tmp_path / "elsewhere").mkdir()
    runs[3].rename(tmp_path / "elsewhere" / "target")
    runs[3].symlink_to(tmp_path / "elsewhere" / "target")
    for name in ("20260101T000000Z", "evaluation", ".hidden", "20260101t000000z-00000001"):
        (folder / name).mkdir()
        (folder / name / "run.json").write_text('{"unfinished": ["a"]}')
        os.utime(folder / name / "run.json", (0, 0))
    stored(folder, "mine.parquet", 99)
    stored(folder, f"{KEYS[0]}-0-1.csv", 99)
    (tmp_path / "study.html").write_text("mine")
    found = cleaning.plan(tmp_path, 1, 30, NOW)
    assert [one.path for one in found.removals] == [runs[4]]
    assert [line.partition(": it holds ")[2].partition(",")[0] for line in found.left] == [
        "notes.txt",
        "figures/mine.pdf",
        "figures/deep",
    ]


def test_what_is_removed_is_gone_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "active"
    runs = [run(folder, number) for number in (1, 2, 3)]
    file = stored(folder, f"{KEYS[0]}-0-1.parquet", 90)
    found = cleaning.plan(tmp_path, 1, 30, NOW)
    assert found.size == sum(path.stat().st_size for one in runs[:2] for path in one.rglob("*") if path.is_file()) + 7
    os.rename(runs[0], tmp_path / "taken by another process")
    removed = list(cleaning.remove(found.removals))
    assert [one.path for one in removed] == [runs[1], file]
    assert {path.name for path in folder.iterdir()} == {runs[2].name, "contenders"}
    assert not list((folder / "contenders").iterdir())


def test_all_that_our_own_commands_write_into_a_run_is_known(tmp_path: Path) -> None:
    """Or else no run with a report would ever go."""
    names = [f"2026010{number}T000000Z-0000000{number}" for number in (1, 2)]
    for name in names:
        fake_results.make_lists(tmp_path / "lists" / name, fake_results.FEW_LISTS, seeds=3, points=5)
        fake_results.add_customers(tmp_path / "lists" / name)
        fake_lab.make(tmp_path / "cells" / name)
        fake_evaluation.make(tmp_path / "shop" / name)
    for scenario, figures in (("lists", []), ("cells", None)):
        made = kinds.load(tmp_path / scenario / names[0])
        kinds.of(made).report(made, figures)
    assert len(list((tmp_path / "lists" / names[0]).iterdir())) > 8
    (tmp_path / "lists" / names[0] / "figures").mkdir()
    found = cleaning.plan(tmp_path, 1, 30, NOW)
    assert [one.path for one in found.removals] == [tmp_path / one / names[0] for one in ("cells", "lists", "shop")]
    for mine in ("mine.csv", "figures/mine.png"):
        (tmp_path / "lists" / names[0] / mine).write_text("mine")
        assert f"it holds {mine}" in cleaning.plan(tmp_path, 1, 30, NOW).left[0]
        (tmp_path / "lists" / names[0] / mine).unlink()


@pytest.mark.parametrize(("keep", "days"), [(0, 30.0), (1, -1.0), (1, float("nan"))])
def test_rules_that_are_none(keep: int, days: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of each scenario a run stays"):
        cleaning.plan(tmp_path, keep, days, NOW)
    with pytest.raises(ConfigError, match="is no folder of results"):
        cleaning.plan(tmp_path / "nowhere", 1, 1, NOW)
