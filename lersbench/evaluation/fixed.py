"""Fixed policies: all of them in one pass over the rows, after the passes of the reward model."""

from __future__ import annotations

from typing import Any

import numpy as np

from lersbench.bench.session import random_numbers
from lersbench.engine.chances import chances
from lersbench.engine.rounds import Protocol
from lersbench.evaluation.judged import PLACE, Judged, families_of
from lersbench.evaluation.model import Model
from lersbench.evaluation.plan import Asked
from lersbench.evaluation.setup import Setup
from lersbench.offpolicy.settings import Evaluate
from lersbench.policy import Spec
from lersbench.system.progress import Progress

MODELLED = ("dr", "sndr", "dm")


def judge(setup: Setup, asked: list[Asked], model: Model | None, progress: Progress) -> list[Judged]:
    """The sums of all policies as they are; those of `frozen` learn from the rows before first."""
    targets = [_Target(setup, one) for one in asked]
    for target in targets:
        target.learn()
    for logged in setup.source.read():
        predicted = model.predicted(logged) if model and any(map(needs_model, asked)) else None
        for target in targets:
            target.take(logged, predicted)
    return [target.judged for target in targets]


def needs_model(asked: Asked) -> bool:
    return any(name in MODELLED for name in asked.estimators)
