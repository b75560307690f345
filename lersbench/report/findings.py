"""What a run says across its cases, as blocks of a page and as tables: slate sizes, protocols, the growth of regret,
the click models fitted before the replay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from lersbench.clicks.facts import columns, exposure, quality
from lersbench.figures.frame import drawn_cases
from lersbench.figures.logs import click_models
from lersbench.report.blocks import Block, Heading, Items, Table, Text
from lersbench.results.comparisons import (
    Comparison,
    Measure,
    agreements,
    baseline_of,
    by_slate,
    comparisons,
    rates,
    reversals,
    slopes,
    verdict,
)
from lersbench.results.numbers import MISSING, number
from lersbench.results.tables import Results

LISTED = 8  # reversed pairs that are listed; the table has the number of all


def sections(results: Results) -> list[Block]:
    """All that the run has to say across its cases, under headings of their own."""
    return [*_slates(results), *protocols(results), *_regret(results), *_click_models(results)]


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """The same as tables for files, by stem; lifts in percent."""
    pairs = comparisons(results)
    frames = {"lift-by-slate": by_slate(results)}
    if pairs:
        frames["lift-by-protocol"] = pd.concat([_all_lifts(one) for one in pairs])
        frames["agreement-of-protocols"] = pd.concat([_with_place(one, agreements(one)) for one in pairs])
    frames["regret-slopes"] = slopes(results)
    return {stem: frame for stem, frame in frames.items() if len(frame)}


def verdicts(results: Results) -> list[str]:
    """One sentence for every comparison of protocols in the report, by clicks per round."""
    return [verdict(one) for one in _drawn_comparisons(results) if one.rate != "ctr_set"]


def _drawn_comparisons(results: Results) -> list[Comparison]:
    """The comparisons of the slate sizes that are drawn."""
    sizes = {case.slate for case in drawn_cases(results)}
    return [one for one in comparisons(results) if one.slate in sizes]


def _all_lifts(one: Comparison) -> pd.DataFrame:
    """The lifts by all measures of a comparison, a row a measure and policy."""
    parts = [one.lifts[m.short].assign(measure=m.short, metric=m.metric) for m in one.measures]
    return _with_place(one, pd.concat(parts)[["measure", "metric", "policy", "lift", "low", "high"]])


def _with_place(one: Comparison, frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the data, the slate size and the click rate of a comparison in front."""
    place = pd.DataFrame({"data": one.data, "slate": one.slate, "rate": one.rate}, index=frame.index)
    return pd.concat([place, frame], axis=1)


def lift_cell(mean: float, low: float, high: float) -> str:
    """ "+15.1 \N{PLUS-MINUS SIGN} 0.3", in percent; the mean alone where nothing is known of its error."""
    half = (high - low) / 2
    spread = f" \N{PLUS-MINUS SIGN} {half:.1f}" if math.isfinite(half) and half > 0 else ""
    return number(mean, 1, sign=mean != 0) + spread


# Slate sizes ----------------------------------------------------------------------------------------------------------
def _slates(results: Results) -> list[Block]:
    lifts = by_slate(results)
    if lifts.empty:
        return []
    base = baseline_of(results, results.variants[0])
    blocks: list[Block] = [
        Heading(2, f"Lift over {base} by slate size"),
        Text(
            f"In %: value / value of {base} - 1, seed by seed, with half the width of its interval. Policies are "
            "ordered by the mean over all sizes. `lift-by-slate.csv` has all click rates."
        ),
    ]
    for case in {(case.data, case.protocol): case for case in results.cases}.values():
        for name in rates(results, case):
            rows = lifts[
                (lifts["data"] == case.data) & (lifts["protocol"] == case.protocol) & (lifts["metric"] == name)
            ]
            if len(rows):
                words = ", ".join(filter(None, [case.in_words(slate=False), results.metric(name).title]))
                blocks += [Heading(3, words), _slate_table(rows, results.slates)]
    return blocks


def _slate_table(rows: pd.DataFrame, sizes: Sequence[int]) -> Table:
    """Lifts, a row a policy and a column a slate size."""
    order = rows.groupby("policy")["lift"].mean().sort_values(ascending=False, kind="stable").index
    cells = {
        (str(policy), int(slate)): lift_cell(float(mean), float(low), float(high))
        for policy, slate, mean, low, high in zip(
            *(rows[key] for key in ("policy", "slate", "lift", "low", "high")), strict=True
        )
    }
    head = ["policy", *(f"K = {size}" for size in sizes)]
    return Table(head, [[policy, *(cells.get((policy, size), MISSING) for size in sizes)] for policy in order])


# Protocols ------------------------------------------------------------------------------------------------------------
def protocols(results: Results, level: int = 2) -> list[Block]:
    """The lift of each policy by each protocol, how well the orders agree, and the pairs in reversed order."""
    pairs = _drawn_comparisons(results)
    if not pairs:
        return []
    base = baseline_of(results, pairs[0].measures[0].variant)
    paid = "reward" if results.reward else "click"
    blocks: list[Block] = [
        Heading(level, "Which protocol tells the truth"),
        Items([verdict(one) for one in pairs]),
        Text(
            f"Lift over {base} in % by each measure, with half the width of its interval. Logged-click re-ranking "
            f"counts a logged {paid} wherever the item is placed, so it knows neither that lower positions are seen "
            f"less nor that other items stand beside; IPS weighs the logged {paid}s by how likely the item was to be "
            "seen."
        ),
    ]
    for one in pairs:
        head = ["policy", *(measure.short for measure in one.measures)]
        rows = [[p, *(lift_cell(*one.lift(m, p)) for m in one.measures)] for p in one.policies]
        blocks += [Heading(level + 1, one.place), Table(head, rows)]
        blocks += [_agreement(one), *_reversals(one), *_sample_sizes(results, one)]
    return blocks


def _agreement(one: Comparison) -> Table:
    head = ["order by", "held against", "Kendall's tau", "pairs separated", "hold", "not separated", "reversed"]
    rows = [
        [str(row[0]), str(row[1]), number(float(row[2]), 2), *(str(cell) for cell in row[3:])]
        for row in agreements(one).itertuples(index=False, name=None)
    ]
    return Table(head, rows, words=2)


def _reversals(one: Comparison) -> list[Block]:
    """The pairs that the first measure surely orders one way and the truth the other."""
    first, truth = one.measures[0], one.reference
    pairs = reversals(one, first, truth)
    if not pairs:
        return []
    lines = [
        f"{a} above {b} by {first.short} ({_lift_pair(one, first, a, b)}), below it by the {truth.short} "
        f"({_lift_pair(one, truth, a, b)})."
        for a, b in pairs[:LISTED]
    ]
    more = [f"And {len(pairs) - LISTED} more."] if len(pairs) > LISTED else []
    return [Items([*lines, *more])]


def _lift_pair(one: Comparison, measure: Measure, a: str, b: str) -> str:
    return " against ".join(f"{number(one.lift(measure, policy)[0], 1, True)} %" for policy in (a, b))


def _sample_sizes(results: Results, one: Comparison) -> list[Block]:
    """The effective sample size of the estimates by propensity."""
    parts = []
    for measure in one.measures:
        if f"{measure.metric}_ess" in results.metrics:
            shares = results.final(measure.variant, f"{measure.metric}_ess").mean(axis=1)
            parts.append(f"{measure.short}: {100 * shares.min():.0f} to {100 * shares.max():.0f} % of the shown items")
    return [Text(f"Effective sample, of the policies: {'; '.join(parts)}.")] if parts else []


# Regret ---------------------------------------------------------------------------------------------------------------
def _regret(results: Results) -> list[Block]:
    growth = slopes(results)
    cases = [case for case in drawn_cases(results) if case.variant in set(growth["variant"])]
    if not cases:
        return []
    cells = {(row.variant, row.policy): row for row in growth.itertuples()}
    rows_of_cases = growth[growth["variant"].isin([case.variant for case in cases])]
    order = rows_of_cases.groupby("policy")["slope"].mean().sort_values(kind="stable").index
    head = ["policy", *(case.in_words() or "slope" for case in cases)]
    rows = [[policy, *(_slope_cell(cells.get((case.variant, policy))) for case in cases)] for policy in order]
    words = (
        "The exponent b of regret ~ round^b, least squares on log-log axes over the last two thirds of log(round), "
        "with its interval: below 1 the regret of a round goes to zero, 1/2 is the rate of sqrt(T)."
    )
    return [Heading(2, "Growth of the true regret"), Text(words), Table(head, rows)]


def _slope_cell(row: object) -> str:
    if row is None:
        return MISSING
    mean, low, high = (float(getattr(row, key)) for key in ("slope", "low", "high"))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]" if math.isfinite(low) else f"{mean:.2f}"


# Click models ---------------------------------------------------------------------------------------------------------
def _click_models(results: Results) -> list[Block]:
    fitted = click_models(results)
    if not fitted:
        return []
    words = (
        "How often a position is examined, relative to the first: w(k) of the position-based model, and w(k,0) of the "
        "user browsing model where nothing above was clicked. Policies that need position weights were given these. "
        "How well a model foresees clicks is what `lersbench click-model` says (held-out perplexity)."
    )
    blocks: list[Block] = [Heading(2, "Click models"), Text(words)]
    for case, facts in fitted:
        cells = columns(facts)
        place = f"{case.data}: " if case.data else ""
        blocks += [
            Text(f"{place}Fitted on the first {facts['records']:,} records, which were not replayed."),
            Table(list(cells), list(zip(*cells.values(), strict=True)), words=0),
            Items([*exposure(facts), *(_fit_in_words(name, model) for name, model in facts["models"].items())]),
        ]
    return blocks


def _fit_in_words(name: str, model: dict[str, Any]) -> str:
    return " ".join([f"{quality(name, model)}.", *model["notes"]])
