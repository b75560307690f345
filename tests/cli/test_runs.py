"""`lersbench site`, `compare` and `clean`: what they print where, and the exit code of every kind of mistake."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import fake_results

Cli = Callable[..., tuple[int, str, str]]
NAMES = [f"2026010{day}T000000Z-0000000{day}" for day in range(1, 5)]
FEW: dict[str, Any] = {label: fake_results.POLICIES[label] for label in ("random", "hybrid")}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Four runs of a scenario, in the last of which hybrid is better."""
    for number, name in enumerate(NAMES):
        policies = {**FEW, "hybrid": ("hybrid", {}, "bandit", 0.9)} if number == 3 else FEW
        folder = tmp_path / "results" / "active" / name
        fake_results.make(folder, policies, points=3, metrics={"misses"}, leaderboard="misses")
    return tmp_path / "results"


def test_two_runs_are_compared_in_the_terminal_as_json_and_as_a_page(cli: Cli, results: Path) -> None:
    code, out, err = cli("compare", "active")
    assert code == 0 and f"before: {NAMES[2]}" in out and "hybrid (87.00 to 84.23) moved" in out and err == ""
    code, out, _ = cli("compare", NAMES[0], str(results / "active" / NAMES[1]), "--json")
    found = json.loads(out)
    assert code == 0 and {move["verdict"] for move in found["moves"]} == {"the same"} and found["changes"] == []
    code, _, err = cli("compare", NAMES[0], NAMES[3], "--page", "beside")
    assert code == 0 and err.splitlines() == ["page: beside/compare.md", "page: beside/compare.html"]
    assert "| hybrid | moved | 87.00 | 84.23 |" in Path("beside/compare.md").read_text()


def test_a_site_from_the_usual_folders(cli: Cli, results: Path) -> None:
    code, out, err = cli("site")
    assert (code, out) == (0, "") and err.splitlines()[-1] == "site: site/index.html"
    assert len(list(Path("site/active").glob("*-to-*.html"))) == 3
    assert cli("site", "results", "site")[0] == 0


def test_clean_lists_asks_and_removes(cli: Cli, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = cli("clean", "--dry-run")
    assert code == 0 and f"results/active/{NAMES[0]}" in out and NAMES[1] not in out and "nothing was removed" in err
    for answer, left in (("n\n", 4), ("\n", 4), ("y\n", 3)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        code, out, err = cli("clean", "results")
        assert code == 0 and "Remove this 1, 0.0" in err
        assert len(list((results / "active").iterdir())) == left
    assert "nothing to remove" in cli("clean")[2]
    code, _, err = cli("clean", "--keep", "1", "--yes")
    assert code == 0 and "removed: 0.0" in err and len(list((results / "active").iterdir())) == 1


def test_where_nobody_can_be_asked_nothing_goes(cli: Cli, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = cli("clean")
    assert code == 2 and "there is nobody to ask" in err and len(list((results / "active").iterdir())) == 4


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("compare",), "Missing argument 'RUN'"),
        (("compare", "activ"), "did you mean 'active'"),
        (("compare", NAMES[1]), "is one run"),
        (("compare", "other"), "has one run"),
        (("compare", "active", "other"), "name two runs of one scenario"),
        (("compare", "active", "--results", "nowhere"), "nowhere is no folder of results"),
        (("compare", "active", "--results", "s3://bucket/results"), "a path on this machine"),
        (("compare", "active", "x\0y"), "holds no run or scenario"),
        (("site", "nowhere"), "nowhere is no folder of results"),
        (("site", "results", "results/site"), "lie inside each other"),
        (("site", "empty"), "There are no results in empty"),
        (("clean", "nowhere"), "nowhere is no folder of results"),
        (("clean", "results/active/last"), "is no folder of results"),
        (("clean", "--keep", "0"), "x>=1"),
        (("clean", "--days", "-1"), "x>=0"),
        (("clean", "--days", "nan"), "days are nan"),
        (("clean", "--yes", "--dry-run"), "leave one of them out"),
    ],
)
def test_mistakes_end_with_2(argv: tuple[str, ...], says: str, cli: Cli, results: Path) -> None:
    other = {"scenario": {"name": "other", "title": "Other", "leaderboard": "misses", "replicates": "shuffle"}}
    folder = fake_results.make(results / "other" / NAMES[0], FEW, points=3, metrics={"misses"}, leaderboard="misses")
    fake_results.edit_meta(folder, **other)
    (results.parent / "empty").mkdir()
    code, out, err = cli(*argv)
    assert (code, out) == (2, "") and says in err


def test_a_damaged_run_ends_with_3(cli: Cli, results: Path) -> None:
    (results / "active" / NAMES[3] / "summary.parquet").write_bytes(b"cut short")
    code, _, err = cli("compare", "active")
    assert code == 3 and "is not a readable Parquet file" in err
