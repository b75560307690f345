"""A run in brief, as a page of several runs shows it: what was found, the top of its table, one figure."""

from __future__ import annotations

from collections.abc import Sequence

from lersbench.feedback import QUESTIONS
from lersbench.figures.draw import stem_of
from lersbench.figures.frame import drawn_cases
from lersbench.figures.records import Record
from lersbench.report import lab, shown
from lersbench.report.answer import answers, first_variants
from lersbench.report.blocks import Alarm, Answer, Block, Heading, Items, Picture, Table, Text
from lersbench.results import evaluation_words
from lersbench.results.alarms import missing
from lersbench.results.evaluation import BELIEVE, DISBELIEVE, Evaluation
from lersbench.results.lab import LabResults
from lersbench.results.numbers import heading
from lersbench.results.places import table_in_words
from lersbench.results.ranking import Board, board
from lersbench.results.tables import Results
from lersbench.results.words import cells, headings

TOP = 5  # rows of a table
TABLES = 4  # tables of a run, and answers
COMMON = ("curve", "final", "hit-ratio", "click-model", "encoder-loss")  # kinds of figures that compare no cases
BEYOND = ("feedback", "rank, this log", "P(best) %")  # columns that the report alone has


# Replays --------------------------------------------------------------------------------------------------------------
def finding(results: Results) -> Answer:
    """What the first ranking of a run comes to, bandits before others."""
    if told := _answers(board(results)):
        return told[0]
    return Answer("No contender has a value to rank by.", "no ranking", "bad")


def of_replay(results: Results, figures: Sequence[Record]) -> list[Block]:
    ranking = board(results)
    told = _answers(ranking)
    blocks: list[Block] = [Heading(2, results.title), *map(Alarm, missing(results)), *told[:TABLES]]
    if len(told) > TABLES:
        blocks.append(Text(f"What the other {len(told) - TABLES} rankings say is in the report."))
    if results.scenario.get("description"):
        blocks.append(Text(results.scenario["description"]))
    alts = shown.findings(ranking, figures)
    main = _main_figure(ranking, figures)
    return [
        *blocks,
        Heading(3, "Leaderboard"),
        *_tops(ranking),
        *_picture(main, alts.get(main[0].png.stem) if main else ""),
    ]


def _answers(ranking: Board) -> list[Answer]:
    return answers(ranking, first_variants(ranking.results, _variants(ranking)))


def _variants(ranking: Board) -> list[str]:
    return [case.variant for case in drawn_cases(ranking.results)]


def _tops(ranking: Board) -> list[Block]:
    """The top of every table, of TABLES at most."""
    variants = first_variants(ranking.results, _variants(ranking))
    places = sorted(
        (place for place in ranking.tables if place[0] in variants), key=lambda place: variants.index(place[0])
    )
    blocks = list[Block]()
    for variant, kind in places[:TABLES]:
        blocks += [Text(f"{line}.") for line in headings(ranking, variant, kind)]
        blocks += _top(ranking, variant, kind)
    if len(ranking.tables) > min(len(places), TABLES):
        blocks.append(Text(f"{len(ranking.tables) - min(len(places), TABLES)} more tables are in the report."))
    return blocks


def _top(ranking: Board, variant: str, kind: str) -> list[Block]:
    """The first rows of a table and its baseline, without the columns that are not ranked by."""
    head, rows = cells(ranking, variant, kind)
    left_out = {*BEYOND, *map(heading, ranking.further)}
    columns = [at for at, name in enumerate(head) if name not in left_out]
    base = ranking.results.baseline_label(variant, kind, ranking.baseline) if ranking.baseline else None
    named = head.index("policy")
    kept = [row for at, row in enumerate(rows) if at < TOP or row[named] == base]
    caption = f"Top of the leaderboard, {table_in_words(ranking.results, variant, kind)}"
    narrow = [[row[at] for at in columns] for row in kept]
    table = Table([head[at] for at in columns], narrow, words=2, caption=caption, name=1)
    rest = len(rows) - len(kept)
    return [
        table,
        *([Text(f"{rest} more {'contenders are' if rest > 1 else 'contender is'} in the report.")] if rest else []),
    ]


def _main_figure(ranking: Board, figures: Sequence[Record]) -> list[Record]:
    """The figure that compares the cases of a run, where it has several, else the curves of what is ranked by."""
    several = len(ranking.results.variants) > 1
    across = [one for one in figures if one.kind not in COMMON] if several else []
    stems = [stem_of(kind, ranking.metric.name) for kind in ("curve", "final")]
    ranked_by = [one for stem in stems for one in figures if one.png.stem == stem]
    return [*across, *ranked_by, *figures][:1]


# Experiments and evaluations ------------------------------------------------------------------------------------------
def finding_of_experiment(results: LabResults) -> Answer:
    """The first of its remarks."""
    return Answer(lab.remarks(results)[0], "experiment", "open")


def of_experiment(results: LabResults, figures: Sequence[Record]) -> list[Block]:
    head, rows = lab.table(results)
    more = [Text(f"{len(rows) - 2 * TOP} more rows are in the report.")] if len(rows) > 2 * TOP else []
    blocks: list[Block] = [Heading(2, results.title), finding_of_experiment(results)]
    blocks += [Text(results.experiment["description"]), Heading(3, "After the last epoch")]
    return [*blocks, Table(head, rows[: 2 * TOP]), *more, *_picture(figures[:1])]


def finding_of_evaluation(evaluation: Evaluation) -> Answer:
    """The policy with the highest value by the first question, with the verdict on it."""
    rows = evaluation.leading(evaluation.questions[0])
    row = rows.iloc[0]
    told = evaluation_words.answer(evaluation, row, evaluation.against(evaluation.questions[0]).get(str(row["policy"])))
    verdict = str(row["verdict"])
    tone = "good" if verdict == BELIEVE else "bad" if verdict == DISBELIEVE else "open"
    return Answer(f"{row['policy']} ({QUESTIONS[evaluation.questions[0]].title}): {told}", verdict, tone)


def of_evaluation(evaluation: Evaluation, figures: Sequence[Record]) -> list[Block]:
    blocks: list[Block] = [Heading(2, evaluation.title), finding_of_evaluation(evaluation)]
    blocks.append(Items(evaluation_words.sentences(evaluation)))
    for title, head, rows in list(evaluation_words.parts(evaluation))[:1]:
        blocks += [Heading(3, title.split(":")[0]), Table(head, rows[: 2 * TOP], evaluation_words.WORDS)]
    return [*blocks, *_picture(figures[:1])]


def _picture(figures: Sequence[Record], alt: str | None = "") -> list[Block]:
    return [Picture(one.png, one.svg, one.title, alt or "") for one in figures]
