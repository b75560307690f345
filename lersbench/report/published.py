"""What a study published beside the results of a run: values, and which of the published orders of policies hold.

A scenario's [published] table has the values. A run is held against them under up to three protocols:

* "as published": the study's own metric, every policy under the feedback that the study gave it;
* "sound": the metric without its flaw (SOUND), under the same feedback; left out where the metric has no flaw;
* "sound, bandit feedback": the same, but policies that learned from whole reward rows in the study learn only from the
  items they showed.

Two populations differ in level, so what can be held against each other is the order of two policies.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench.distributions import LEVEL
from lersbench.feedback import USUAL, row_of
from lersbench.metrics import METRICS, TOPS
from lersbench.report.blocks import Block, Heading, Items, Table, Text
from lersbench.results import compared
from lersbench.results.numbers import MISSING, decimals, number, scale
from lersbench.results.places import place_in_words
from lersbench.results.tables import Results

SOUND = {  # the same question asked without the flaw of the published metric
    "regret_published": "misses",
    "hr20_per_round_published": "hr20_per_round",
    **{f"hr_published@{top}": f"hr@{top}" for top in TOPS},
}
ROUNDING = 1e-9  # an interval this narrow, in percent, is of values that are all the same
LISTED = 6  # reversed pairs that are listed for a metric; the table has the number of all


class Protocol(NamedTuple):
    """One way to hold a run against a published metric."""

    title: str
    metric: str  # the one measured here
    usual: bool  # is every policy taken under the USUAL feedback, whatever it had in the study?


class Replication(NamedTuple):
    """A published value and ours, in the unit shown (percent); NaN, and no seeds, where it was not run."""

    variant: str
    metric: str
    policy: str
    published: float
    protocol: str
    measured: str  # the metric measured here
    feedback: str
    mean: float
    low: float
    high: float
    seeds: int


class Pair(NamedTuple):
    """Two policies with different published values; differences are first - second, in the unit shown."""

    variant: str
    metric: str
    protocol: str
    first: str  # the one with the higher published value
    second: str
    published: float
    here: float  # mean over the seeds that both have
    p: float  # of the two-sided t test (`separation.separate`), not corrected for the number of pairs; NaN if none
    verdict: str  # "undecided" where p is above 5 % or there is none, or else "same" or "reversed"


class Order(NamedTuple):
    """How many of the published orders of two policies hold here."""

    variant: str
    metric: str
    protocol: str
    measured: str
    pairs: int  # with different published values, and run here: the sum of the three below
    same: int
    reversed: int
    undecided: int


# What was published ---------------------------------------------------------------------------------------------------
def study(results: Results) -> dict[str, Any]:
    """The published part of the run's scenario; without policies where it has none, as of runs of earlier versions."""
    return results.scenario.get("published") or {"source": "", "policies": []}


def metrics(results: Results) -> list[str]:
    """The published metrics that the run measured too, in the order of the study."""
    names = dict.fromkeys(metric for row in study(results)["policies"] for metric in row["values"])
    return [name for name in names if name in results.metrics]


def protocols(results: Results, metric: str) -> list[Protocol]:
    """The protocols of one published metric; those that would only repeat another are left out."""
    sound = SOUND.get(metric, metric)
    flawed = sound != metric
    kinds = [Protocol("as published", metric, False)]
    kinds += [Protocol("sound", sound, False)] if flawed else []
    if _whole_row_policies(results):
        kinds.append(Protocol(f"sound, {USUAL} feedback" if flawed else f"{USUAL} feedback", sound, True))
    return kinds


def _whole_row_policies(results: Results) -> list[str]:
    """The policies that learned from whole reward rows in the study."""
    return [row["policy"] for row in study(results)["policies"] if row_of(row["feedback"]).reveals_all]


def _cases(results: Results) -> Iterator[tuple[str, str, Protocol]]:
    for variant, metric in itertools.product(results.variants, metrics(results)):
        for protocol in protocols(results, metric):
            yield variant, metric, protocol


def _rows(results: Results, variant: str, metric: str, protocol: Protocol) -> Iterator[tuple[str, float, str, str]]:
    """Policy, published value, feedback here, and label in the results: "" where it was not run so."""
    for row in study(results)["policies"]:
        if metric in row["values"]:
            feedback = USUAL if protocol.usual else row["feedback"]
            label = results.under(variant, row["policy"], feedback) or ""
            yield row["policy"], row["values"][metric], feedback, label


# Tables ---------------------------------------------------------------------------------------------------------------
def table(results: Results) -> pd.DataFrame:
    """Published values and ours, a row a `Replication`; empty where the scenario has no [published]."""
    return pd.DataFrame(_replications(results), columns=list(Replication._fields))


def pairs(results: Results) -> pd.DataFrame:
    """Every pair of policies with different published values that were run here, by protocol: a row a `Pair`."""
    return pd.DataFrame(_pairs(results), columns=list(Pair._fields))


def orderings(results: Results) -> pd.DataFrame:
    """Which published orders hold, by metric and protocol: a row an `Order`."""
    return pd.DataFrame(_orders(results, _pairs(results)), columns=list(Order._fields))


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """The tables as files, by stem."""
    frames = {"published": table(results), "published-pairs": pairs(results)}
    return {stem: frame for stem, frame in frames.items() if len(frame)}


def _replications(results: Results) -> list[Replication]:
    rows = []
    for variant, metric, protocol in _cases(results):
        measure, finals = METRICS[protocol.metric], results.finals(variant, protocol.metric)
        for policy, value, feedback, label in _rows(results, variant, metric, protocol):
            values = finals.get(label, np.empty(0))
            ends = results.interval(variant, label, measure, values)
            mean, low, high = (float(end) * scale(measure) for end in ends)
            head = (variant, metric, policy, value, protocol.title, measure.name, feedback)
            rows.append(Replication(*head, mean, low, high, len(values)))
    return rows


def _pairs(results: Results) -> list[Pair]:
    found_pairs = []
    for variant, metric, protocol in _cases(results):
        values, measure = results.final(variant, protocol.metric), METRICS[protocol.metric]
        rows = [row for row in _rows(results, variant, metric, protocol) if row[3] in values.index]
        rows.sort(key=lambda row: -row[1])
        labels = list(dict.fromkeys(row[3] for row in rows))
        found = compared.on_this_log(results, variant, labels, measure)
        at = {label: i for i, label in enumerate(labels)}
        for (first, more, _, a), (second, less, _, b) in itertools.combinations(rows, 2):
            p, here = (float(part[at[a], at[b]]) for part in (found.p, found.mean))
            if more == less or not math.isfinite(here):
                continue
            verdict = "undecided" if not p <= 1 - LEVEL else "same" if here > 0 else "reversed"
            head = (variant, metric, protocol.title, first, second, more - less)
            found_pairs.append(Pair(*head, here * scale(measure), p, verdict))
    return found_pairs


def _orders(results: Results, rows: list[Pair]) -> list[Order]:
    orders = []
    for variant, metric, protocol in _cases(results):
        verdicts = [pair.verdict for pair in rows if pair[:3] == (variant, metric, protocol.title)]
        counts = [verdicts.count(verdict) for verdict in ("same", "reversed", "undecided")]
        orders.append(Order(variant, metric, protocol.title, protocol.metric, len(verdicts), *counts))
    return orders


def verdict(results: Results) -> list[str]:
    """One sentence for the head of a report: how many published orders hold by the study's protocol and by the
    strictest one, of all metrics that are better high or low; none where no pair was run."""
    names = [metric for metric in metrics(results) if METRICS[metric].better != "neither"]
    orders = _orders(results, _pairs(results))
    keys = {at: {(metric, protocols(results, metric)[at].title) for metric in names} for at in (0, -1)}
    first, last = ([o for o in orders if (o.metric, o.protocol) in keys[at]] for at in (0, -1))
    if not sum(order.pairs for order in first):
        return []
    as_published, sound = (
        f"{sum(order.same for order in group)} of {sum(order.same + order.reversed for order in group)}"
        for group in (first, last)
    )
    usual = f" under {USUAL} feedback" if _whole_row_policies(results) else ""
    return [
        "Of the orders of two policies that the study published and that can be separated here, "
        f"{as_published} hold by its own protocol, {sound} by sound metrics{usual}."
    ]


# The section of the report --------------------------------------------------------------------------------------------
def sections(results: Results) -> list[Block]:
    """Published and ours as blocks of a page; nothing where the scenario has no [published]."""
    if not metrics(results):
        return []
    values, compared = _replications(results), _pairs(results)
    orders = _orders(results, compared)
    blocks: list[Block] = [Heading(2, "Published and ours"), *_introduction(results)]
    for variant in results.variants:
        place = place_in_words(results, variant)
        blocks += [Text(f"{place}How many of the published orders of two policies hold here:")]
        blocks += [_order_table([order for order in orders if order.variant == variant])]
        for metric in metrics(results):
            case = (variant, metric)
            blocks += [Heading(3, f"{place}{_title(metric)}"), _value_table([row for row in values if row[:2] == case])]
            blocks += _reversals([pair for pair in compared if pair[:2] == case], protocols(results, metric)[-1])
    return [*blocks, *_seconds(results)]


def _introduction(results: Results) -> list[Block]:
    """What was published, and what the protocols are."""
    names = ", ".join(dict.fromkeys(log["name"] for log in results.meta["logs"]))
    full = _whole_row_policies(results)
    regimes = f" ({', '.join(full)}: the whole reward row; the others: what they showed)" if full else ""
    lines = [f"As published: by the study's metric, under the feedback it gave each policy{regimes}."]
    if any(metric in SOUND for metric in metrics(results)):
        lines.append("Sound: by the metric without its flaw, under the same feedback.")
    if full:
        usual = f"{USUAL.capitalize()} feedback"
        lines.append(f"{usual}: every policy learns only from what it showed, as it would have to in a shop.")
    lines.append(
        "Two policies are separated where the difference of their means over seeds is not zero by a t test at the "
        f"{100 * (1 - LEVEL):.0f} % level, each pair by itself: of many that are equal a few will seem to differ."
    )
    return [
        Text(
            f"Published: {study(results)['source'].rstrip('.')}. The study ran on data of its own, ours is {names}: "
            "levels are not comparable, the order of policies is. Ours are means over seeds with half the width of "
            f"their {100 * LEVEL:.0f} % interval; {MISSING}: not run, or not known."
        ),
        Items(lines),
    ]


def _title(metric: str) -> str:
    sound, unit = SOUND.get(metric), " (%)" if METRICS[metric].unit == "%" else ""
    return METRICS[metric].title + (f"; sound: {METRICS[sound].title}" if sound else "") + unit


def _order_table(orders: list[Order]) -> Table:
    head = ["published metric", "here", "measured by", "pairs", "separated", "same", "reversed", "not separated"]
    rows = []
    for order in orders:
        counts = (order.pairs, order.same + order.reversed, order.same, order.reversed, order.undecided)
        words = [METRICS[order.metric].title, order.protocol, METRICS[order.measured].title]
        rows.append([*words, *map(str, counts)])
    return Table(head, rows, words=3)


def _value_table(values: list[Replication]) -> Table:
    """A row a policy, a column a protocol, all of one variant and metric."""
    titles = list(dict.fromkeys(row.protocol for row in values))
    halves = [half for row in values if (half := (row.high - row.low) / 2) > ROUNDING]
    digits = decimals(float(np.median(halves)) if halves else math.nan, METRICS[values[0].metric])
    rows = []
    for policy in dict.fromkeys(row.policy for row in values):
        columns = [row for row in values if row.policy == policy]
        seeds = sorted({row.seeds for row in columns} - {0})
        cells = [_value_cell(row, digits) for row in columns]
        rows.append([policy, f"{columns[0].published:g}", *cells, ", ".join(map(str, seeds)) or MISSING])
    return Table(["policy", "published", *titles, "seeds"], rows)


def _value_cell(row: Replication, digits: int) -> str:
    half = (row.high - row.low) / 2
    spread = f" \N{PLUS-MINUS SIGN} {number(half, digits)}" if half > ROUNDING else ""
    return number(row.mean, digits) + spread


def _reversals(compared: list[Pair], protocol: Protocol) -> list[Block]:
    """The pairs in reversed order under `protocol`, those with the largest published difference first."""
    reversals = [pair for pair in compared if pair.protocol == protocol.title and pair.verdict == "reversed"]
    if not reversals:
        return []
    reversals.sort(key=lambda pair: -pair.published)
    lines = [
        f"{pair.first} minus {pair.second} (published {pair.published:+.3g}, here {pair.here:+.3g})"
        for pair in reversals[:LISTED]
    ]
    more = f"; and {len(reversals) - LISTED} more" if len(reversals) > LISTED else ""
    return [Text(f"Reversed, {protocol.title}: {'; '.join(lines)}{more}.")]


def _seconds(results: Results) -> list[Block]:
    """How long one replicate of a policy took in the study and takes here."""
    here = {(label, feedback): seconds for label, feedback, seconds in results.meta.get("policy_seconds", [])}
    rows = [
        [row["policy"], f"{row['seconds']:,.0f}", f"{here[row['policy'], row['feedback']]:,.1f}"]
        for row in study(results)["policies"]
        if row["seconds"] and (row["policy"], row["feedback"]) in here and len(results.meta["logs"]) == 1
    ]
    if not rows:
        return []
    words = (
        "Of one replicate under the feedback of the study; here the median over replicates, of which as many played at "
        "once as the machine has cores."
    )
    return [Heading(3, "Seconds"), Text(words), Table(["policy", "published", "here"], rows)]
