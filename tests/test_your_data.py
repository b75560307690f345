"""What docs/your-data.md shows is what its commands print: its files are made as it says, its imports carried out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from lersbench.cli import imports

PAGE = (Path(__file__).parent.parent / "docs" / "your-data.md").read_text(encoding="utf-8")


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the page."""
    monkeypatch.chdir(tmp_path)
    python, (names, *_) = (
        re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL),
        re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL),
    )
    exec(compile(python[0], "make_tables.py", "exec"), {"__name__": "__main__"})
    Path("names.toml").write_text(names)
    shown = pd.read_csv("shown.csv", dtype=str)
    shown.assign(clicked=shown["clicked"].where(shown["clicked"] == "1")).to_csv("empty.csv", index=False)
    return tmp_path


def test_the_imports_of_the_page_print_what_it_shows(tables: Path) -> None:
    asked = re.findall(r"^\$ lersbench import ((?:.*\\\n)*.*)\n((?:(?!\$ |```).*\n)*)", PAGE, re.MULTILINE)
    assert len(asked) == 11
    for command, output in asked:
        done: Any = CliRunner().invoke(imports.group, shlex.split(command.replace("\\\n", " ")))
        printed = (done.output if done.exception is None else f"Error: {done.exception}").splitlines()
        due = [line for line in output.strip().splitlines() if line != "..."]
        assert [line.rstrip() for line in printed][: len(due)] == due, command


def test_the_python_of_the_page_runs(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[-1]
    exec(compile(code, "your-data.md", "exec"), {"__name__": "__main__"})
    assert "linucb" in capsys.readouterr().out
