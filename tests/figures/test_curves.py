"""Figures from made-up results: what is drawn, how it looks, and that drawing leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from lersbench.distributions import LEVEL, t_quantile
from lersbench.errors import ConfigError
from lersbench.figures import curve_values, style
from lersbench.figures import draw as draw_figures
from lersbench.figures.bands import Band, limits, narrow_bands
from lersbench.figures.records import Record
from lersbench.metrics import METRICS
from lersbench.results.curves import standard_errors
from lersbench.results.tables import Results, load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "linucb alpha=0.1", "linucb alpha=0.3")}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return load(fake_results.make(tmp_path_factory.mktemp("run"), policies=FEW, points=40, seeds=4))


@pytest.fixture(scope="module")
def drawn(results: Results, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """All that is drawn of the results; Matplotlib's settings stay as they were."""
    before = dict(matplotlib.rcParams)
    records = draw_figures.draw_all(results, tmp_path_factory.mktemp("figures"))
    assert dict(matplotlib.rcParams) == before
    return records


def svg_text(path: Path) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text()))


def test_every_measured_figure_is_drawn_as_png_and_svg(drawn: list[Record]) -> None:
    names = {path.name for record in drawn for path in (record.png, record.svg)}
    curves = ["ctr-sum", "misses", "regret", "hr20-per-round", "coverage", "diversity", "entropy", "hr-20"]
    stems = [f"curve-{name}" for name in curves] + ["hit-ratio", "final-hr-20"]
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}  # one-item slates: one click rate
    folder = drawn[0].svg.parent
    assert {path.name for path in folder.iterdir()} == names | {"figures.json"}  # nothing half-written stays
    assert all(record.png.read_bytes()[:4] == b"\x89PNG" for record in drawn)


def test_equal_results_give_equal_bytes(results: Results, tmp_path: Path) -> None:
    first = draw_figures.draw_all(results, tmp_path / "a", metrics=["ctr_sum"])
    second = draw_figures.draw_all(results, tmp_path / "b", metrics=["ctr_sum"])
    assert len(first) == 2
    for one, other in zip(first, second, strict=True):
        assert (one.png.read_bytes(), one.svg.read_bytes()) == (other.png.read_bytes(), other.svg.read_bytes())


def test_a_figure_says_what_it_shows(results: Results, tmp_path: Path) -> None:
    _, curve = draw_figures.draw_all(results, tmp_path, metrics=["misses"])
    text = svg_text(curve.svg)
    for words in (
        "Active customers (completejourney, 1,000 rounds, 200 items, 4 seeds)",
        "Misses (%)",
        "Round",
        "t interval over 4 orders of arrival. Feedback: bandit.",
        "Data: Made up for tests",
    ):
        assert words in text


def test_legend_is_sorted_by_the_final_value(results: Results, tmp_path: Path) -> None:
    means = results.final("", "misses").mean(axis=1).sort_values()
    text = svg_text(draw_figures.draw_all(results, tmp_path, metrics=["misses"])[-1].svg)
    told = [re.findall(rf"{re.escape(policy)}  ([0-9.]+)", text) for policy in means.index]
    assert [float(number) for (number,) in told] == pytest.approx(100 * means.to_numpy(), abs=0.05 + 1e-9)
    places = [text.rindex(f"{policy}  ") for policy in means.index]
    assert places == sorted(places)


def test_bands_are_the_intervals_of_the_statistics(results: Results) -> None:
    band = curve_values.curve_bands(results, ["coverage"], ["popular"])["", "coverage"]["popular"]
    """Student's t around the mean of the seeds themselves, at least as wide as one outcome moves a mean over rounds."""
    values = results.seeds_of("coverage").query("policy == 'popular'").pivot(index="seed", columns="round")["value"]
    n, rounds = len(values), values.columns.to_numpy()
    error = np.maximum(values.to_numpy().std(axis=0, ddof=1), 1 / rounds) / np.sqrt(n)
    mean, half = values.to_numpy().mean(axis=0), t_quantile(LEVEL, n - 1) * error
    assert n == 4 and np.array_equal(band.x, rounds)
    assert band.mean == pytest.approx(mean)
    assert band.low == pytest.approx(np.maximum(mean - half, 0)) and band.high == pytest.approx(mean + half)


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path: Path) -> None:
    long = load(fake_results.make(tmp_path, policies=FEW, points=900, seeds=2, metrics={"ctr", "hr@20"}))
    band = curve_values.curve_bands(long, ["ctr"], ["popular"])["", "ctr"]["popular"]
    assert len(band.x) == curve_values.POINTS
    assert band.x[-1] == 1000


def test_looks_tell_all_policies_apart(tmp_path: Path) -> None:
    full = load(fake_results.make(tmp_path, points=2, seeds=2, metrics={"hr@20"}))
    looks = style.looks(full)
    assert len({str(look) for look in looks.values()}) == len(looks) == 13
    assert looks["random"]["color"] == style.GREY
    sweep = [looks[f"linucb alpha={alpha}"] for alpha in ("0.1", "0.3", "1.0")]
    assert len({look["color"] for look in sweep}) == 1
    assert len({str(look["linestyle"]) for look in sweep}) == 3
    hues: dict[str, list[dict[str, object]]] = {}
    for label, look in looks.items():
        hues.setdefault(str(look["color"]), []).append(look | {"name": fake_results.POLICIES[label][0]})
    shared = [(a, b) for group in hues.values() for a in group for b in group if str(a["name"]) < str(b["name"])]
    assert shared  # more names than hues: the second use of one has other dashes and a marker
    assert all(a["linestyle"] != b["linestyle"] and a["marker"] != b["marker"] for a, b in shared)


def test_early_noise_does_not_set_the_limits() -> None:
    x = np.arange(1.0, 1001)
    noisy = np.where(x < 15, 0.9, 0.05)
    frame = limits({"a": Band(x, noisy, noisy - 0.01, noisy + 0.01)}, METRICS["ctr"], {"a"})
    assert frame is not None
    assert frame[0] < 0.05 < frame[1] < 0.1


def test_no_line_leaves_the_frame_after_the_early_rounds(results: Results) -> None:
    for (_, name), bands in curve_values.curve_bands(results, results.metrics, list(FEW)).items():
        frame = limits(bands, METRICS[name], set())
        assert frame is not None
        late = np.concatenate([band.mean[band.x >= 50] for band in bands.values()])  # of 1,000 rounds
        assert frame[0] <= late.min() <= late.max() <= frame[1]


def test_bands_are_drawn_of_the_best_four_and_the_baseline_unless_they_fill_the_panel(tmp_path: Path) -> None:
    full = load(fake_results.make(tmp_path / "run", points=30, seeds=3, metrics={"misses", "hr@20"}))
    bands = curve_values.curve_bands(full, ["misses"], draw_figures.labels_to_draw(full, None))["", "misses"]
    best = full.final("", "misses").mean(axis=1).sort_values().index[:4]
    look = style.looks(full)
    narrow, wanted = narrow_bands(bands, METRICS["misses"], look)
    assert narrow == wanted == {*best, "random"}
    first = bands[best[0]]
    wide = {**bands, best[0]: Band(first.x, first.mean, first.mean - 0.5, first.mean + 0.5)}
    narrow, wanted = narrow_bands(wide, METRICS["misses"], look)
    assert wanted - narrow == {best[0]}
    text = svg_text(draw_figures.draw_all(full, tmp_path / "figures", metrics=["misses"])[-1].svg)
    assert "Bands of the best 4 and the baseline only." in text


def test_equal_pairs_are_one_panel_with_a_note(tmp_path: Path) -> None:
    run = fake_results.make(
        tmp_path / "run",
        policies=FEW,
        points=5,
        seeds=2,
        metrics={"misses", "regret_published"},
        leaderboard="misses",
    )
    note = "Equal to the published regret: no policy here stays silent."
    drawn = {record.svg.stem: record.svg for record in draw_figures.draw_all(load(run), tmp_path / "a")}
    assert note not in svg_text(drawn["curve-misses"])
    assert "Regret, as published" in svg_text(drawn["curve-misses"])
    curves = pd.read_parquet(run / "curves.parquet")
    misses = curves[curves["metric"] == "misses"]
    same = misses.assign(metric="regret_published")
    pd.concat([curves[curves["metric"] != "regret_published"], same]).to_parquet(run / "curves.parquet")
    drawn = {record.svg.stem: record.svg for record in draw_figures.draw_all(load(run), tmp_path / "b")}
    assert note in svg_text(drawn["curve-misses"])
    assert "as published" not in svg_text(drawn["curve-misses"])


def test_regret_is_also_drawn_less_that_of_the_baseline(results: Results, drawn: list[Record]) -> None:
    bands = curve_values.regret_less_baseline(results, list(FEW))["", "regret_less"]
    finals = results.final("", "regret")
    assert bands["popular"].mean[-1] == pytest.approx((finals.loc["popular"] - finals.loc["random"]).mean())
    assert not bands["random"].mean.any()
    (regret,) = (record.svg for record in drawn if record.svg.stem == "curve-regret")
    assert "Cumulative regret less that of random" in svg_text(regret)


def test_only_the_first_clause_of_the_licence_stands_below_a_figure(results: Results, tmp_path: Path) -> None:
    log = {**results.meta["logs"][0], "attribution": "A shop, Inc.", "licence": "CC BY 4.0 (the data); more of it"}
    licensed = replace(results, meta={**results.meta, "logs": [log]})
    text = svg_text(draw_figures.draw_all(licensed, tmp_path, metrics=["misses"])[-1].svg)
    assert "Data: A shop, Inc. CC BY 4.0." in text
    assert "more of it" not in text


def test_the_title_of_a_record_stands_above_its_figure(drawn: list[Record]) -> None:
    for record in drawn:
        assert record.title in svg_text(record.svg)
        assert record.kind == record.svg.name.removesuffix(".svg").partition("-")[0] or record.kind == "hit-ratio"
        assert record.cases == ("",)


def test_mixed_feedback_is_named_in_the_legend(tmp_path: Path) -> None:
    mixed = load(fake_results.make(tmp_path / "run", policies={**FEW, "lers": ("lers", {}, "full", 0.9)}, points=5))
    text = svg_text(draw_figures.draw_all(mixed, tmp_path / "figures", metrics=["coverage"])[-1].svg)
    assert "lers (full)" in text
    assert "popular (bandit)" in text


def test_policies_can_be_chosen(results: Results, tmp_path: Path) -> None:
    text = svg_text(draw_figures.draw_all(results, tmp_path, metrics=["coverage"], policies=["popular"])[-1].svg)
    assert "popular" in text
    assert "linucb" not in text
    with pytest.raises(ConfigError, match="did you mean 'popular'"):
        draw_figures.draw_all(results, tmp_path, policies=["populr"])
    with pytest.raises(ConfigError, match="did you mean 'coverage'"):
        draw_figures.draw_all(results, tmp_path, metrics=["coverge"])


def test_variants_are_panels_of_one_figure(tmp_path: Path) -> None:
    run = fake_results.make(
        tmp_path / "run", policies=FEW, variants=("men", "women"), points=5, metrics={"ctr"}, leaderboard="ctr"
    )
    records = draw_figures.draw_all(load(run), tmp_path / "figures")
    assert [record.svg.stem for record in records] == ["final-ctr", "curve-ctr"]
    assert {record.cases for record in records} == {("men", "women")}
    text = svg_text(records[-1].svg)
    assert " men " in text
    assert " women " in text


def test_one_seed_has_lines_and_says_that_it_has_no_interval(tmp_path: Path) -> None:
    run = fake_results.make(tmp_path / "run", policies=FEW, seeds=1, points=5)
    text = svg_text(draw_figures.draw_all(load(run), tmp_path / "figures", metrics=["coverage"])[-1].svg)
    assert "One seed only, so no interval can be given." in text


def test_drawing_needs_neither_pyplot_backend_nor_display(results: Results, tmp_path: Path) -> None:
    """In a fresh interpreter no backend is chosen and no pyplot figure is left open."""
    code = (
        "import sys, matplotlib; from lersbench.results import tables; from lersbench.figures import draw;"
        "before = matplotlib.rcParams._get_backend_or_none();"
        "draw.draw_all(tables.load(sys.argv[1]), sys.argv[2], metrics=['coverage']);"
        "import matplotlib.pyplot as plt; assert not plt.get_fignums();"
        "assert matplotlib.rcParams._get_backend_or_none() == before"
    )
    subprocess.run([sys.executable, "-c", code, str(results.path), str(tmp_path)], check=True)


def test_regret_less_the_baseline_of_halves_counts_halves_and_not_their_runs(tmp_path: Path) -> None:
    """Two runs of each half: the error has as many degrees of freedom as there are halves, less one."""
    made = load(fake_results.make(tmp_path, policies=FEW, points=3, seeds=6, replicates="subsample"))
    rows = made.curves_of("regret").query("policy == 'popular'")
    halves = replace(made, held=made._read(("metric",)).assign(sd_of_halves=lambda table: table["sd"] / 2))
    band = curve_values.regret_less_baseline(halves, list(FEW))["", "regret_less"]["popular"]
    errors = [
        standard_errors(halves, "", ["popular", "random"], METRICS["regret"], one)
        for _, one in halves.curves_of("regret").query("policy in ['popular', 'random']").groupby("policy")
    ]
    assert set(rows["seeds"]) == {6}
    assert band.high - band.mean == pytest.approx(t_quantile(LEVEL, 2) * np.hypot(*errors))
