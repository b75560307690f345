"""Lifts, protocols, sweeps and slopes: their numbers by hand, their figures and pages from made-up results."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import matplotlib
import numpy as np
import pandas as pd
import pytest

from lersbench import growth
from lersbench.clicks import facts as click_facts
from lersbench.clicks import model as click_model
from lersbench.clicks.fit import count_arrays, fit_counts
from lersbench.errors import ConfigError
from lersbench.figures import draw as draw_figures
from lersbench.figures import frame, legends, style
from lersbench.figures import logs as log_figures
from lersbench.figures import sweeps as sweep_figures
from lersbench.log import LogInfo
from lersbench.report import findings
from lersbench.report import run as run_report
from lersbench.results import comparisons
from lersbench.results.ranking import board
from lersbench.results.separation import separate
from lersbench.results.statistics import interval
from lersbench.results.tables import Results, load
from lersbench.results.words import cells, to_markdown
from lersbench.studies import page as study_page
from tests.support import fake_results

ALPHAS = (0.01, 0.1, 0.6)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two protocols and two slate sizes."""
    run = tmp_path_factory.mktemp("both")
    return load(fake_results.make_lists(run, fake_results.FEW_LISTS, seeds=5, points=30))


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Slate sizes 1, 3, 6 and 12 under one protocol, on a log whose truth is not known."""
    options: dict[str, Any] = {
        "protocols": ("logged",),
        "slates": (1, 3, 6, 12),
        "without": ("expected", "regret", "pbm", "ubm", "iips"),
    }
    run = tmp_path_factory.mktemp("sizes")
    return load(fake_results.make_lists(run, fake_results.FEW_LISTS, seeds=4, points=6, name="sizes", **options))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Results:
    names = ("iba-linucb", "linucb-k", "ubm-linucb", "c2ucb")
    options: dict[str, Any] = {
        "protocols": ("logged",),
        "slates": (6,),
        "without": ("expected", "regret", "pbm", "ubm", "iips"),
    }
    run = tmp_path_factory.mktemp("swept")
    return load(fake_results.make_lists(run, fake_results.swept(ALPHAS, names), seeds=3, points=8, **options))


def with_facts(results: Results, last: float = 0.02) -> Results:
    """The same results of logs on which click models were fitted, and whose features an encoder has made."""
    rng = np.random.default_rng(0)
    slate = rng.random((900, 9)).argsort(axis=1)[:, :4]
    counts = count_arrays(slate, rng.random((900, 4)) < 0.4 / np.arange(1, 5), 9)
    info = SimpleNamespace(name="taobao", click_model=click_model.content_of(click_model.pbm(1 / np.arange(1, 5))))
    facts = click_facts.summary(cast(LogInfo, info), counts, [fit_counts(counts, name) for name in ("pbm", "ubm")])
    losses = {"loss_train": [0.04, 0.03, 0.025], "loss_held_out": [0.04, 0.032, last], "reconstruction_pca": 0.03}
    logs = [{**log, "click_models": facts, "provenance": losses} for log in results.meta["logs"]]
    return dataclasses.replace(results, meta={**results.meta, "logs": logs})


def stems(results: Results) -> set[str]:
    return {plan.stem for plan in sweep_figures.plans(results, results, draw_figures.labels_to_draw(results, None))}


# Cases and lifts ------------------------------------------------------------------------------------------------------
def test_a_policy_of_two_protocols_keeps_its_name(both: Results) -> None:
    assert set(both.summary["policy"]) == set(fake_results.FEW_LISTS)
    assert not both.mixed


def test_the_lift_is_a_ratio_paired_by_seed(both: Results) -> None:
    finals = both.final("logged K=3", "ctr_sum")
    ratios = (finals.loc["linucb-k"] / finals.loc["ltr"]).to_numpy() - 1
    row = board(both).frame.query("variant == 'logged K=3' and policy == 'linucb-k'").iloc[0]
    assert [row["lift"], row["lift_low"], row["lift_high"]] == pytest.approx(
        [float(x) for x in interval(ratios, "shuffle")]
    )
    lifts = comparisons.lifts(both, "logged K=3", "ctr_sum").set_index("policy")
    assert lifts.loc["linucb-k", "lift"] == pytest.approx(100 * ratios.mean())
    assert list(lifts.loc["ltr"]) == [0, 0, 0]


def test_the_leaderboard_shows_the_lift_in_percent(both: Results) -> None:
    head, rows = cells(board(both), "logged K=3", "logged")
    column = head.index("lift over ltr %")
    assert re.fullmatch(r"\+1[45]\.\d+ \[\+1[45]\.\d+, \+1[56]\.\d+\]", rows[0][column])
    assert rows[[row[1] for row in rows].index("ltr")][column] == "-"
    text = to_markdown(board(both))
    assert "Lift: value of the policy / value of ltr - 1" in text
    assert "**logged-click re-ranking, K = 3: taobao, 180,000 rounds, 960 items**" in text
    assert "lift" not in board(both, "regret").frame


def test_a_baseline_without_clicks_has_no_lift(both: Results) -> None:
    summary = both.summary.copy()
    summary.loc[(summary["policy"] == "ltr") & (summary["metric"] == "ctr_sum"), "value"] = 0.0
    nothing = Results(both.path, summary, both.meta)
    assert set(comparisons.lifts(nothing, "logged K=3", "ctr_sum")["policy"]) == {"ltr"}


def test_the_interval_of_an_estimate_by_propensity_holds_the_error_of_the_records(both: Results) -> None:
    ips, true = (
        comparisons.lifts(both, "logged K=3", name).set_index("policy") for name in ("ubm_ips", "expected_ctr_sum")
    )
    value, error = (both.final("logged K=3", name).mean(axis=1) for name in ("ubm_ips", "ubm_ips_se"))
    ratio = value["linucb-k"] / value["ltr"]
    alone = 1.96 * ratio * np.hypot(error["linucb-k"] / value["linucb-k"], error["ltr"] / value["ltr"])
    half = (ips["high"] - ips["low"])["linucb-k"] / 2
    assert half > 100 * alone > (true["high"] - true["low"])["linucb-k"] / 2


# Orders ---------------------------------------------------------------------------------------------------------------
def test_kendall_by_hand() -> None:
    assert comparisons.kendall([1, 2, 3, 4], [1, 2, 3, 4]) == pytest.approx(1)
    assert comparisons.kendall([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert comparisons.kendall([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(4 / 6)  # five pairs agree, one does not
    assert comparisons.kendall([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / np.sqrt(2 * 3))  # tau-b: a tie in the first
    assert np.isnan(comparisons.kendall([1, 1, 1], [1, 2, 3]))


def test_orderings_are_those_that_every_seed_supports() -> None:
    rng = np.random.default_rng(1)
    values = np.array([[0.0], [1.0], [1.0]]) + rng.normal(0, 0.01, (3, 10))
    signs = comparisons.orderings(separate(values))
    assert signs[1, 0] == signs[2, 0] == 1
    assert signs[0, 1] == -1
    assert signs[1, 2] == 0
    assert np.array_equal(signs, -signs.T)


def test_protocols_are_held_against_the_truth(both: Results) -> None:
    pairs = comparisons.comparisons(both)
    assert [one.place for one in pairs] == ["K = 3, CTR_sum", "K = 3, CTR_set", "K = 6, CTR_sum", "K = 6, CTR_set"]
    assert [m.short for m in pairs[0].measures] == [short for _, _, short, _ in comparisons.MEASURES]
    assert not any("IPS" in m.short for m in pairs[1].measures)
    rows = comparisons.agreements(pairs[0]).to_dict(orient="records")
    held = ("logged-click re-ranking", "true value with simulated users")
    (row,) = [row for row in rows if (row["measure"], row["held against"]) == held]
    assert row["pairs"] == 10 == row["hold"] + row["open"] + row["reversed"]
    assert row["reversed"] == 1
    assert row["tau"] == pytest.approx(8 / 10)
    first, truth = pairs[0].measures[0], pairs[0].reference
    assert comparisons.reversals(pairs[0], first, truth) == [("linucb-k", "ubm-linucb")]


def test_the_verdict_is_made_of_the_numbers(both: Results) -> None:
    (three, six) = findings.verdicts(both)
    assert three.startswith("K = 3, CTR_sum: logged-click re-ranking puts linucb-k first, with a lift over ltr of +1")
    assert "by the true value with simulated users ubm-linucb leads with" in three
    assert "Kendall's tau is 0.80; of 10 pairs that the first separates 9 hold, 0 are not" in three
    assert six.startswith("K = 6")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ((-0.1, 0.0), "puts ltr, the baseline, first; by the true value with simulated users it leads too. The two"),
        ((0.1, -0.3), "puts ltr, the baseline, first; by the true value with simulated users other leads with a lift "),
        ((-0.1, 0.3), "; by the true value with simulated users ltr, the baseline, leads and other has -"),
        ((0.1, 0.0), "; by the true value with simulated users it leads too, with +"),
    ],
)
def test_the_baseline_is_said_to_have_no_lift_over_itself(
    other: tuple[float, float], words: str, tmp_path: Path
) -> None:
    policies = {"ltr": fake_results.LISTS["ltr"], "other": ("linucb-k", {}, *other, 0.0)}
    results = load(fake_results.make_lists(tmp_path, policies, slates=(3,), seeds=3, points=4))
    (verdict,) = findings.verdicts(results)
    assert words in verdict
    assert "+0.00 %" not in verdict


def test_without_a_second_measure_nothing_is_compared(sizes: Results) -> None:
    assert comparisons.comparisons(sizes) == []
    assert findings.protocols(sizes) == []


# Sweeps ---------------------------------------------------------------------------------------------------------------
def test_lifts_by_slate_end_in_a_tie_of_all(sizes: Results) -> None:
    lifts = comparisons.by_slate(sizes)
    assert set(lifts["slate"]) == {1, 3, 6, 12}
    assert set(lifts["metric"]) == {"ctr_sum", "ctr_set"}
    assert lifts.loc[lifts["slate"] == 12, "lift"].abs().max() < 1e-9
    text = "\n".join(map(str, findings.sections(sizes)))
    assert "Lift over ltr by slate size" in text
    assert comparisons.by_slate(sizes).equals(findings.tables(sizes)["lift-by-slate"])


def test_two_slate_sizes_are_no_sweep(both: Results) -> None:
    assert comparisons.by_slate(both).empty


@pytest.mark.parametrize(
    ("second", "words"), [("taobao", "(taobao, 2 logs, slates"), ("other", "(taobao and others, 2 logs, slates")]
)
def test_the_subtitle_has_a_name_once(second: str, words: str, tmp_path: Path) -> None:
    results = fake_results.in_cases(tmp_path)
    logs = [{**log, "name": second if "uniform" in log["variant"] else log["name"]} for log in results.meta["logs"]]
    assert words in frame.run_in_words(dataclasses.replace(results, meta={**results.meta, "logs": logs}))


def test_of_many_slate_sizes_two_are_drawn(sizes: Results, both: Results) -> None:
    assert [case.slate for case in frame.drawn_cases(sizes)] == [3, 6]
    assert len(frame.drawn_cases(both)) == 4


def test_parameter_sweeps_are_found_with_their_lines(swept: Results) -> None:
    (sweep,) = comparisons.parameter_sweeps(swept, draw_figures.labels_to_draw(swept, None))
    assert sweep.parameter == "alpha"
    assert set(sweep.lines) == {"iba-linucb", "linucb-k", "ubm-linucb", "c2ucb"}
    assert sweep.lines["linucb-k"] == [(a, f"linucb-k alpha={a}") for a in ALPHAS]
    assert sweep.others == ["ltr", "random", "popular"]
    assert sweep.logarithmic
    best = comparisons.representatives(swept, draw_figures.labels_to_draw(swept, None))
    assert set(best) == {"ltr", "random", "popular", *(f"{name} alpha=0.1" for name in sweep.lines)}


def test_other_parameters_make_lines_of_their_own(tmp_path: Path) -> None:
    policies = {
        f"linucb alpha={a} ridge={r}": ("linucb", {"alpha": a, "ridge": r}, "bandit", 0.1)
        for a in (0.1, 0.2, 0.3)
        for r in (1.0, 2.0)
    }
    results = load(fake_results.make(tmp_path, policies=policies, points=2, seeds=2, baseline=None))
    (sweep,) = comparisons.parameter_sweeps(results, draw_figures.labels_to_draw(results, None))
    assert list(sweep.lines) == ["linucb ridge=1.0", "linucb ridge=2.0"]
    assert not sweep.logarithmic


# Regret ---------------------------------------------------------------------------------------------------------------
def test_the_slope_is_the_exponent() -> None:
    rounds = np.arange(50, 10_001, 50)
    regret = np.stack([3.0 * rounds**0.5, 0.1 * rounds**0.9], axis=1)
    assert growth.slope(rounds, regret) == pytest.approx([0.5, 0.9], abs=1e-3)
    early = np.where(rounds < 200, rounds * 5.0, 3.0 * rounds**0.5)  # before the last two thirds of the logarithm
    assert growth.slope(rounds, early[:, None]) == pytest.approx([0.5], abs=1e-3)
    assert np.isnan(growth.slope(rounds, np.zeros((len(rounds), 1)))).all()


def test_slopes_need_true_expected_values(both: Results, sizes: Results) -> None:
    found = comparisons.slopes(both)
    assert len(found) == 4 * len(fake_results.FEW_LISTS)
    assert found.loc[found["policy"] == "ubm-linucb", "slope"].max() < 0.65
    assert comparisons.slopes(sizes).empty


# Figures and pages ----------------------------------------------------------------------------------------------------
def test_figures_are_drawn_where_the_results_have_what_they_need(both: Results, sizes: Results, swept: Results) -> None:
    assert stems(both) == {"protocols", "regret-growth", "clicks-and-similarity"}
    assert stems(sizes) == {"slates", "clicks-and-similarity"}
    assert stems(swept) == {"sweep-alpha", "clicks-and-similarity"}


def test_other_runs_get_none_of_them(tmp_path: Path) -> None:
    assert (
        stems(
            load(fake_results.make(tmp_path, points=2, seeds=2, policies={"random": fake_results.POLICIES["random"]}))
        )
        == set()
    )


def test_every_figure_of_a_study_says_what_it_shows(sizes: Results, tmp_path: Path) -> None:
    options: dict[str, Any] = {"slates": (3,), "without": ("ctr_set", "expected_ctr_set", "regret_set")}
    both = load(fake_results.make_lists(tmp_path / "run", fake_results.FEW_LISTS, seeds=5, points=30, **options))
    figures = [draw_figures.draw_all(results, tmp_path / results.scenario["name"]) for results in (both, sizes)]
    for record in (record for records in figures for record in records):
        text = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", record.svg.read_text()))
        assert record.svg.stem not in {"hit-ratio", "curve-misses", "curve-entropy"}
        assert record.title in text
        assert "Ranked lists of a mobile shop (taobao, 180,000 rounds" in text
        assert "orders of arrival" in text
    pages = study_page.write_study("The study", [both, sizes], tmp_path / "study", "What it asks.", figures)
    text = pages[0].read_text()
    assert text.startswith("# The study\n\nWhat it asks.\n")
    assert text.index("in short") < text.index("logged-click re-ranking puts linucb-k first") < text.index("## Parts")
    assert text.count("### Leaderboard") == 2
    assert "| 1 | linucb-k |" in text
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert len(links) == 2, "one figure a part; their reports are not written"
    assert all((tmp_path / "study" / link).is_file() for link in links)
    assert pages[1].read_text().count("<img ") == len(links)
    assert text.count("Its report is not written yet: lersbench report") == 2


def test_a_log_with_click_models_and_an_encoder_has_a_figure_of_each_and_a_table(both: Results, tmp_path: Path) -> None:
    assert log_figures.plans(both) == []
    fitted = with_facts(both)
    titles = {plan.stem: plan.title for plan in log_figures.plans(fitted)}
    assert list(titles) == ["click-model", "encoder-loss"]
    with matplotlib.rc_context(style.STYLE):
        drawn = {plan.stem: plan.make() for plan in log_figures.plans(fitted)}
        for stem, figure in drawn.items():
            frame.save(figure, tmp_path, stem)
    assert len(drawn["click-model"].axes) == 3, "four cases of one log are one row"
    (loss,) = drawn["encoder-loss"].axes
    lines = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in loss.get_lines()}
    assert lines["training"] == [0.04, 0.03, 0.025]
    assert lines["held out"] == [0.04, 0.032, 0.02]
    assert lines["principal components (clean input, held out)"] == [0.03, 0.03]
    for stem in drawn:
        words = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / f"{stem}.svg").read_text()))
        assert titles[stem] in words
        assert "Data: Simulated shop." in words
    text = run_report.write(fitted, tmp_path, [])[0].read_text()
    facts = fitted.meta["logs"][0]["click_models"]
    assert text.count("## Click models") == 1
    assert text.count("Fitted on the first 900 records") == 1
    first, fourth = (facts["models"]["pbm"]["weights"][k] for k in (0, 3))
    row = next(line for line in text.splitlines() if line.startswith("| 4 | ") and f"{fourth:.3f}" in line)
    assert first == 1
    assert " | 0.250 | " in row, "the true weight"


def test_two_encoders_are_two_panels(both: Results) -> None:
    logs = [*with_facts(both).meta["logs"][:1], *with_facts(both, 0.019).meta["logs"][1:]]
    fitted = dataclasses.replace(both, meta={**both.meta, "logs": logs})
    makers = {plan.stem: plan.make for plan in log_figures.plans(fitted)}
    assert len(makers["encoder-loss"]().axes) == 2
    assert len(makers["click-model"]().axes) == 3


def test_a_study_page_draws_what_was_not_drawn_and_wants_parts_of_different_names(tmp_path: Path) -> None:
    policies = {label: fake_results.POLICIES[label] for label in ("random", "popular")}
    run = fake_results.make(tmp_path / "run", policies, points=3, seeds=2, metrics={"ctr"}, leaderboard="ctr")
    results = load(run)
    study_page.write_study("One part", [results], tmp_path / "page")
    assert (tmp_path / "page" / "figures" / "active" / "curve-ctr.png").is_file()
    for parts in ([results, results], []):
        with pytest.raises(ConfigError, match="each of another scenario"):
            study_page.write_study("Wrong", parts, tmp_path)


def test_a_crowd_is_grouped_by_family_and_swept_policies_are_drawn_once(swept: Results, tmp_path: Path) -> None:
    assert style.crowded(swept)
    families = style.policy_families(swept)
    assert families["iba-linucb alpha=0.1"] == "per-position linear"
    assert families["c2ucb alpha=0.1"] == "shared linear"
    assert families["popular"] == "context-free"
    assert len({str(look) for look in style.looks(swept).values()}) == len(families) + 1
    draw_figures.draw_all(swept, tmp_path, metrics=["ctr_sum"])
    text = (tmp_path / "curve-ctr-sum.svg").read_text()
    assert "linucb-k alpha=0.1" in text
    assert "linucb-k alpha=0.6" not in text
    assert "best value of its parameter" in text


def test_labels_are_moved_apart_about_their_middle() -> None:
    assert legends.move_apart([(0.5, "a"), (0.5, "b")], 0.1) == [(0.45, "a"), (0.55, "b")]
    assert legends.move_apart([(0.1, "a"), (0.9, "b")], 0.1) == [(0.1, "a"), (0.9, "b")]
    places = [at for at, _ in legends.move_apart([(0.2, "a"), (0.21, "b"), (0.22, "c"), (0.25, "d")], 0.1)]
    assert np.diff(places) == pytest.approx([0.1] * 3)


def test_the_report_has_the_tables_and_writes_them_as_csv(sizes: Results, both: Results, tmp_path: Path) -> None:
    run_report.write(sizes, tmp_path, [])
    assert "| linucb-k | +" in (tmp_path / "report.md").read_text()
    assert "of 4 slate sizes two are shown" in (tmp_path / "report.md").read_text().lower()
    assert list(pd.read_csv(tmp_path / "lift-by-slate.csv").columns)[:5] == [
        "data",
        "protocol",
        "metric",
        "slate",
        "policy",
    ]
    assert set(findings.tables(both)) == {"lift-by-protocol", "agreement-of-protocols", "regret-slopes"}
    text = "\n".join(map(str, findings.sections(both)))
    assert "linucb-k above ubm-linucb by logged-click re-ranking" in text
    assert "Effective sample" in text
