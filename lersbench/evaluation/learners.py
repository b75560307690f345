"""Policies that learn: on line, by the rows that they would have got; and from the log, row after row."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from lersbench.engine.chances import Chances
from lersbench.engine.learning import Learner, Rejection, constant
from lersbench.errors import ConfigError
from lersbench.evaluation.fixed import Target
from lersbench.evaluation.judged import SINGLE, Judged
from lersbench.evaluation.logged import Logged, kind_of
from lersbench.evaluation.plan import Asked
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup
from lersbench.evaluation.threads import side_by_side
from lersbench.offpolicy.sums import add
from lersbench.policy import Policy

PATH = (
    "Intervals of learners on line are of the one path that this log gave them: another run on line would learn "
    "otherwise, and its value scatters more."
)


def judge(setup: Setup, asked: list[Asked], ran: Ran) -> list[Judged]:
    """The sums of all learners, in one pass over the log."""
    most = largest_weight(setup, ran) if any(one.question == "rejection" for one in asked) else 1.0
    learners = [_OnLine(setup, one, most) if one.question == "rejection" else _Trained(setup, one) for one in asked]
    with side_by_side(learners) as each:
        for logged in setup.source.read():
            each(partial(_play, logged=logged))
    return [learner.target.judged for learner in learners]


def _play(learner: _OnLine | _Trained, logged: Logged) -> None:
    learner.play(logged)


def largest_weight(setup: Setup, ran: Ran) -> float:
    """M of rejection: as set; of a uniform log the number of slates; else 1 / the least propensity of the log.

    The last is fixed before the first row, and by the propensities alone: rewards have no part in it.
    """
    settings, info = setup.settings, setup.info
    slates = None
    if kind_of(setup.log) == "uniform":
        slates = math.prod(float(info.C - place) for place in range(info.L))
    if settings.max_weight is None and slates is None and not math.isfinite(ran.least):
        raise ConfigError(
            f"rejection needs the probability of the whole logged slates, which log '{info.name}' does not tell: its "
            "propensities are of items at their places. Ask --question progressive instead."
        )
    return constant(settings.max_weight, slates, ran.least if slates is None else None)


class _OnLine:
    """A learner on the rows that it, with its own chances, would have got."""

    def __init__(self, setup: Setup, asked: Asked, most: float) -> None:
        self.target, self.most = Target(setup, asked), most
        target = self.target
        self.rejection = Rejection(
            target.policy, target.spec, target.protocol, target.rng, most, setup.seed, state=target.state
        )
        target.judged.how, target.judged.constant = "acceptance by its chances", most
        target.judged.notes.append(PATH)

    @property
    def policy(self) -> Policy:
        return self.target.policy

    def play(self, logged: Logged) -> None:
        """Play some rows. An accepted one weighs M: the mean weight is 1 if the propensities are right."""
        accepted, _ = self.rejection.play(logged.rows, logged.whole, logged.inside, logged.at)
        reward = np.add.reduceat(logged.reward, logged.edges[:-1])
        source, first = self.target.setup.log.path, int(logged.at[0])
        w = self.most * accepted
        add(
            self.target.judged.families[SINGLE][0],
            w,
            reward,
            logged.whole,
            logged.bucket,
            None,
            logged.slices,
            first,
            source,
        )


class _Trained:
    """A learner that is trained on the log as it comes, asked about each row before it learns from it."""

    def __init__(self, setup: Setup, asked: Asked) -> None:
        self.target = Target(setup, asked)
        target = self.target
        self.learner = Learner(target.policy, target.spec, target.protocol, target.rng, target.state)

    @property
    def policy(self) -> Policy:
        return self.target.policy

    def play(self, logged: Logged) -> None:
        draws = self.target.setup.settings.draws
        found: Chances = self.learner.ask_and_learn(logged.rows, logged.given, logged.inside, logged.at, draws=draws)
        self.target.judged.take(logged, found, None, self.target.setup.log.path)
