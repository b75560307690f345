"""The report from made-up results: it holds what it must, warns of what it finds, and stands alone."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lersbench.figures import draw as draw_figures
from lersbench.figures.records import read_records
from lersbench.report import run as run_report
from lersbench.report.blocks import to_markdown
from lersbench.results.tables import load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid")}


def caveats(folder: Path, **options: object) -> str:
    return " ".join(run_report.caveats(load(fake_results.make(folder, **{"policies": FEW, "points": 3, **options}))))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    metrics = {"ctr", "ctr_sum", "ctr_set", "misses", "regret", *(f"hr@{top}" for top in fake_results.TOPS)}
    told: dict[str, Any] = {"policies": FEW, "points": 10, "notes": ("A note <of> the run.",), "metrics": metrics}
    run = fake_results.make(tmp_path_factory.mktemp("run"), **told)
    assert run_report.write(load(run)) == [run / "report.md", run / "report.html"]
    return run


def test_markdown_holds_what_was_run_and_links_to_figures_that_exist(written: Path) -> None:
    text = (written / "report.md").read_text()
    for words in (
        "# Active customers",
        "Made up for tests, after the completejourney study. Licence: CC0 (stand-in).",
        "| completejourney | like window days | 7 |",
        "bandit: learns only from the items it showed (3 contenders).",
        "| 1 | hybrid | bandit |",
        "numpy 2.4",
        "replay 1.4",
        "* A note \\<of> the run.",
        "**Try hybrid: ",
        "% HR@20 instead of 20.5 (random), 95 % on this log [",
        "| minus random (points) |",
        "### Misses",
        "### HR@20, final values",
        "CTR, CTR_sum and set-CTR are the same number",
    ):
        assert words in text
    assert text.index("# Active") < text.index("Try hybrid") < text.index("## Leaderboard")
    assert text.index("## Leaderboard") < text.index("## What was run") < text.index("A note \\<of>")
    links = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert "figures/hit-ratio.png" in links
    assert all((written / link).is_file() for link in links)


def test_html_stands_alone_and_is_well_formed(written: Path) -> None:
    page = (written / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(sources) > 15
    assert all(source.startswith(("data:image/svg+xml,", "data:image/webp;base64,", "#")) for source in sources)
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="(?!data:)', page)
    assert "A note &lt;of&gt; the run." in page
    open_tags: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "img", "input", "wbr"):
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Checker().feed(page)
    assert open_tags == []


def test_figures_that_were_drawn_are_not_drawn_again(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where they are given nor where they lie in the folder of the run: the page is the same."""
    page = (written / "report.md").read_text()
    drawn = read_records(written / "figures", load(written))
    assert drawn
    monkeypatch.setattr(run_report, "draw_all", lambda *_: pytest.fail("drawn twice"))
    run_report.write(load(written), tmp_path / "elsewhere", drawn)
    links = re.findall(r"\]\(([^)]*)\)", (tmp_path / "elsewhere" / "report.md").read_text())
    assert links
    assert all((tmp_path / "elsewhere" / link).is_file() for link in links)
    assert draw_figures.draw_all is not run_report.draw_all
    run_report.write(load(written))
    assert (written / "report.md").read_text() == page


def test_few_matches_are_told_with_what_it_would_take(tmp_path: Path) -> None:
    options = {"rounds": 300, "feedback": "replay", "replicates": "subsample", "matched": 0.1}
    weak = {"random": FEW["random"], "hybrid": ("hybrid", {}, "bandit", 0.1)}
    text = caveats(tmp_path / "many", **options, leaderboard="ctr", seeds=20, policies=weak)
    assert re.search(r"CTR of hybrid for new rounds is [\d.]+ \+- [\d.]+ points, that is \+- \d+% of its value", text)
    assert "Each half of the log matched only 30 rounds. A tenth of that would take about 30,000 rows" in text
    assert "values are those of a shorter run" in text
    few = caveats(tmp_path / "few", **options, leaderboard="ctr", seeds=4)
    words = "More seeds come first: with 20 in the place of 4, the interval is some 7 times narrower."
    assert words in few and "30,000 rows" not in few


def test_narrow_intervals_are_not_warned_of(tmp_path: Path) -> None:
    assert "A tenth of that" not in caveats(tmp_path)


def test_caveats_follow_from_the_results(tmp_path: Path) -> None:
    assert "with fewer than 10" in caveats(tmp_path / "a", seeds=3)
    assert "There is one seed" in caveats(tmp_path / "b", seeds=1)
    mixed = caveats(tmp_path / "c", policies={**FEW, "lers": ("lers", {}, "full", 0.9)})
    plain = caveats(tmp_path / "d", metrics={"hr@20", "misses"})
    for words in ("fewer than 10", "one seed", "as published"):
        assert words not in plain
    assert "the published regret counts a miss only where" in mixed
    assert "breaks ties by the order of the file" in mixed
    assert mixed.count('Metrics named "as published"') == 1
    noted = caveats(tmp_path / "e", notes=("Joint features: products.", "The estimate is biased."))
    assert "The estimate is biased." in noted
    assert "Joint features" not in noted


@pytest.mark.parametrize(("propensities", "biased"), [("uniform", False), ("logged", True), ("none", True)])
def test_replay_of_a_log_that_is_not_uniform_is_called_biased(tmp_path: Path, propensities: str, biased: bool) -> None:
    run = fake_results.make(tmp_path, policies=FEW, points=3, feedback="replay")
    meta = json.loads((run / "run.json").read_text())
    meta["logs"][0]["propensities"] = propensities
    (run / "run.json").write_text(json.dumps(meta))
    assert ("biased by an unknown amount" in " ".join(run_report.caveats(load(run)))) == biased


def test_what_an_import_left_out_and_what_met_is_told(tmp_path: Path) -> None:
    said = "--length 4: 7 of 30 rows left out, 1 of 5 clicks lost; clicks a row 16.67% before, 17.39% after"
    joins = [
        {"what": "items shown with the item table", "rows": 10, "met": 8},
        {"what": "visits with the users", "rows": 10, "met": 9},
    ]
    provenance = {"selections": [{"step": "--length 4", "said": said}], "joins": joins}
    facts = {"provenance": provenance, "ragged": ["candidates", "slate"], "C": 40, "L": 4}
    run = fake_results.make(tmp_path, policies=FEW, points=3, log_facts=facts)
    text = to_markdown(run_report.document(load(run), []), tmp_path)
    assert f"## What the logs leave out\n\n* completejourney: {said}.\n" in text
    assert "* completejourney: items shown with the item table: 8 of 10 rows met (80.0%).\n" in text
    assert "The rounds of completejourney differ in length: 40 candidates at most, 4 logged positions at most." in text
    assert "completejourney, items shown with the item table: only 8 of 10 rows met (80.0%). The others" in text
    assert "completejourney, visits with the users" not in text


def test_a_log_that_leaves_nothing_out_has_no_such_section(written: Path) -> None:
    assert "What the logs leave out" not in (written / "report.md").read_text()
    assert "differ in length" not in (written / "report.md").read_text()
