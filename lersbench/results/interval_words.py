"""What the intervals, ranks and differences of a leaderboard are, in sentences."""

from __future__ import annotations

import pandas as pd

from lersbench.distributions import LEVEL
from lersbench.results import compared
from lersbench.results.numbers import MISSING
from lersbench.results.places import seeds_in_words
from lersbench.results.ranking import Board
from lersbench.results.stability import named
from lersbench.results.tables import Results

PERCENT = f"{100 * LEVEL:.0f} %"


def this_log() -> str:
    """The head of the column of intervals on this log."""
    return f"{PERCENT}, this log"


def anew(results: Results, variant: str) -> str:
    """The head of the column of intervals for what is new: "95 %, new customers"."""
    return f"{PERCENT}, new {results.blocks(variant)}"


def interval_in_words(results: Results) -> str:
    """One sentence: what the intervals over seeds of this run are."""
    if len(results.meta["seeds"]) < 2:
        return f"One seed only: no interval can be given ({MISSING}), and no two contenders can be separated."
    seeds = f"{seeds_in_words(results)} seeds"
    return {
        "shuffle": f"{PERCENT} t interval of the mean over {seeds}; each seed shuffles the order in which the rounds "
        "arrive (the same for all policies) and draws the policy's own randomness. Who is in the log is taken as "
        "given.",
        "subsample": f"{PERCENT} interval for new rounds from random halves of the log, each played twice ({seeds}): "
        "halves scatter around the whole log as it scatters around the truth, so more halves do not narrow the "
        f"interval beyond that; only more rounds do. {MISSING}: the halves all agree, as where none holds a click, and "
        "tell nothing of the error.",
        "none": f"{PERCENT} t interval of the mean over {seeds} of the policy's own randomness on one fixed log. Who "
        "is in the log is taken as given.",
    }[results.replicates]


def anew_in_words(board: Board) -> list[str]:
    """What the intervals for new customers are, or why there are none."""
    results = board.results
    lines = []
    for variant in results.variants:
        rows = board.frame[board.frame["variant"] == variant]
        if board.bracketed(variant) or results.replicates == "subsample" or len(results.meta["seeds"]) < 2:
            continue
        if rows["new_low"].notna().any():
            new = results.blocks(variant)
            number = results.log(variant).get("blocks", {}).get("number")
            grouped = f" in {number:,} blocks of {new}" if number else f" by block of {new}"
            lines.append(
                f"New {new}: the {PERCENT} interval of what another log of as many {new} of the same kind would give, "
                f"in new orders. Rewards are added up by seed and{grouped}, and the errors of both count."
            )
        else:
            lines.append(f"New {results.blocks(variant)}: {_why_not(board, variant)}")
    return list(dict.fromkeys(lines))


def _why_not(board: Board, variant: str) -> str:
    name = board.metric.name
    only = "so intervals and ranks are those of this log alone; another log would change them by more."
    if name not in compared.OF:
        return f"{name} is no mean over rounds, {only}"
    policies = board.frame.loc[board.frame["variant"] == variant, "policy"]
    if any(board.results.sums(variant, policy, *compared.OF[name]) is None for policy in policies):
        return f"the run has no sums by customer (an earlier version wrote it), {only}"
    return f"too few blocks hold a round, {only}"


def ranks_in_words(board: Board) -> str:
    """What a rank is, and how sure."""
    known = bool(board.frame["new_low"].notna().any())
    about = "for new customers" if known else "on this log"
    if board.results.replicates == "subsample":
        about = "for new rounds"
    sure = (
        f"all ranges are right at once with {PERCENT}, by Holm's correction over all pairs"
        if board.simultaneous
        else f"a contender's own range is right with {PERCENT}, by Holm's correction over its pairs"
    )
    tests = "paired t tests on the halves"
    if board.results.replicates != "subsample":
        tests = (
            "Welch's t tests; with few seeds the spread of a contender borrows from the others of its family, "
            "compiled, neural or your own"
        )
    return (
        f"Rank: the best and the worst place among the contenders of its regime that the data allow {about}: behind "
        f"all that were shown to be better, before all that were shown to be worse ({tests}; {sure}). Disjoint "
        "intervals can go with overlapping ranks, and the other way round: an interval is of one contender alone, "
        "ranks rest on differences. Few seeds of policies that lock in early can break the level. P(best): the chance "
        f"to be the best of its table {about}, given these means and their errors."
    )


def differences_in_words(board: Board, named_unit: str) -> list[str]:
    """What the differences to the baseline are, and which of them hold when all are tested."""
    results, base = board.results, board.baseline
    known = board.frame["new_low"].notna().any() and results.replicates != "subsample"
    new = "for new customers and seeds" if known else "over seeds"
    new = "for new rounds" if results.replicates == "subsample" else new
    if "lift" in board.frame:
        head = (
            f"Lift: value of the policy / value of {base} - 1, in %, taken seed by seed (the same rounds for both), "
            f"with the {PERCENT} interval of its mean {new}."
        )
    else:
        points = " in percentage points" if board.metric.unit == "%" else named_unit
        head = f"Difference: policy minus {base}{points}, by the means over seeds, with its {PERCENT} interval {new}."
    return [head, *_after_holm(board)]


def _after_holm(board: Board) -> list[str]:
    """Which contenders were shown to differ from the baseline, all differences of a table together."""
    tested = board.frame[board.frame["differs"].notna()]
    if tested.empty:
        return []
    open_ = tested[~tested["differs"].astype(bool)]
    what = f"from {board.baseline}, all differences of a table tested together (Holm, {100 * (1 - LEVEL):.0f} %)"
    if open_.empty:
        return [f"Every policy with enough seeds was shown to differ {what}."]
    return [f"Not shown to differ {what}: {_names(open_)}."]


def _names(rows: pd.DataFrame) -> str:
    return named(map(str, rows["policy"]))
