"""Figures of a crowd of policies, a panel a family, and those of the livestream study, from made-up results."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lersbench.figures import curve_values, families, frame, style
from lersbench.figures import draw as draw_figures
from lersbench.figures import lers as lers_figures
from lersbench.results.tables import Results, load
from tests.support import fake_results

VARIANTS = ("lers", "lers-context", "lers-recommendation", "lers-both")
MEASURED = {"regret", "misses", "coverage", "diversity", *(f"hr@{top}" for top in fake_results.TOPS)}
PLAYED: dict[str, Any] = {
    **{label: fake_results.POLICIES[label] for label in ("random", "popular", "ucb1", "thompson", "linucb alpha=0.3")},
    "neural-linear": ("neural-linear", {}, "bandit", 0.6),
    "bayes-by-backprop": ("bayes-by-backprop", {}, "bandit", 0.5),
    **{name: (name, {"context": "full"}, ("bandit", "full"), 0.3 + 0.1 * i) for i, name in enumerate(VARIANTS)},
}
CROWD = [label for label in PLAYED if label not in VARIANTS]  # the contenders
CROWD += [f"{name} ({feedback})" for name in VARIANTS for feedback in ("bandit", "full")]


def svg_text(path: Path) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text()))


def makers(results: Results) -> dict[str, Callable[[], Figure]]:
    return {plan.stem: plan.make for plan in lers_figures.plans(results)}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Results:
    run = tmp_path_factory.mktemp("run")
    return load(fake_results.make(run, policies=PLAYED, points=20, seeds=3, metrics=MEASURED))


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Results:
    ran: dict[str, tuple[str, dict[str, Any], str, float]] = {"random": fake_results.POLICIES["random"]}
    for i, context in enumerate(("static", "temporal", "streamer", "basket", "full")):
        ran[f"lers context={context}"] = ("lers", {"context": context, "code": 20}, "full", 0.1 * i)
    run = tmp_path_factory.mktemp("contexts")
    return load(fake_results.make(run, policies=ran, points=20, seeds=2, metrics=MEASURED))


def test_a_crowd_has_a_panel_for_each_family(tmp_path: Path) -> None:
    metrics = MEASURED - {"coverage", "diversity"}
    crowd = load(fake_results.make(tmp_path / "run", policies=PLAYED, points=20, seeds=3, metrics=metrics))
    records = draw_figures.draw_all(crowd, tmp_path)
    drawn = {record.svg.stem: record.svg for record in records}
    assert {"curve-regret", "curve-regret-less", "curve-misses", "hit-ratio", "lers-variants"} <= set(drawn)
    for stem in ("curve-regret", "hit-ratio"):
        text = svg_text(drawn[stem])
        for head in ("context-free, bandit feedback", "linear, bandit feedback", "neural, bandit feedback"):
            assert head in text
        assert "lers-both (full)" in text  # in a panel of both regimes each line names its regime
        assert "popular (bandit)" not in text  # the title of the panel has it
    for record in records:
        assert record.title in svg_text(record.svg)


def test_every_policy_is_in_the_panel_of_one_family_and_the_baseline_in_none(crowd: Results) -> None:
    groups = style.family_members(crowd, CROWD)
    policies = [policy for members in groups.values() for policy in members]
    assert sorted(policies) == sorted(set(CROWD) - {"random"})
    assert groups["neural"] == ["neural-linear", "bayes-by-backprop"]
    assert len(groups["LERS"]) == 8


def test_within_a_family_no_two_look_alike_and_full_feedback_is_dashed(crowd: Results) -> None:
    look = style.looks(crowd)
    for members in style.family_members(crowd, CROWD).values():
        assert len({str(look[policy]) for policy in members}) == len(members)
    for name in VARIANTS:
        bandit, full = look[f"{name} (bandit)"], look[f"{name} (full)"]
        assert bandit["color"] == full["color"]
        assert (bandit["linestyle"], full["linestyle"]) == ("-", style.WHOLE_ROWS)


def test_all_panels_of_a_crowd_have_the_same_axes(crowd: Results) -> None:
    bands = curve_values.curve_bands(crowd, ["regret"], CROWD)["", "regret"]
    figure = families.curves(crowd, "regret", bands)
    assert len({(*ax.get_xlim(), *ax.get_ylim()) for ax in figure.axes}) == 1
    assert all(len(ax.lines) == len(CROWD) for ax in figure.axes)  # pale or not, every policy is in every panel


def test_the_four_variants_have_a_figure_of_their_own_with_nothing_else_but_the_baseline(crowd: Results) -> None:
    figure = makers(crowd)["lers-variants"]()
    assert [ax.get_ylabel().split(" (")[0] for ax in figure.axes] == [
        "Cumulative regret",
        "HR@K",
        "Coverage",
        "Diversity",
    ]
    curve = figure.axes[0]
    lines = [line for line in curve.lines if line.get_linestyle() != "None"]
    assert len(lines) == 2 * len(VARIANTS) + 1
    assert {to_hex(line.get_color()) for line in lines[:-1]} == {
        to_hex(lers_figures.HUE[words]) for words in lers_figures.VARIANTS.values()
    }
    finals = [line.get_ydata() for line in curve.lines if line.get_linestyle() == "None"]
    wanted = crowd.finals("", "regret")["lers (full)"]
    assert any(np.array_equal(values, wanted) for values in finals)  # a dot a seed
    legend = [text.get_text() for ax in figure.axes if (one := ax.get_legend()) for text in one.get_texts()]
    assert legend == [*lers_figures.VARIANTS.values(), "random (bandit)", "bandit feedback", "full feedback"]


def test_contexts_are_compared_in_two_figures_where_a_hue_means_the_same(contexts: Results) -> None:
    figures = makers(contexts)
    assert list(figures) == ["context-kinds", "context-encoders"]
    hues = {}
    for stem, make in figures.items():
        (one,) = [ax.get_legend() for ax in make().axes if ax.get_legend()]
        pairs = zip(one.get_texts(), one.legend_handles, strict=True)
        hues[stem] = {text.get_text(): to_hex(line.get_color()) for text, line in pairs}
    assert {"static features", "full (static and temporal)"} < set(hues["context-kinds"])
    assert {"customer-streamer encoder", "customer-product encoder"} < set(hues["context-encoders"])
    both = "temporal (both encoders)"
    assert hues["context-kinds"][both] == hues["context-encoders"][both]


def test_recommendations_are_drawn_of_the_policies_that_have_them(crowd: Results, tmp_path: Path) -> None:
    assert "lers-recommendations" not in makers(crowd)
    run = fake_results.make(tmp_path / "run", policies=PLAYED, points=5, seeds=2, metrics=MEASURED)
    for table, value in (("curves", "mean"), ("summary", "value")):
        rows = pd.read_parquet(run / f"{table}.parquet")
        some = rows[(rows["metric"] == "coverage") & rows["name"].isin(VARIANTS)]
        parts = [some.assign(metric=name, **{value: 0.25}) for name in lers_figures.RECOMMEND]
        pd.concat([rows, *parts]).to_parquet(run / f"{table}.parquet")
    figure = makers(load(run))["lers-recommendations"]()
    assert [ax.get_ylabel() for ax in figure.axes] == [
        f"Recommend {part} (%)" for part in ("ratio", "accuracy", "precision", "recall")
    ]
    assert {y for ax in figure.axes for line in ax.lines for y in line.get_ydata()} == {25.0}


def test_no_study_figure_where_the_results_have_nothing_to_compare(tmp_path: Path) -> None:
    assert lers_figures.plans(load(fake_results.make(tmp_path, points=2, seeds=2))) == []


def test_a_long_line_below_the_title_is_broken_and_widens_the_figure_no_further(crowd: Results) -> None:
    titled = {**crowd.scenario, "title": "A title that goes on " * 9}
    long = replace(crowd, meta={**crowd.meta, "scenario": titled})
    figure, _ = frame.grid(1, 1, (3.0, 2.0), "T", long, [], 0.1, outside=False)
    subtitle = next(text.get_text() for text in figure.texts if "goes on" in text.get_text())
    assert figure.get_figwidth() == pytest.approx(frame.PAGE)
    assert subtitle.count("\n") >= 1
