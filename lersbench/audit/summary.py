"""Many runs of a world as lines of a table, and the checks that every world has to pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from lersbench.audit.judging import levels_of
from lersbench.audit.world import CR, GAMMA, NORMAL, SHOWN, SURE, Answer, Check, Line, Lines, World
from lersbench.offpolicy.verdict import THRESHOLDS, Bounds

LEAST, MOST = 0.93, 0.97  # what an interval of 95 % that is believed may cover
SIGMA = 2.0  # Monte-Carlo errors by which a coverage may miss that
FEW = 100  # runs below which no coverage is judged
SPREADS = 0.1  # of an estimate's spread: what a bias of order 1 / n may be


def lines_of(runs: Sequence[Sequence[Answer]], thresholds: Mapping[str, Bounds] = THRESHOLDS) -> dict:
    """The lines, by estimator and interval, of the answers of each run."""
    by_line: dict[tuple[str, str], list[Answer]] = {}
    for run in runs:
        for answer in run:
            by_line.setdefault((answer.estimator, answer.interval), []).append(answer)
    return {key: _line(answers, thresholds) for key, answers in by_line.items()}


def _line(answers: Sequence[Answer], thresholds: Mapping[str, Bounds]) -> Line:
    value, low, high, truth = (np.array([answer[i] for answer in answers]) for i in range(2, 6))
    error, n = value - truth, len(answers)
    above, below = truth > high, truth < low
    inside = ~(above | below) & ~np.isnan(low)
    shares, believed = (math.nan,) * 3, math.nan
    if answers[0].most >= 0:
        levels = levels_of(np.stack([a.doubts for a in answers]), np.array([a.most for a in answers]), thresholds)
        shares = tuple(float((levels == level).mean()) for level in range(3))
        believed = float(inside[levels == 0].mean()) if (levels == 0).any() else math.nan
    return Line(
        answers[0].estimator,
        answers[0].interval,
        n,
        float(truth.mean()),
        float(error.mean()),
        3 * float(error.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan,
        float(np.sqrt((error**2).mean())),
        float((abs(error) / abs(truth)).mean()),
        float(inside.mean()),
        float(above.mean()),
        float(below.mean()),
        float((high - low).mean()),
        shares,
        believed,
    )


# Checks ---------------------------------------------------------------------------------------------------------------
def checks_of(world: World, lines: Lines) -> list[Check]:
    """What a world must show: no bias where none is promised, coverage, and what it alone is for."""
    checks = [_no_bias(_first(lines, name), 0.0) for name in world.unbiased]
    checks += [_no_bias(_first(lines, name), SPREADS) for name in world.nearly]
    for line in lines.values():
        if line.estimator in world.sound:
            checks += _coverage(line)
    return checks + world.more(lines)


def _first(lines: Lines, estimator: str) -> Line:
    return next(line for (name, _), line in lines.items() if name == estimator)


def _no_bias(line: Line, spreads: float) -> Check:
    most = line.margin + spreads * line.sd
    what = f"{line.estimator} has no bias" if not spreads else f"the bias of {line.estimator} is below its spread"
    return Check(what, abs(line.error) <= most, f"{line.error:+.2g}, at most {most:.2g}")


def _coverage(line: Line) -> list[Check]:
    if line.interval in SURE:
        return [covers(line, 0.95)]
    if line.interval in (CR, GAMMA):
        return [covers(line, LEAST)]
    believed = line.runs * line.verdicts[0]
    if line.interval not in (NORMAL, SHOWN) or not believed >= FEW:
        return []
    slack = SIGMA * line.noise(runs=believed)
    fine = LEAST - slack <= line.believed <= MOST + slack
    what = f"{line.estimator}, {line.interval}, covers {LEAST:.0%} to {MOST:.0%} where it is believed"
    return [Check(what, fine, f"{line.believed:.1%} of {believed:.0f} runs")]


def covers(line: Line, least: float, most: float = 1.0) -> Check:
    """Does it cover enough, within two Monte-Carlo errors?"""
    slack = SIGMA * line.noise(least)
    what = f"{line.estimator}, {line.interval}, covers at least {least:.0%}"
    return Check(what, least - slack <= line.coverage <= most + slack, f"{line.coverage:.1%} of {line.runs} runs")


def biased(line: Line, by: float, what: str) -> Check:
    """Is the mean error `by`, within three Monte-Carlo errors?"""
    return Check(what, abs(line.error - by) <= line.margin, f"{line.error:+.3g}, expected {by:+.3g}")


def doubted(line: Line, least: float, what: str = "") -> Check:
    """Is the verdict below "believe" in at least this share of the runs?"""
    share = 1 - line.verdicts[0]
    return Check(what or f"{line.estimator} is not to be believed", share >= least, f"{share:.1%} of {line.runs} runs")
