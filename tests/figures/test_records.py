"""Records of what was drawn: kept beside the figures, and taken only where they are of the same results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from lersbench.figures import records as figure_records
from lersbench.figures.records import FILE, Plan, draw_plans, read_records
from lersbench.results.tables import Results, load
from tests.support import fake_results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    policies = {"random": fake_results.POLICIES["random"]}
    return load(fake_results.make(tmp_path / "run", policies, seeds=2, points=2, metrics={"hr@20"}))


def plan(stem: str = "a") -> Plan:
    return Plan(stem, f"Title of {stem}", "curve", ("men", "women"), lambda: Figure(figsize=(1, 1)))


def test_what_is_kept_is_what_was_drawn(results: Results, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    drawn = draw_plans([plan("b"), plan("a")], folder, results)
    assert read_records(folder, results) == drawn
    assert [(one.png.name, one.svg.name, one.title, one.kind, one.cases) for one in drawn] == [
        (f"{stem}.png", f"{stem}.svg", f"Title of {stem}", "curve", ("men", "women")) for stem in "ba"
    ]
    assert {path.name for path in folder.iterdir()} == {"a.png", "a.svg", "b.png", "b.svg", FILE}


def test_a_folder_that_was_moved_has_its_records_still(results: Results, tmp_path: Path) -> None:
    draw_plans([plan()], tmp_path / "figures", results)
    moved = (tmp_path / "figures").rename(tmp_path / "moved")
    records = read_records(moved, results)
    assert records and records[0].png == moved / "a.png"


def test_records_of_anything_else_are_not_taken(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run, other tables, another version, a choice of the figures, a file that is gone, or a broken file."""
    folder = tmp_path / "figures"
    assert read_records(folder, results) is None
    draw_plans([plan()], folder, results)
    assert read_records(folder, replace(results, path=tmp_path / "other")) is None
    assert read_records(folder, replace(results, meta={**results.meta, "tables": {"summary.parquet": "1"}})) is None
    with monkeypatch.context() as patch:
        patch.setattr(figure_records, "__version__", "next")
        assert read_records(folder, results) is None
    (folder / "a.png").unlink()
    assert read_records(folder, results) is None
    draw_plans([plan()], folder, results, whole=False)
    assert read_records(folder, results) is None
    for broken in ("{", "[]", json.dumps({"of": {}}), json.dumps({"of": {}, "whole": True, "figures": [{}]})):
        (folder / FILE).write_text(broken)
        assert read_records(folder, results) is None


def test_drawing_that_was_cut_short_leaves_no_records(results: Results, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    draw_plans([plan("a"), plan("b")], folder, results)

    def stop() -> Figure:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_plans([plan("a"), replace(plan("b"), make=stop)], folder, results)
    assert read_records(folder, results) is None
