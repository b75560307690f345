"""Fixed policies: all of them in one pass over the rows, after the passes of the reward model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lersbench.bench.session import random_numbers
from lersbench.engine.chances import chances
from lersbench.engine.drawn import drawn_slates
from lersbench.engine.learning import Learner
from lersbench.engine.seat import broken
from lersbench.evaluation import additive, bounded, cascaded, categories, shrunk
from lersbench.evaluation.answers import CUT, MODEL
from lersbench.evaluation.estimated import Odds, Refits
from lersbench.evaluation.exposed import MODELS, ClickModels, Exposed
from lersbench.evaluation.judged import PLACE, SINGLE, Judged, families_of
from lersbench.evaluation.logged import Logged
from lersbench.evaluation.model import Model
from lersbench.evaluation.plan import Asked
from lersbench.evaluation.running import Running
from lersbench.evaluation.setup import Setup
from lersbench.evaluation.threads import side_by_side
from lersbench.offpolicy.sums import Settings
from lersbench.policy import Policy, Spec


def needs_model(asked: Asked) -> bool:
    """Does one of its estimators need a reward model?"""
    return any(name in MODEL for name in asked.estimators)


def click_models_of(setup: Setup, asked: list[Asked]) -> ClickModels | None:
    """The click models that the estimators need, fitted; None where they need none."""
    names = list(dict.fromkeys(MODELS[name] for one in asked for name in one.estimators if name in MODELS))
    return ClickModels(setup.source, names) if names else None


class Taught(NamedTuple):
    """What a policy has learned from the rows before those that are judged."""

    state: Any
    rounds: int


def taught(setup: Setup, asked: list[Asked]) -> list[Taught | None]:
    """What each policy knows where `frozen` lets it learn; None of one that knows nothing."""
    pupils = [_pupil(setup, one) for one in asked]
    learning = [pupil for pupil in pupils if pupil is not None]
    if learning:
        with side_by_side(learning) as each:
            for logged in setup.source.read(0, setup.source.taught):
                each(partial(_learn, logged=logged))
    return [None if pupil is None else Taught(pupil.state, pupil.rounds) for pupil in pupils]


def _pupil(setup: Setup, asked: Asked) -> Learner | None:
    policy = asked.entry.policy
    if asked.question != "off-policy" or not setup.source.first or not policy.learns:
        return None
    spec, protocol = setup.session.spec_for(policy), setup.session.protocol_for(0, policy)
    return Learner(policy, spec, protocol, np.random.default_rng(0), _new_state(policy, spec))


class Part(NamedTuple):
    """Rows that are judged apart from the others: `low`..`high` - 1, by default all."""

    number: int = 0
    low: int | None = None
    high: int | None = None


def judge(
    setup: Setup,
    asked: list[Asked],
    model: Model | None,
    clicks: ClickModels | None = None,
    known: Sequence[Taught | None] = (),
    part: Part = Part(),  # noqa: B008 - immutable
) -> list[Judged]:
    """The sums of policies as they are, over a part of the rows; `known` is what they have learned before."""
    targets = [
        Target(setup, one, clicks, before, part.number)
        for one, before in zip(asked, known or [None] * len(asked), strict=True)
    ]
    with side_by_side(targets) as each:
        for logged in setup.source.read(part.low, part.high):
            predicted = model.predicted(logged) if model and any(map(needs_model, asked)) else None
            exposed = clicks.before(logged) if clicks else {}
            each(partial(_take, logged=logged, predicted=predicted, known=exposed))
    for target in targets:
        if cascaded.NAME in target.judged.estimators:
            cascaded.add_up(target, setup)
    return [target.judged for target in targets]


def _learn(pupil: Learner, logged: Logged) -> None:
    pupil.learn(logged.rows, logged.given, logged.inside, logged.at)


def _take(target: Target, logged: Logged, predicted: np.ndarray | None, known: dict[str, Exposed]) -> None:
    target.take(logged, predicted, known)


def beside_of(setup: Setup, estimators: list[str]) -> dict[str, Any]:
    """What is added up beside the sums of a policy, for these estimators of single items."""
    settings, (low, high) = setup.settings, setup.span
    beside: dict[str, Any] = {}
    tuned = [name for name in estimators if name in shrunk.SHRINKAGES]
    if settings.clip == "slope":
        tuned += [name + CUT for name in estimators if name in shrunk.TUNABLE]
    for name in tuned:
        beside[name] = shrunk.Shrunk(name, settings.folds)
    if categories.NAME in estimators:
        of_item = categories.categories_of(setup.log, settings.embedding)
        sums = Settings(low, high, len(setup.source.slice_names))
        beside[categories.NAME] = categories.Categories(str(settings.embedding), of_item, sums, setup.log.path)
    if bounded.NAME in estimators:
        beside[bounded.NAME] = bounded.Bounded()
    if settings.interval == "anytime":
        beside["anytime"] = Running(low, high)
    if setup.fits:
        beside["refits"] = Refits(setup.source.estimated)
        beside["odds"] = Odds(low, high)
    return beside


def _new_state(policy: Policy, spec: Spec) -> Any:
    try:
        return policy.init(spec)
    except Exception as error:
        raise broken(policy, error, "before the first round, in `init`") from error


class Target:
    """A policy with its state, and the sums of what its chances weigh."""

    def __init__(
        self,
        setup: Setup,
        asked: Asked,
        clicks: ClickModels | None = None,
        known: Taught | None = None,
        part: int = 0,
    ) -> None:
        """`part` is the number of the rows that it judges: its random numbers are its own."""
        self.setup, policy = setup, asked.entry.policy
        session = setup.session
        name = json.dumps([type(policy).__qualname__, asked.entry.params], sort_keys=True)
        self.rng = np.random.default_rng(random_numbers(setup.chosen, "policy", part, name))
        self.policy, self.spec, self.protocol = policy, session.spec_for(policy), session.protocol_for(0, policy)
        self.state = _new_state(policy, self.spec) if known is None else known.state
        self.learned = known.rounds if known else 0  # the rounds it has learned from
        slices, whole = len(setup.source.slice_names), setup.span_of_list
        families, clipped = (
            families_of(asked.estimators, setup.places, *setup.span, slices, whole, clicks) for _ in range(2)
        )
        self.judged = Judged(asked.entry, asked.question, asked.estimators, families)
        if not isinstance(setup.settings.clip, str) and asked.question != "rejection":
            self.judged.clip = float(setup.settings.clip)
            self.judged.clipped = clipped
        if setup.places == 1 and asked.question != "rejection":
            self.judged.beside = beside_of(setup, asked.estimators)
        self.judged.modelled = SINGLE in families and needs_model(asked)
        if additive.NAME in asked.estimators:
            self.judged.beside[additive.NAME] = additive.Additive(setup.log.path)
        if cascaded.NAME in asked.estimators:
            cascaded.refuse(setup, policy)

    def take(self, logged: Logged, predicted: np.ndarray | None, known: dict[str, Exposed]) -> None:
        """Add some rounds by the policy's chances; `predicted` (N,) of all candidates by the reward model, or None;
        `known` by the click models."""
        found = chances(
            self.policy,
            self.state,
            self.spec,
            logged.rows,
            self.rng,
            self.protocol,
            logged.inside,
            everything=self.judged.modelled or categories.NAME in self.judged.beside,
            draws=self.setup.settings.draws,
            at=logged.at,
            placed=PLACE in self.judged.families,
            learned=self.learned,
        )
        self.judged.take(logged, found, predicted if self.judged.modelled else None, self.setup.log.path)
        mine, pi = [name for name in known if name in self.judged.families], self.judged.beside.get(additive.NAME)
        if mine or pi:
            where = logged.rows, self.rng, self.protocol, logged.inside, logged.at, self.setup.settings.draws
            slates = drawn_slates(self.policy, self.state, self.spec, *where)
            for name in mine:
                self.judged.take_exposed(logged, slates, name, known[name], self.setup.log.path)
            if pi:
                pi.take(logged, found, slates)
