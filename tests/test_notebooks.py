"""The notebooks run from top to bottom, in an empty folder, and carry no outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def cells(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def run(notebook: Path) -> tuple[dict[str, Any], list[Any]]:
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


def test_the_quickstart_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (notebook,) = (path for path in NOTEBOOKS if path.stem == "quickstart")
    monkeypatch.chdir(tmp_path)
    names, shown = run(notebook)
    board, figures = shown[-2:]
    assert list(board["policy"]) == ["Greedy", "random"] and board["seeds"].eq(5).all()
    assert board["mean"][0] > board["mean"][1] and names["results"].meta["logs"][0]["rounds"] == 400
    assert [path.name for path in figures if path.suffix == ".png"] == ["final-ctr-sum.png", "curve-ctr-sum.png"]
    assert "data:image/png;base64," in figures._repr_html_()
