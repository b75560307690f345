"""Many runs of a world as lines of a table, and the checks that every world has to pass."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lersbench.audit.judging import levels_of
from lersbench.audit.runs import Runs
from lersbench.audit.world import CR, GAMMA, LEVEL, NORMAL, SHOWN, SURE, Check, Line, Lines, World
from lersbench.offpolicy.verdict import THRESHOLDS, Bounds

LEAST, MOST = 0.93, 0.97  # what an interval of 95 % that is believed may cover
MANY, SIGMA, ROUGH = 300, 2.0, 4.0  # Monte-Carlo errors by which a coverage of many runs may miss that, and of fewer
FEW = 100  # believed runs below which their coverage is not judged
HALF = 0.5  # share of believed runs below which those that are believed are a choice of the luckiest
SPREADS = 0.1  # of an estimate's spread: what a bias of order 1 / n may be


def lines_of(runs: Runs, thresholds: Mapping[str, Bounds] = THRESHOLDS) -> dict[tuple[str, str], Line]:
    """The lines of a world's runs, by estimator and interval."""
    return {
        (str(estimator), str(interval)): _line(runs, at, thresholds)
        for at, (estimator, interval) in enumerate(runs.names)
    }


def inside(runs: Runs, at: int) -> np.ndarray:
    """(R,) does the interval of answer number `at` hold the truth?"""
    _, low, high, truth = runs.numbers[:, at].T
    return (low <= truth) & (truth <= high)


def _line(runs: Runs, at: int, thresholds: Mapping[str, Bounds]) -> Line:
    value, low, high, truth = runs.numbers[:, at].T
    error, n = value - truth, len(value)
    covered, believed = inside(runs, at), math.nan
    shares = (math.nan, math.nan, math.nan)
    if runs.most[at, 0] >= 0:
        levels = levels_of(runs.doubts[:, at], runs.most[at], thresholds)
        shares = (float((levels == 0).mean()), float((levels == 1).mean()), float((levels == 2).mean()))
        believed = float(covered[levels == 0].mean()) if (levels == 0).any() else math.nan
    return Line(
        str(runs.names[at, 0]),
        str(runs.names[at, 1]),
        n,
        float(truth.mean()),
        float(error.mean()),
        3 * float(error.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan,
        float(np.sqrt((error**2).mean())),
        float((abs(error) / abs(truth)).mean()),
        float(covered.mean()),
        float((truth > high).mean()),
        float((truth < low).mean()),
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
    if line.verdicts[0] < HALF:
        return [_seldom_wrong(line)]
    slack = _sigma(believed) * line.noise(runs=believed)
    fine = LEAST - slack <= line.believed <= MOST + slack
    what = f"{line.estimator}, {line.interval}, covers {LEAST:.0%} to {MOST:.0%} where it is believed"
    return [Check(what, fine, f"{line.believed:.1%} of {believed:.0f} runs")]


def _seldom_wrong(line: Line) -> Check:
    """A world at the edge of a threshold, where fewer than half of the runs are believed.

    Effective events, and what else depends on rewards, are many where luck was good. So the believed runs are those of
    high estimates, and fewer than 95 % of them hold the truth whatever the threshold. What can be asked for is that an
    interval is seldom believed and wrong.
    """
    wrong = line.verdicts[0] * (1 - line.believed)
    what = f"{line.estimator}, {line.interval}, is believed and wrong in at most {1 - LEAST:.0%} of all runs"
    return Check(what, wrong <= 1 - LEAST, f"{wrong:.1%}; believed in {line.verdicts[0]:.1%}")


def covers(line: Line, least: float, most: float = 1.0) -> Check:
    """Does it cover enough, within two Monte-Carlo errors?"""
    slack = _sigma(line.runs) * line.noise(min(least, LEVEL))
    what = f"{line.estimator}, {line.interval}, covers at least {least:.0%}"
    return Check(what, least - slack <= line.coverage <= most + slack, f"{line.coverage:.1%} of {line.runs} runs")


def _sigma(runs: float) -> float:
    return SIGMA if runs >= MANY else ROUGH


def biased(line: Line, by: float, what: str) -> Check:
    """Is the mean error `by`, within three Monte-Carlo errors?"""
    return Check(what, abs(line.error - by) <= line.margin, f"{line.error:+.3g}, expected {by:+.3g}")


def doubted(line: Line, least: float, what: str = "") -> Check:
    """Is the verdict below "believe" in at least this share of the runs?"""
    share = 1 - line.verdicts[0]
    return Check(what or f"{line.estimator} is not to be believed", share >= least, f"{share:.1%} of {line.runs} runs")
