"""The parts of `log.json` that are free in form, but that something reads: they must be what it reads them as."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lersbench.errors import DataError
from lersbench.log import random_order

NUMBERS = "numbers by name, such as {'customers': 1000}"
CALIBRATION = "a list of {'what': a text, 'published': a number, 'here': a number}"
SELECTIONS = "a list of {'said': a text}"
JOINS = "a list of {'what': a text, 'rows': a number, 'met': a number}"
PROPENSITY_MODEL = "what estimated the propensities: {'method': a text, and what else is to be known of it}"
NAMES = "lists of names, such as {'context': ['age'], 'features': ['price'], 'items': ['stock']}"
MODEL = {
    "weights": "a row of L + 1 probabilities for each of the L positions",
    "goes_on": "a probability for each of the positions that weights have",
    "fade": "a probability",
}


def check(file: str, provenance: Mapping[str, Any], click_model: Mapping[str, Any], positions: int) -> None:
    """Raise a DataError that names the key, its value and the fix for the first part that cannot be read.

    `positions` are those of the slates of the log, L.
    """
    for key, value, due in [*_provenance(provenance), *_click_model(click_model, positions)]:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise DataError(f"{file}: {key} is {shown}; it must be {due}. Fix: write it so, or leave it out")


def _provenance(provenance: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """What reports, and `datasets.transactions.describe`, would stumble over."""
    for key, fits, due in (("selections", _selection, SELECTIONS), ("joins", _join, JOINS)):
        if not _list(provenance.get(key, []), fits):
            yield f"provenance.{key}", provenance[key], due
    model = provenance.get("propensity_model", {"method": ""})
    if not isinstance(model, dict) or not isinstance(model.get("method"), str):
        yield "provenance.propensity_model", model, PROPENSITY_MODEL
    if random_order.KEY in provenance and provenance[random_order.KEY] != random_order.LOGGER:
        yield f"provenance.{random_order.KEY}", provenance[random_order.KEY], "1, the logger of lists in random order"
    named = provenance.get("feature_names", {})
    if not isinstance(named, dict) or not all(_list(of, lambda name: isinstance(name, str)) for of in named.values()):
        yield "provenance.feature_names", named, NAMES
    published = provenance.get("published")
    if published is None and "published" not in provenance:
        return
    if not isinstance(published, dict) or not all(map(_number, published.values())):
        yield "provenance.published", published, NUMBERS
        return
    for key in published:
        if not _number(provenance.get(key)):
            yield f"provenance.{key}", provenance.get(key), "a number, since provenance.published has one of that name"
    there = provenance.get("all_there_are", [])
    if not _list(there, lambda name: isinstance(name, str)):
        yield "provenance.all_there_are", there, "a list of names"
    rows = provenance.get("calibration", [])
    if not _list(rows, _calibrated):
        yield "provenance.calibration", rows, CALIBRATION


def _selection(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("said"), str)


def _join(row: Any) -> bool:
    return (
        isinstance(row, dict) and isinstance(row.get("what"), str) and all(_number(row.get(k)) for k in ("rows", "met"))
    )


def _calibrated(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("what"), str):
        return False
    return _number(row.get("published")) and _number(row.get("here"))


def _click_model(model: Mapping[str, Any], positions: int) -> Iterator[tuple[str, Any, str]]:
    """What `clickmodel.parse` would refuse, or what is too short for the slates."""
    if not model:
        return
    weights, goes_on = model.get("weights"), model.get("goes_on")
    length = len(weights) if isinstance(weights, list) else 0
    fine = {
        "weights": length >= max(positions, 1)
        and _list(weights, lambda row: _list(row, _probability) and len(row) == length + 1),
        "goes_on": _list(goes_on, _probability) and len(goes_on or ()) == length,
        "fade": _probability(model.get("fade")),
    }
    for key, due in MODEL.items():
        if not fine[key]:
            longer = f", {positions} or more" if key == "weights" else ""
            yield f"click_model.{key}", model.get(key), due + longer


def _list(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(fits, value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _probability(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1
