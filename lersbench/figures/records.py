"""What was drawn: a record of every figure, which drawing returns and keeps in a file beside the figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from lersbench import __version__
from lersbench.figures.frame import save
from lersbench.figures.style import STYLE
from lersbench.files import read_json, replacing
from lersbench.results.evaluation import Evaluation
from lersbench.results.lab import LabResults
from lersbench.results.tables import Results

FILE = "figures.json"
Drawn = Results | LabResults | Evaluation


@dataclass(frozen=True)
class Plan:
    """A figure to draw: `stem` names its files, `make` draws it."""

    stem: str
    title: str
    kind: str  # "curve", "final", "hit-ratio", "sweep", or what it alone shows
    cases: tuple[str, ...]  # the variants it shows; none for an experiment
    make: Callable[[], Figure]


@dataclass(frozen=True)
class Record:
    """A figure in two files; title, kind and cases are those of its plan."""

    png: Path
    svg: Path
    title: str
    kind: str
    cases: tuple[str, ...]


def draw_plans(plans: Iterable[Plan], folder: str | Path, results: Drawn, whole: bool = True) -> list[Record]:
    """Draw figures into `folder` and keep their records there; `whole`: are they all that `results` have?"""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).unlink(missing_ok=True)  # it would be of other figures, were this one to be cut short
    records = []
    with matplotlib.rc_context(STYLE):
        for plan in plans:
            png, svg = save(plan.make(), folder, plan.stem)
            records.append(Record(png, svg, plan.title, plan.kind, plan.cases))
    figures = [{**vars(one), "png": one.png.name, "svg": one.svg.name} for one in records]
    with replacing(folder / FILE) as unfinished:
        content = {"of": _sources(results), "whole": whole, "figures": figures}
        unfinished.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return records


def read_records(folder: Path, results: Drawn) -> list[Record] | None:
    """The records in `folder`; None where it does not hold all figures of these results, as this version draws them."""
    try:
        content = read_json(folder / FILE)
        if content["of"] != _sources(results) or not content["whole"]:
            return None
        records = [_record(folder, figure) for figure in content["figures"]]
    except (OSError, ValueError, TypeError, KeyError):  # none, or not what was written
        return None
    return records if all(path.is_file() for one in records for path in (one.png, one.svg)) else None


def _record(folder: Path, figure: dict[str, Any]) -> Record:
    files = {"png": folder / figure["png"], "svg": folder / figure["svg"]}
    return Record(**{**figure, **files, "cases": tuple(figure["cases"])})


def _sources(results: Drawn) -> dict[str, Any]:
    """What figures depend on: the run, what its tables hold, and the version that draws."""
    return {"version": __version__, "run": results.path.name, "tables": results.meta.get("tables", {})}
