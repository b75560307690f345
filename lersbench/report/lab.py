"""The report of a laboratory experiment: final values beside simple rules and beside what was published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lersbench.figures.lab import LENGTH_TITLES, code_words, draw_all, footer, run_in_words
from lersbench.figures.records import Record, read_records
from lersbench.report.blocks import Block, Heading, Items, Table, Text, pictures, to_markdown
from lersbench.report.pages import write_pages, write_whole
from lersbench.results.lab import CELLS, EXPLAINED, LENGTHS, SOURCE, TESTED, LabResults, cell_name
from lersbench.results.statistics import Interval
from lersbench.words import defused

Rows = list[list[str]]


def write(results: LabResults, folder: str | Path | None = None, figures: Sequence[Record] | None = None) -> list[Path]:
    """Write report.md, report.html and table.csv into `folder` (the run's own by default); return the two pages."""
    folder = Path(results.path if folder is None else folder)
    if figures is None:
        figures = read_records(folder / "figures", results) or draw_all(results, folder / "figures")
    folder.mkdir(parents=True, exist_ok=True)
    head, rows = table(results)
    write_whole(folder / "table.csv", as_csv(head, rows))
    return write_pages(document(results, figures), results.title, folder, "report")


def document(results: LabResults, figures: Sequence[Record], level: int = 1) -> list[Block]:
    """The whole report as blocks; `level` is that of its heading."""
    blocks: list[Block] = [Heading(level, results.title), Text(results.experiment["description"])]
    blocks += [Text(f"{run_in_words(results)}."), Heading(level + 1, "After the last epoch")]
    head, rows = table(results)
    blocks += [Table(head, rows), Items([*remarks(results), *footer(results)])]
    blocks += [Heading(level + 1, "Figures"), *pictures(figures, level + 2)]
    meta = results.meta
    lines = [f"Run: {results.path.name}; seeds {', '.join(map(str, meta['seeds']))}."]
    for name, key in (("Versions", "versions"), ("Machine", "machine"), ("Seconds", "seconds")):
        lines.append(f"{name}: {', '.join(f'{what} {value}' for what, value in meta[key].items())}.")
    return [
        *blocks,
        Heading(level + 1, "How it was run"),
        Items([*lines, f"Digest of the data {meta['data']['digest']}."]),
    ]


# Tables ---------------------------------------------------------------------------------------------------------------
def as_csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return defused(pd.DataFrame(rows, columns=pd.Index(head))).to_csv(index=False)


def as_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return to_markdown([Table(head, rows)], Path()).strip()


def table(results: LabResults) -> tuple[list[str], Rows]:
    """Head and rows of the final values; the simple rules are rows of their own."""
    return {"cells": _cells, "lengths": _lengths, "codes": _codes}[results.kind](results)


def _cells(results: LabResults) -> tuple[list[str], Rows]:
    rows: Rows = []
    for label, params in results.settings.items():
        name = cell_name(params)
        published = CELLS.get(name) if params["length"] == 5 else None
        rows.append(
            [
                name if name == label or len(results.settings) == len(_names(results)) else f"{name} ({label})",
                _percent(results.final(label, "test_accuracy")),
                _percent(results.final(label, "train_accuracy")),
                _plain(results.final(label, "test_loss")),
                "-" if published is None else f"{published:.2f}",
            ]
        )
    for rule, value in results.meta["rules"]["by_setting"][next(iter(results.settings))].items():
        rows.append([f"rule: {rule}", f"{100 * value:.2f}", "-", "-", "-"])
    head = [
        "cell",
        "test accuracy %",
        "training accuracy %",
        "test cross-entropy",
        "published accuracy %, the study's data",
    ]
    return head, rows


def _names(results: LabResults) -> set[str]:
    return {cell_name(params) for params in results.settings.values()}


def _lengths(results: LabResults) -> tuple[list[str], Rows]:
    rows: Rows = []
    rules, counts = results.meta["rules"]["by_setting"], results.meta["rules"]["customers"]
    for label, params in results.settings.items():
        streamer = params["task"] == "streamer"
        span = results.final(label, "test_accuracy" if streamer else "test_loss")
        best = (max if streamer else min)(rules[label].items(), key=lambda item: item[1])
        published = LENGTHS[params["task"]].get(params["length"]) if params["customers"] == "own" else None
        rows.append(
            [
                f"{LENGTH_TITLES[params['task']]}, length {params['length']}",
                f"{'all who have it' if params['customers'] == 'own' else 'the same for all'}, {counts[label]:,}",
                "accuracy, %" if streamer else "squared error",
                _percent(span) if streamer else _plain(span, 5),
                f"{100 * best[1]:.2f} ({best[0]})" if streamer else f"{best[1]:.5f} ({best[0]})",
                "-" if published is None else str(published),
            ]
        )
    return ["known", "customers", "measure", "test", "best simple rule, test", "published, the study's data"], rows


def _codes(results: LabResults) -> tuple[list[str], Rows]:
    rules, rows = results.meta["rules"], list[list[str]]()
    for label in sorted(results.settings, key=lambda name: _code_order(results.settings[name])):
        params = results.settings[label]
        rows.append(
            [
                code_words(results, label),
                _plain(results.final(label, "test_mse")),
                _plain(results.final(label, "train_mse")),
                _plain(results.final(label, "test_kl"), 3) if params["kind"] == "vae" else "-",
                _shares(rules["explained"].get(label)),
            ]
        )
    for size, value in rules["linear_error"].items():
        name = "rule: mean of all" if size == "0" else f"rule: {size} principal components"
        rows.append([name, f"{value:.4f}", "-", "-", "-"])
    rows.append(["the context itself", "-", "-", "-", _shares(rules["explained"]["context"])])
    rows.append(["published, the study's data", "-", "-", "-", " / ".join(f"{share}" for share in EXPLAINED.values())])
    head = ["code", "test squared error", "training squared error", "test KL", "variance in 2 / 3 components, %"]
    return head, rows


def _code_order(params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Codes of a kind together, by size."""
    return params["kind"], -params["kl_weight"], params["tanh_output"], params["weight_eps"], params["size"]


def _shares(explained: Sequence[float] | None) -> str:
    return "-" if explained is None else f"{100 * explained[1]:.1f} / {100 * explained[2]:.1f}"


def _percent(span: Interval) -> str:
    return _plain(Interval(*(100 * value for value in span)), 2)


def _plain(span: Interval, digits: int = 4) -> str:
    mean, low, high = map(float, span)
    return f"{mean:.{digits}f}" + (f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) else "")


# Remarks --------------------------------------------------------------------------------------------------------------
def remarks(results: LabResults) -> list[str]:
    """What a reader should know before believing the table, each worked out from the results."""
    lines = {"cells": _cell_remarks, "lengths": _length_remarks, "codes": _code_remarks}[results.kind](results)
    published = f"Published values are those of {SOURCE}, on private data: they stand beside, and are no goal."
    seeds = len(results.meta["seeds"])
    few = [f"{seeds} seed{'s' * (seeds > 1)}: intervals are wide, or none; small differences remain open."]
    return [*lines, published, *(few if seeds < 5 else []), *(f"Warning: {note}." for note in results.meta["notes"])]


def _cell_remarks(results: LabResults) -> list[str]:
    finals = {label: float(results.final(label, "test_accuracy").mean) for label in results.settings}
    rules = results.meta["rules"]
    label = max(finals, key=lambda name: finals[name])
    rule, most = max(rules["by_setting"][label].items(), key=lambda item: item[1])
    tested = rules["customers"][label] * (1 - results.experiment["training"]["split"])
    error, theirs = 100 * _standard_error(finals[label], tested), 100 * _standard_error(0.942, TESTED[5])
    spread, theirs_spread = 100 * (finals[label] - min(finals.values())), max(CELLS.values()) - min(CELLS.values())
    return [
        f"The best cell is right in {100 * finals[label]:.2f} %; the rule '{rule}', without learning, in "
        f"{100 * most:.2f} %.",
        f"From the best cell to the last it is {spread:.2f} points, while one standard error of an accuracy on "
        f"{tested:,.0f} test customers is {error:.2f}. Of the published ones it is {theirs_spread:.2f} points and "
        f"{theirs:.2f}.",
        *_overfit(results),
    ]


def _length_remarks(results: LabResults) -> list[str]:
    lines = [
        "With all customers who have it a longer sequence is measured on fewer and busier customers, as published: "
        "what looks like an effect of the length may be one of the customers. The rows with the same customers for "
        "all lengths compare like with like."
    ]
    if any(params["task"] == "basket" for params in results.settings.values()):
        lines.append(
            "Squared errors are means over the numbers of a basket's text vector. The published ones are of 768-d "
            "vectors of another text model, so their size says nothing here."
        )
    errors = ", ".join(f"{100 * _standard_error(LENGTHS['streamer'][n] / 100, TESTED[n]):.2f} at {n}" for n in TESTED)
    return [
        *lines,
        f"Standard errors of the published accuracies, from the size of their test parts: {errors} points.",
        *_overfit(results),
    ]


def _code_remarks(results: LabResults) -> list[str]:
    variance = results.meta["rules"]["linear_error"]["0"]
    silent = [
        code_words(results, label)
        for label in results.settings
        if float(results.final(label, "test_mse").mean) >= 0.95 * variance
    ]
    lines = ["The encoders of the context learned from all customers; only the autoencoders are tested on others."]
    if silent:
        lines.append(
            f"The reconstruction is no better than the mean of all customers (squared error {variance:.4f}), so the "
            f"code tells next to nothing of a customer: {'; '.join(silent)}."
        )
    return lines


def _overfit(results: LabResults) -> list[str]:
    """Which settings were better in an earlier epoch by more than a twentieth of the test loss."""
    settings = []
    for label in results.settings:
        curve = results.curve(label, "test_loss")
        if curve.iloc[-1] > 1.05 * curve.min():
            settings.append(f"{label} (least at epoch {curve.idxmin()})")
    return [f"The test loss rose again before the last epoch: {', '.join(settings)}."] if settings else []


def _standard_error(share: float, n: float) -> float:
    return math.sqrt(share * (1 - share) / n)
