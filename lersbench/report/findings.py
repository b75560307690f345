"""What a run says across its cases, as blocks of a page and as tables: slate sizes, protocols, the growth of regret,
the click models fitted before the replay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from lersbench.clicks.facts import columns, exposure, quality
from lersbench.figures.logs import click_models
from lersbench.figures.style import drawn_cases
from lersbench.metrics import METRICS
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

REVERSED = 8  # reversed pairs that are listed; the table has their number


def sections(results: Results) -> list[Block]:
    """All that the run has to say across its cases, under headings of their own."""
    return [*_slates(results), *protocols(results), *_regret(results), *_click_models(results)]


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """The same as tables for files, by stem; lifts in percent."""
    compared = comparisons(results)
    found = {
        "lift-by-slate": by_slate(results),
        "lift-by-protocol": pd.concat([_tidy(one) for one in compared]) if compared else pd.DataFrame(),
        "agreement-of-protocols": pd.concat([_placed(one, agreements(one)) for one in compared])
        if compared
        else pd.DataFrame(),
        "regret-slopes": slopes(results),
    }
    return {stem: frame for stem, frame in found.items() if len(frame)}


def verdicts(results: Results) -> list[str]:
    """One sentence for every comparison of protocols that is shown, by clicks per round."""
    return [verdict(one) for one in _shown(results) if one.rate == "ctr_sum"]


def _shown(results: Results) -> list[Comparison]:
    sizes = {case.slate for case in drawn_cases(results)}
    return [one for one in comparisons(results) if one.slate in sizes]


def _tidy(one: Comparison) -> pd.DataFrame:
    parts = [one.lifts[m.short].assign(measure=m.short, metric=m.metric) for m in one.measures]
    return _placed(one, pd.concat(parts)[["measure", "metric", "policy", "lift", "low", "high"]])


def _placed(one: Comparison, frame: pd.DataFrame) -> pd.DataFrame:
    place = pd.DataFrame({"data": one.data, "slate": one.slate, "rate": one.rate}, index=frame.index)
    return pd.concat([place, frame], axis=1)


def lift_cell(mean: float, low: float, high: float) -> str:
    """ "+15.1 \N{PLUS-MINUS SIGN} 0.3", in percent; the mean alone where nothing is known of its error."""
    half = (high - low) / 2
    spread = f" \N{PLUS-MINUS SIGN} {half:.1f}" if math.isfinite(half) and half > 0 else ""
    return number(mean, 1, sign=mean != 0) + spread


# Slate sizes ----------------------------------------------------------------------------------------------------------
def _slates(results: Results) -> list[Block]:
    found = by_slate(results)
    if found.empty:
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
            rows = found[
                (found["data"] == case.data) & (found["protocol"] == case.protocol) & (found["metric"] == name)
            ]
            if len(rows):
                words = ", ".join(filter(None, [case.in_words(slate=False), METRICS[name].title]))
                blocks += [Heading(3, words), _by_size(rows, results.slates)]
    return blocks


def _by_size(rows: pd.DataFrame, sizes: Sequence[int]) -> Table:
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
    """What each protocol says of each policy, how well the orders agree, and the pairs that turn round."""
    compared = _shown(results)
    if not compared:
        return []
    base = baseline_of(results, compared[0].measures[0].variant)
    blocks: list[Block] = [
        Heading(level, "Which protocol tells the truth"),
        Items([verdict(one) for one in compared]),
        Text(
            f"Lift over {base} in % by each measure, with half the width of its interval. Logged-click re-ranking "
            "counts a logged click wherever the item is placed, so it knows neither that lower positions are seen less "
            "nor that other items stand beside; IPS weighs the logged clicks by how likely the item was to be seen."
        ),
    ]
    for one in compared:
        head = ["policy", *(measure.short for measure in one.measures)]
        rows = [[p, *(lift_cell(*one.lift(m, p)) for m in one.measures)] for p in one.policies]
        blocks += [Heading(level + 1, one.place), Table(head, rows)]
        blocks += [_agreement(one), *_reversed(one), *_weights(results, one)]
    return blocks


def _agreement(one: Comparison) -> Table:
    head = ["order by", "held against", "Kendall's tau", "pairs told apart", "hold", "not told apart", "reversed"]
    rows = [
        [str(row[0]), str(row[1]), number(float(row[2]), 2), *(str(cell) for cell in row[3:])]
        for row in agreements(one).itertuples(index=False, name=None)
    ]
    return Table(head, rows, words=2)


def _reversed(one: Comparison) -> list[Block]:
    first, truth = one.measures[0], one.reference
    pairs = reversals(one, first, truth)
    if not pairs:
        return []
    lines = [
        f"{a} above {b} by {first.short} ({_pair(one, first, a, b)}), below it by the {truth.short} "
        f"({_pair(one, truth, a, b)})."
        for a, b in pairs[:REVERSED]
    ]
    more = [f"And {len(pairs) - REVERSED} more."] if len(pairs) > REVERSED else []
    return [Items([*lines, *more])]


def _pair(one: Comparison, measure: Measure, a: str, b: str) -> str:
    return " against ".join(f"{number(one.lift(measure, policy)[0], 1, True)} %" for policy in (a, b))


def _weights(results: Results, one: Comparison) -> list[Block]:
    """How much of the sample the estimates by propensity rest on."""
    told = []
    for measure in one.measures:
        if f"{measure.metric}_ess" in results.metrics:
            own = results.final(measure.variant, f"{measure.metric}_ess").mean(axis=1)
            told.append(f"{measure.short}: {100 * own.min():.0f} to {100 * own.max():.0f} % of the shown items")
    return [Text(f"Effective sample, of the policies: {'; '.join(told)}.")] if told else []


# Regret ---------------------------------------------------------------------------------------------------------------
def _regret(results: Results) -> list[Block]:
    found = slopes(results)
    cases = [case for case in drawn_cases(results) if case.variant in set(found["variant"])]
    if not cases:
        return []
    cells = {(row.variant, row.policy): row for row in found.itertuples()}
    shown = found[found["variant"].isin([case.variant for case in cases])]
    order = shown.groupby("policy")["slope"].mean().sort_values(kind="stable").index
    head = ["policy", *(case.in_words() or "slope" for case in cases)]
    rows = [[policy, *(_slope(cells.get((case.variant, policy))) for case in cases)] for policy in order]
    told = (
        "The exponent b of regret ~ round^b, least squares on log-log axes over the last two thirds of log(round), "
        "with its interval: below 1 the regret of a round goes to zero, 1/2 is the rate of sqrt(T)."
    )
    return [Heading(2, "Growth of the true regret"), Text(told), Table(head, rows)]


def _slope(row: object) -> str:
    if row is None:
        return MISSING
    mean, low, high = (float(getattr(row, key)) for key in ("slope", "low", "high"))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]" if math.isfinite(low) else f"{mean:.2f}"


# Click models ---------------------------------------------------------------------------------------------------------
def _click_models(results: Results) -> list[Block]:
    fitted = click_models(results)
    if not fitted:
        return []
    told = (
        "How often a position is examined, relative to the first: w(k) of the position-based model, and w(k,0) of the "
        "user browsing model where nothing above was clicked. Policies that need position weights were given these. "
        "How well a model foresees clicks is what `lersbench click-model` says (held-out perplexity)."
    )
    blocks: list[Block] = [Heading(2, "Click models"), Text(told)]
    for case, facts in fitted:
        cells = columns(facts)
        place = f"{case.data}: " if case.data else ""
        blocks += [
            Text(f"{place}Fitted on the first {facts['records']:,} records, which were not replayed."),
            Table(list(cells), list(zip(*cells.values(), strict=True)), words=0),
            Items([*exposure(facts), *(_fit(name, model) for name, model in facts["models"].items())]),
        ]
    return blocks


def _fit(name: str, model: dict[str, Any]) -> str:
    return " ".join([f"{quality(name, model)}.", *model["notes"]])
