"""The report of a run: the answer, the leaderboard and the curves, what the numbers do not say, and what was run.

Everything comes from the results; the caveats are computed from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lersbench.columns import DRAWS
from lersbench.distributions import LEVEL, t_quantile
from lersbench.feedback import row_of
from lersbench.figures.curve_values import one_rate_note
from lersbench.figures.draw import draw_all, stem_of
from lersbench.figures.frame import drawn_cases
from lersbench.figures.records import Record, read_records
from lersbench.report import explorer, findings, logs, published, shown
from lersbench.report.answer import answers, first_variants
from lersbench.report.blocks import Alarm, Block, Fold, Heading, Items, Table, Text, pictures
from lersbench.report.pages import write_pages, write_whole
from lersbench.results.alarms import missing
from lersbench.results.interval_words import interval_in_words
from lersbench.results.numbers import decimals, number, scale
from lersbench.results.places import place_in_words, table_in_words
from lersbench.results.ranking import Board, board
from lersbench.results.tables import Results
from lersbench.results.words import cells, conclusion, headings, legend
from lersbench.words import defused

WIDE = 0.1  # an interval of more than this share of its value on either side is called wide
FEW_SEEDS = 10
ENOUGH = 20  # seeds of halves of a log: ten halves
FLAWS = {  # why to read another metric, by one "as published" that has the flaw
    "regret_published": "the published regret counts a miss only where the policy's score says that it recommends, so "
    "a policy that seldom recommends looks good (read misses or the cumulative regret)",
    "hr_published@20": "the published HR@K breaks ties by the order of the file, and a file sorted by popularity then "
    "ranks for the policy (read HR@K with ties in expectation)",
}


def write(results: Results, folder: str | Path | None = None, figures: Sequence[Record] | None = None) -> list[Path]:
    """Write report.md and report.html into `folder` (the run's own by default); return the two.

    Tables across cases (lifts by slate size or protocol, agreement of protocols, slopes of regret) and of what a study
    published are written beside them as CSV where the results have any.

    `figures` are what `draw_all` returned, if it has drawn already; else those in `folder`/figures, which are drawn
    where it does not hold them all. Each file appears whole or not at all, and `report.html` needs no other.
    """
    folder = results.path if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if figures is None:
        figures = read_records(folder / "figures", results) or draw_all(results, folder / "figures")
    for name, frame in (findings.tables(results) | published.tables(results)).items():
        write_whole(folder / f"{name}.csv", defused(frame).to_csv(index=False))
    return write_pages(document(results, figures), results.title, folder, "report")


# What the report says -------------------------------------------------------------------------------------------------
def document(results: Results, figures: Sequence[Record]) -> list[Block]:
    """The whole report as blocks; `figures` are the records that `draw_all` returned."""
    ranking = board(results)
    blocks: list[Block] = [Heading(1, results.title), *map(Alarm, missing(results))]
    variants = first_variants(results, [case.variant for case in drawn_cases(results)])
    told = answers(ranking, variants)
    more = f"What the other {len(told) - 1} rankings say stands below the table." if len(told) > 2 else ""
    blocks += [replace(one, more=more) for one in told[:1]]
    alts = shown.findings(ranking, figures)
    main = [one for one in figures if one.png.stem == stem_of("curve", ranking.metric.name)]
    still = [*board_tables(ranking), *pictures(main, 3, alts)]
    blocks += [Heading(2, "Leaderboard"), explorer.part(ranking, still, variants[0])]
    blocks += [*told[1:], *_across(results), Fold("What the columns mean", [_legend(ranking)])]
    blocks += [
        Heading(2, "What these numbers do not say"),
        Items(caveats(results) or ["Nothing was found to warn of."]),
    ]
    blocks += [*findings.sections(results), *published.sections(results)]
    blocks += [
        Heading(2, "Figures"),
        *map(Text, one_rate_note(results)),
        *_pictures([one for one in figures if one not in main], alts),
    ]
    blocks += [Heading(2, "What was run"), *_description(results), *_protocol(results), *logs.left_out(results)]
    blocks += [Heading(2, "How it was run"), _machine(results), *_provenance(results)]
    return blocks


def _description(results: Results) -> list[Block]:
    return [Text(results.scenario["description"])] if results.scenario.get("description") else []


def _legend(ranking: Board) -> Items:
    return Items([*(f"Warning: {line}" for line in ranking.warnings), *legend(ranking)])


def _pictures(figures: Sequence[Record], alts: Mapping[str, str]) -> list[Block]:
    """The figures; those whose curves the page draws itself are folded."""
    curves = [one for one in figures if one.kind == "curve"]
    others = [one for one in figures if one.kind != "curve"]
    folded = [Fold("Curves as pictures", pictures(curves, 3, alts))] if curves else []
    return [*pictures(others, 3, alts), *folded]


def conclusions(ranking: Board) -> list[Block]:
    """What the run comes to: a sentence or two a ranking, bandits first, and what holds across rankings."""
    lines = conclusion(ranking, [case.variant for case in drawn_cases(ranking.results)])
    lines += _of_rankings(ranking.results)
    if not lines:
        return []
    return [Text(" ".join(lines)) if len(ranking.results.boards) == 1 else Items(lines)]


def _across(results: Results) -> list[Block]:
    lines = _of_rankings(results)
    return [Items(lines)] if lines else []


def _of_rankings(results: Results) -> list[str]:
    """What comparisons of protocols, with a study and of regimes come to, a sentence each."""
    lines = [*findings.verdicts(results), *published.verdict(results)]
    if results.mixed:
        lines.append(
            "Feedback regimes are ranked apart: a policy that knows more is ahead for that reason alone. What can be "
            "deployed is a bandit."
        )
    return lines


def _protocol(results: Results) -> list[Block]:
    rows = [
        [results.case(log["variant"]).in_words() or results.scenario["name"], log["name"]]
        + [f"{log[key]:,}" if log.get(key) is not None else "-" for key in ("rounds", "items", "users")]
        for log in results.meta["logs"]
        if log["variant"] in results.variants
    ]
    sources = dict.fromkeys(
        f"Data: {(log.get('attribution') or 'no attribution stated').rstrip('.')}. "
        f"Licence: {log.get('licence') or 'not stated'}."
        for log in results.meta["logs"]
    )
    counts = results.summary[["policy", "feedback"]].drop_duplicates()["feedback"].value_counts()
    regimes = [
        f"{kind}: {results.learns(kind) or 'see the scenario'} ({count} {'contender' if count == 1 else 'contenders'})."
        for kind, count in sorted(zip(map(str, counts.index), counts, strict=True))
    ]
    return [
        Table(["log", "data", "rounds", "items", "users"], rows, words=2),
        Text(
            "Every contender passes the log once: in each round it chooses, is shown what its feedback regime lets it "
            f"see, and learns. Its first mistakes count like its last.{_settings(results)}"
        ),
        Items(
            [
                *regimes,
                *logs.differing_rounds(results),
                *([] if all(map(results.bracketed, results.variants)) else [interval_in_words(results)]),
                *_notes(results, caveats=False),
                *sources,
            ]
        ),
    ]


def _settings(results: Results) -> str:
    """Slate and delay of the protocol, where run.json states them."""
    replay = results.scenario.get("replay", {})
    slate, batch = replay.get("slate"), replay.get("batch")
    slates = ", ".join(map(str, slate)) if isinstance(slate, list) else slate
    sizes = f" Items shown per round: {slates}." if slates else ""
    return sizes + (f" Feedback is delivered every {batch} rounds." if batch and batch > 1 else "")


def _notes(results: Results, caveats: bool) -> list[str]:
    """The notes of the run: those that speak of bias are caveats, the others settings."""
    return [note for note in results.meta.get("notes", []) if ("biased" in note) == caveats]


def _provenance(results: Results) -> list[Block]:
    """What the logs say of their origin, a row a fact; the whole of it is in `run.json`."""
    rows = dict.fromkeys(
        (log["name"], key.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
        for log in results.meta["logs"]
        for key, value in (log.get("provenance") or {}).items()
        if _is_short(value)
    )
    if not rows:
        return []
    table = Table(["log", "fact", "value"], list(map(list, rows)), words=2, caption="Origin of the logs", name=1)
    return [Fold("Origin of the logs, as they say themselves", [table])]


def _is_short(value: Any) -> bool:
    """Can this part of a log's provenance stand in a table? The whole of it is in `run.json`."""
    return isinstance(value, int | float | str) and len(str(value)) <= 40


def main_tables(ranking: Board) -> list[Block]:
    """The leaderboard with what its columns mean."""
    return [*board_tables(ranking), _legend(ranking)]


def board_tables(ranking: Board) -> list[Block]:
    """The leaderboard, a table a case; of a sweep over slate sizes two, since the lifts of all have a table."""
    results, blocks = ranking.results, list[Block]()
    cases = drawn_cases(results)
    if len(cases) < len(results.variants):
        blocks.append(Text(f"Of {len(results.slates)} slate sizes two are shown; `lersbench leaderboard` has all."))
    variants = {case.variant for case in cases}
    for variant, kind in ranking.tables:
        if variant in variants:
            head, rows = cells(ranking, variant, kind)
            blocks += [Text(f"{line}.") for line in headings(ranking, variant, kind)]
            words = f"Leaderboard, {table_in_words(results, variant, kind)}"
            blocks += [Table(head, rows, words=3, caption=words, name=1)]
    return blocks


def _machine(results: Results) -> Items:
    meta = results.meta
    lines = [f"Run: {results.path.name}; seeds {', '.join(map(str, meta['seeds']))}."]
    for title, key in (("Versions", "versions"), ("Machine", "machine"), ("Seconds", "seconds")):
        if meta.get(key):
            lines.append(f"{title}: {', '.join(f'{name} {value}' for name, value in meta[key].items())}.")
    if meta.get("rounds_per_second"):
        lines.append(f"Speed: {meta['rounds_per_second']:,.0f} rounds per second.")
    digests = dict.fromkeys(f"{log['name']} {log['digest']}" for log in meta["logs"] if log.get("digest"))
    return Items([*lines, *(f"Digest of the log {digest}." for digest in digests)])


# Caveats --------------------------------------------------------------------------------------------------------------
def caveats(results: Results) -> list[str]:
    """What a reader should know before believing the leaderboard, each worked out from the results."""
    ranking = board(results)
    return [
        *_notes(results, caveats=True),
        *ranking.warnings,
        *_few_seeds(results),
        *_wide_intervals(ranking),
        *_biased_replay(results),
        *logs.poor_joins(results),
        *_one_log(ranking),
        *_position_bias(results),
        *_flaws(results),
    ]


def _position_bias(results: Results) -> list[str]:
    cases = [case for case in results.cases if row_of(case.protocol).weighed]
    if not cases:
        return []
    if all(results.bracketed(case.variant) for case in cases):
        return [
            "The log does not say how likely items were to be seen, so it cannot tell how much of the clicks on top is "
            "liking and how much is looking. The brackets are no theorem: where the ranker put on top what is liked "
            "less, or users do not look less further down, the true value can lie far outside. A share of requests in "
            "random order, logged as such, would tell."
        ]
    return [
        f"A logged {'reward' if results.reward else 'click'} counts wherever a policy places the item, and what stood "
        "on top of the log was seen more often: values lean toward the logged order."
    ]


def _flaws(results: Results) -> list[str]:
    flaws = [] if results.lists else [why for name, why in FLAWS.items() if name in results.metrics]
    head = 'Metrics named "as published" are shown to compare with the study and are flawed: '
    return [f"{head}{'; '.join(flaws)}."] if flaws else []


def _few_seeds(results: Results) -> list[str]:
    seeds = len(results.meta["seeds"])
    if seeds >= FEW_SEEDS:
        return []
    if seeds == 1:
        return ["There is one seed: nothing can be said about the spread, and no ranking is supported."]
    return [f"There are {seeds} seeds: with fewer than {FEW_SEEDS}, intervals are wide and rank ranges coarse."]


def _wide_intervals(ranking: Board) -> list[str]:
    """For every ranking whose best policy is known to no better than WIDE: the interval and what would narrow it."""
    results, metric, lines = ranking.results, ranking.metric, []
    for variant, kind in ranking.tables:
        if ranking.bracketed(variant):
            continue  # what is wide there is not the error
        best = ranking.rows(variant, kind).iloc[0]
        anew = math.isfinite(best["new_low"])
        half = (best["new_high"] - best["new_low"] if anew else best["high"] - best["low"]) / 2
        if not math.isfinite(half) or half <= WIDE * abs(best["mean"]):
            continue
        digits = decimals(half * scale(metric), metric)
        unit = " points" if metric.unit == "%" else f" {metric.named}".rstrip()
        place = place_in_words(results, variant)
        about = f" for new {results.blocks(variant)}" if anew else ""
        lines.append(
            f"{place}{metric.title} of {best['policy']}{about} is {number(best['mean'] * scale(metric), digits)} +- "
            f"{number(half * scale(metric), digits)}{unit}, that is +- {half / abs(best['mean']):.0%} of its value. "
            + _remedy(results, variant, best)
        )
    return lines


def _remedy(results: Results, variant: str, best: pd.Series) -> str:
    """What would narrow the interval of the contender in the row `best`: more seeds, while these are few or make most
    of it, else more of what the log holds; errors fall with the square root, so a tenth takes a hundredfold."""
    seeds, halves = int(best["seeds"]), results.replicates == "subsample"
    groups, enough = (seeds // DRAWS, ENOUGH // DRAWS) if halves else (seeds, FEW_SEEDS)
    if 1 < groups < enough:
        more = ENOUGH if halves else FEW_SEEDS
        narrower = _seed_width(groups, halves) / _seed_width(enough, halves)
        rest = "" if halves or not math.isfinite(best["new_low"]) else " the seeds' part of"
        return (
            f"More seeds come first: with {more} in the place of {seeds},{rest} the interval is some "
            f"{number(narrower, 1 if narrower < 2 else 0)} times narrower."
        )
    log, what = results.log(variant), results.blocks(variant)
    size = (log.get("users") if what == "customers" else None) or log.get("rounds")
    if not size or not (halves or _is_of_customers(best)):
        return f"A tenth of that would take about {100 * seeds:,} seeds."
    name = what if what == "customers" and log.get("users") else "rows"
    matches = results.finals(variant, "matches").get(str(best["policy"]))
    matched = ""
    if halves and matches is not None and np.isfinite(matches).all():
        matched = f"Each half of the log matched only {number(float(matches.mean()), 0)} rounds. "
    return f"{matched}A tenth of that would take about {100 * size:,} {name}, a hundred times the log's {size:,}."


def _is_of_customers(best: pd.Series) -> bool:
    """Is the interval for new customers wide for another reason than the seeds?"""
    own, wide = best["high"] - best["low"], best["new_high"] - best["new_low"]
    return bool(math.isfinite(wide) and not own > wide / 2)


def _seed_width(groups: int, halves: bool) -> float:
    """The width of an interval from so many seeds, or halves of a log, relative to their standard deviation."""
    share = 1 + 1 / groups if halves else 1 / groups
    return float(t_quantile(LEVEL, groups - 1)) * math.sqrt(share)


def _biased_replay(results: Results) -> list[str]:
    """Replay keeps the rounds that match; unless the logging was uniform they are not a fair sample of all rounds."""
    replayed = {variant for variant, kind in results.boards if row_of(kind).replayed}
    names = [
        log["name"]
        for log in results.meta["logs"]
        if log["variant"] in replayed and log.get("propensities", "uniform") != "uniform"
    ]
    if not names:
        return []
    return [
        "Replay is unbiased only on a log that was drawn uniformly at random, which "
        f"{', '.join(dict.fromkeys(names))} was not: its matching rounds lean towards those in which the logging "
        "policy agreed with the contender, and the values are biased by an unknown amount."
    ]


def _one_log(ranking: Board) -> list[str]:
    """What the intervals leave out: shuffles and seeds repeat the same customers."""
    if ranking.results.replicates == "subsample":
        return [
            "Each replicate learned from half of the log, so values are those of a shorter run than the whole log's."
        ]
    if ranking.frame["new_low"].notna().any():
        return [
            "All seeds replay the same log. The intervals for new customers tell how another draw of customers like "
            "these would change the values, not how another week, season or shop would."
        ]
    return [
        "All seeds replay the same log. The intervals say how sure the values are on this log, not how much another "
        "week or another shop would change them."
    ]
