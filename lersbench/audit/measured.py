"""All claims about intervals and ranks, measured side by side, and their page in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lersbench.audit import customer_ranks, halves, new_customers, rank_ranges, seed_intervals
from lersbench.audit.claims import Claim, Found
from lersbench.errors import RunError
from lersbench.system.progress import Bar, silent
from lersbench.system.workers import Pool, Step, Task

CLAIMS: dict[str, Claim] = {
    one.CLAIM.name: one.CLAIM for one in (seed_intervals, rank_ranges, new_customers, customer_ranks, halves)
}
INTRODUCTION = """# Do intervals and ranks keep what they claim?

A leaderboard says how far a value may be off, and which ranks the data allow. Here are worlds in which the truth is
known, and how often what the functions of the leaderboard say there comes out right. `make audit` makes this page again
(seed {seed}). Shares are in per cent. A check allows for three Monte-Carlo errors."""
QUICK = "**Quick: a few runs of each.** The numbers of runs in the text are those of the whole audit."


def measured(names: Sequence[str], quick: bool, seed: int = 0, threads: int = 1) -> dict[str, Found]:
    """What the claims of these names came to, by name; RunError where a part could not be played."""
    tasks = {
        (f"{name}: {part}"): Task(play, (name, part, quick, seed)) for name in names for part in CLAIMS[name].parts()
    }
    done: dict[str, Any] = {}
    with Bar(silent, total=len(tasks), unit=" parts", desc="audit") as bar, Pool(threads) as pool:
        for outcome in pool.outcomes(tasks, bar.update):
            if outcome.problem:
                raise RunError(f"{outcome.key}: {outcome.problem}")
            done[outcome.key] = outcome.result
    return {name: told(name, {p: done[f"{name}: {p}"] for p in CLAIMS[name].parts()}, quick) for name in names}


def play(name: str, part: str, quick: bool, seed: int, step: Step) -> Any:
    """One part of a claim, in a process of its own."""
    out = CLAIMS[name].one(part, quick, seed)
    step(1)
    return out


def told(name: str, parts: Mapping[str, Any], quick: bool) -> Found:
    """The tables and checks of a claim."""
    return CLAIMS[name].told(parts, quick)


def page(found: Mapping[str, Found], seed: int, quick: bool = False) -> str:
    """The page in Markdown."""
    blocks = [INTRODUCTION.format(seed=seed), *([QUICK] if quick else [])]
    for name, one in found.items():
        blocks += [f"## {CLAIMS[name].title}", CLAIMS[name].about]
        for words, table in one.tables:
            blocks += [words, table] if words else [table]
        lines = [f"* {'passed' if check.passed else 'FAILED'}: {check.what} ({check.measured})" for check in one.checks]
        blocks.append("\n".join(["Checks:", "", *lines]))
    return "\n\n".join(blocks) + "\n"
