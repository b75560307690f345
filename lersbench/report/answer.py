"""The answer of a run in a sentence a ranking: what to try, what it is worth, and what cannot be told from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from lersbench.distributions import LEVEL
from lersbench.feedback import row_of
from lersbench.report.blocks import Answer
from lersbench.results.alarms import missing
from lersbench.results.numbers import MISSING, decimals, number, range_in_words, scale
from lersbench.results.places import table_in_words
from lersbench.results.ranking import Board
from lersbench.results.tables import Results
from lersbench.results.words import bracket_in_words

NAMED = 3  # contenders that are named; of more their number is given


def first_variants(results: Results, variants: Sequence[str]) -> list[str]:
    """The variants in the order in which a reader should see them: those whose users click anew before those that
    count logged clicks wherever an item is placed."""
    return sorted(variants, key=lambda variant: not row_of(results.case(variant).protocol).simulated)


def answers(ranking: Board, variants: Sequence[str]) -> list[Answer]:
    """What each ranking of `variants` comes to, in their order, bandits first; none where the best has no value."""
    found = []
    for variant, kind in sorted(ranking.tables, key=lambda place: [*variants, place[0]].index(place[0])):
        rows = ranking.rows(variant, kind)
        if variant not in variants:
            continue
        place = table_in_words(ranking.results, variant, kind) if len(ranking.tables) > 1 else ""
        if ranking.bracketed(variant):
            found.append(Answer(_placed(place, bracket_in_words(ranking, rows)), "between two ends", "open"))
        elif math.isfinite(rows.iloc[0]["mean"]):
            found.append(_answer(ranking, rows, place))
    return found


def _answer(ranking: Board, rows: pd.DataFrame, place: str) -> Answer:
    base = ranking.baseline
    better = _beats_baseline(ranking, rows.iloc[0])
    named = rows.assign(policy=rows["policy"].map(ranking.results.entries))  # `place` has the regime
    leader, baseline = named.iloc[0], _baseline_of(ranking, rows)
    level = level_with_leader(named)
    words = _worth(ranking, rows)
    if len(rows) == 1:
        lead, verdict, tone = f"{leader['policy']} ran alone: {words}", "nothing to compare", "open"
    elif better is False:
        lead = f"Stay with {base}: nothing was shown to be better. First of the others is {leader['policy']}, {words}"
        verdict, tone = f"not better than {base}", "bad"
        if rows.iloc[0]["policy"] == baseline:
            lead = f"Stay with {base}: {words}; nothing was shown to be better"
    elif level is None:
        lead, verdict, tone = f"{leader['policy']} comes first: {words}", "too few seeds to say", "open"
    else:
        names, count = level
        can_run = not row_of(leader["feedback"]).reveals_all  # no shop knows what was not shown
        lead = f"Try {leader['policy']}: {words}" if can_run else f"{leader['policy']} leads: {words}"
        if count:
            lead += f"; {_several(names, count)} cannot be told from it"
        verdict, tone = (f"shared by {count + 1}", "open") if count else ("clear", "good")
    if missing(ranking.results):
        verdict, tone = "unfinished", "bad"
    return Answer(_placed(place, f"{lead}."), verdict, tone)


def _placed(place: str, sentence: str) -> str:
    """ "Bandit feedback: try lints", "Try lints"."""
    if not place:
        return sentence
    begins = sentence[:1].lower() if sentence.startswith(("Try ", "Stay ")) else sentence[:1]
    return f"{place[:1].upper()}{place[1:]}: {begins}{sentence[1:]}"


def _worth(ranking: Board, rows: pd.DataFrame) -> str:
    """ "78.2 % misses instead of 96.7, 95 % for new customers [77.1, 79.3]", with what the board knows of it."""
    leader, metric, times = rows.iloc[0], ranking.metric, scale(ranking.metric)
    digits = decimals((leader["high"] - leader["low"]) / 2 * times, metric)
    digits = min(digits, 1) if metric.unit == "%" else digits
    mean = number(leader["mean"] * times, digits)
    title = metric.title if metric.title[:2].isupper() else metric.title[:1].lower() + metric.title[1:]
    words = f"{mean} % {title}" if metric.unit == "%" else f"{title} {mean} {metric.named}".rstrip()
    base = _baseline_of(ranking, rows)
    finals = ranking.results.finals(leader["variant"], metric.name)
    if base in finals and base != leader["policy"]:
        words += f" instead of {number(float(finals[base].mean()) * times, digits)} ({ranking.baseline})"
    for new, where in (("new_", f"for new {ranking.results.blocks(leader['variant'])}"), ("", "on this log")):
        ends = range_in_words(leader[f"{new}low"] * times, leader[f"{new}high"] * times, digits)
        if ends != MISSING:
            return f"{words}, {100 * LEVEL:.0f} % {where} {ends}"
    return words


def _baseline_of(ranking: Board, rows: pd.DataFrame) -> str | None:
    """The label of the baseline of these rows, wherever it played."""
    variant, kind = rows.iloc[0]["variant"], rows.iloc[0]["feedback"]
    return ranking.results.baseline_label(variant, kind, ranking.baseline) if ranking.baseline else None


def _beats_baseline(ranking: Board, leader: pd.Series) -> bool | None:
    """Was the leader shown to be better than the baseline? None where there is none or nothing is known."""
    if leader["policy"] in ranking.results.called(ranking.baseline):
        return False
    if leader.get("differs") is None:
        return None
    sign = 1 if ranking.metric.better == "higher" else -1
    return bool(leader["differs"] and sign * leader["difference"] > 0)


def level_with_leader(rows: pd.DataFrame) -> tuple[list[str], int] | None:
    """The contenders that were not shown to be worse than the first of `rows`, as far as ranges name them, and how
    many they are; None where the seeds support no rank of it."""
    ranks = rows["rank_together" if "rank_together" in rows else "rank"]
    if ranks.iloc[0] == MISSING:
        return None
    everyone = f"1-{len(rows)}"  # of a contender without a rank nothing is known
    places = [tuple(map(int, rank.split("-"))) for rank in ranks.where(ranks != MISSING, everyone)]
    count = places[0][-1] - 1
    level = [policy for policy, place in zip(rows["policy"].iloc[1:], places[1:], strict=True) if place[0] == 1]
    return (level if len(level) == count else []), count


def _several(names: Sequence[str], count: int) -> str:
    """ "lints", "lints and ucb1", "lints, ucb1, exp3 and 4 others", "7 others" of `count` contenders."""
    if not names:
        return "one other" if count == 1 else f"{count} others"
    shown = list(names[:NAMED])
    rest = count - len(shown)
    if rest:
        return f"{', '.join(shown)} and {rest} other{'s' if rest > 1 else ''}"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
