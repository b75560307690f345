"""The report of a run: what was run, the leaderboard, the figures, and what the numbers do not say.

The text is made once, as a list of blocks, and written twice: `report.md` beside a folder of figures, and `report.html`
in one file with the figures inside. Everything comes from the results; the caveats are computed from them.
"""

from __future__ import annotations

import base64
import html
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lersbench.leaderboard import (
    REGIMES,
    Board,
    Results,
    board,
    cells,
    conclusion,
    data_in_words,
    decimals,
    interval_in_words,
    legend,
    markdown_row,
    number,
    scale,
)
from lersbench.plots import ONE_RATE, draw_all, figure_title, one_item_slates

WIDE = 0.1  # an interval of more than this share of its value on either side is called wide
FEW_SEEDS = 10
FLAWS = {  # why to read another metric, by one "as published" that has the flaw
    "regret_published": "the published regret counts a miss only where the policy's score says that it recommends, so "
    "a policy that seldom recommends looks good (read misses or the cumulative regret)",
    "hr_published@20": "the published HR@K breaks ties by the order of the file, and a file sorted by popularity then "
    "ranks for the policy (read HR@K with ties in expectation)",
}


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Items:
    lines: Sequence[str]


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1  # leading columns of words, the others hold numbers


@dataclass(frozen=True)
class Picture:
    png: Path
    svg: Path
    title: str


Block = Heading | Text | Items | Table | Picture


def write(results: Results, folder: str | Path | None = None, figures: Sequence[Path] | None = None) -> list[Path]:
    """Write report.md and report.html into `folder` (the run's own by default); return the two.

    `figures` are what `draw_all` returned, if it has drawn already; else they are drawn into `folder`/figures. Each
    file appears whole or not at all, and `report.html` needs no other.
    """
    folder = results.path if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures = draw_all(results, folder / "figures") if figures is None else figures
    blocks = document(results, figures)
    pages = {"report.md": to_markdown(blocks, folder), "report.html": to_html(blocks, results.title)}
    for name, page in pages.items():
        unfinished = folder / f".{name}.partial"
        unfinished.write_text(page, encoding="utf-8")
        os.replace(unfinished, folder / name)
    return [folder / name for name in pages]


# What the report says -------------------------------------------------------------------------------------------------
def document(results: Results, figures: Sequence[Path]) -> list[Block]:
    """The whole report as blocks; `figures` are the files that `draw_all` returned."""
    ranking = board(results)
    blocks: list[Block] = [Heading(1, results.title), *_conclusion(ranking)]
    if results.scenario.get("description"):
        blocks.append(Text(results.scenario["description"]))
    blocks += [Heading(2, "What was run"), *_protocol(results), Heading(2, "Leaderboard"), *_leaderboard(ranking)]
    blocks += [
        Heading(2, "What these numbers do not say"),
        Items(caveats(results) or ["Nothing was found to warn of."]),
    ]
    blocks += [Heading(2, "Figures"), *([Text(ONE_RATE)] if one_item_slates(results) else []), *_pictures(figures)]
    blocks += [Heading(2, "How it was run"), _machine(results)]
    return blocks


def _conclusion(ranking: Board) -> list[Block]:
    found = conclusion(ranking)
    if not found:
        return []
    mixed = ["Feedback regimes are mixed here, so a lead may be owed to what a policy was told: see the warning below."]
    found += mixed if ranking.results.summary["feedback"].nunique() > 1 else []
    return [Text(" ".join(found)) if len(ranking.results.variants) == 1 else Items(found)]


def _protocol(results: Results) -> list[Block]:
    rows = [
        [log["variant"] or results.scenario["name"], log["name"]]
        + [f"{log[key]:,}" if log.get(key) is not None else "-" for key in ("rounds", "items", "users")]
        for log in results.meta["logs"]
    ]
    sources = dict.fromkeys(
        f"Data: {(log.get('attribution') or 'no attribution stated').rstrip('.')}. "
        f"Licence: {log.get('licence') or 'not stated'}."
        for log in results.meta["logs"]
    )
    contenders = results.summary.drop_duplicates("policy")
    told = [
        f"{kind}: {REGIMES.get(kind, 'see the scenario')} "
        f"({', '.join(contenders.loc[contenders['feedback'] == kind, 'policy'])})."
        for kind in sorted(set(contenders["feedback"]))
    ]
    made = dict.fromkeys(
        f"{log['name']}: {', '.join(f'{key} {value}' for key, value in log['provenance'].items() if _short(value))}."
        for log in results.meta["logs"]
        if any(map(_short, (log.get("provenance") or {}).values()))
    )
    return [
        Table(["log", "data", "rounds", "items", "users"], rows, words=2),
        Text(
            "Every contender passes the log once: in each round it chooses, is told what its feedback regime lets it "
            f"see, and learns. Its first mistakes count like its last.{_settings(results)}"
        ),
        Items([*told, interval_in_words(results), *_said(results, caveats=False), *sources, *made]),
    ]


def _settings(results: Results) -> str:
    """Slate and delay of the protocol, where run.json states them."""
    told = results.scenario.get("replay", {})
    slate, batch = told.get("slate"), told.get("batch")
    shown = f" Items shown per round: {slate}." if slate else ""
    return shown + (f" Feedback is delivered every {batch} rounds." if batch and batch > 1 else "")


def _said(results: Results, caveats: bool) -> list[str]:
    """The notes of the run: those that speak of bias are caveats, the others settings."""
    return [note for note in results.meta.get("notes", []) if ("biased" in note) == caveats]


def _short(value: Any) -> bool:
    """Can this part of a log's provenance stand in a sentence? The whole of it is in `run.json`."""
    return isinstance(value, int | float | str) and len(str(value)) <= 40


def _leaderboard(ranking: Board) -> list[Block]:
    blocks: list[Block] = []
    for variant in ranking.results.variants:
        head, rows = cells(ranking, variant)
        blocks += [Text(f"{variant + ': ' if variant else ''}{data_in_words(ranking.results, variant)}.")]
        blocks += [Table(head, rows, words=3)]
    return [*blocks, Items([*(f"Warning: {line}" for line in ranking.warnings), *legend(ranking)])]


def _pictures(figures: Sequence[Path]) -> list[Block]:
    by_stem: dict[str, dict[str, Path]] = {}
    for path in figures:
        by_stem.setdefault(path.stem, {})[path.suffix] = path
    pictures = [Picture(pair[".png"], pair[".svg"], figure_title(stem)) for stem, pair in by_stem.items()]
    return [block for picture in pictures for block in (Heading(3, picture.title), picture)]


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
        *_said(results, caveats=True),
        *ranking.warnings,
        *_few_seeds(results),
        *_wide_intervals(ranking),
        *_biased_replay(results),
        *_one_log(results),
        *_flaws(results),
    ]


def _flaws(results: Results) -> list[str]:
    found = [why for name, why in FLAWS.items() if name in results.metrics]
    told = 'Metrics named "as published" are shown to compare with the study and are flawed: '
    return [f"{told}{'; '.join(found)}."] if found else []


def _few_seeds(results: Results) -> list[str]:
    seeds = len(results.meta["seeds"])
    if seeds >= FEW_SEEDS:
        return []
    if seeds == 1:
        return ["There is one seed: nothing can be said about the spread, and no ranking is supported."]
    return [f"There are {seeds} seeds: with fewer than {FEW_SEEDS}, intervals are wide and rank ranges coarse."]


def _wide_intervals(ranking: Board) -> list[str]:
    """For every variant whose best policy is known to no better than WIDE: the interval and what would narrow it."""
    results, metric, lines = ranking.results, ranking.metric, []
    for variant in results.variants:
        best = ranking.frame[ranking.frame["variant"] == variant].iloc[0]
        half = (best["high"] - best["low"]) / 2
        if not math.isfinite(half) or half <= WIDE * abs(best["mean"]):
            continue
        digits = decimals(half * scale(metric), metric)
        unit = " points" if metric.unit == "%" else ""
        place = f"{variant}: " if variant else ""
        lines.append(
            f"{place}{metric.title} of {best['policy']} is {number(best['mean'] * scale(metric), digits)} +- "
            f"{number(half * scale(metric), digits)}{unit}, that is +- {half / abs(best['mean']):.0%} of its value. "
            + _remedy(results, variant, str(best["policy"]))
        )
    return lines


def _remedy(results: Results, variant: str, policy: str) -> str:
    """How much more is needed for an interval a tenth as wide: errors fall with the square root, so a hundredfold."""
    rows = results.log(variant).get("rounds")
    if results.replicates != "subsample" or not rows:
        return f"A tenth of that would take about {100 * len(results.meta['seeds']):,} seeds."
    matches = results.finals(variant, "matches").get(policy)
    matched = ""
    if matches is not None and np.isfinite(matches).all():
        matched = f"Each half of the log matched only {number(float(matches.mean()), 0)} rounds. "
    return f"{matched}A tenth of that would take about {100 * rows:,} rows, a hundred times the log's {rows:,}."


def _biased_replay(results: Results) -> list[str]:
    """Replay keeps the rounds that match; unless the logging was uniform they are not a fair sample of all rounds."""
    replayed = set(results.summary.loc[results.summary["feedback"] == "replay", "variant"])
    skewed = [
        log["name"]
        for log in results.meta["logs"]
        if log["variant"] in replayed and log.get("propensities", "uniform") != "uniform"
    ]
    if not skewed:
        return []
    names = ", ".join(dict.fromkeys(skewed))
    return [
        f"Replay is unbiased only on a log that was drawn uniformly at random, which {names} was not: its matching "
        "rounds lean towards those in which the logging policy agreed with the contender, and the values are biased by "
        "an unknown amount."
    ]


def _one_log(results: Results) -> list[str]:
    """What the intervals leave out: shuffles and seeds repeat the same customers."""
    if results.replicates == "subsample":
        return [
            "Each replicate learned from half of the log, so values are those of a shorter run than the whole log's."
        ]
    return [
        "All seeds replay the same log. The intervals say how sure the values are on this log, not how much another "
        "week or another shop would change them."
    ]


# Writing it -----------------------------------------------------------------------------------------------------------
def to_markdown(blocks: Sequence[Block], folder: Path) -> str:
    """The blocks as Markdown; figures are links relative to `folder`."""
    return "\n\n".join(_markdown(block, folder) for block in blocks) + "\n"


def _markdown(block: Block, folder: Path) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Text(text):
            return text
        case Items(lines):
            return "\n".join(f"* {line}" for line in lines)
        case Table(head, rows, words):
            rule = ["---" if column < words else "---:" for column in range(len(head))]
            return "\n".join(markdown_row(row) for row in [head, rule, *rows])
        case Picture(png, _, title):
            return f"![{title}]({os.path.relpath(png, folder).replace(os.sep, '/')})"


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.875rem; }}
th, td {{ padding: 0.2rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }}
th {{ border-bottom: 2px solid #888; }}
.word {{ text-align: left; }}
img {{ display: block; max-width: 100%; margin: 1.5rem 0; }}
li {{ overflow-wrap: anywhere; }}
</style></head><body>
{body}
</body></html>
"""


def to_html(blocks: Sequence[Block], title: str) -> str:
    """The blocks as one HTML page that needs no other file: figures are SVG inside it."""
    return PAGE.format(title=html.escape(title), body="\n".join(map(_html, blocks)))


def _html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Text(text):
            return f"<p>{html.escape(text)}</p>"
        case Items(lines):
            return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"
        case Table(head, rows, words):
            body = [_html_row("th", head, words), *(_html_row("td", row, words) for row in rows)]
            return f'<div class="wide"><table>{"".join(body)}</table></div>'
        case Picture(_, svg, title):
            image = base64.b64encode(re.sub(rb"^<\?xml.*?\?>\s*", b"", svg.read_bytes())).decode()
            return f'<img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{image}">'


def _html_row(tag: str, row: Sequence[str], words: int) -> str:
    kinds = [' class="word"' if column < words else "" for column in range(len(row))]
    cells = [f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True)]
    return f"<tr>{''.join(cells)}</tr>"
