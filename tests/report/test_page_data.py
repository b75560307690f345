"""What the page of a run is made of, without a browser: packed curves, columns, answers, pictures, anchors, size."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lersbench.figures.records import Record
from lersbench.report import curves, embedded, explorer, leaderboard, shown
from lersbench.report import run as run_report
from lersbench.report.answer import answers, level_with_leader
from lersbench.report.blocks import Fold, Heading, Items, Picture, Table, Text, to_markdown
from lersbench.report.html import to_html
from lersbench.results.ranking import Board, board
from lersbench.results.tables import Results, load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid")}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    told: dict[str, Any] = {"policies": FEW, "points": 300, "metrics": {"misses", "coverage"}, "leaderboard": "misses"}
    return load(fake_results.make(tmp_path_factory.mktemp("run"), **told))


# Curves ---------------------------------------------------------------------------------------------------------------
def unpacked(packed: list[Any]) -> list[float]:
    """A naive reader of `pack`."""
    least, step, text = packed
    raw = base64.b64decode(text)
    steps = struct.unpack(f"<{len(raw) // 2}H", raw)
    return [math.nan if one == 65535 else least + step * one for one in steps]


@pytest.mark.parametrize("values", [[0.1, math.nan, 0.9, 0.5], [3.0, 3.0], [math.nan, math.nan], [-1e9, 0.0, 1e9]])
def test_packed_numbers_are_off_by_less_than_a_step(values: list[float]) -> None:
    back = unpacked(curves.pack(values))
    width = np.ptp([x for x in values if math.isfinite(x)] or [0.0])
    assert back == pytest.approx(values, abs=max(width / 131068 * 1.001, 1e-12), nan_ok=True)


def test_curves_are_means_with_the_interval_of_the_results(results: Results) -> None:
    """By hand: mean +- t(9) sd / sqrt(10), where no bound cuts it."""
    curve = curves.curves(results, results.metric("misses"))[""]["hybrid"]
    rows = results.curves_of("misses").query("policy == 'hybrid'")
    assert curve.mean == pytest.approx(rows["mean"].to_numpy())
    half = 2.262157 * np.maximum(rows["sd"], 1 / rows["round"]).to_numpy() / math.sqrt(10)
    free = rows["mean"].to_numpy() + half < 1
    assert free.sum() > 100
    assert curve.half[free] == pytest.approx(half[free], rel=1e-6)
    assert curve.seeds == {}  # there are ten


def test_few_seeds_are_kept_one_by_one(tmp_path: Path) -> None:
    run = load(fake_results.make(tmp_path, policies=FEW, seeds=3, points=7, metrics={"misses"}, leaderboard="misses"))
    curve = curves.curves(run, run.metric("misses"))[""]["hybrid"]
    assert sorted(curve.seeds) == [0, 1, 2]
    assert np.mean(list(curve.seeds.values()), axis=0) == pytest.approx(curve.mean)
    final = run.final("", "misses").loc["hybrid"]
    assert [curve.seeds[seed][-1] for seed in range(3)] == pytest.approx(list(final))


def test_thinned_rounds_are_dense_early_and_even_later() -> None:
    rounds = np.arange(1, 100_001)
    places = curves.thinned(rounds, 200)
    assert len(places) <= 200 and (places[0], places[-1]) == (0, 99_999)
    assert (rounds[places] <= 100).sum() > 20  # half of them are even in log(round)
    assert np.diff(rounds[places]).max() <= 1100
    assert list(curves.thinned(np.array([5, 10]), 200)) == [0, 1]


def test_points_fall_before_curves_are_left_out() -> None:
    assert curves.points_of(10) == curves.POINTS
    assert curves.points_of(2000) == 100
    assert curves.points_of(10**6) == curves.LEAST_POINTS
    assert 2 * curves.LEAST_POINTS * curves.curves_within_budget() <= curves.BUDGET


def test_a_run_of_too_many_contenders_keeps_the_best_and_says_so(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "BUDGET", 2 * curves.LEAST_POINTS * 5)  # two curves of two metrics
    data = explorer.part(board(results), []).data
    assert set(data["curves"]["misses"][""]["policies"]) == {"hybrid", "popular", "random"}  # two, and the baseline
    assert "`curves.parquet` has all" in " ".join(data["notes"])


# Leaderboard ----------------------------------------------------------------------------------------------------------
def test_the_rows_of_the_page_are_those_of_the_board(results: Results) -> None:
    ranking = board(results)
    (told,) = leaderboard.ranking_data(ranking)["rankings"]
    assert [row["policy"] for row in told["rows"]] == list(ranking.frame["policy"])
    first, row = ranking.frame.iloc[0], told["rows"][0]
    assert row["value"] == pytest.approx([first["mean"], first["low"], first["high"]], rel=1e-5)
    assert row["rank"] == [int(part) for part in (first["rank"].split("-") * 2)[:2]]
    assert told["rows"][-1]["difference"] == [None, None, None]  # of the baseline


def test_a_column_of_the_board_appears_by_a_row_in_the_table(results: Results) -> None:
    ranking = board(results)
    known = replace(ranking, frame=ranking.frame.drop(columns="p_best"))
    assert "p_best" not in [head["key"] for head in leaderboard.ranking_data(known)["columns"]]
    with_chance = replace(ranking, frame=ranking.frame.assign(p_best=[0.9, 0.1, 0.0], new_low=0.8, new_high=0.95))
    told = leaderboard.ranking_data(with_chance)
    heads = {head["key"]: head for head in told["columns"]}
    assert heads["p_best"]["times"] == 100 and not heads["p_best"]["brief"]
    assert told["rankings"][0]["rows"][0]["p_best"] == 0.9
    assert told["rankings"][0]["rows"][0]["customers"] == [0.8, 0.95]


def test_every_column_has_a_key_of_its_own() -> None:
    keys = [column.key for column in leaderboard.COLUMNS]
    assert len(set(keys)) == len(keys) and {column.kind for column in leaderboard.COLUMNS} <= {
        "places",
        "bar",
        "ends",
        "gain",
        "chance",
        "number",
    }


# Answers --------------------------------------------------------------------------------------------------------------
def told(ranking: Board, **columns: Any) -> tuple[str, str, str]:
    """The answer of a board whose frame has these columns instead."""
    (answer,) = answers(replace(ranking, frame=ranking.frame.assign(**columns)), [""])
    return answer.lead, answer.verdict, answer.tone


@pytest.fixture
def ranking(results: Results) -> Board:
    """hybrid 60, popular 70 and random 90 % misses, by hand."""
    ranking = board(results)
    frame = ranking.frame.assign(
        policy=["hybrid", "popular", "random"],
        mean=[0.6, 0.7, 0.9],
        low=[0.55, 0.65, 0.88],
        high=[0.65, 0.75, 0.92],
        difference=[-0.3, -0.2, np.nan],
        differs=[True, True, None],
        new_low=np.nan,
        new_high=np.nan,
        rank_together=["1", "2", "3"],
    )
    return replace(ranking, frame=frame)


def test_an_answer_names_what_to_try_and_what_cannot_be_told_from_it(ranking: Board) -> None:
    base = f"{100 * ranking.results.finals('', 'misses')['random'].mean():.1f}".removesuffix(".0")
    lead, verdict, tone = told(ranking)
    assert re.fullmatch(r"Try hybrid: 60\.0? ?% misses instead of [\d.]+ \(random\), 95 % on this log \[55.*\]\.", lead)
    assert base.split(".")[0] in lead and (verdict, tone) == ("clear", "good")
    lead, verdict, tone = told(ranking, rank_together=["1-2", "1-2", "3"])
    assert lead.endswith("; popular cannot be told from it.") and (verdict, tone) == ("shared by 2", "open")
    lead, _, _ = told(ranking, rank_together=["1-3", "1-3", "1-3"])
    assert lead.endswith("; popular and random cannot be told from it.")


def test_an_answer_speaks_of_new_customers_where_the_board_does(ranking: Board) -> None:
    lead, _, _ = told(ranking, new_low=[0.5, 0.6, 0.8], new_high=[0.7, 0.8, 1.0])
    assert "95 % for new customers [50" in lead and "on this log" not in lead


def test_what_was_not_shown_to_be_better_than_the_baseline_is_not_to_be_tried(ranking: Board) -> None:
    lead, verdict, tone = told(ranking, differs=[False, False, None])
    assert lead.startswith("Stay with random: nothing was shown to be better.")
    assert (verdict, tone) == ("not better than random", "bad")
    lead, verdict, _ = told(ranking, policy=["random", "popular", "hybrid"])
    assert lead.startswith("Stay with random: ") and "nothing was shown to be better" in lead


def test_without_ranks_an_answer_says_that_seeds_are_missing(ranking: Board) -> None:
    lead, verdict, tone = told(ranking, rank_together="-")
    assert lead.startswith("hybrid comes first: ") and (verdict, tone) == ("too few seeds to say", "open")


def test_what_no_shop_can_run_is_not_to_be_tried(tmp_path: Path) -> None:
    policies = {"random": FEW["random"]} | {name: (name, {}, ("bandit", "full"), 0.9) for name in ("hybrid", "c2ucb")}
    run = load(fake_results.make(tmp_path, policies, points=3, metrics={"misses"}, leaderboard="misses"))
    bandit, full = (answer.lead for answer in answers(board(run), [""]))
    assert bandit.startswith("Bandit feedback: try ")
    assert re.match(r"Full feedback: (c2ucb|hybrid) leads: [\d.]+ % misses instead of [\d.]+ \(random\)", full)


@pytest.mark.parametrize(
    ("ranks", "level"),
    [(["1", "2"], ([], 0)), (["1-3", "1-2", "2-3"], ([], 2)), (["1-2", "1-3", "2-3"], (["b"], 1)), (["-", "1"], None)],
)
def test_who_is_level_with_the_leader(ranks: list[str], level: tuple[list[str], int] | None) -> None:
    assert level_with_leader(pd.DataFrame({"policy": list("abc")[: len(ranks)], "rank_together": ranks})) == level


def test_users_who_click_anew_are_heard_before_logged_clicks(tmp_path: Path) -> None:
    policies = {name: fake_results.LISTS[name] for name in ("ltr", "random")}
    run = load(fake_results.make_lists(tmp_path, policies, seeds=3, points=3))
    heads = [answer.lead for answer in answers(board(run), run_report.first_variants(run, run.variants))]
    assert [head.split(":")[0] for head in heads] == [
        "Simulated users, K = 3",
        "Simulated users, K = 6",
        "Logged-click re-ranking, K = 3",
        "Logged-click re-ranking, K = 6",
    ]


# Pictures -------------------------------------------------------------------------------------------------------------
SVG = (
    '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">'
    '<path d="M 1.2345 6.0001 \nL 2 3"/><text>"0.25" & 1</text></svg>'
)


def picture(folder: Path, name: str, drawing: str) -> Picture:
    (folder / f"{name}.svg").write_text(drawing.replace(" & ", " &amp; "))
    Image.effect_noise((600, 400), 90).convert("RGB").save(folder / f"{name}.png")
    return Picture(folder / f"{name}.png", folder / f"{name}.svg", name)


def test_coordinates_are_rounded_and_text_is_not(tmp_path: Path) -> None:
    (source,) = embedded.sources([picture(tmp_path, "a", SVG)])
    assert source.startswith("data:image/svg+xml,<svg xmlns=%22http")
    assert "M 1.2 6 L 2 3" in source and "%220.25%22 %26amp; 1" in source
    assert not set(source) & set('"&#')


def test_large_drawings_become_small_pictures_that_fit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = SVG.replace("L 2 3", "L 2.25 3.25 " * 12_000)
    pictures = [picture(tmp_path, name, large) for name in "abc"]
    monkeypatch.setattr(embedded, "WIDTH", 500)
    whole = embedded.sources(pictures)
    assert all(source.startswith("data:image/webp;base64,") for source in whole)
    monkeypatch.setattr(embedded, "BUDGET", sum(map(len, whole)) // 2)
    assert sum(map(len, embedded.sources(pictures))) <= embedded.BUDGET


def test_alternative_texts_tell_what_a_figure_shows(results: Results) -> None:
    of = Path("figures")
    records = [
        Record(of / "final-misses.png", of / "final-misses.svg", "Misses, final values", "final", ("",)),
        Record(of / "lers-variants.png", of / "lers-variants.svg", "Four policies", "lers", ("",)),
    ]
    alts = shown.findings(board(results), records)
    finals = {policy: 100 * x.mean() for policy, x in results.finals("", "misses").items()}
    assert alts["lers-variants"] == "Four policies"
    assert re.match(
        r"Misses, final values: at the end hybrid ([\d.]+) %, popular [\d.]+ %; random", alts["final-misses"]
    )
    assert float(re.findall(r"hybrid ([\d.]+)", alts["final-misses"])[0]) == pytest.approx(finals["hybrid"], abs=0.6)


# Pages ----------------------------------------------------------------------------------------------------------------
def test_headings_have_anchors_of_their_own() -> None:
    blocks = [
        Heading(1, "A"),
        *(Heading(2, text) for text in ("What was run", "What was run", "...", "<b>", "Größe 3")),
    ]
    page = to_html(blocks, "t")
    ids = re.findall(r'<h\d id="([^"]*)"', page)
    assert ids == ["a", "what-was-run", "what-was-run-2", "section", "b", "größe-3"]
    assert re.findall(r'<li><a href="#([^"]*)"', page) == ids[1:]


def test_blocks_inside_others_are_in_both_pages(tmp_path: Path) -> None:
    table = Table(["a_b", "n"], [["x", "1"]], caption="A table")
    blocks = [Heading(1, "A"), Fold("More", [Text("inside"), Items(["one"]), table])]
    text, page = to_markdown(blocks, tmp_path), to_html(blocks, "t")
    assert "**More**\n\ninside\n\n* one\n\n| a_b | n |" in text
    assert "<summary>More</summary>" in page and '<caption class="unseen">A table</caption>' in page
    assert '<th scope="col" class="word">a_<wbr>b</th>' in page and '<th scope="row" class="word">x</th>' in page


def test_a_page_without_a_run_has_no_chart_library() -> None:
    assert "uPlot" not in to_html([Heading(1, "A")], "t")


def test_the_page_of_27_contenders_and_10_metrics_stays_below_3_mb(tmp_path: Path) -> None:
    policies = {f"contender {i}": (f"p{i}", {}, "bandit", i / 27) for i in range(26)}
    policies["random"] = FEW["random"]
    metrics = {"misses", "ctr", "coverage", "diversity", "entropy", "regret", "regret_published", "hr20_per_round"}
    metrics |= {"hr20_per_round_published", "hr@20", "ctr_sum"}
    told: dict[str, Any] = {"policies": policies, "seeds": 2, "points": 200, "metrics": metrics}
    run = load(fake_results.make(tmp_path, **told, leaderboard="misses"))
    part = explorer.part(board(run), [])
    assert len(part.data["curves"]) >= 8 and len(part.data["curves"]["misses"][""]["rounds"]) == 200
    page = to_html([Heading(1, "A"), part], "t")
    assert len(page.encode()) + embedded.BUDGET < 3_000_000
    assert json.loads(re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[0]) == json.loads(
        json.dumps(part.data)
    )
