"""What was drawn: a record of every figure, returned by drawing and kept beside the figures for whoever shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from lersbench import __version__
from lersbench.figures.style import STYLE, save
from lersbench.files import read_json, replacing
from lersbench.results.lab import LabResults
from lersbench.results.tables import Results

FILE = "figures.json"


@dataclass(frozen=True)
class Plan:
    """A figure that the results have all for: `stem` names its files, `make` draws it."""

    stem: str
    title: str
    kind: str  # "curve", "final", "hit-ratio", "sweep", or what it alone shows
    cases: tuple[str, ...]  # the variants that are drawn; none for an experiment
    make: Callable[[], Figure]


@dataclass(frozen=True)
class Record:
    """A figure that lies in two files; title, kind and cases are those of its plan."""

    png: Path
    svg: Path
    title: str
    kind: str
    cases: tuple[str, ...]


def draw(plans: Iterable[Plan], folder: str | Path, results: Results | LabResults, whole: bool = True) -> list[Record]:
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
        content = {"of": _drawn_from(results), "whole": whole, "figures": figures}
        unfinished.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return records


def kept(folder: Path, results: Results | LabResults) -> list[Record] | None:
    """The records in `folder`; None where it does not hold all figures of these results, as this version draws them."""
    try:
        content = read_json(folder / FILE)
        if content["of"] != _drawn_from(results) or not content["whole"]:
            return None
        told = [one | {"png": folder / one["png"], "svg": folder / one["svg"]} for one in content["figures"]]
        found = [Record(**{**one, "cases": tuple(one["cases"])}) for one in told]
    except (OSError, ValueError, TypeError, KeyError):  # none, or not what was written
        return None
    return found if all(path.is_file() for one in found for path in (one.png, one.svg)) else None


def _drawn_from(results: Results | LabResults) -> dict[str, Any]:
    """What figures depend on: the run, what its tables hold, and the version that draws."""
    return {"version": __version__, "run": results.path.name, "tables": results.meta.get("tables", {})}
