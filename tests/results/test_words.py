"""A leaderboard as text, Markdown, CSV and JSON: its tables, its legend, its sentences."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lersbench.metrics import METRICS
from lersbench.results import words as result_words
from lersbench.results.ranking import board, table
from lersbench.results.tables import load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid", "ucb1")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_results.make(tmp_path / "active" / "a", policies=FEW, points=5)


def test_one_section_per_variant(tmp_path: Path) -> None:
    results = load(fake_results.make(tmp_path, policies=FEW, points=2, variants=("men", "women")))
    assert list(table(results)["variant"]) == ["men"] * 4 + ["women"] * 4
    text = result_words.to_terminal(board(results))
    assert text.index("men: completejourney") < text.index("women: completejourney")


def test_mixed_feedback_is_said_in_every_format(tmp_path: Path) -> None:
    policies = {**FEW, "lers": ("lers", {}, "full", 0.9)}
    mixed = board(load(fake_results.make(tmp_path / "m", policies=policies, points=2)))
    plain = board(load(fake_results.make(tmp_path / "p", policies=FEW, points=2)))
    for render in (partial(result_words.to_terminal, explain=True), result_words.to_markdown, result_words.to_json):
        assert "Regimes are ranked apart" in " ".join(render(mixed).split())
        assert "Regimes are ranked apart" not in " ".join(render(plain).split())


def test_one_seed_shows_a_dash_instead_of_an_interval(tmp_path: Path) -> None:
    found = board(load(fake_results.make(tmp_path, policies=FEW, seeds=1, points=2)))
    _, rows = result_words.cells(found, "", "bandit")
    assert [row[4] for row in rows] == ["-"] * 4
    assert {row[0] for row in rows} == {"-"}
    assert "One seed only" in result_words.to_terminal(found, explain=True)


def test_the_legend_explains_metric_interval_and_ranks(run: Path) -> None:
    lines = result_words.legend(board(load(run), metrics=["misses"]))
    assert lines[0] == f"hr@20: HR@20, in %; higher is better. {METRICS['hr@20'].source}"
    assert lines[1].startswith("misses: ")
    assert "t interval of the mean over 10 seeds" in lines[2]
    assert lines[3].startswith("New customers: hr@20 is no mean over rounds, so intervals and ranks are those of this")
    assert "minus random in percentage points, by the means over seeds" in lines[4]
    assert lines[5].startswith("Every policy with enough seeds was shown to differ from random")
    assert "the best and the worst place" in lines[6]
    assert "Disjoint intervals can go with overlapping ranks" in lines[6]


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        (["1", "2-3", "2-3", "4"], "surely better than every other contender."),
        (["1-2", "2-4", "1-4", "2-4"], "It cannot be separated from ucb1; it is surely better than the other 2."),
        (["1-4", "1-4", "1-4", "1-4"], "None of the other 3 can be separated from it."),
        (
            ["1-3", "2-4", "1-4", "2-4"],
            "It cannot be separated from 2 of the others; it is surely better than the remaining one.",
        ),
    ],
)
def test_the_conclusion_follows_from_means_and_rank_ranges(run: Path, ranks: list[str], words: str) -> None:
    found = board(load(run), "misses")
    frame = found.frame.assign(rank=ranks, rank_together=ranks, policy=["hybrid", "popular", "ucb1", "random"])
    frame.loc[frame.index[0], ["mean", "low", "high"]] = [0.787, 0.747, 0.827]
    frame.loc[frame.index[0], ["difference", "difference_low", "difference_high"]] = [-0.182, -0.219, -0.135]
    (told,) = result_words.conclusion(replace(found, frame=frame))
    who = "hybrid comes first" if ranks[0] == "1-4" else "Try hybrid: it leads"
    start = f"{who} with 78.7 % misses, 18.2 percentage points below random [13.5, 21.9]. "
    assert told.startswith(start)
    assert told.endswith(words)


def test_a_conclusion_that_is_more_careful_than_the_table_says_so(run: Path) -> None:
    found = board(load(run), "misses")
    frame = found.frame.assign(rank=["1", "2-4", "2-4", "2-4"], rank_together=["1-2", "2-4", "1-4", "2-4"])
    (told,) = result_words.conclusion(replace(found, frame=frame))
    assert "when all are tested at once, which is stricter than the ranks; it is surely better" in told


@pytest.mark.parametrize(("kind", "words"), [("subsample", "random halves of the log"), ("none", "one fixed log")])
def test_the_interval_is_named_after_the_replicates(tmp_path: Path, kind: str, words: str) -> None:
    results = load(fake_results.make(tmp_path, policies=FEW, points=2, replicates=kind))
    assert words in result_words.interval_in_words(results)


def test_columns_are_aligned_and_leaders_bold_only_when_wanted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = board(load(run))
    plain = result_words.to_terminal(found, bold=False)
    rows = plain.splitlines()[3:8]
    assert len({row.index(" bandit") for row in rows[1:]}) == 1
    assert "\033[" not in plain
    assert result_words.to_terminal(found, bold=True).count("\033[1m") == 1
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert result_words.to_terminal(found) == plain
    monkeypatch.delenv("NO_COLOR")
    assert "\033[1m" in result_words.to_terminal(found)


def test_formats_hold_the_same_numbers(run: Path) -> None:
    found = board(load(run))
    rows = list(csv.DictReader(io.StringIO(result_words.to_csv(found))))
    told = json.loads(result_words.to_json(found))
    assert [float(row["mean"]) for row in rows] == [row["mean"] for row in told["rows"]] == list(found.frame["mean"])
    assert told["rows"][-1]["difference"] is None
    assert rows[-1]["difference"] == ""
    shown = result_words.to_markdown(found).splitlines()
    assert shown[4].startswith("| 1 | **hybrid** | bandit |")
    assert f"{100 * rows_mean(rows[0]):.1f}" in shown[4]


def rows_mean(row: dict[str, str]) -> float:
    return float(row["mean"])


def test_pipes_do_not_break_markdown() -> None:
    assert result_words.markdown_row(["a|b", "c"]) == r"| a\|b | c |"
