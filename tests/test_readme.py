"""What README and docs/quickstart.md show works: policies, Python, and commands with their output."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lersbench.cli.main import cli
from lersbench.policy import find
from lersbench.testing import checks, engines

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
QUICKSTART = ROOT / "docs" / "quickstart.md"
POLICIES = {"greedy": README, "two_layers": ROOT / "docs" / "your-policy.md"}
LONGEST = 25  # lines of the section on Python


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def files_of(page: Path) -> dict[str, str]:
    """The files that a page asks to be saved: name and text."""
    return dict(re.findall(r"```(?:python|toml)\n# (\w+\.\w+)\n(.*?)```", text(page), re.DOTALL))


def shown_by(page: Path) -> list[tuple[str, list[str]]]:
    """The commands that a page shows with what they print, in their order."""
    found = re.findall(r"^\$ lersbench ((?:.*\\\n)*.*)\n((?:(?!\$ |```).*\n)+)", text(page), re.MULTILINE)
    return [(command.replace("\\\n", " "), output.strip().splitlines()) for command, output in found]


@pytest.mark.parametrize("name", POLICIES)
def test_the_policies_keep_the_contract(name: str, tmp_path: Path) -> None:
    code = files_of(POLICIES[name])[f"{name}.py"]
    if "torch" in code:
        pytest.importorskip("torch", reason="PyTorch is not installed")
    (tmp_path / f"{name}.py").write_text(code)
    policy = find(str(tmp_path / f"{name}.py"))
    for contract in checks.CHECKS:
        contract(engines.Bench(policy()))


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (section,) = re.findall(r"^## From Python\n(.*?)^## ", text(README), re.DOTALL | re.MULTILINE)
    assert section.count("\n") <= LONGEST
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for _ in range(2):  # as a notebook may
        for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            exec(compile(code, "README.md", "exec"), names)
    assert list(names["best_first"]["policy"].sort_values()) == ["Last", "random"]
    assert all(path.is_file() for path in names["figures"])


def test_both_pages_have_the_same_log() -> None:
    assert files_of(QUICKSTART).items() <= files_of(README).items()
    mine = [(command, lines) for command, lines in shown_by(QUICKSTART) if command != "bench smoke"]
    assert [command for command, _ in mine] == [command for command, _ in shown_by(README)]
    assert len(mine) == 4


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the pages, and the table that one of them makes."""
    folder = tmp_path_factory.mktemp("visits")
    for name, code in files_of(QUICKSTART).items():
        (folder / name).write_text(code)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile((folder / "make_visits.py").read_text(), "make_visits.py", "exec"), {"__name__": "__main__"})
    return folder


@cache
def printed(folder: Path, command: str) -> list[str]:
    """What a command prints in a folder, on stdout and stderr. Changes the folder as the command does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return [line.rstrip() for line in done.output.splitlines()]


@pytest.mark.parametrize("page", [QUICKSTART, README], ids=lambda page: page.stem)
def test_the_commands_print_what_the_page_shows(page: Path, visits: Path) -> None:
    """In one go: each command needs those before it. Talk of progress may stand between the lines."""
    for command, due in shown_by(page):
        lines = printed(visits, command)
        left = iter(lines)
        missing = [line for line in due if line not in left]
        assert not missing, f"{page.name}, lersbench {command}: {missing} not in\n" + "\n".join(lines)


def test_a_run_leaves_the_files_that_the_quickstart_names(visits: Path) -> None:
    for command, _ in shown_by(QUICKSTART):
        printed(visits, command)
    results = visits / "results" / "banners"
    run = results / (results / "last").read_text().strip()
    tables = ("curves.parquet", "summary.parquet", "customers.parquet")
    named = ("report.html", "report.md", "figures", "run.json", *tables)
    assert all((run / name).exists() and name in text(QUICKSTART) for name in named)
    assert any((results / "contenders").iterdir())
    assert {"report.html", "report.md", "figures"} <= {path.name for path in (visits / "evaluations" / "log").iterdir()}
