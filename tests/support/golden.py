"""`python -m tests.support.golden` plays every policy on a small world and writes its curve down as the expected one.

Run it only when a curve is meant to change, and say in the commit why.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from lersbench import metrics
from lersbench.engine.rows import Rows, rows_of
from lersbench.policy import KernelPolicy, find, load, names
from tests.support import worlds

FILE = Path(__file__).with_name("golden.json")
ALL = names()
NAMES = [  # sums of torch differ between machines; what needs a past, or a table, learns nothing
    name for name in ALL if issubclass(find(name), KernelPolicy) and "past" not in find(name).needs and name != "scores"
]
ROUNDS, ITEMS, SLATE, POINTS = 400, 8, 2, 20
KEPT = ("ctr_sum", "regret", "diversity", "hr@20")


def world() -> Rows:
    """A linear world with joint features and users, two positions."""
    context, clicks = worlds.clicks_of_a_linear_world(ROUNDS, ITEMS, 3, seed=5)
    rng = np.random.default_rng(6)
    features = np.round(rng.random((ROUNDS, ITEMS, 4)), 3)
    made = worlds.chunk(clicks, context=context, features=features, user=rng.integers(0, 50, ROUNDS))
    return rows_of(made, np.zeros((ITEMS, 0)), "bandit", SLATE)


def curve(name: str, rows: Rows) -> dict[str, list[float]]:
    """The kept metrics of one policy at 20 checkpoints."""
    told = worlds.protocol("bandit", SLATE, ranked=True)
    made = worlds.play(worlds.contender(load(name), rows, told, seed=1, points=POINTS), rows)
    return {metric: made.meter.curve[:, metrics.NAMES.index(metric)].tolist() for metric in KEPT}


if __name__ == "__main__":
    found = {name: curve(name, world()) for name in NAMES}
    FILE.write_text(json.dumps(found, indent=1) + "\n")
