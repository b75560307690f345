"""Further seeds for contenders that cannot be told apart, until a time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lersbench.bench.jobs import Run
from lersbench.results import ranking, tables
from lersbench.results.further import further_seeds
from lersbench.results.tables import Results

MORE = 0.5  # share of its seeds that a contender gets more at a time
AT_ONCE = 6  # contenders that get more at a time
Seeds = dict[tuple[str, str, str], int]


def play_until(
    seconds: float, run: Run, again: Callable[[Mapping[tuple[str, str, str], int]], Run], say: Callable[[str], None]
) -> Run:
    """Have contenders at the border of a ranking play more seeds, some at a time, as long as `seconds` are not over and
    seeds can tell any of them apart. `again` plays with as many seeds as it is told, by case, feedback and entry."""
    end, seeds = time.monotonic() + seconds, Seeds()
    while (left := end - time.monotonic()) > 0:
        chosen = _chosen(run.folder, left, seeds)
        if not chosen:
            say("further seeds: none would tell contenders apart in the time that is left")
            break
        seeds |= chosen
        say("further seeds: " + ", ".join(map(_in_words, chosen.items())))
        run = again(seeds)
    return run


def _in_words(one: tuple[tuple[str, str, str], int]) -> str:
    """ "lints (bandit) 15": a contender, with how many seeds it has then."""
    (variant, feedback, label), count = one
    return " ".join(filter(None, [label, f"({feedback})", variant, str(count)]))


def _chosen(folder: Path, left: float, played: Mapping[tuple[str, str, str], int]) -> Seeds:
    """The contenders that get more seeds now, with how many they have then: what fits into the time that is `left`."""
    results = tables.load(folder)
    cost = {(label, feedback): spent for label, feedback, spent in results.meta["policy_seconds"]}
    chosen = Seeds()
    for one in further_seeds(ranking.board(results)):
        label = results.entries[one.policy]
        have = max(_seeds(results, one.variant, one.policy), played.get((one.variant, one.feedback, label), 0))
        more = min(max(1, int(have * MORE)), int(left / max(cost[label, one.feedback], 1e-6)))
        if more > 0 and len(chosen) < AT_ONCE:
            chosen[one.variant, one.feedback, label] = have + more
            left -= more * cost[label, one.feedback]
    return chosen


def _seeds(results: Results, variant: str, policy: str) -> int:
    rows = results.summary[(results.summary["variant"] == variant) & (results.summary["policy"] == policy)]
    return int(rows["seed"].nunique())
