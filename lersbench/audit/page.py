"""The audit as a page in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from lersbench.audit import refit
from lersbench.audit.run import Audited
from lersbench.audit.summary import FEW
from lersbench.audit.world import NORMAL, Check, Line, World
from lersbench.offpolicy.verdict import THRESHOLDS, Bounds

INTRODUCTION = """# Are the estimates true?

`lersbench evaluate` says what another policy would have earned, how far that may be off, and whether to believe it. On
a real log nobody can check this. Here are worlds in which everybody can: the truth is known in closed form or by
looking at every case, logs are drawn again and again, and each goes through the very functions that `evaluate` uses,
from its sums to estimate, interval and verdict. This page is made by a command; `make audit-ope` makes it again.

How to read the tables. **Mean error** is the estimate less the truth, over the runs; without a bias it lies within
**3 sd/√R**, three times its Monte-Carlo error (but for 3 audits of 1,000). **rmse** is the root of the mean squared
error, **relative error** the mean of |error| / truth. **Coverage** is how often an interval of 95 % held the truth; it
should be 95 %. **Truth above** and **truth below** are the misses: the truth above the upper end, below the lower one.
**Verdicts** are the shares of *believe / caution / do not believe*, and **believed** is the coverage of the runs with
the verdict *believe*: the number that decides whether verdicts are worth anything. The interval *normal* is the usual
one, by users; *gamma* and *cr* (Cressie-Read, empirical likelihood) are shown by `evaluate` for IPS and SNIPS; *as
shown* is what `evaluate` shows where that depends on the verdict. *bernstein*, *betting* and *anytime* promise their
95 % for every number of rows, and pay for it with width.

A check passes if the mean error is within 3 sd/√R where no bias is promised; if gamma and Cressie-Read intervals cover
93 % everywhere that propensities are right; if those with a guarantee cover 95 %; and if the normal interval of an
estimate that is believed covers 93 to 97 % (where less than half of the runs are believed: see the thresholds below).
Coverages may miss these bounds by two Monte-Carlo errors, which are given with each world."""


def page(found: Audited) -> str:
    """The whole page."""
    parts = [INTRODUCTION, _in_short(found), *_overview(found), *_thresholds(found)]
    for group in found.plan.groups:
        parts += [f"## {group.name}: {group.title}", group.about]
        if group.name in found.fixed:
            parts += [f"### {title}\n\n{table}" for title, table in found.fixed[group.name].tables]
        for world in group.worlds:
            if world.name in found.runs:
                parts += [_heading(world, found), _table(found.lines(world))]
        if checks := found.checks(group):
            parts.append(
                "Checks:\n\n" + "\n".join(_check(name, check, len(group.worlds) > 1) for name, check in checks)
            )
    return "\n\n".join(parts) + "\n"


def _in_short(found: Audited) -> str:
    every = [pair for group in found.plan.groups for pair in found.checks(group)]
    failed = found.failed
    runs = sum(one.numbers.shape[0] for _, one in found.played)
    lines = [f"**{len(every) - len(failed)} of {len(every)} checks passed**, on {runs:,} logs, seed {found.plan.seed}."]
    lines += [f"* FAILED: {name}: {check.what} ({check.measured})" for name, check in failed]
    lines += [f"* NOT PLAYED: {name}: {why}" for name, why in found.problems.items()]
    return "\n".join(lines)


# What is believed -----------------------------------------------------------------------------------------------------
def _overview(found: Audited) -> Iterator[str]:
    """One line a world: how often its estimates are believed, and what they are worth then."""
    head = "| world | runs | estimator | normal covers | shown interval covers | verdicts | normal where believed |"
    rows = [head, "|" + " --- |" * 7]
    for world, runs in found.played:
        lines = found.lines(world)
        for (name, interval), line in lines.items():
            if interval != NORMAL:
                continue
            shown = next((one for (n, i), one in lines.items() if n == name and i != NORMAL), None)
            if math.isnan(line.verdicts[0]):
                continue
            rows.append(
                f"| {world.name} | {runs.numbers.shape[0]:,} | {name} | {_share(line.coverage)} | "
                f"{_share(shown.coverage) if shown else '-'} | {_verdicts(line)} | {_believed(line)} |"
            )
    yield "## What is believed, and what that is worth"
    yield "\n".join(rows)


def _thresholds(found: Audited) -> Iterator[str]:
    """What each threshold does in the worlds whose propensities are right."""
    sound = [(world, runs) for world, runs in found.played if world.sound]
    if not sound:
        return
    yield "## The thresholds of the verdicts"
    yield f"""The bounds of *believe* are chosen so that normal intervals cover 93 % where they are believed, in every
world here whose propensities are right, and so that sound logs are believed. The table leaves out one diagnostic at a
time, and moves one at a time: how many of all runs are believed then, and where the believed intervals cover least.
Diagnostics for wrong propensities (mean weights, slices, support, resolution) find what is in W6, W7 and W13, and cost
a little here.

Worlds of which less than half of the runs are believed are not in the table, for no threshold can mend them: the
number of effective events is high where luck was good, so the few runs that pass are those of too high an estimate.
World A with 300 rows is such a one. What is asked of them is that an estimate is believed *and* its interval wrong in
at most 7 % of all runs. Worlds need {FEW} believed runs to be judged at all."""
    rows = ["| thresholds | believed | least coverage where believed | where |", "| --- | --- | --- | --- |"]
    for name, thresholds in _tried():
        one = refit.fit(sound, thresholds)
        least = f"{one.coverage:.1%} ± {one.error:.1%}" if math.isfinite(one.coverage) else "-"
        rows.append(f"| {name} | {one.believed:.1%} | {least} | {one.world} |")
    yield "\n".join(rows)


def _tried() -> Iterator[tuple[str, Mapping[str, Bounds]]]:
    yield "as they are", THRESHOLDS
    for name, (side, believe, _) in THRESHOLDS.items():
        sign = "≤" if side == "most" else "≥"
        yield f"without {name} {sign} {believe:.3g}", refit.without(name)
    for name, bounds in (("agree_z", (2.0, 3.0)), ("agree_z", (4.0, 5.0)), ("hill", (2.0, 1.5)), ("events", (20, 10))):
        yield f"{name} {bounds[0]:g}, {bounds[1]:g}", refit.moved(name, *bounds)
    yield "thin .2, .3", refit.moved("thin", 0.2, 0.3)
    yield "max_share 2 %, 5 %", refit.moved("max_share", 0.02, 0.05)


# Tables ---------------------------------------------------------------------------------------------------------------
def _heading(world: World, found: Audited) -> str:
    runs = int(found.runs[world.name].numbers.shape[0])
    error = 100 * math.sqrt(0.95 * 0.05 / runs)
    note = f"{world.note} " if world.note else ""
    return f"### {world.name}\n\n{note}R = {runs:,} runs; Monte-Carlo error of a coverage of 95 %: {error:.1f} points."


def _table(lines: Mapping[tuple[str, str], Line]) -> str:
    columns = (
        "estimator",
        "interval",
        "mean error",
        "3 sd/√R",
        "rmse",
        "relative error",
        "coverage",
        "truth above",
        "truth below",
        "width",
        "verdicts",
        "believed",
    )
    rows = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for line in lines.values():
        cells = (
            line.estimator,
            line.interval,
            _number(line.error, "+"),
            _number(line.margin),
            _number(line.rmse),
            _share(line.relative),
            _share(line.coverage),
            _share(line.above),
            _share(line.below),
            _number(line.width),
            _verdicts(line),
            _believed(line),
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _number(value: float, sign: str = "") -> str:
    """Two digits that mean something, without an exponent."""
    if not math.isfinite(value) or value == 0:
        return "-" if value != 0 else "0"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    return f"{value:{sign}.{digits}f}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if math.isfinite(value) else "-"


def _verdicts(line: Line) -> str:
    if math.isnan(line.verdicts[0]):
        return "-"
    return " / ".join(f"{100 * share:.0f}" for share in line.verdicts) + " %"


def _believed(line: Line) -> str:
    """The coverage where it is believed; with few such runs it says nothing."""
    return _share(line.believed) if line.runs * line.verdicts[0] >= FEW else "-"


def _check(name: str, check: Check, named: bool) -> str:
    mark = "passed" if check.passed else "**FAILED**"
    return f"* {mark}: {f'{name}: ' if named else ''}{check.what} ({check.measured})"
