"""The report of an off-policy evaluation: the answer first, then tables, reasons, figures and settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lersbench.feedback import QUESTIONS
from lersbench.figures.evaluation import draw
from lersbench.figures.records import Record
from lersbench.report.blocks import Block, Heading, Items, Table, Text, pictures
from lersbench.report.pages import write_pages
from lersbench.results.evaluation import LOGGER, Evaluation
from lersbench.results.evaluation_words import WORDS, digits_of, legend, parts, reasons, sentences
from lersbench.results.numbers import number, range_in_words

DIAGNOSTICS = {  # columns of the estimates: heading and decimals
    "ess": ("effective rows", 0),
    "events": ("effective events", 1),
    "thin": ("thin mass", 3),
    "max_share": ("largest weight, share", 4),
    "wbar": ("mean weight", 3),
    "wbar_z": ("its z", 1),
    "worst_slice_z": ("worst slice, z", 1),
    "hill": ("tail index", 1),
    "top_out": ("without the top row", 5),
    "r2": ("model R2", 3),
}
MEANING = [
    "Effective events: the same count for rewarded rows; below 50 the interval leans on few of them.",
    "Thin mass: share of what the policy would show of which the log is expected to hold less than one rewarded row.",
    "Mean weight: 1 if the propensities are right and every choice of the policy could have been logged. z: distance "
    "from 1 in standard errors; worst slice: the same within a day, a context level, an item.",
    "Tail index (Hill) of the largest weights: below 2 their variance may be infinite. inf: all largest weights equal.",
    "Model R2: how much of the weighted reward the reward model explains on other rows than its own; 0 or less: none.",
]


def write(evaluation: Evaluation, figures: Sequence[Record] | None = None) -> list[Path]:
    """Write report.md and report.html beside the tables; figures are drawn where none are given. Returns the two."""
    folder = evaluation.path
    figures = draw(evaluation, folder / "figures") if figures is None else figures
    return write_pages(document(evaluation, figures), evaluation.title, folder, "report")


def document(evaluation: Evaluation, figures: Sequence[Record], level: int = 1) -> list[Block]:
    """The whole report as blocks, its title a heading of this level."""
    blocks = _document(evaluation, figures)
    return [Heading(one.level + level - 1, one.text) if isinstance(one, Heading) else one for one in blocks]


def _document(evaluation: Evaluation, figures: Sequence[Record]) -> list[Block]:
    blocks: list[Block] = [Heading(1, evaluation.title), Items(sentences(evaluation))]
    for title, head, rows in parts(evaluation):
        blocks += [Heading(2, title.split(":")[0]), Text(f"{title}."), Table(head, rows, WORDS)]
    blocks.append(Items(legend(evaluation)))
    if lines := reasons(evaluation):
        blocks += [Heading(2, "What is not simply to be believed"), Items(lines)]
    blocks += [*_pairs(evaluation), *_diagnostics(evaluation), *_sensitivity(evaluation), *_fitted(evaluation)]
    blocks += [Heading(2, "Figures"), *pictures(figures), Heading(2, "How it was made"), Items(_settings(evaluation))]
    return blocks


def _pairs(evaluation: Evaluation) -> list[Block]:
    """The paired differences between policies, question by question."""
    rows = evaluation.differences
    rows = rows[rows["other"] != LOGGER]
    if rows.empty:
        return []
    lines = []
    for _, row in rows.iterrows():
        digits = digits_of((row["high"] - row["low"]) / 2)
        span = range_in_words(row["low"], row["high"], digits, sign=True)
        title = QUESTIONS[row["feedback"]].title
        lines.append([title, row["policy"], row["other"], number(row["value"], digits, True), span])
    return [
        Heading(2, "Policies against each other"),
        Text("Differences on the same rows; their errors are those of the differences, not of two separate values."),
        Table(["question", "policy", "less", "difference", "interval"], lines, 3),
    ]


def _diagnostics(evaluation: Evaluation) -> list[Block]:
    known = [name for name in DIAGNOSTICS if name in evaluation.estimates]
    lines = []
    for question in evaluation.questions:
        for _, row in evaluation.leading(question).iterrows():
            numbers = [_figure(row[name], DIAGNOSTICS[name][1]) for name in known]
            lines.append([str(row["policy"]), QUESTIONS[question].title, *numbers])
    heads = ["policy", "question", *(DIAGNOSTICS[name][0] for name in known)]
    return [Heading(2, "Why"), Table(heads, lines, 2), Items(MEANING)]


def _figure(value: float, digits: int) -> str:
    return "inf" if value == math.inf else number(value, digits)


def _fitted(evaluation: Evaluation) -> list[Block]:
    """The model of estimated propensities: what it was made of, and whether items came up as often as it says."""
    facts = evaluation.about.get("propensity_model")
    if not facts:
        return []
    lines = [
        [number(100 * one["said"], 2), number(100 * one["seen"], 2), f"{one['pairs']:,}", number(one["z"], 1)]
        for one in facts["reliability"]
    ]
    temperatures = ", ".join(f"{one:.3g}" for one in facts["temperature"])
    return [
        Heading(2, "The estimated propensities"),
        Text(
            f"Model: {facts['method']}, by {', '.join(facts['inputs'])}; fitted to {facts['rows']:,} rows in "
            f"{facts['folds']} folds of users, with ridge {facts['ridge']:g}, temperatures {temperatures}. Below: of "
            "all candidates with about the same chance, the share that was shown. No |z| should be much beyond 3."
        ),
        Table(["foretold, %", "shown, %", "candidates", "z"], lines, 0),
    ]


def _sensitivity(evaluation: Evaluation) -> list[Block]:
    table = evaluation.sensitivity
    if table.empty:
        return []
    lines = [
        [
            row["policy"],
            QUESTIONS[row["feedback"]].title,
            row["cut"],
            _figure(row["weight"], 2),
            number(row["value"], 5),
            number(100 * row["cut_share"], 2),
            number(row["lift"], 5, True),
        ]
        for _, row in table.iterrows()
    ]
    heads = ["policy", "question", "cut at", "largest weight", "value", "weight cut, %", "less what ran"]
    return [
        Heading(2, "With the largest weights cut"),
        Text("A value whose sign against what ran changes along its rows depends on a few rows with large weights."),
        Table(heads, lines, 3),
    ]


def _settings(evaluation: Evaluation) -> list[str]:
    about = evaluation.about
    settings = ", ".join(f"{key} {value}" for key, value in about["settings"].items() if value not in (None, [], ""))
    how = pd.unique(evaluation.estimates["chance"])
    lines = [
        f"Log: {about['log']}, {about['n']:,} rows, propensities {about['propensities']}.",
        f"Settings: {settings}.",
        f"Chances of the policies: {', '.join(map(str, how))}.",
    ]
    versions = ", ".join(f"{name} {value}" for name, value in about.get("versions", {}).items())
    return [*lines, *([f"Versions: {versions}."] if versions else []), *about.get("sources", [])]
