"""What a reward model does that has seen the rows it is used on: why `folds = 1` is refused."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from lersbench.audit.judging import Rows, judged
from lersbench.audit.world import LEVEL, NORMAL, Answer, Check, Group, Lines, World
from lersbench.offpolicy.folds import folds_of

ROWS, ARMS, COLUMNS = 1000, 5, 5
FOLDS = (1, 2, 3, 5)
TRUTH = 0.2 + 0.3 * 5 / 6


def rate(x: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """The chance of a reward: .2 to .5, by the column of the arm."""
    return 0.2 + 0.3 * x[np.arange(len(x)), arm]


def tree(seed: int) -> Any:
    """Two rows a leaf: it knows its rows by heart."""
    return importlib.import_module("sklearn.tree").DecisionTreeRegressor(min_samples_leaf=2, random_state=seed)


def inputs(x: np.ndarray, arm: np.ndarray) -> np.ndarray:
    return np.hstack([x, arm[:, None] == np.arange(ARMS)])


def play(rng: np.random.Generator) -> list[Answer]:
    """One log; the target takes the best arm, whose column has a mean of 5/6."""
    x, arm = rng.random((ROWS, COLUMNS)), rng.integers(ARMS, size=ROWS)
    reward = (rng.random(ROWS) < rate(x, arm)).astype(np.float64)
    wanted = x.argmax(axis=1)
    w = np.where(arm == wanted, float(ARMS), 0.0)
    out: list[Answer] = []
    for folds in FOLDS:
        q, dm = _fitted(inputs(x, arm), inputs(x, wanted), reward, folds)
        log = Rows(w, reward, np.full(ROWS, 1 / ARMS), doubly=dm + w * (reward - q), direct=dm)
        out += [one._replace(estimator=f"dr, folds = {folds}") for one in judged(log, TRUTH, ("dr",))]
    return out


def _fitted(logged: np.ndarray, wanted: np.ndarray, reward: np.ndarray, folds: int) -> tuple[np.ndarray, np.ndarray]:
    """The model's predictions (n,) for the logged arm and for the target's; with one fold it has seen their rewards."""
    q, dm = np.empty(ROWS), np.empty(ROWS)
    if folds == 1:
        model = tree(0).fit(logged, reward)
        return model.predict(logged), model.predict(wanted)
    fold = folds_of(np.arange(ROWS), folds)
    for one in range(folds):
        inside = fold == one
        model = tree(0).fit(logged[~inside], reward[~inside])
        q[inside], dm[inside] = model.predict(logged[inside]), model.predict(wanted[inside])
    return q, dm


def shows(lines: Lines) -> list[Check]:
    """Biased and sure of itself with one fold; right with more."""
    one = lines["dr, folds = 1", NORMAL]
    return [
        Check("with one fold DR is biased", abs(one.error) > one.margin, f"{one.error:+.3f} of {TRUTH}"),
        Check(
            "and its interval covers less than half", one.coverage < 0.5, f"{one.coverage:.1%} instead of {LEVEL:.0%}"
        ),
    ]


RIGHT = tuple(f"dr, folds = {folds}" for folds in FOLDS[1:])
GROUP = Group(
    "W12",
    "A reward model that has seen its rows",
    f"""{ROWS:,} rows, five arms chosen at random, and a decision tree with two rows a leaf as the reward model of DR.
Fitted on the rows it is used on ("folds = 1"), it takes their noise for knowledge: nothing is left for the weights to
correct, so the estimate is that of the tree, and the interval is much too narrow. Cross-fitted, a row is predicted by a
tree that has not seen it, and all is well, with two folds as with five. `folds = 1` is therefore an error.""",
    [World("W12 tree", "W12", 400, 20, play, RIGHT, (), RIGHT, shows)],
)
