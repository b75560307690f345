"""A world so small that every log it could write is looked at: three rows, two contexts, three arms, exact fractions.

An estimate is right on average if the sum over all logs of its value times the chance of the log is the truth, and
here that sum is no simulation. Each estimate is made twice: by the sums of the product, and as a fraction from its
formula; the two must be one number on each of the 1,728 logs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction as F
from typing import NamedTuple

import numpy as np

from lersbench.audit.judging import Rows, sums_of
from lersbench.audit.world import Check, Fixed, Group
from lersbench.evaluation import answers
from lersbench.evaluation.answers import Range
from lersbench.offpolicy.sums import clipped, edge

ROWS = 3
CONTEXTS = (F(1, 3), F(2, 3))
LOGGING = ((F(1, 2), F(3, 10), F(1, 5)), (F(1, 10), F(3, 5), F(3, 10)))
TARGET = ((F(1, 5), F(1, 5), F(3, 5)), (F(1, 2), F(1, 2), F(0)))
RATE = ((F(1, 5), F(1, 2), F(4, 5)), (F(2, 5), F(1, 10), F(7, 10)))
MODEL = ((F(1, 2), F(1, 4), F(1, 3)), (F(0), F(1), F(1, 5)))  # a reward model that is quite wrong
CLIP = 22  # a cell of the weights whose edge lies between those that occur
B = F(1, 2)  # of the control variate
TRUTH = sum(
    c * p * q for c, pi, rate in zip(CONTEXTS, TARGET, RATE, strict=True) for p, q in zip(pi, rate, strict=True)
)


class Outcome(NamedTuple):
    """One row that can come about, with its chance."""

    w: F
    r: F
    p: F
    dm: F  # the reward model's part
    dr: F  # the doubly robust value
    chance: F


class Value(NamedTuple):
    """What an estimator gives on one log: its formula in fractions, None where it has no value; and by the product."""

    exact: F | None
    made: float


class Mean(NamedTuple):
    """An estimator over all logs."""

    estimator: str
    bias: F  # of the logs on which it has a value
    apart: float  # the largest difference between product and formula
    unknown: F  # chance of a log on which it has no value


def outcomes() -> list[Outcome]:
    """The 12 rows that can come about."""
    out = []
    for x, a in itertools.product(range(2), range(3)):
        w = TARGET[x][a] / LOGGING[x][a]
        dm = sum((pi * q for pi, q in zip(TARGET[x], MODEL[x], strict=True)), F(0))
        for r, chance in ((F(1), RATE[x][a]), (F(0), 1 - RATE[x][a])):
            dr = dm + w * (r - MODEL[x][a])
            out.append(Outcome(w, r, LOGGING[x][a], dm, dr, CONTEXTS[x] * LOGGING[x][a] * chance))
    return out


def formulas(log: tuple[Outcome, ...]) -> dict[str, F | None]:
    """The estimates of a log, from the textbook."""
    n, w = len(log), sum((row.w for row in log), F(0))
    most = F(edge(CLIP))
    v = sum((row.w * row.r for row in log), F(0))
    cut = [min(row.w, most) for row in log]
    dm, dr = sum((row.dm for row in log), F(0)), sum((row.dr for row in log), F(0))
    return {
        "ips": v / n,
        "dr": dr / n,
        "snips": v / w if w else None,
        "sndr": dm / n + (dr - dm) / w if w else None,
        "dm": dm / n,
        f"ips clipped at {edge(CLIP):g}": sum((m * row.r for m, row in zip(cut, log, strict=True)), F(0)) / n,
    }


def made(log: tuple[Outcome, ...]) -> dict[str, float]:
    """The same from the sums of the product."""
    w, r, p, dm, dr = (np.array([float(row[i]) for row in log]) for i in range(5))
    sums = sums_of(Rows(w, r, p, doubly=dr))
    direct = np.zeros(len(sums.bucket_rows))
    direct[0] = dm.sum()
    found = {}
    for name in ("ips", "dr", "snips", "sndr", "dm"):
        found[name] = answers.estimate_of(name, sums, sums.bucket_rows, Range(0.0, 1.0, math.inf), direct).value
    cut = clipped(sums, CLIP)
    return {**found, f"ips clipped at {edge(CLIP):g}": cut.r1 / cut.n}


def logs(rows: int = ROWS) -> Iterator[tuple[F, tuple[Outcome, ...]]]:
    """Every log of so many rows with its chance."""
    for log in itertools.product(outcomes(), repeat=rows):
        yield math.prod((row.chance for row in log), start=F(1)), log


def means(rows: int = ROWS) -> list[Mean]:
    """Every estimator over all logs."""
    total: dict[str, F] = {}
    unknown: dict[str, F] = {}
    apart: dict[str, float] = {}
    for chance, log in logs(rows):
        values = made(log)
        for name, exact in formulas(log).items():
            if exact is None:
                unknown[name] = unknown.get(name, F(0)) + chance
                apart[name] = max(apart.get(name, 0.0), 0.0 if math.isnan(values[name]) else math.inf)
                continue
            total[name] = total.get(name, F(0)) + chance * exact
            apart[name] = max(apart.get(name, 0.0), abs(values[name] - float(exact)))
    out = []
    for name, mean in total.items():
        missing = unknown.get(name, F(0))
        out.append(Mean(name, mean / (1 - missing) - TRUTH, apart[name], missing))
    return out


def controlled() -> F:
    """The bias of IPS with the control variate B (w - 1), B fixed."""
    return sum((o.chance * (o.w * o.r - B * (o.w - 1)) for o in outcomes()), F(0)) - TRUTH


def missed() -> F:
    """What clipping must cost: -E (w - M)+ r."""
    most = F(edge(CLIP))
    return -sum((o.chance * max(F(0), o.w - most) * o.r for o in outcomes()), F(0))


def checks(found: list[Mean]) -> list[Check]:
    """No bias, exactly, where none is promised; that of clipping as derived; product and formula one number."""
    bias = {mean.estimator: mean.bias for mean in found}
    clip = next(name for name in bias if name.startswith("ips clipped"))
    out = [Check(f"the bias of {name} is exactly 0", bias[name] == 0, str(bias[name])) for name in ("ips", "dr")]
    out.append(Check("the bias of IPS with a fixed control variate is exactly 0", controlled() == 0, str(controlled())))
    out.append(Check("clipping costs exactly E (w - M)+ r", bias[clip] == missed(), f"{bias[clip]}, {missed()}"))
    for name in ("snips", "sndr", "dm"):
        out.append(Check(f"the bias of {name} is not 0", bias[name] != 0, f"{bias[name]} = {float(bias[name]):.4f}"))
    worst = max(mean.apart for mean in found)
    out.append(Check("product and formula agree on every log", worst < 1e-12, f"{worst:.1e} apart at most"))
    return out


def fixed() -> Fixed:
    """The table and its checks."""
    found = means()
    head = "| estimator | mean over all logs | bias | as a number | no value |\n| --- | --- | --- | --- | --- |"
    rows = [
        f"| {one.estimator} | {float(one.bias + TRUTH):.6f} | {_short(one.bias)} | {float(one.bias):+.6f} | "
        f"{float(one.unknown):.1%} |"
        for one in found
    ]
    return Fixed([(f"W1, 3 rows, truth {TRUTH} = {float(TRUTH):.4f}", "\n".join([head, *rows]))], checks(found))


def _short(fraction: F) -> str:
    return str(fraction) if len(str(fraction)) < 20 else "a long fraction"


GROUP = Group(
    "W1",
    "Every log that three rows can make",
    """Two contexts, three arms, three rows: 1,728 logs, each with its exact chance, so that the mean of an estimator
over all of them is a fraction and no simulation. One of the targets' arms is never taken and the reward model is
wrong on purpose. IPS, DR with any reward model, and IPS with a fixed control variate are right on average, exactly.
Self-normalised estimators are not: with three rows they lose a lot, and they have no value where all weights are 0;
their bias shrinks with the number of rows and is nothing in the larger worlds below. Clipping costs what
theory says.""",
    fixed=fixed,
)
