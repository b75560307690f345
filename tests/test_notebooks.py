"""The notebooks run from top to bottom, in an empty folder, and carry no outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Played: TypeAlias = tuple[dict[str, Any], list[Any]]  # the names, and what the last line of each cell shows
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def cells(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def run(notebook: Path) -> Played:
    """The names that a notebook defines, and the value of the last line of each cell, None where it is none."""
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for number, cell in enumerate(cells(notebook), 1):
        *lines, last = "".join(cell["source"]).split("\n")
        is_value = last[:1].isidentifier() and " = " not in last.partition("(")[0]
        body = "\n".join(lines if is_value else [*lines, last])
        exec(compile(body, f"{notebook.name}, cell {number}", "exec"), names)
        shown.append(eval(last, names) if is_value else None)
    return names, shown


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(notebook: Path) -> None:
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells(notebook))


@pytest.fixture
def played(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """What the notebook of this name defines and shows, in an empty folder."""
    (notebook,) = (path for path in NOTEBOOKS if path.stem == request.param)
    monkeypatch.chdir(tmp_path)
    return run(notebook)


def test_each_notebook_is_run_and_on_the_site() -> None:
    names = ["off-policy", "own-log", "own-policy", "quickstart"]
    assert [path.stem for path in NOTEBOOKS] == names
    assert sorted(path.stem for path in (NOTEBOOKS[0].parents[1] / "docs" / "notebooks").glob("*.ipynb")) == names


@pytest.mark.parametrize("played", ["quickstart"], indirect=True)
def test_the_quickstart_runs(played: Played) -> None:
    names, shown = played
    board, figures = shown[-2:]
    assert list(board["policy"]) == ["Greedy", "random"] and board["seeds"].eq(5).all()
    assert board["mean"][0] > board["mean"][1] and names["results"].meta["logs"][0]["rounds"] == 400
    assert [path.name for path in figures if path.suffix == ".png"] == ["final-ctr-sum.png", "curve-ctr-sum.png"]
    assert "data:image/png;base64," in figures._repr_html_()


@pytest.mark.parametrize("played", ["own-log"], indirect=True)
def test_own_log_runs(played: Played) -> None:
    names, shown = played
    board = names["results"].leaderboard()
    assert board["policy"].iloc[0] == "linucb alpha=0.1" and board["seeds"].eq(10).all()
    popular = board.set_index("policy").loc["popular"]
    assert not popular["differs"]  # as the text says
    assert list(names["ranked"].leaderboard()["policy"].sort_values()) == ["popular", "random"]
    assert all(path.is_file() for path in shown[-1])


@pytest.mark.parametrize("played", ["own-policy"], indirect=True)
def test_own_policy_runs(played: Played) -> None:
    names, shown = played
    board = names["results"].leaderboard().set_index("policy")
    assert sorted(board.index) == ["groups", "groups, no bonus", "linucb", "random"]
    assert board.loc["groups", "mean"] < board.loc["random", "mean"]
    assert shown[-1]["ok"].all() and len(shown[-1]) > 5


@pytest.mark.parametrize("played", ["off-policy"], indirect=True)
def test_off_policy_runs(played: Played) -> None:
    names, _ = played
    random = names["answer"].leading("off-policy").iloc[0]
    assert random["low"] < names["truth"]["random"] < random["high"] and random["verdict"] == "believe"
    assert names["doubtful"].worst == "do not believe"
