"""What the logs of a run are made of: what their imports left out or repaired, how many rows of joins met, and where
rounds differ in length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lersbench.report.blocks import Block, Heading, Items
from lersbench.results.tables import Results

ENOUGH = 0.9  # the share of rows that meet, below which a join is warned of, as the import does


def left_out(results: Results) -> list[Block]:
    """A section with every selection and join of the imports; nothing where there are none."""
    lines = [line for log, provenance in _logs(results) for line in _lines(log["name"], provenance)]
    return [Heading(2, "What the logs leave out"), Items(list(dict.fromkeys(lines)))] if lines else []


def _lines(name: str, provenance: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name}: {selection['said']}." for selection in provenance.get("selections") or [])
    for join in provenance.get("joins") or []:
        yield f"{name}: {join['what']}: {_met(join)}."


def _met(join: Mapping[str, Any]) -> str:
    share = join["met"] / join["rows"] if join["rows"] else 1.0
    return f"{join['met']:,} of {join['rows']:,} {join.get('unit', 'rows')} met ({share:.1%})"


def poor_joins(results: Results) -> list[str]:
    """A caveat for every join in which too few rows met."""
    lines = [
        f"{log['name']}, {join['what']}: only {_met(join)}. The others have nothing of what was joined, so policies "
        "that use it know less of them."
        for log, provenance in _logs(results)
        for join in provenance.get("joins") or []
        if join["met"] < ENOUGH * join["rows"]
    ]
    return list(dict.fromkeys(lines))


def differing_rounds(results: Results) -> list[str]:
    """What it means that rounds differ in length, a line a log."""
    lines = [
        f"The rounds of {log['name']} differ in length: {_most(log)}. Where there are fewer candidates than the slate "
        "size K, a slate has as many positions as there are candidates; CTR divides by the positions that were shown, "
        "HR@p by the candidates of its round."
        for log, _ in _logs(results)
        if log.get("ragged")
    ]
    return list(dict.fromkeys(lines))


def _most(log: Mapping[str, Any]) -> str:
    candidates = f"{log['C']:,} candidates{' at most' if 'candidates' in log['ragged'] else ' in each'}"
    if not log["L"]:
        return candidates
    return f"{candidates}, {log['L']:,} logged positions{' at most' if 'slate' in log['ragged'] else ' in each'}"


def _logs(results: Results) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for log in results.meta["logs"]:
        yield log, log.get("provenance") or {}
