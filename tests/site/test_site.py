"""A site of made-up results: what its pages list, where they lead, and what is never written over."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from lersbench.errors import ConfigError
from lersbench.report.blocks import Link, Table, to_markdown
from lersbench.results.tables import load
from lersbench.site import catalogue, write
from lersbench.studies import kinds, page
from tests.support import fake_evaluation, fake_lab, fake_results

OLD, NEW, NEWEST = (f"2026010{day}T000000Z-0000000{day}" for day in (1, 2, 3))
FEW: dict[str, Any] = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid")}
BETTER = {"random": FEW["random"], "hybrid": ("hybrid", {}, "bandit", 0.9), "ucb1": fake_results.POLICIES["ucb1"]}
HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2">',
    "</script><script>window.hacked = 3</script>",
    "{{ 7 * 7 }} {% raw %} '];window.hacked=4//",
    "a](javascript:alert(1)) [b]: x",
)


def run(folder: Path, policies: dict[str, Any] | None = None, **changes: object) -> Path:
    made = fake_results.make(folder, policies or FEW, points=3, metrics={"misses"}, leaderboard="misses")
    fake_results.edit_meta(made, **changes)
    return made


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two runs of a scenario, the second with a report, one of an experiment, and a study."""
    run(tmp_path / "results" / "active" / OLD)
    after = run(tmp_path / "results" / "active" / NEW, BETTER, versions={"lersbench": "0.2.0", "numpy": "2.4"})
    kinds.SCENARIO.report(load(after), None)
    fake_lab.make(tmp_path / "results" / "toy-cells" / OLD)
    page.write_study("Both", [load(after)], tmp_path / "results" / "both")
    return tmp_path / "results"


def links(path: Path) -> list[str]:
    """The addresses that a page leads to, but those in itself."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(str(value) for name, value in attrs if name == "href" and not str(value).startswith("#"))

    Reader().feed(path.read_text())
    return found


def test_the_index_lists_everything_and_every_link_leads_to_a_page(results: Path, tmp_path: Path) -> None:
    said: list[str] = []
    index = write.write(results, tmp_path / "site", said.append)
    assert index == tmp_path / "site" / "index.html" and said == ["[1/2] active: 2 runs", "[2/2] toy-cells: 1 run"]
    text = index.read_text()
    for words in (
        "3 runs of 2 scenarios, 1 study",
        ">Both</a>",
        "clear (1)",
        "Active customers (active)",
        "Try hybrid: ",
        "2026-01-02 00:00",
        "completejourney, 1,000 rounds",
        "The best cell is right in 90",
        "toy, 90 customers",
        "Earlier runs",
        "moved by more than chance, of 2 in both runs",
        "versions, contenders added, contenders left out",
    ):
        assert words in text, words
    pages = list((tmp_path / "site").rglob("*.html"))
    assert {path.name for path in pages} == {"index.html", "report.html", "study.html", f"{OLD}-to-{NEW}.html"}
    led = [(path, link) for path in pages for link in links(path)]
    assert len(led) >= 5
    assert all((path.parent / unquote(link)).is_file() for path, link in led)


def test_a_site_is_replaced_as_a_whole_and_a_page_of_a_run_that_is_gone_with_it(results: Path, tmp_path: Path) -> None:
    write.write(results, tmp_path / "site", lambda line: None)
    for path in (results / "active" / OLD).iterdir():
        path.unlink()
    (results / "active" / OLD).rmdir()
    (results / "both" / "study.json").write_text('{"title": 3}')  # the page alone is known then
    write.write(results, tmp_path / "site", lambda line: None)
    assert ">both</a>" in (tmp_path / "site" / "index.html").read_text()
    assert not list((tmp_path / "site").rglob(f"{OLD}-to-*"))
    assert "Earlier runs" not in (tmp_path / "site" / "index.html").read_text()


def test_files_of_others_are_never_written_over(results: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    write.write(results, site, lambda line: None)
    (site / "CNAME").write_text("example.org")
    with pytest.raises(ConfigError, match=r"what no site has written .CNAME"):
        write.write(results, site, lambda line: None)
    assert (site / "CNAME").read_text() == "example.org"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "index.html").write_text("mine")
    with pytest.raises(ConfigError, match=r"what no site has written .index\.html"):
        write.write(results, tmp_path / "home", lambda line: None)
    for place in (results, results / "site", tmp_path):
        with pytest.raises(ConfigError, match="lie inside each other"):
            write.write(results, place, lambda line: None)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is no folder"):
        write.write(results, tmp_path / "file", lambda line: None)


def test_a_run_that_cannot_be_read_takes_no_other_along(results: Path, tmp_path: Path) -> None:
    broken = run(results / "active" / NEWEST)
    (broken / "summary.parquet").write_bytes(b"cut short")
    other = run(results / "other" / OLD, logs=[{"variant": ""}])
    second = run(results / "other" / NEW)
    said: list[str] = []
    text = write.write(results, tmp_path / "site", said.append).read_text()
    assert f"other/{OLD}<" in text and "not as this version writes it (KeyError" in text
    assert second.is_dir() and other.is_dir() and any("not compared: " in line for line in said)
    assert (
        "What could not be read" in text
        and f"active/{NEWEST}<" in text
        and "is not a readable Parquet file" in text
        and "Try hybrid" in text
    )
    assert (tmp_path / "site" / "active" / f"{OLD}-to-{NEW}.html").is_file()


def test_names_carry_out_nothing_and_lead_nowhere_else(tmp_path: Path) -> None:
    results = tmp_path / "results"
    named = {label: (f"p{i}", {}, "bandit", 0.2 + 0.1 * i) for i, label in enumerate(HOSTILE)}
    scenario = {"name": "active", "title": "".join(HOSTILE), "description": HOSTILE[0], "baseline": HOSTILE[1]}
    scenario |= {"leaderboard": "misses", "replicates": "shuffle", "data": {HOSTILE[1]: HOSTILE[2]}}
    folder = results / 'x"><img src=x onerror=alert(1)>'
    run(folder / OLD, named, scenario=scenario, versions={HOSTILE[0]: "1"})
    run(folder / NEW, named, scenario={**scenario, "data": {HOSTILE[1]: "2"}}, versions={HOSTILE[0]: HOSTILE[1]})
    after = load(folder / NEW)
    kinds.SCENARIO.report(after, [])
    study = page.write_study(HOSTILE[1], [after], results / "both", HOSTILE[0], [[]])
    write.write(results, tmp_path / "site", lambda line: None)
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) == 4
    for path in pages:
        text = path.read_text()
        assert "window.hacked" in text
        assert not re.search(r"<script>window|<img src=x|<script><", text.replace("\\u003c", "")), path
        assert all((path.parent / unquote(link)).is_file() for link in links(path))
    assert "](javascript:" not in study[0].read_text()


def test_a_link_of_markdown_ends_where_its_page_ends() -> None:
    text = to_markdown([Link("a](b) [c] \\] d", "x (y)/../javascript:z|.html")], Path())
    assert text == "[a\\]\\(b) \\[c\\] \\\\\\] d](x%20%28y%29/../javascript%3Az%7C.html)\n"
    table = Table(["n"], [["p|](q)"], ["r"]], links=["s t.html", ""])
    assert to_markdown([table], Path()).splitlines()[2:] == ["| [p\\|\\]\\(q)](s%20t.html) |", "| r |"]


def test_runs_are_found_by_folder_by_name_and_by_scenario(results: Path) -> None:
    last = results / "active" / NEW
    (last.parent / "last").write_text(f"{NEW}\n{OLD}\n")
    assert [catalogue.run_called(name, results) for name in ("active", NEW, str(last))] == [last] * 3
    with pytest.raises(ConfigError, match="did you mean 'active'"):
        catalogue.run_called("activ", results)
    with pytest.raises(ConfigError, match="a run of several scenarios"):
        catalogue.run_called(OLD, results)
    with pytest.raises(ConfigError, match="is no folder of results"):
        catalogue.run_called("active", results / "nowhere")


def test_an_evaluation_has_its_own_table(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "shop"
    fake_evaluation.make(folder / OLD)
    fake_evaluation.make(folder / NEW, 0.3, "slope")
    text = write.write(tmp_path / "results", tmp_path / "site", lambda line: None).read_text()
    assert ">Evaluations <" in text and "fixed (fixed policies): 0.300 [0.280, 0.320]" in text and "300 rows" in text
    compared = (tmp_path / "site" / "shop" / f"{OLD}-to-{NEW}.html").read_text()
    assert "Changed: settings." in compared and ">clip<" in compared
    assert "fixed (0.2000 to 0.3000) moved by more than chance, of 2 in both runs" in compared


def test_an_experiment_is_compared_by_its_final_values(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "toy-cells"
    fake_lab.make(folder / OLD)
    fake_lab.make(folder / NEW, accuracy=0.7)
    write.write(tmp_path / "results", tmp_path / "site", lambda line: None)
    text = (tmp_path / "site" / "toy-cells" / f"{OLD}-to-{NEW}.html").read_text()
    assert "GRU (90." in text and "moved by more than chance, of 2 in both runs" in text
    assert "Test accuracy, in %" in text and "nothing that run.json tells" in text


def test_the_page_of_a_study_answers_first_and_leads_to_the_reports(results: Path) -> None:
    text = (results / "both" / "study.md").read_text()
    answer = text.index("Try hybrid: ")
    assert answer < text.index("## Active customers") < text.index("### Leaderboard")
    assert text.count("![") == 1 and f"](../active/{NEW}/report.html)" in text
    assert not (results / "both" / "figures").exists(), "those of the run are shown"
    shown = (results / "both" / "study.html").read_text()
    assert f"Files: <code>../active/{NEW}/figures/curve-misses.png" in shown
    assert len(shown) < 300_000


def test_the_top_of_a_long_table_keeps_the_baseline(tmp_path: Path) -> None:
    many = {f"hybrid x={i}": ("hybrid", {"x": i}, "bandit", 0.9 - i / 20) for i in range(9)} | {"random": FEW["random"]}
    after = load(run(tmp_path / "active" / NEW, many))
    text = page.write_study("One", [after], tmp_path / "one", figures=[[]])[0].read_text()
    assert "| hybrid x=4 |" in text and "| hybrid x=5 |" not in text and "| random |" in text
    assert "4 more contenders are in the report." in text


def test_a_made_up_run_is_a_run(tmp_path: Path) -> None:
    """Or else the tests above would be about nothing that `lersbench bench` writes."""
    folder = run(tmp_path / "results" / "active" / OLD)
    assert json.loads((folder / "run.json").read_text())["scenario"]["name"] == "active"
    assert catalogue.runs(tmp_path / "results") == {"active": [folder]}
