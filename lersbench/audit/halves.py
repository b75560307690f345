"""Rejection replay of halves of a uniform log beside true runs on line: is it right, and how wide is its interval?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lersbench.audit.claims import Claim, Found, grid, holds, share
from lersbench.audit.replays import log_of, mean_paid
from lersbench.audit.world import Check
from lersbench.distributions import t_quantile
from lersbench.feedback import USUAL
from lersbench.policy import Policy, load
from lersbench.results.statistics import interval

ROWS, HALVES, DRAWS = 1000, 10, 2
RATE = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
LOGS, FEW = 400, 20  # in full and quickly
ON_LINE, FEW_ON_LINE = 5000, 300
POLICIES = ("random", "ucb1")


class Line(NamedTuple):
    """What replay said of a policy on many logs."""

    error: float  # mean error
    noise: float  # its Monte-Carlo error, that of the truth included
    covered: float
    width: float  # mean half width
    covered_as_before: float
    width_as_before: float
    spread: float  # standard deviation of the values over logs: half widths of 1.96 of it would do


def drawn(rows: int, rng: np.random.Generator) -> np.ndarray:
    """(rows, arms) what each arm would pay in each round."""
    return (rng.random((rows, len(RATE))) < RATE).astype(np.float64)


def on_line(policy: Policy, rng: np.random.Generator) -> float:
    """The mean of one true run, of as many rounds as half a log lets pass."""
    rounds = max(1, int(rng.binomial(ROWS // 2, 1 / len(RATE))))
    log = log_of(np.arange(rounds), np.ones((rounds, 1)), drawn(rounds, rng))
    return mean_paid(log, policy, USUAL, np.arange(rounds), rng)


def replayed(policy: Policy, rng: np.random.Generator) -> np.ndarray:
    """(HALVES * DRAWS,) the values of one log, draw by draw of a half after the other."""
    shown = rng.integers(len(RATE), size=ROWS)
    log = log_of(np.arange(ROWS), np.ones((ROWS, 1)), drawn(ROWS, rng), shown)
    halves = [np.flatnonzero(rng.random(ROWS) < 0.5) for _ in range(HALVES)]
    return np.array([mean_paid(log, policy, "replay", half, rng) for half in halves for _ in range(DRAWS)])


def as_before(values: np.ndarray) -> tuple[float, float]:
    """Mean and half width of seeds (m,) that each replay a half of their own: t sd sqrt(1 + 1/m)."""
    m = len(values)
    return float(values.mean()), float(t_quantile(0.95, m - 1) * values.std(ddof=1) * (1 + 1 / m) ** 0.5)


def play(part: str, quick: bool, rng: np.random.Generator) -> Line:
    """One policy."""
    policy, labels = load(part), np.repeat(np.arange(HALVES), DRAWS)
    runs = np.array([on_line(policy, rng) for _ in range(FEW_ON_LINE if quick else ON_LINE)])
    truth, found = runs.mean(), []
    for _ in range(FEW if quick else LOGS):
        values = replayed(policy, rng)
        span, (mean, wide) = interval(values, "subsample", half=labels), as_before(values[::DRAWS])
        inside = span.low <= truth <= span.high
        found.append((span.mean, inside, (span.high - span.low) / 2, abs(mean - truth) <= wide, wide))
    means = np.array([one[0] for one in found])
    spread = means.std(ddof=1)
    noise = (spread**2 / len(means) + runs.var(ddof=1) / len(runs)) ** 0.5
    covered, width, covered_before, width_before = (float(np.mean([one[i] for one in found])) for i in (1, 2, 3, 4))
    return Line(float(means.mean() - truth), float(noise), covered, width, covered_before, width_before, float(spread))


def told(lines: Mapping[str, Line], quick: bool) -> Found:
    """The table, and what must hold of it."""
    head = ["policy", "mean error", "its noise", "covers", "half width", "1.96 sd", "before: covers", "half width"]
    rows = [
        [
            name,
            f"{one.error:+.4f}",
            f"{one.noise:.4f}",
            share(one.covered),
            f"{one.width:.3f}",
            f"{1.96 * one.spread:.3f}",
            share(one.covered_as_before),
            f"{one.width_as_before:.3f}",
        ]
        for name, one in lines.items()
    ]
    logs = FEW if quick else LOGS
    checks = [holds(f"{name}: covers 90 to 97 %", one.covered, logs, 0.90, 0.97) for name, one in lines.items()]
    checks += [
        Check(
            f"{name}: replay is right on average",
            abs(one.error) <= 3 * one.noise,
            f"{one.error / one.noise:+.1f} noise",
        )
        for name, one in lines.items()
    ]
    checks += [
        Check(f"{name}: narrower than before", one.width < one.width_as_before, f"{one.width:.3f}")
        for name, one in lines.items()
    ]
    return Found([("", grid(head, rows))], checks)


CLAIM = Claim(
    "replay",
    "Rejection replay, and runs on line",
    f"""Logs of {ROWS:,} rows that showed one of {len(RATE)} arms at random, which pay with chances of {RATE[0]:g} to
{RATE[-1]:g}. A policy replays {HALVES} random halves of a log, {DRAWS} times each with draws of its own, and
counts the rounds in which it chose what was shown. The truth is the mean of {ON_LINE:,} runs on line of as many
rounds as a half lets pass. {LOGS} logs. *Half width* is that of the interval of 95 %; 1.96 standard deviations of
the value over logs would do. *Before*: {HALVES} halves with one draw each, whose spread takes what a policy draws
and lets pass for an error of the log.""",
    lambda: POLICIES,
    play,
    told,
)
