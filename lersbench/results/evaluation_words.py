"""An off-policy evaluation in words: the sentences it begins with, and its tables as text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from lersbench.feedback import QUESTIONS
from lersbench.results.evaluation import BELIEVE, BRACKET, DISBELIEVE, LOGGER, Evaluation
from lersbench.results.numbers import MISSING, number, range_in_words
from lersbench.results.words import markdown_row
from lersbench.tables import aligned
from lersbench.words import markdown, one_line

HEAD = ("policy", "estimator", "value", "{level} interval", "less what ran", "rank", "effective rows", "verdict")
SHARED = (
    "What ran on the requests in random order is that order. The ranker's value is of other requests: it compares with "
    "the values here where chance alone decided which requests are in random order."
)
WORDS = 2  # leading columns of words
DIGITS = 6  # the most decimals of a value


def digits_of(half: float) -> int:
    """Decimals for a number that is uncertain by `half`: two digits of the uncertainty."""
    if not (math.isfinite(half) and half > 0):
        return 4
    return min(max(1 - math.floor(math.log10(half)), 0), DIGITS)


def unit(about: Mapping[str, Any]) -> str:
    """ "clicks per decision", "EUR per list"."""
    return f"{about['unit']} per {'list' if about['positions'] > 1 else 'decision'}"


def level(evaluation: Evaluation) -> str:
    return f"{100 * evaluation.about['settings']['level']:g} %"


def _digits(row: pd.Series) -> int:
    """Decimals of an estimate: by its standard error where its interval is wider than that calls for, and it holds."""
    half = (row["high"] - row["low"]) / 2
    return digits_of(min(half, 2 * row["se"]) if row["se"] > 0 and row["verdict"] != DISBELIEVE else half)


# Sentences ------------------------------------------------------------------------------------------------------------
def sentences(evaluation: Evaluation) -> list[str]:
    """What the evaluation comes to: what ran, then each policy in a sentence, question by question."""
    share = _by_share(evaluation) if "random_share" in evaluation.about else []
    notes = evaluation.about.get("notes", [])
    who = "What ran on them, the random order," if share else "What ran"
    return [*share[:-1], what_ran(evaluation.about, who), *share[-1:], *answers(evaluation), *notes]


def _by_share(evaluation: Evaluation) -> list[str]:
    """By which requests a log with lists in random order is judged; last what its ranker earned on the others."""
    share, others = evaluation.about["random_share"], evaluation.about.get("others")
    fault = [f"No value is to be believed: {share['fault']}."] if share["fault"] else []
    judged = f"Judged on the {share['random']:,} of {share['requests']:,} requests in random order"
    if others is None:
        why = "there are no others" if share["random"] == share["requests"] else "the others show one item each"
        return [f"{judged}; {why}.", *fault, "So nothing says what a ranker of lists earned."]
    return [
        f"{judged}; the others were ordered by a ranker whose propensities are not known.",
        *fault,
        what_ran(others, "On the others the ranker"),
    ]


def what_ran(about: Mapping[str, Any], who: str) -> str:
    """What the logging policy earned, of `about` of an evaluation or of the requests beside it."""
    ran, half = about["logger"], (about["logger"]["high"] - about["logger"]["low"]) / 2
    digits = digits_of(half)
    users = (
        f" of {_counted(about['users'], 'user')}"
        if about["users"]
        else ", taken as independent: the log names no users"
    )
    rows = _counted(about["n"], "list" if about["positions"] > 1 else "decision")
    interval = _interval(ran["low"], ran["high"], digits)
    return f"{who} earned {number(ran['value'], digits)} {unit(about)}{interval} ({rows}{users})."


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _interval(low: float, high: float, digits: int, sign: bool = False) -> str:
    """ " [0.1, 0.3]" to go behind a number; nothing where it is not known."""
    span = range_in_words(low, high, digits, sign)
    return "" if span == MISSING else f" {span}"


def answers(evaluation: Evaluation) -> Iterator[str]:
    """A sentence a policy, question by question."""
    several = len(evaluation.questions) > 1
    for question in evaluation.questions:
        differences = evaluation.against(question)
        for _, row in evaluation.leading(question).iterrows():
            place = f" ({QUESTIONS[question].title})" if several else ""
            yield f"{row['policy']}{place}: {answer(evaluation, row, differences.get(str(row['policy'])))}"


def answer(evaluation: Evaluation, row: pd.Series, difference: pd.Series | None) -> str:
    """One estimate as a sentence that says how far it can be believed before it says the number."""
    if isinstance(row.get("words"), str):
        return str(row["words"]).partition(": ")[2] + "."
    digits = _digits(row)
    value = f"{number(row['value'], digits)}{_interval(row['low'], row['high'], digits)}"
    if math.isfinite(row.get("end_low", math.nan)):
        ends = (
            f"between {number(row['end_low'], digits)} and {number(row['end_high'], digits)}, whatever the model says"
        )
        span = range_in_words(row["low"], row["high"], digits)
        return f"{ends}; {span} with random error. {_sentence(row['reason'])}"
    if row["verdict"] == DISBELIEVE and not math.isfinite(row["value"]):
        return f"no value. {_sentence(row['reason'])}"
    if row["verdict"] == DISBELIEVE:
        return f"do not believe {value}. {_sentence(row['reason'])}"
    lift = f", {lift_in_words(evaluation, difference)}" if difference is not None else ""
    doubt = "" if row["verdict"] == BELIEVE else f". Caution: {str(row['reason']).rstrip('.')}"
    return f"{value}{lift}{doubt}."


def lift_in_words(evaluation: Evaluation, difference: pd.Series) -> str:
    """The difference to what ran, in percent of it; the sign only where the interval has one."""
    base = evaluation.about["logger"]["value"]
    who = "the random order" if "random_share" in evaluation.about else "what ran"
    if not base or not math.isfinite(difference["value"]):
        return f"which cannot be compared with {who}"
    if difference["low"] == difference["high"] == 0:
        return f"the same as {who}"
    low, middle, high = sorted(100 * difference[key] / abs(base) for key in ("low", "value", "high"))
    digits = max(0, digits_of((high - low) / 2)) if high > low else 1
    digits = min(digits, 1)
    if low > 0 or high < 0:
        near, far = sorted((abs(low), abs(high)))
        side = "more" if middle > 0 else "less"
        return f"{number(abs(middle), digits)} % {side} than {who} {range_in_words(near, far, digits)}"
    span = range_in_words(low, high, digits, sign=True)
    return f"{number(middle, digits, sign=True)} % against {who} {span}: the sign is open"


def _sentence(reason: str) -> str:
    reason = reason.strip()
    reason = reason[:1].upper() + reason[1:]
    return reason if reason.endswith(".") else f"{reason}."


# Tables ---------------------------------------------------------------------------------------------------------------
def head(evaluation: Evaluation) -> list[str]:
    return [cell.format(level=level(evaluation)) for cell in HEAD]


def cells(evaluation: Evaluation, question: str) -> list[list[str]]:
    """The rows of one question as text: every estimator of a policy, the leading one first."""
    differences = evaluation.against(question)
    order = list(evaluation.leading(question)["policy"])
    rows, lines = evaluation.under(question), []
    for policy in order:
        for place, (_, row) in enumerate(rows[rows["policy"] == policy].iterrows()):
            lines.append(_cells(row, differences.get(policy) if place == 0 else None))
    return lines


def _cells(row: pd.Series, difference: pd.Series | None) -> list[str]:
    digits = _digits(row)
    less, rank = MISSING, MISSING
    if difference is not None:
        fine = digits_of((difference["high"] - difference["low"]) / 2)
        span = _interval(difference["low"], difference["high"], fine, True)
        known = math.isfinite(difference["value"])
        less = f"{number(difference['value'], fine, True)}{span}" if known else span.strip() or MISSING
        rank = _rank(row)
    return [
        str(row["policy"]),
        str(row["estimator"]),
        _value(row, digits),
        range_in_words(row["low"], row["high"], digits),
        less,
        rank,
        number(row["ess"], 0),
        str(row["verdict"]),
    ]


def _value(row: pd.Series, digits: int) -> str:
    """The value; of a bracket, and of bounds, both ends, without their errors."""
    low, high = row.get("end_low", math.nan), row.get("end_high", math.nan)
    return f"{number(low, digits)} to {number(high, digits)}" if math.isfinite(low) else number(row["value"], digits)


def _rank(row: pd.Series) -> str:
    low, high = row.get("rank_low", math.nan), row.get("rank_high", math.nan)
    if not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    return f"{low:.0f}" if low == high else f"{low:.0f}-{high:.0f}"


def reasons(evaluation: Evaluation) -> list[str]:
    """Why what is not simply believed is not, a line a policy and question."""
    lines = []
    for question in evaluation.questions:
        for _, row in evaluation.leading(question).iterrows():
            if row["verdict"] != BELIEVE:
                lines.append(
                    f"{row['policy']}, {QUESTIONS[question].title}: {row['verdict']}. {_sentence(row['reason'])}"
                )
    return lines


def legend(evaluation: Evaluation) -> list[str]:
    """What the columns mean."""
    about = evaluation.about
    bracket = (
        "A bracket runs from the logged clicks of the re-ranked list to the same clicks times P(seen at the new place) "
        "/ P(seen at the logged place), by a position-based model."
    )
    both = "adds the errors of both ends."
    if evaluation.questions == [BRACKET]:
        return [f"Values are {unit(about)}. {bracket}", f"The {level(evaluation)} interval {both}"]
    beside = BRACKET in evaluation.questions
    by = "by user" if about["clusters"] == "user" else "by row, as if all rows were independent"
    return [
        f"Values are {unit(about)}; {level(evaluation)} intervals {by}; all policies are judged on the same rows.",
        f"Less what ran: the difference to {LOGGER}, paired row by row.",
        "Effective rows: how many equally weighted rows would say as much.",
        "Rank: what the paired differences allow, after Holm's correction; any where a value is not to be believed.",
        *([SHARED] if "random_share" in about else []),
        *([f"Re-ranked lists are those of the ranker alone. {bracket} Its interval {both}"] if beside else []),
    ]


def parts(evaluation: Evaluation) -> Iterator[tuple[str, Sequence[str], list[list[str]]]]:
    """A heading, the head and the rows of a table for each question."""
    for question in evaluation.questions:
        row = QUESTIONS[question]
        yield f"{row.title[:1].upper()}{row.title[1:]}: {row.asks}", head(evaluation), cells(evaluation, question)


def as_text(evaluation: Evaluation) -> str:
    """The whole as text for a terminal: the answer, a table a question, doubts, and what the columns mean."""
    blocks = ["\n".join(one_line(line) for line in sentences(evaluation))]
    for title, columns, rows in parts(evaluation):
        blocks.append("\n".join([f"{title}.", *aligned(columns, rows, WORDS)]))
    notes = [*reasons(evaluation), *legend(evaluation)]
    return "\n\n".join([*blocks, "\n".join(f"* {one_line(line)}" for line in notes)])


def as_markdown(evaluation: Evaluation) -> str:
    """The answer as a list, and a table a question."""
    blocks = ["\n".join(f"* {markdown(line)}" for line in sentences(evaluation))]
    for title, columns, rows in parts(evaluation):
        rule = ["---" if column < WORDS else "---:" for column in range(len(columns))]
        table = [markdown_row(columns), f"| {' | '.join(rule)} |", *map(markdown_row, rows)]
        blocks.append("\n".join([f"{markdown(title)}.", "", *table]))
    return "\n\n".join(blocks)
