"""A world in which the logger never takes some arms that the target takes: what is left are bounds."""

from __future__ import annotations

import numpy as np

from lersbench.audit.heavy import Arms
from lersbench.audit.judging import NO_VERDICT, NONE, judged
from lersbench.audit.summary import biased, covers, doubted
from lersbench.audit.world import GAMMA, NORMAL, Answer, Check, Group, Lines, World
from lersbench.offpolicy.intervals import Interval, truncated

ROWS = 2000
LOGGING = np.array([0.2, 0.2, 0.15, 0.15, 0.1, 0.1, 0.05, 0.05, 0.0, 0.0])
RATE = np.array([0.2, 0.3, 0.4, 0.1, 0.5, 0.2, 0.3, 0.6, 0.7, 0.4])
TARGET = np.full(10, 0.1)
MISSING = 0.2  # of the target's choices
TRUTH = float(TARGET @ RATE)
LOST = float(TARGET[8:] @ RATE[8:])


def play(rng: np.random.Generator) -> list[Answer]:
    """One log; the truth is that of the whole target."""
    seen = Arms(LOGGING[:8], TARGET[:8], RATE[:8])
    answers = judged(seen.draw(rng, ROWS), TRUTH)
    ips = next(one for one in answers if one.interval == GAMMA)
    bounds = truncated(Interval(ips.low, ips.high), MISSING, 0.0, 1.0)
    return [*answers, Answer("bounds", "of ips", sum(bounds) / 2, *bounds, TRUTH, NONE, NO_VERDICT)]


def shows(lines: Lines) -> list[Check]:
    """The bounds hold, IPS lacks what it cannot see, and the verdict says so."""
    return [
        biased(lines["ips", NORMAL], -LOST, "IPS is low by what the missing arms earn"),
        covers(lines["bounds", "of ips"], 1.0),
        doubted(lines["ips", NORMAL], 0.99, "the mean weight tells"),
    ]


GROUP = Group(
    "W7",
    "Arms that were never logged",
    f"""Ten arms, all alike to the target, two of which the logger never takes; {ROWS:,} rows. The log says nothing of
a fifth of the target's choices, so IPS lacks what they earn, whatever the number of rows, and SNIPS takes them to be as
good as the others. Its weights tell: their mean is .8. What can be said are bounds: the interval of what is known, and
between nothing and everything for the rest.""",
    [World("W7 two arms never logged", "W7", 2000, 100, play, more=shows)],
)
