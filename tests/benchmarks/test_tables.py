"""The tables of README and docs are compared with what the code gives, row by row."""

from __future__ import annotations

import tomllib
from pathlib import Path

from benchmarks.tables import DECLARED, PLACE, Made, differences, documents, made
from lersbench.results.tables import load
from tests.support import fake_results

NOW = Made(["rank", "policy", "misses %"], [["1", "ucb1", "3.0"], ["2", "lers", "4.0"]], "chip A, torch 2", {"lers"})


def stated(text: str) -> tuple[str, str]:
    (found,) = PLACE.findall(text)
    return found[1], found[2]


def test_a_table_that_is_written_is_equal_to_itself() -> None:
    text = NOW.text("some")
    assert not list(differences("some", *stated(text), NOW))


def test_what_differs_is_named() -> None:
    text = NOW.text("some").replace("3.0", "3.5").replace("| lers |", "| gone |")
    told = list(differences("some", *stated(text), NOW))
    assert "some, ucb1, misses %: 3.5 stands there, the code gives 3.0" in told
    assert "some, lers, rank: nothing stands there, the code gives 2" in told
    assert "some: gone is not among the contenders any more" in told


def test_on_another_processor_networks_and_ranks_are_left_out() -> None:
    text = NOW._replace(on="chip B, torch 2").text("some").replace("4.0", "9.9").replace("| 1 |", "| 7 |")
    assert not list(differences("some", *stated(text), NOW))
    assert list(differences("some", *stated(text.replace("3.0", "3.1")), NOW))


def test_a_table_is_made_of_a_run(tmp_path: Path) -> None:
    results = load(fake_results.make(tmp_path, leaderboard="misses"))
    table = made({"feedback": "bandit", "columns": ["rank", "policy", "misses %"]}, results)
    assert table.head == ["rank", "policy", "misses %"] and len(table.rows) == len(results.entries)


def test_every_table_in_a_document_is_declared() -> None:
    declared = tomllib.loads(DECLARED.read_text(encoding="utf-8"))
    named = {name for path in documents() for name, _, _ in PLACE.findall(path.read_text(encoding="utf-8"))}
    assert named <= set(declared)
