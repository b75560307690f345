"""A leaderboard in words: its sentences, its tables, and both as text, Markdown, CSV or JSON."""

from __future__ import annotations

import json
import math
import os
import sys
import textwrap
from collections.abc import Sequence
from html import escape

import pandas as pd

from lersbench.distributions import LEVEL
from lersbench.feedback import row_of
from lersbench.metrics import METRICS, OF_REWARDS
from lersbench.results import brackets, stability
from lersbench.results.alarms import missing
from lersbench.results.interval_words import (
    anew,
    anew_in_words,
    differences_in_words,
    interval_in_words,
    ranks_in_words,
    this_log,
)
from lersbench.results.numbers import MISSING, decimals, heading, number, range_in_words, scale, spread, unit_of
from lersbench.results.places import data_in_words, place_in_words, regime_in_words, table_in_words
from lersbench.results.ranking import Board
from lersbench.results.statistics import half_width
from lersbench.results.tables import Results
from lersbench.tables import aligned
from lersbench.words import defused, markdown, markdown_cell, markdown_label

BRACKET = ("bracket_low", "bracket_high", "bracket_first", "bracket_last")
TOLD = 3  # contenders whose brackets are told in a sentence
SCHEMA = 2  # of the JSON document
SAME = "same in every seed"  # instead of an interval, of a contender that draws nothing


# Sentences ------------------------------------------------------------------------------------------------------------
def _in_a_clause(results: Results, kind: str) -> str:
    """ "bandit learns only from ...", "simulated: its slate is shown ..."."""
    learns = results.learns(kind)
    return f"{kind}: {learns}" if row_of(kind).title else f"{kind} {learns}".rstrip()


def legend(board: Board) -> list[str]:
    """The lines below the table that say what its numbers are."""
    results, better = board.results, "higher" if board.metric.better == "higher" else "lower"
    named = f" in {board.metric.named}" if board.metric.named else ""
    unit = {"%": ", in %", "share": ", as a share", "count": ", a count", "reward": f",{named}"}[board.metric.unit]
    lines = [f"{board.metric.name}: {board.metric.title}{unit}; {better} is better. {board.metric.source}"]
    lines += [f"{metric.name}: {metric.title}. {metric.source}" for metric in board.further]
    kinds = list(dict.fromkeys(kind for _, kind in results.boards))
    feedback = f"Feedback: {'; '.join(_in_a_clause(results, kind) for kind in kinds)}."
    if any(map(board.bracketed, results.variants)):
        lines += brackets.legend(results)
    if all(map(board.bracketed, results.variants)):
        return [*lines, feedback, *stable_in_words(board)]
    lines += [f"Interval: {interval_in_words(results)}", *anew_in_words(board)]
    lines += differences_in_words(board, named) if board.baseline else []
    lines += [*borrowed_baseline(results, board.baseline), ranks_in_words(board)]
    lines.append(feedback)
    if results.mixed:
        lines.append(
            "Regimes are ranked apart: a policy that knows more per round is ahead for that reason alone, so compare "
            "within a table."
        )
    return [*lines, *stable_in_words(board)]


def short_legend(board: Board) -> list[str]:
    """What a reader of the table needs at once; `legend` says it all."""
    results, rows = board.results, board.frame
    if all(map(board.bracketed, results.variants)):
        return legend(board)
    lines = [
        legend(board)[0],
        f"rank: the best and the worst place that the data allow, right with {100 * LEVEL:.0f} %.",
    ]
    if rows["new_low"].notna().any() and results.replicates != "subsample":
        new = results.blocks(results.variants[0])
        lines[1] += f" this log: with other orders of arrival. new {new}: on another log of as many; ranks go by these."
    lines += stability.unranked(rows, MISSING) + stability.few_seeds(rows)
    in_torch = results.meta.get("torch_policies", [])
    lines += stability.of_torch([policy for policy in rows["policy"] if results.entries[policy] in in_torch])
    return [*lines, f"All columns and tests in words: lersbench leaderboard {results.scenario['name']} --explain"]


def borrowed_baseline(results: Results, baseline: str | None) -> list[str]:
    """What is to be said where the baseline of a ranking played under another regime."""
    kinds = dict.fromkeys(
        (kind, results.feedback(variant)[label])
        for variant, kind in results.boards
        if baseline and (label := results.baseline_label(variant, kind, baseline))
    )
    return [
        f"Under {kind} feedback the difference is to {baseline} as it played under {played}: it learns nothing, and "
        "both regimes score the same rounds."
        for kind, played in kinds
        if kind != played
    ]


def stable_in_words(board: Board) -> list[str]:
    """What of the ranking may change with other seeds or on another machine."""
    results, rows = board.results, board.frame
    lines = []
    for variant, kind in board.tables:
        order = stability.order_in_words(board.rows(variant, kind), board.bracketed(variant))
        if order:
            lines.append(f"Order, {table_in_words(results, variant, kind)}: {order}.")
    steady = list(rows.loc[rows["same_in_every_seed"], "policy"])
    if steady:
        lines.append(
            f"{SAME[0].upper()}{SAME[1:]}: {stability.named(steady)}. Nothing is drawn, so the seeds tell nothing of "
            "how sure the value is; another log would change it."
        )
    lines += stability.unranked(rows, MISSING) + stability.few_seeds(rows)
    in_torch = results.meta.get("torch_policies", [])  # by the label of their entries
    return lines + stability.of_torch([policy for policy in rows["policy"] if results.entries[policy] in in_torch])


def conclusion(board: Board, variants: Sequence[str] | None = None) -> list[str]:
    """What each ranking comes to, a few sentences for each regime of `variants` (all by default), bandits first.

    Who can be told apart from the leader follows from the ranges that are right all at once: its worst place leaves
    below it exactly those shown to be worse, and nobody was shown to be better than a contender whose best place is
    the first.
    """
    lines = []
    for variant, kind in board.tables:
        rows = board.rows(variant, kind)
        if board.bracketed(variant) and (variants is None or variant in variants):
            lines.append(f"{place_in_words(board.results, variant)}{bracket_in_words(board, rows)}")
        elif (variants is None or variant in variants) and math.isfinite(rows.iloc[0]["mean"]):
            place = place_in_words(board.results, variant)
            if board.results.mixed:
                words = table_in_words(board.results, variant, kind)
                place = f"{words[:1].upper()}{words[1:]}: "
            lead = _lead(board, rows)
            lead = lead[0].lower() + lead[1:] if place and lead.startswith("Try ") else lead
            lines.append(f"{place}{lead} {_apart(rows)}")
    return lines


def bracket_in_words(board: Board, rows: pd.DataFrame) -> str:
    """What the first contenders of a bracketed ranking come to against the logged order, and what that rests on."""
    paid = "reward" if board.results.reward else "clicks"
    keys = ["policy", *BRACKET]
    said = [
        brackets.sentence(policy, brackets.Bracket(*ends), paid)
        for policy, *ends in rows[keys].itertuples(index=False)
        if any(ends)  # the logged order itself says nothing
    ]
    if not said:
        return "Nothing differs from the logged order."
    more = f". {len(said) - TOLD} more stand in the table" if len(said) > TOLD else ""
    return f"{'. '.join(said[:TOLD])}{more}. {brackets.ASSUMPTION}."


def _lead(board: Board, rows: pd.DataFrame) -> str:
    """ "Try linucb: it leads with 78.7 % misses, 95 % for new customers [76.0, 81.4], 18.2 percentage points below
    random [13.5, 21.9].", "random comes first with 1.32 EUR a round." """
    leader, metric, times = rows.iloc[0], board.metric, scale(board.metric)
    digits = decimals(_known_half(leader) * times, metric)
    unit = " %" if metric.unit == "%" else f" {metric.named}".rstrip()
    title = metric.title if metric.title[:2].isupper() else metric.title[:1].lower() + metric.title[1:]
    mean = number(leader["mean"] * times, digits)
    worth = f"{mean}{unit} {title}" if metric.unit == "%" else f"{title} {mean}{unit}"
    if metric.name in OF_REWARDS:
        worth = f"{mean}{unit} {'a round' if metric.name == 'reward_sum' else 'an item'}"
    anew = range_in_words(leader["new_low"] * times, leader["new_high"] * times, digits)
    if anew != MISSING:
        worth += f", {100 * LEVEL:.0f} % for new {board.results.blocks(leader['variant'])} {anew}"
    return f"{_who_leads(board, rows)} with {worth}{_gain_in_words(board, leader, digits)}."


def _who_leads(board: Board, rows: pd.DataFrame) -> str:
    """ "Try linucb: it leads": of what a shop can run, where it was shown to be better than another and, if it was
    compared, than the baseline; else "linucb leads" or "linucb comes first"."""
    leader = rows.iloc[0]
    together = leader["rank_together"]
    if together == MISSING or int(together.split("-")[-1]) == len(rows):
        return f"{leader['policy']} comes first"
    differs, gain = leader.get("differs"), leader.get("lift_low", math.nan)
    better = leader["policy"] not in board.results.called(board.baseline)
    if differs is not None and not pd.isna(differs):
        better = bool(differs)
    elif math.isfinite(gain):
        better = gain > 0
    can_run = not row_of(leader["feedback"]).reveals_all
    return f"Try {leader['policy']}: it leads" if better and can_run else f"{leader['policy']} leads"


def _gain_in_words(board: Board, leader: pd.Series, digits: int) -> str:
    """ ", 18.2 percentage points below random [13.5, 21.9]", ", +15.1 % [14.8, 15.4] over ltr"; "" for none."""
    metric, times = board.metric, scale(board.metric)
    gain = leader.get("difference", math.nan) * times
    if math.isfinite(leader.get("lift", math.nan)):
        gain, low, high = (100 * leader[key] for key in ("lift", "lift_low", "lift_high"))
        return f", {lift_in_words(gain, low, high)} over {board.baseline}"
    if not math.isfinite(gain):
        return ""
    low, high = (leader[key] * times for key in ("difference_low", "difference_high"))
    side, low, high = ("below", -high, -low) if gain < 0 else ("above", low, high)
    between = range_in_words(low, high, digits)
    points = " percentage points" if metric.unit == "%" else f" {metric.named}".rstrip()
    told = "" if between == MISSING else f" {between}"
    return f", {number(abs(gain), digits)}{points} {side} {board.baseline}{told}"


def _known_half(row: pd.Series) -> float:
    """Half the width of the widest interval of a row; NaN where it has none."""
    halves = [(row[f"{new}high"] - row[f"{new}low"]) / 2 for new in ("", "new_")]
    return max((half for half in halves if math.isfinite(half)), default=math.nan)


def lift_in_words(mean: float, low: float, high: float) -> str:
    """ "+15.1 % [14.8, 15.4]", all in percent."""
    digits = decimals((high - low) / 2, METRICS["ctr"])
    between = range_in_words(low, high, digits, True)
    return f"{number(mean, digits, True)} %" + ("" if between == MISSING else f" {between}")


def _apart(rows: pd.DataFrame) -> str:
    """Which of the other contenders the leader (the first of `rows`) was shown to be better than."""
    others = len(rows) - 1
    if others == 0:
        return "It ran alone."
    everyone = f"1-{len(rows)}"  # of a contender without a rank nothing is known
    ranks = rows["rank_together"].where(rows["rank_together"] != MISSING, everyone)
    ranges = [tuple(map(int, (first, last or first))) for first, _, last in ranks.str.partition("-").to_numpy()]
    close = ranges[0][1] - 1  # not shown to be worse than the leader
    if close == 0:
        return "It is surely better than every other contender."
    last = rows["rank"].iloc[0].rpartition("-")[2]
    stricter = " when all are tested at once, which is stricter than the ranks" if last and int(last) <= close else ""
    if close == others:
        return (
            f"None of the other {others} can be separated from it{stricter}."
            if others > 1
            else f"The two cannot be separated{stricter}."
        )
    level = [policy for policy, (first, _) in zip(rows["policy"][1:], ranges[1:], strict=True) if first == 1]
    names = ", ".join(level) if len(level) == close and close <= 4 else f"{close} of the others"
    rest = "remaining one" if others - close == 1 else f"other {others - close}"
    return f"It cannot be separated from {names}{stricter}; it is surely better than the {rest}."


# Tables ---------------------------------------------------------------------------------------------------------------
def cells(board: Board, variant: str, feedback: str) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table of one regime of a variant, as text."""
    rows = board.rows(variant, feedback)
    if board.bracketed(variant):
        return _bracket_cells(board, variant, rows)
    times = scale(board.metric)
    digits = decimals(spread(_known_half(row) * times for _, row in rows.iterrows()), board.metric)
    columns: dict[str, list[str]] = {
        "rank": list(rows["rank"]),
        "policy": list(rows["policy"]),
        "feedback": list(rows["feedback"]),
        heading(board.metric): [number(x * times, digits) for x in rows["mean"]],
        **_intervals(board, variant, rows, digits),
    }
    has_baseline = board.baseline and board.results.baseline_label(variant, feedback, board.baseline)
    if has_baseline and "lift" in rows:
        parts = rows[["lift", "lift_low", "lift_high"]] * 100
        columns[f"lift over {board.baseline} %"] = _gains(parts, decimals(spread(_half(parts)), METRICS["ctr"]))
    elif has_baseline:
        parts = rows[["difference", "difference_low", "difference_high"]] * times
        unit = " (points)" if board.metric.unit == "%" else f" ({board.metric.named})" * bool(board.metric.named)
        columns[f"minus {board.baseline}{unit}"] = _gains(parts, digits)
    for metric in board.further:
        finals = board.results.finals(variant, metric.name)
        spans = [board.results.interval(variant, p, metric, finals[p]) for p in rows["policy"] if p in finals]
        digits = decimals(spread(float(half_width(one)) * scale(metric) for one in spans), metric)
        columns[heading(metric)] = [number(x * scale(metric), digits) for x in rows[metric.name]]
    if rows["new_low"].notna().any() and board.results.replicates != "subsample":
        columns["rank, this log"] = list(rows["rank_this_log"])
    if rows["p_best"].notna().any():
        columns["P(best) %"] = [_chance(x) for x in rows["p_best"]]
    columns["seeds"] = [str(count) for count in rows["seeds"]]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _chance(chance: float) -> str:
    """In percent; nothing that was drawn is certain."""
    if not 0.005 <= chance <= 0.995:
        return MISSING if math.isnan(chance) else "<1" if chance < 0.5 else ">99"
    return number(100 * chance, 0)


def _intervals(board: Board, variant: str, rows: pd.DataFrame, digits: int) -> dict[str, list[str]]:
    """The columns of intervals: on this log, and for new customers or rounds where the run can tell."""
    results, times, columns = board.results, scale(board.metric), dict[str, list[str]]()
    if results.replicates != "subsample":
        columns[this_log()] = [
            SAME if same and not math.isfinite(low) else range_in_words(low * times, high * times, digits)
            for low, high, same in zip(rows["low"], rows["high"], rows["same_in_every_seed"], strict=True)
        ]
    if rows["new_low"].notna().any() or not columns:
        columns[anew(results, variant)] = [
            range_in_words(low * times, high * times, digits)
            for low, high in zip(rows["new_low"], rows["new_high"], strict=True)
        ]
    return columns


def _bracket_cells(board: Board, variant: str, rows: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """The same where contenders have brackets."""
    lifts = [brackets.percent(brackets.Bracket(*ends)) for ends in rows[list(BRACKET)].itertuples(index=False)]
    worth = brackets.of_metric(board.results, variant, board.metric)
    times = scale(board.metric)
    columns: dict[str, list[str]] = {
        "rank": list(rows["rank"]),
        "policy": list(rows["policy"]),
        "feedback": list(rows["feedback"]),
        "lift over the logged order %": [ends for ends, _ in lifts],
        f"with {100 * LEVEL:.0f} % errors": [between for _, between in lifts],
        heading(board.metric): [brackets.values_in_words(worth[p], times, board.metric) for p in rows["policy"]],
    }
    for metric in board.further:
        columns[heading(metric)] = [number(x * scale(metric), 4) for x in rows[metric.name]]
    columns["seeds"] = [str(count) for count in rows["seeds"]]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def headings(board: Board, variant: str, feedback: str) -> list[str]:
    """What stands above a table: the case and its data (above its first table), the regime where there are several."""
    results = board.results
    kinds = [kind for one, kind in board.tables if one == variant]
    about = [f"{place_in_words(results, variant)}{data_in_words(results, variant)}"] if feedback == kinds[0] else []
    return [*about, *([regime_in_words(feedback)] if len(kinds) > 1 else [])]


def _half(parts: pd.DataFrame) -> pd.Series:
    return (parts.iloc[:, 2] - parts.iloc[:, 1]) / 2


def _gains(parts: pd.DataFrame, digits: int) -> list[str]:
    """Differences with their intervals; the three columns of `parts` are mean, low and high in the unit shown."""
    return [
        number(x, digits, True) + ("" if (r := range_in_words(low, high, digits, True)) == MISSING else f" {r}")
        for x, low, high in parts.itertuples(index=False)
    ]


# Renderers ------------------------------------------------------------------------------------------------------------
def _bold_is_wanted() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _leaders(rows: Sequence[Sequence[str]]) -> set[str]:
    """The policies that may be first; none where that can be said of everyone."""
    first = {row[1] for row in rows if row[0] == MISSING or row[0].split("-")[0] == "1"}
    return first if len(first) < len(rows) else set()


def to_terminal(board: Board, bold: bool | None = None, explain: bool = False) -> str:
    """Aligned text; the leaders (those that may be first) in bold on a terminal unless NO_COLOR is set. `explain` says
    all there is to say of the columns."""
    bold = _bold_is_wanted() if bold is None else bold
    alarm = [textwrap.fill(line, 118, subsequent_indent="  ") for line in missing(board.results)]
    lines = [board.results.title, *alarm]
    if any(map(board.bracketed, board.results.variants)):
        lines += [textwrap.fill(line, 118, subsequent_indent="  ") for line in _brackets_told(board)]
    for variant, kind in board.tables:
        head, rows = cells(board, variant, kind)
        leaders = _leaders(rows) if bold else set()
        lines += ["", *headings(board, variant, kind)]
        for row, line in zip([head, *rows], aligned(head, rows, words=3), strict=True):
            lines.append(f"\033[1m{line}\033[0m" if row[1] in leaders else line)
    found = [line for line in conclusion(board) if line not in _brackets_told(board)]
    below = [*found, *(f"Warning: {line}" for line in board.warnings if line not in missing(board.results))]
    below += legend(board) if explain else short_legend(board)
    return "\n".join([*lines, "", *(textwrap.fill(line, 118, subsequent_indent="  ") for line in below)])


def _brackets_told(board: Board) -> list[str]:
    """What the bracketed rankings come to: it stands above their tables."""
    return conclusion(board, [variant for variant in board.results.variants if board.bracketed(variant)])


def to_html(board: Board) -> str:
    """One HTML table a ranking, for a notebook: warnings above, the legend folded away below."""
    lines = [f"<p><b>{escape(line)}</b></p>" for line in [*_brackets_told(board), *board.warnings]]
    for variant, kind in board.tables:
        head, rows = cells(board, variant, kind)
        lines += [f"<p>{escape(line)}</p>" for line in headings(board, variant, kind)]
        lines.append(pd.DataFrame(rows, columns=head).to_html(index=False, border=0))
    words = "".join(f"<li>{escape(line)}</li>" for line in legend(board))
    return "\n".join([*lines, f"<details><summary>What the numbers are</summary><ul>{words}</ul></details>"])


def to_markdown(board: Board) -> str:
    """One Markdown table a variant, the leaders in bold, then warnings and the legend as a list."""
    lines = [f"> **{markdown(line)}**\n" for line in missing(board.results)]
    lines += [f"{markdown(line)}\n" for line in _brackets_told(board)]
    for variant, kind in board.tables:
        head, rows = cells(board, variant, kind)
        lines += [line for head_line in headings(board, variant, kind) for line in (f"**{markdown(head_line)}**", "")]
        lines += [markdown_row(head), markdown_row(["---"] * 3 + ["---:"] * (len(head) - 3))]
        leaders = _leaders(rows)
        lines += [markdown_row(row, bold=1 if row[1] in leaders else None) for row in rows]
        lines.append("")
    lines += [f"> **Warning:** {markdown(line)}\n" for line in board.warnings if line not in missing(board.results)]
    return "\n".join([*lines, *(f"* {markdown(line)}" for line in legend(board))]) + "\n"


def markdown_row(cells: Sequence[str], bold: int | None = None, link: tuple[int, str] | None = None) -> str:
    """A row of a table; the cell number `bold` is so, and that of `link` leads to its address."""
    texts = [markdown_cell(cell).replace("|", r"\|") for cell in cells]
    if link is not None:
        place, address = link
        texts[place] = f"[{markdown_label(cells[place])}]({address})".replace("|", r"\|")
    return f"| {' | '.join(f'**{text}**' if at == bold else text for at, text in enumerate(texts))} |"


def to_csv(board: Board) -> str:
    """The table in fractions and counts, empty where there is no number; warnings stand in a column of their own."""
    frame = board.frame
    if board.warnings:
        frame = frame.assign(warning=" ".join(board.warnings))
    return defused(frame).to_csv(index=False)


def to_json(board: Board) -> str:
    """The table in fractions and counts, null where there is no number, with the words that belong to it."""
    rows = [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in board.frame.to_dict(orient="records")
    ]
    scenario = board.results.scenario["name"]
    document = {
        "schema": SCHEMA,
        "scenario": scenario,
        "run": board.results.path.name,
        "metric": board.metric.name,
        "unit": unit_of(board.metric) or board.metric.unit,
        "units": {metric.name: unit_of(metric) or metric.unit for metric in board.further},
        "better": board.metric.better,
        "baseline": board.baseline,
        "replicates": board.results.replicates,
        "simultaneous": board.simultaneous,
        "new": {variant: board.results.blocks(variant) for variant in board.results.variants},
        "unfinished": board.results.meta.get("unfinished", []),
        "failed": board.results.meta.get("failed", []),
        "conclusions": conclusion(board),
        "warnings": board.warnings,
        "legend": legend(board),
        "regimes": {kind: row_of(kind).words for _, kind in board.tables},
        "rows": rows,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
