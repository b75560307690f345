"""Two runs of one scenario beside each other, as a page, as text and as JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from lersbench.errors import ConfigError
from lersbench.report.blocks import Answer, Block, Fold, Heading, Items, Link, Table, Text
from lersbench.results.numbers import number, range_in_words
from lersbench.results.two_runs import ALONE, CHANCE, MOVED, SAME, UNKNOWN, Comparison, Move, compare
from lersbench.studies import kinds
from lersbench.studies.kinds import AnyResults
from lersbench.tables import aligned
from lersbench.words import one_line

TITLES = {  # of groups of facts
    "data": "data",
    "seeds": "seeds",
    "settings": "settings",
    "policies": "parameters of policies",
    "code": "code of policies",
    "files": "files that policies read",
    "versions": "versions",
    "machine": "machine",
}
NAMED = 3  # contenders that a sentence names
LONGEST = 48  # characters of a value in a table
DIGITS = 4  # significant digits of a difference
TEST = (
    "The test: the difference of the two means against the standard errors of both, by Student's t with the degrees of "
    "freedom of Welch and Satterthwaite. The interval of each difference is right with 95 % by itself; 'moved' is said "
    "where that holds for all contenders tested at once (Holm, 5 %), 'moved, if tested alone' where not. The two runs "
    "are taken as independent, which is on the safe side where equal seeds played the same rounds."
)
OTHER_DATA = (
    "The data differ, so the runs are about different customers or rounds: the standard errors are those over seeds, "
    "which do not cover what other data change."
)


def of_runs(before: AnyResults, after: AnyResults) -> Comparison:
    """What changed from one run to another of the same scenario. Raises ConfigError where they are of two."""
    names = [run.scenario["name"] for run in (before, after)]
    kind = kinds.of(after)
    if names[0] != names[1] or kinds.of(before) is not kind:
        raise ConfigError(
            f"{before.path} is a run of {names[0]}, {after.path} one of {names[1]}. Fix: name two runs of one scenario."
        )
    return compare(
        (kind.facts(before), kind.values(before, after)),
        (kind.facts(after), kind.values(after, before)),
    )


# Sentences ------------------------------------------------------------------------------------------------------------
def answer(found: Comparison) -> Answer:
    """What two runs come to beside each other, in a sentence."""
    moved, tested = found.judged(MOVED), len(found.moves) - len(found.judged(SAME))
    if not found.moves:
        return Answer("No contender is in both runs.", "nothing to compare", "open")
    if moved:
        lead = f"{_several(moved, found)} moved by more than chance, of {len(found.moves)} in both runs"
        return Answer(f"{lead}.", "moved", "bad")
    if not tested:
        return Answer(f"All {len(found.moves)} contenders came to the same.", "the same", "good")
    open_ones = len(found.judged(UNKNOWN))
    if open_ones == len(found.moves):
        return Answer(f"Whether any of {len(found.moves)} contenders moved cannot be told.", "not known", "open")
    rest = f"; of {open_ones} that cannot be told" if open_ones else ""
    sure = "open" if open_ones or found.judged(ALONE) else "good"
    return Answer(f"None of {len(found.moves)} contenders moved by more than chance{rest}.", "no move", sure)


def _several(moved: Sequence[Move], found: Comparison) -> str:
    """ "hybrid (32.10 to 35.20) and lints (30.0 to 33.1)", of many the first and how many others."""
    told = [f"{_named(move)} ({' to '.join(_values(move, found))})" for move in moved]
    if len(told) > NAMED:
        return f"{', '.join(told[:NAMED])} and {len(told) - NAMED} more"
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def changed(found: Comparison) -> str:
    """What was changed, in a line: "code of policies, versions"; "nothing that run.json tells" for none."""
    groups = [TITLES[group] for group in dict.fromkeys(change.group for change in found.changes)]
    more = [*(["contenders added"] if found.new else []), *(["contenders left out"] if found.gone else [])]
    return ", ".join([*groups, *more]) or "nothing that run.json tells"


def _named(move: Move) -> str:
    return f"{move.name} ({move.case})" if move.case else move.name


# Tables ---------------------------------------------------------------------------------------------------------------
def _digits(size: float, found: Comparison) -> int:
    """Decimals of numbers of the size of `size`: DIGITS significant ones."""
    shown = abs(size * found.times)
    return min(6, max(0, DIGITS - 1 - math.floor(math.log10(shown)))) if 0 < shown < math.inf else 2


def _values(move: Move, found: Comparison) -> tuple[str, str]:
    """The means of a contender before and after."""
    digits = _digits(max(abs(move.before.mean), abs(move.after.mean)), found)
    before, after = (number(one.mean * found.times, digits) for one in (move.before, move.after))
    return before, after


def moves_table(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a contender of both runs each, those that moved first."""
    cased = any(move.case for move in found.moves)
    rows = []
    for move in found.moves:
        mean, low, high = (float(end) * found.times for end in move.difference)
        digits = _digits(max(abs(move.before.mean), abs(move.after.mean)), found)
        span = "none drawn" if _is_exact(move) else range_in_words(low, high, digits, True)
        numbers = [*_values(move, found), number(mean, digits, True), span]
        rows.append([move.name, *([move.case] if cased else []), move.verdict, *numbers])
    head = ["contender", *(["case"] if cased else []), "verdict", "before", "after", "difference", "95 %"]
    return head, rows


def _is_exact(move: Move) -> bool:
    return move.before.variance == move.after.variance == 0


def changes_table(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a fact that differs each."""
    rows = [[TITLES[one.group], one.what, _short(one.before), _short(one.after)] for one in found.changes]
    return ["of", "what", "before", "after"], rows


def _short(text: str) -> str:
    plain = one_line(text)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 3]}..."


def notes(found: Comparison) -> list[str]:
    """What goes with the table of moves."""
    counts = {verdict: len(found.judged(verdict)) for verdict in (MOVED, ALONE, CHANCE, UNKNOWN, SAME)}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    lines = [f"{found.title}. {told}."] if told else []
    lines += [TEST] if found.moves else []
    if found.judged(UNKNOWN):
        lines.append("Not known: fewer than two seeds, or an error that seeds tell nothing of.")
    if found.judged(SAME):
        lines.append("The same: made from the same stored results, or equal to the last digit.")
    return [*lines, *([OTHER_DATA] if found.other_data and found.moves else [])]


# Page, text, JSON -----------------------------------------------------------------------------------------------------
def document(before: AnyResults, after: AnyResults, found: Comparison, links: Sequence[Link] = ()) -> list[Block]:
    """The page as blocks; `links` lead to the reports of the two."""
    title = f"{after.title}: what changed between two runs"
    blocks: list[Block] = [
        Heading(1, title),
        answer(found),
        Text(f"Before: {before.path.name}. After: {after.path.name}."),
    ]
    blocks += [*links, Text(f"Changed: {changed(found)}.")]
    if found.changes:
        blocks += [Heading(2, "What was changed"), Table(*changes_table(found), words=4, name=1)]
    if found.new or found.gone:
        blocks += [Heading(2, "New and gone"), Items([f"New: {one}" for one in found.new])]
        blocks += [Items([f"Gone: {one}" for one in found.gone])]
    if found.moves:
        head, rows = moves_table(found)
        told = [Text(line) for line in notes(found)]
        blocks += [Heading(2, "What moved"), told[0], Table(head, rows, words=head.index("before"))]
        blocks += [Fold("What is tested, and how", told[1:])]
    return blocks


def text(before: AnyResults, after: AnyResults, found: Comparison) -> str:
    """The same for a terminal."""
    lines = [after.title, f"before: {before.path.name}", f"after:  {after.path.name}", "", answer(found).lead]
    lines.append(f"Changed: {changed(found)}.")
    for head, rows, words in ((*changes_table(found), 4), (*moves_table(found), 3)):
        if rows:
            plain = [[one_line(cell) for cell in row] for row in rows]
            lines += ["", *aligned(head, plain, words if head[0] == "of" else head.index("before"))]
    lines += [""] if found.new or found.gone else []
    lines += [f"new: {one}" for one in found.new] + [f"gone: {one}" for one in found.gone]
    return "\n".join([*lines, "", *(textwrap.fill(line, 118, subsequent_indent="  ") for line in notes(found))])


def records(before: AnyResults, after: AnyResults, found: Comparison) -> dict[str, Any]:
    """The same as JSON has it, in fractions and counts: what is not known is null."""
    moves = [
        {
            "case": move.case,
            "contender": move.name,
            "before": _plain(move.before.mean),
            "after": _plain(move.after.mean),
            "difference": _plain(float(move.difference.mean)),
            "low": _plain(float(move.difference.low)),
            "high": _plain(float(move.difference.high)),
            "verdict": move.verdict,
        }
        for move in found.moves
    ]
    return {
        "scenario": after.scenario["name"],
        "before": before.path.name,
        "after": after.path.name,
        "answer": answer(found).lead,
        "measured": found.title,
        "changes": [one._asdict() for one in found.changes],
        "moves": moves,
        "new": list(found.new),
        "gone": list(found.gone),
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
