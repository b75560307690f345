"""Worlds whose logged propensities are wrong: what notices, and what is immune."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lersbench.audit.heavy import softmax
from lersbench.audit.judging import Known, Rows, judged
from lersbench.audit.summary import biased, doubted
from lersbench.audit.world import NORMAL, Answer, Check, Group, Lines, World
from lersbench.offpolicy.slices import add_items, by_item, new_items

ROWS, CONTEXTS, ARMS = 5000, 4, 5
LOGGING = softmax(0.6 * np.random.default_rng(3).normal(size=(CONTEXTS, ARMS)))
RATE = np.clip(0.8 * LOGGING + np.random.default_rng(4).uniform(-0.03, 0.03, (CONTEXTS, ARMS)), 0.01, 0.99)
TARGET = np.array([0.1, 0.15, 0.2, 0.25, 0.3])  # whatever the context
TRUTH = float((TARGET * RATE).sum(axis=1).mean())
NAMES = [f"context {x}" for x in range(CONTEXTS)]
BLIND = "without slices"

Claimed = Callable[[np.ndarray, np.ndarray], np.ndarray]  # contexts and arms of the rows to what the log says of them


def honest(x: np.ndarray, arm: np.ndarray) -> np.ndarray:
    return LOGGING[x, arm]


def frequencies(x: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """How often each arm was taken, whatever the context."""
    return (np.bincount(arm, minlength=ARMS) / len(arm))[arm]


def tempered(x: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """A softmax of the right scores with a temperature 1.5 times too high."""
    return softmax(np.log(LOGGING) / 1.5)[x, arm]


def halved(x: np.ndarray, arm: np.ndarray) -> np.ndarray:
    return LOGGING[x, arm] / 2


def play(claimed: Claimed, rng: np.random.Generator) -> list[Answer]:
    """One log; beside the answers SNIPS as it is judged without slices and items."""
    x = rng.integers(CONTEXTS, size=ROWS)
    arm = np.minimum((LOGGING.cumsum(axis=1)[x] < rng.random((ROWS, 1))).sum(axis=1), ARMS - 1)
    reward = (rng.random(ROWS) < RATE[x, arm]).astype(np.float64)
    p = claimed(x, arm)
    items = new_items(ARMS)
    add_items(items, arm, p)
    known = Known(slice_names=NAMES, items=by_item(items, [f"item {j}" for j in range(ARMS)]))
    w = TARGET[arm] / p
    answers = judged(Rows(w, reward, p, slices=x[:, None]), TRUTH, known=known)
    blind = judged(Rows(w, reward, p), TRUTH, ("snips",))
    return [*answers, *(one._replace(estimator=f"snips {BLIND}") for one in blind if one.interval == NORMAL)]


def confounded(lines: Lines) -> list[Check]:
    """Frequencies of a logger that looks at the context."""
    snips, blind = lines["snips", NORMAL], lines[f"snips {BLIND}", NORMAL]
    return [
        doubted(snips, 0.99, "slices by context tell"),
        Check("SNIPS is far off", abs(snips.error) > 2 * snips.rmse / 3, f"{snips.error:+.3f} of {TRUTH:.3f}"),
        Check("without slices nothing tells", blind.verdicts[0] > 0.5, f"believed in {blind.verdicts[0]:.1%}"),
    ]


def hot(lines: Lines) -> list[Check]:
    return [doubted(lines["snips", NORMAL], 0.99, "the mean weights of slices or items tell")]


def scaled(lines: Lines) -> list[Check]:
    """Twice as heavy as they should be."""
    return [
        doubted(lines["snips", NORMAL], 0.99, "the mean weight tells"),
        biased(lines["ips", NORMAL], TRUTH, "IPS is twice the truth"),
        Check(
            "SNIPS does not mind",
            abs(lines["snips", NORMAL].error) <= lines["snips", NORMAL].margin,
            f"{lines['snips', NORMAL].error:+.2g}",
        ),
    ]


def _world(name: str, claimed: Claimed, more: Callable[[Lines], list[Check]] | None = None) -> World:
    known = partial(play, claimed)
    if more is None:
        return World(f"W6 {name}", "W6", 1000, 60, known, ("ips",), ("snips",), ("snips", "ips"))
    return World(f"W6 {name}", "W6", 1000, 60, known, more=more)


GROUP = Group(
    "W6",
    "Wrong propensities",
    f"""Four contexts, five arms, {ROWS:,} rows; the logger prefers in each context what is liked there, the target does
not look at the context. The logs differ in what they say of the propensities: the truth; how often each arm was taken
over all contexts; a softmax with a temperature 1.5 times too high; half of the truth. The second is the trap: the mean
weight is 1 whatever the logger did, and only slices by context tell (without them the verdict is "believe", and the
estimate is off by far more than its interval). A factor does SNIPS no harm, and IPS is off by it.""",
    [
        _world("right propensities", honest),
        _world("frequencies over all contexts", frequencies, confounded),
        _world("temperature 1.5", tempered, hot),
        _world("half of the truth", halved, scaled),
    ],
)
