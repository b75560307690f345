"""The page of a run in a real browser: what is on the first screen, clicks, sorts, filters, hovers, links, paper."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.report import run as run_report
from lersbench.report.blocks import Alarm, Answer, Fold, Heading, Items, Table, Text
from lersbench.report.html import to_html
from lersbench.report.pages import write_whole
from lersbench.results.ranking import board
from lersbench.results.tables import Results, load
from tests.support import browser as browsers
from tests.support import fake_results

pytestmark = pytest.mark.browser

WANTED = ("random", "popular", "ucb1", "linucb alpha=0.1", "linucb alpha=0.3", "linucb-k", "hybrid", "lints")
POLICIES: dict[str, Any] = {label: fake_results.POLICIES[label] for label in WANTED}
POLICIES["c2ucb"] = ("c2ucb", {}, ("bandit", "full"), 0.9)
METRICS = {"misses", "coverage", "hr@20", "diversity"}
HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2">',
    "</script><script>window.hacked = 3</script>",
    "{{ 7 * 7 }} {% raw %} '];window.hacked=4//",
    "=cmd|' /C calc'!A0",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.started() as browser:
        yield browser


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = fake_results.make(
        tmp_path_factory.mktemp("run"), policies=POLICIES, points=50, metrics=METRICS, leaderboard="misses"
    )
    run_report.write(load(folder))
    return load(folder)


@pytest.fixture(scope="module")
def path(results: Results) -> Path:
    return results.path / "report.html"


@pytest.fixture
def page(browser: Any, path: Path) -> Iterator[Any]:
    with browsers.opened(browser, path) as page:
        yield page


def names(page: Any) -> list[str]:
    return page.locator("[data-board] tbody th").all_inner_texts()


def column(page: Any, heading: str) -> list[str]:
    heads = page.locator("[data-board] thead th").all_inner_texts()
    rows = page.locator("[data-board] tbody tr").all()
    at = heads.index(heading)
    return [row.locator("th, td").nth(at).inner_text() for row in rows]


def lines(page: Any) -> list[str]:
    return page.locator('[data-legend] [aria-pressed="true"]').all_inner_texts()


# What is seen first ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(1400, 900), (400, 860)])
def test_the_first_screen_holds_the_answer_the_leaderboard_and_a_figure(
    browser: Any, path: Path, size: tuple[int, int]
) -> None:
    with browsers.opened(browser, path, size=size) as page:
        for part in (".answer .lead", ".answer .verdict", "[data-board] tbody tr:last-child", "[data-plot] canvas"):
            box = page.locator(part).first.bounding_box()
            assert box and box["y"] >= 0, part
            assert box["y"] + box["height"] <= size[1], part
        value = page.locator("[data-board] tbody tr:first-child .value").bounding_box()
        assert value["x"] + value["width"] <= size[0]  # the number and its bar, without scrolling
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        first = page.locator(".answer .lead").first.inner_text()
        assert first.startswith(f"Bandit feedback: try {names(page)[0]}: ") and " instead of " in first
        assert 3 <= len(lines(page)) <= 5


def test_at_1400_no_column_of_the_leaderboard_is_cut(page: Any) -> None:
    for _ in range(2):
        assert (
            page.evaluate(
                "(() => {const b = document.querySelector('[data-board]'); return b.scrollWidth - b.clientWidth})()"
            )
            <= 0
        )
        page.click('[data-do="columns"]')


# Leaderboard ----------------------------------------------------------------------------------------------------------
def test_rows_are_those_of_the_board_and_all_can_be_shown(page: Any, results: Results) -> None:
    rows = board(results).rows("", "bandit")
    assert names(page) == [results.entries[policy] for policy in rows["policy"]]
    assert column(page, "rank") == list(rows["rank"])
    shown = [float(text) for text in column(page, "misses %")]
    assert shown == pytest.approx(100 * rows["mean"].to_numpy(), abs=0.006)


def test_any_column_sorts_both_ways_by_mouse_and_by_keyboard(page: Any) -> None:
    page.click('[data-do="columns"]')
    first = names(page)
    heads = page.locator("[data-sort]").evaluate_all("all => all.map(one => one.dataset.sort)")
    assert {"policy", "rank", "value", "interval", "difference", "coverage", "seeds"} <= set(heads)
    page.click('[data-sort="policy"]')
    assert names(page) == sorted(first, key=str.lower)
    assert page.locator('th[aria-sort="ascending"]').inner_text() == "policy"
    page.keyboard.press("Enter")  # the button keeps the focus
    assert names(page) == sorted(first, key=str.lower, reverse=True)
    page.keyboard.press("Enter")
    assert names(page) == first  # and the third time gives the ranking back
    page.click('[data-sort="coverage"]')
    values = [float(text) for text in column(page, "coverage %")]
    assert values == sorted(values, reverse=True)
    assert page.locator('th[aria-sort="descending"]').count() == 1


def test_filters_by_name_family_and_regime(page: Any, results: Results) -> None:
    page.fill('[data-state="name"]', "LinUCB a")
    assert sorted(names(page)) == ["linucb alpha=0.1", "linucb alpha=0.3"]
    assert "2 of 9 contenders fit." in page.locator("[data-note]").inner_text()
    page.fill('[data-state="name"]', "")
    page.select_option('[data-state="family"]', "context-free")
    assert sorted(names(page)) == ["popular", "ucb1"]
    page.select_option('[data-state="family"]', "")
    page.select_option('[data-state="regime"]', "full")
    assert names(page) == ["c2ucb"]
    page.select_option('[data-state="regime"]', "")
    assert len(names(page)) == 10
    assert {"c2ucb (bandit)", "c2ucb (full)"} <= set(names(page))


def test_another_metric_ranks_anew_in_table_and_chart(page: Any, results: Results) -> None:
    page.select_option('[data-state="metric"]', "coverage")
    rows = board(results, "coverage").rows("", "bandit")
    assert names(page) == [results.entries[policy] for policy in rows["policy"]]
    assert page.locator("[data-caption]").inner_text().startswith("Coverage over rounds: ")
    page.select_option('[data-state="metric"]', "diversity")  # which is neither better high nor low
    assert "ranked by Misses" in page.locator("[data-note]").inner_text()
    assert page.locator("[data-caption]").inner_text().startswith("Diversity over rounds: ")


def test_downloads_hold_the_rows_that_are_shown(page: Any, results: Results) -> None:
    page.fill('[data-state="name"]', "lin")
    with page.expect_download() as waiting:
        page.click('[data-do="csv"]')
    assert waiting.value.suggested_filename == "active-misses.csv"
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text())))
    frame = board(results).rows("", "bandit").set_index("policy")
    assert [row["policy"] for row in rows] == [p for p in frame.index if "lin" in p]
    for row in rows:
        for name in ("mean", "low", "high", "difference", "coverage", "seeds"):
            assert float(row[name]) == pytest.approx(frame.loc[row["policy"], name], rel=1e-4), name
        assert row["rank"] == frame.loc[row["policy"], "rank"]
    with page.expect_download() as waiting:
        page.click('[data-do="json"]')
    content = json.loads(Path(waiting.value.path()).read_text())
    assert content["metric"] == "misses" and len(content["rows"]) == len(rows)


# Curves ---------------------------------------------------------------------------------------------------------------
def means(results: Results, metric: str, entry: str) -> dict[int, float]:
    """The curve of an entry under bandit feedback, by round."""
    rows = results.curves_of(metric)
    rows = rows[rows["policy"] == results.under("", entry, "bandit")]
    return dict(zip(rows["round"], rows["mean"], strict=True))


def test_hovering_tells_the_values_of_a_round(page: Any, results: Results) -> None:
    over = page.locator("[data-plot] .u-over").bounding_box()
    page.mouse.move(over["x"] + 0.5 * over["width"], over["y"] + 0.5 * over["height"])
    tip = page.locator("[data-plot] .tip")
    words = tip.inner_text().split("\n")
    at = int(re.sub(r"\D", "", words[0]))
    assert 400 < at < 600
    told = dict(zip(tip.locator("th").all_inner_texts(), tip.locator("td:last-child").all_inner_texts(), strict=True))
    assert set(told) == set(lines(page))
    for policy, text in told.items():
        value = 100 * means(results, "misses", policy)[at]
        assert float(text.split(" \N{PLUS-MINUS SIGN} ")[0]) == pytest.approx(value, abs=0.006)
    page.mouse.move(5, 5)
    assert not tip.is_visible()


def test_arrow_keys_read_values(page: Any) -> None:
    page.focus("[data-plot]")
    for key in ("ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    said = page.locator("[data-values]").inner_text()
    assert said.startswith("Round 40: ") and "random" in said
    page.keyboard.press("End")
    assert page.locator("[data-values]").inner_text().startswith("Round 1,000: ")


def test_the_legend_toggles_contenders(page: Any) -> None:
    before = lines(page)
    assert before[-1] != "ucb1" and "random" in before
    page.click('[data-line="ucb1"]')
    assert set(lines(page)) == {*before, "ucb1"}
    page.keyboard.press("Space")  # the button keeps the focus
    assert lines(page) == before
    page.click('[data-do="none"]')
    assert lines(page) == [] and page.locator("[data-plot] canvas").count() == 0
    page.click('[data-do="all"]')
    assert len(lines(page)) == 9
    page.click('[data-do="best"]')
    assert lines(page) == before


def test_rounds_can_be_logarithmic_and_values_less_the_baseline(page: Any, results: Results) -> None:
    plain = page.locator("[data-plot] canvas").screenshot()
    page.click('[data-toggle="log"]')
    assert page.locator('[data-toggle="log"]').get_attribute("aria-pressed") == "true"
    assert page.locator("[data-plot] canvas").screenshot() != plain
    page.click('[data-toggle="less"]')
    assert "random" not in page.locator("[data-plot] .tip").inner_text()
    best = board(results).rows("", "bandit").iloc[0]
    words = page.locator("[data-caption]").inner_text()
    assert f"{results.entries[best['policy']]} ends at {100 * best['difference']:+.2f} %"[:-3] in words
    page.focus("[data-plot]")
    page.keyboard.press("End")
    assert f"{100 * best['difference']:.1f}" in page.locator("[data-values]").inner_text()


def test_bands_can_be_left_out(page: Any) -> None:
    with_bands = page.locator("[data-plot] canvas").screenshot()
    assert "95 % interval" in page.locator("[data-chartnote]").inner_text()
    page.click('[data-toggle="bands"]')
    assert page.locator("[data-plot] canvas").screenshot() != with_bands
    assert "95 % interval" not in page.locator("[data-chartnote]").inner_text()


def test_fewer_than_five_seeds_are_drawn_one_by_one(browser: Any, tmp_path: Path) -> None:
    few = {label: POLICIES[label] for label in ("random", "hybrid")}
    folder = fake_results.make(tmp_path, policies=few, seeds=3, points=20, metrics={"misses"}, leaderboard="misses")
    run_report.write(load(folder), figures=[])
    with browsers.opened(browser, folder / "report.html") as page:
        assert "Thin lines: single seeds" in page.locator("[data-chartnote]").inner_text()
        data = json.loads(page.locator('[data-part] script[type="application/json"]').text_content())
        assert set(data["curves"]["misses"][""]["policies"]["hybrid"]["seeds"]) == {"0", "1", "2"}


def test_the_chart_can_be_saved(page: Any) -> None:
    with page.expect_download() as waiting:
        page.click('[data-do="png"]')
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")


# Links ----------------------------------------------------------------------------------------------------------------
def test_a_link_shows_what_its_sender_saw(browser: Any, path: Path) -> None:
    with browsers.opened(browser, path) as page:
        page.select_option('[data-state="metric"]', "coverage")
        page.fill('[data-state="name"]', "l")
        page.click('[data-do="columns"]')
        page.click('[data-sort="policy"]')
        page.click('[data-line="ucb1"]')
        page.click('[data-toggle="log"]')
        page.click('nav a[href="#figures"]')
        link, table, drawn = page.evaluate("location.hash"), names(page), lines(page)
    assert link.startswith("#figures?run.metric=coverage&")
    with browsers.opened(browser, path, link) as page:
        assert (names(page), lines(page)) == (table, drawn)
        assert page.input_value('[data-state="metric"]') == "coverage"
        assert page.locator('[data-toggle="log"]').get_attribute("aria-pressed") == "true"
        assert abs(page.locator("#figures").bounding_box()["y"]) < 200
    with browsers.opened(
        browser, path, "#leaderboard?run.metric=nonsense&run.sort=-&run.line=nobody&run.x=%E0"
    ) as page:
        assert len(names(page)) == 9


def test_every_heading_can_be_linked_and_the_contents_lead_to_them(page: Any) -> None:
    ids = page.locator("h2, h3, h4").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) > 8 and all(ids) and len(set(ids)) == len(ids)
    targets = page.locator("nav a, .anchor").evaluate_all("all => all.map(one => one.getAttribute('href').slice(1))")
    assert set(targets) >= set(ids) - {"content"}
    page.click('nav a[href="#what-was-run"]')
    assert abs(page.locator("#what-was-run").bounding_box()["y"]) < 120


# Dark, paper, no script -----------------------------------------------------------------------------------------------
def brightness(page: Any) -> float:
    text = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return float(np.mean([int(part) for part in re.findall(r"\d+", text)[:3]]))


def test_dark_follows_the_system_and_a_button(browser: Any, path: Path) -> None:
    with browsers.opened(browser, path, color_scheme="dark") as page:
        assert brightness(page) < 60
        page.click("[data-theme-button]")
        assert brightness(page) > 200
        page.reload()
        assert brightness(page) > 200  # the choice is kept
    with browsers.opened(browser, path) as page:
        assert brightness(page) > 200


CUT = """() => {
  const wide = document.documentElement.clientWidth, cut = [];
  for (const one of document.querySelectorAll("main *")) {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    if (!box.width || style.position === "absolute" || one.closest(".unseen")) continue;
    if (box.right > wide + 1) cut.push("right " + one.outerHTML.slice(0, 120));
    const scrolls = style.overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1;
    if (scrolls) cut.push("hidden " + one.outerHTML.slice(0, 120));
  }
  return cut;
}"""


def test_on_paper_nothing_is_cut(browser: Any, path: Path) -> None:
    with browsers.opened(browser, path, size=(703, 1000)) as page:  # A4 less its margins, at 96 pixels an inch
        page.emulate_media(media="print")
        assert page.evaluate(CUT) == []
        assert not page.locator(".live").is_visible() and not page.locator("[data-theme-button]").is_visible()
        for words in ("h2 >> text=Leaderboard", "td, th >> text='c2ucb (full)'", "h2 >> text=do not say"):
            assert page.locator(words).first.is_visible()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert all(page.locator("img").nth(i).is_visible() for i in range(page.locator("img").count()))
        assert page.locator("details.fold:not([open])").count() == 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details.fold[open]").count() == 0
        pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3


def test_without_a_script_tables_and_pictures_are_there(browser: Any, path: Path) -> None:
    with browsers.opened(browser, path, java_script_enabled=False) as page:
        assert not page.locator(".live").is_visible()
        assert page.locator(".static table").first.is_visible()
        assert page.locator(".static img").first.is_visible()
        assert page.locator("[data-theme-button]").is_hidden()


# Everyone -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("scheme", "size"), [("light", (1400, 900)), ("dark", (1400, 900)), ("light", (400, 860))])
def test_axe_finds_nothing_serious(browser: Any, path: Path, scheme: str, size: tuple[int, int]) -> None:
    with browsers.opened(browser, path, size=size, color_scheme=scheme) as page:
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert browsers.violations(page) == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 400)])
def test_pages_of_other_reports_are_as_good(browser: Any, tmp_path: Path, scheme: str, width: int) -> None:
    """Every kind of block without a script of its own, as reports of evaluations and experiments have them."""
    table = Table(["policy", *(f"a_rather_long_heading_{i}" for i in range(15))], [["name " * 8, *(["0.123456"] * 15)]])
    blocks = [
        Heading(1, "Title"),
        Alarm("UNFINISHED"),
        Answer("Try this.", "clear", "good", "More."),
        *(Answer("Not that.", "unsure", tone) for tone in ("open", "bad")),
        Heading(2, "Part"),
        Items(["one", "x" * 200]),
        table,
        Fold("More", [Text("inside"), table]),
    ]
    write_whole(tmp_path / "page.html", to_html(blocks, "Title"))
    with browsers.opened(browser, tmp_path / "page.html", size=(width, 800), color_scheme=scheme) as page:
        page.evaluate("document.querySelector('details').open = true")
        assert browsers.violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator(".wide").first.focus()  # a box that scrolls is reached by the keyboard
        assert page.evaluate("document.activeElement.className") == "wide"
    with browsers.opened(browser, tmp_path / "page.html", size=(703, 1000)) as page:
        page.emulate_media(media="print")
        assert page.evaluate(CUT) == []


def test_tables_are_named_and_their_heads_have_scopes(page: Any) -> None:
    tables = page.locator("main table:not(.tip table)")
    for i in range(tables.count()):
        table = tables.nth(i)
        assert table.locator("caption").text_content()
        assert table.locator("thead th:not([scope=col])").count() == 0
        assert table.locator("tbody th[scope=row]").count() == table.locator("tbody tr").count()
    alts = page.locator("img").evaluate_all("all => all.map(one => one.alt)")
    assert any("hybrid" in alt and "at the end" in alt for alt in alts) and all(alts)


def test_names_are_never_code(browser: Any, tmp_path: Path) -> None:
    policies = {"random": POLICIES["random"]} | {
        label: (f"p{i}", {}, "bandit", 0.2 + 0.1 * i) for i, label in enumerate(HOSTILE)
    }
    folder = fake_results.make(tmp_path, policies=policies, points=5, metrics={"misses"}, leaderboard="misses")
    meta = json.loads((folder / "run.json").read_text())
    meta["scenario"]["title"] = meta["scenario"]["description"] = f'</title>{HOSTILE[2]}" & <b>bold</b>'
    meta["notes"] = list(HOSTILE)
    (folder / "run.json").write_text(json.dumps(meta))
    run_report.write(load(folder))
    with browsers.opened(browser, folder / "report.html") as page:
        assert sorted(names(page)) == sorted(["random", *HOSTILE])
        assert page.title() == page.locator("h1").inner_text().removesuffix("#").strip() == meta["scenario"]["title"]
        for name in HOSTILE:
            page.locator(f"[data-legend] button >> text={json.dumps(name)}").first.click()
        over = page.locator("[data-plot] .u-over").bounding_box() if lines(page) else None
        if over:
            page.mouse.move(over["x"] + 50, over["y"] + 50)
        page.fill('[data-state="name"]', HOSTILE[1])
        assert names(page) == [HOSTILE[1]]
        with page.expect_download() as waiting:
            page.click('[data-do="csv"]')
        assert HOSTILE[1].replace('"', '""') in Path(waiting.value.path()).read_text()
        page.fill('[data-state="name"]', "=cmd")
        with page.expect_download() as waiting:
            page.click('[data-do="csv"]')
        assert ",'=cmd" in Path(waiting.value.path()).read_text()  # no formula
        link = page.evaluate("location.hash")
        assert page.evaluate("window.hacked") is None
        assert page.locator("main b >> text=bold").count() == page.locator("main script:not([type])").count() == 0
    with browsers.opened(browser, folder / "report.html", link) as page:
        assert names(page) == [HOSTILE[4]]
        assert page.evaluate("window.hacked") is None
