"""The passes over a log in parts, each read apart, here or on the workers of a cluster, and merged in their order.

Where a log is cut depends on the log alone, and each part is added up from nothing. So the sums have the same bits
whether one process has read the parts one after the other, or as many machines as there are parts. What cannot be split
is done here in one piece: confidence sequences, propensities by a model, click models, and cascade-DR. Policies that
learn on the way go one by one, each over the whole log.
"""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

from lersbench.bench import inputs, luggage
from lersbench.bench.scenario import Entry
from lersbench.errors import ConfigError, DataError, RunError, Unfit
from lersbench.evaluation import cascaded, fixed, learners
from lersbench.evaluation.exposed import ClickModels
from lersbench.evaluation.fixed import Part, Taught
from lersbench.evaluation.judged import Judged
from lersbench.evaluation.model import Model
from lersbench.evaluation.plan import Asked
from lersbench.evaluation.ran import Ran, Running
from lersbench.evaluation.setup import Setup, setup_of
from lersbench.log import Log
from lersbench.log.parts import parts_of
from lersbench.policy import find, make
from lersbench.system.elsewhere import Executor
from lersbench.system.workers import Step, Task

TOGETHER = 16  # policies that read a part side by side


class Passenger(NamedTuple):
    """A policy under one question, as it is sent."""

    label: str
    name: str
    params: dict[str, Any]
    question: str
    estimators: list[str]
    inputs: inputs.Inputs
    luggage: luggage.Luggage | None
    taught: Taught | None


class Order(NamedTuple):
    """What another process needs to add up a part."""

    log: str  # its address
    identity: str
    about: tuple[Any, ...]  # settings, reward, seed and slate of `setup_of`
    source: dict[str, Any]  # what the source here has found out of the log already
    passengers: tuple[Passenger, ...]  # none: what ran
    part: Part
    model: Model | None = None
    ran: Ran | None = None  # of learners


def parts(setup: Setup) -> list[Part]:
    """The parts of the rows that are judged."""
    source = setup.source
    return [Part(number, *ends) for number, ends in enumerate(parts_of(source.log, source.first, source.end))]


def ran(setup: Setup, pool: Executor | None = None) -> Ran:
    """What the logging policy earned on the rows that are judged."""
    orders = {_key(0, part): _order(setup, (), part) for part in parts(setup)}
    if pool is None or setup.fits:
        found: Iterator[Any] = (_running(setup, order.part) for order in orders.values())
    else:
        found = _done(setup, orders, pool)
    return _merged(found).ran(setup.source)


def judge(
    setup: Setup, asked: list[Asked], model: Model | None, clicks: ClickModels | None, pool: Executor | None = None
) -> list[Judged]:
    """The sums of policies as they are."""
    known = fixed.taught(setup, asked)
    if not _splits(setup, asked, clicks):
        return fixed.judge(setup, asked, model, clicks, known)
    judged: dict[int, Judged] = {}
    away = [
        n for n, one in enumerate(asked) if pool is not None and not one.entry.local and _travels((model, known[n]))
    ]
    here = [n for n in range(len(asked)) if n not in away]
    for group in [here] * bool(here):
        some, before = [asked[n] for n in group], [known[n] for n in group]
        found = (_Many(fixed.judge(setup, some, model, None, before, part)) for part in parts(setup))
        judged |= dict(zip(group, _merged(found).each, strict=True))
    sent = {n: _passenger(asked[n], known[n]) for n in away}
    orders: dict[str, Order] = {}
    groups = _groups(sent)
    for number, group in enumerate(groups):
        travellers = tuple(sent[n] for n in group)
        orders |= {_key(number, part): _order(setup, travellers, part, model) for part in parts(setup)}
    done = _done(setup, orders, pool) if pool is not None and orders else iter(())
    for group in groups:
        judged |= dict(zip(group, _merged(next(done) for _ in parts(setup)).each, strict=True))
    return [replace(judged[n], entry=one.entry) for n, one in enumerate(asked)]


def judge_learners(setup: Setup, asked: list[Asked], what_ran: Ran, pool: Executor | None = None) -> list[Judged]:
    """The sums of policies that learn on the way, each over all rows in their order."""
    away = [one for one in asked if pool is not None and not setup.fits and not one.entry.local]
    here = [one for one in asked if one not in away]
    judged = dict(zip(map(id, here), learners.judge(setup, here, what_ran), strict=True)) if here else {}
    orders = {
        _key(number, Part()): _order(setup, (_passenger(one, None),), Part(), ran=what_ran)
        for number, one in enumerate(away)
    }
    if pool is not None and orders:
        judged |= {id(one): many.each[0] for one, many in zip(away, _done(setup, orders, pool), strict=True)}
    return [replace(judged[id(one)], entry=one.entry) for one in asked]


class _Many:
    """The sums of several policies over the same rows."""

    def __init__(self, each: list[Judged]) -> None:
        self.each = each

    def merge(self, later: _Many) -> None:
        for one, more in zip(self.each, later.each, strict=True):
            one.merge(more)


def _splits(setup: Setup, asked: list[Asked], clicks: ClickModels | None) -> bool:
    """Can the sums be added up in parts?"""
    whole = any(cascaded.NAME in one.estimators for one in asked)
    return clicks is None and not whole and not setup.fits and setup.settings.interval != "anytime"


def _travels(content: Any) -> bool:
    """Can it be sent? A model of another library may not."""
    try:
        pickle.dumps(content)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def _groups(sent: Mapping[int, Passenger]) -> list[list[int]]:
    """Policies that read a part side by side; one with luggage works in a folder of its own."""
    light = [n for n, one in sent.items() if one.luggage is None]
    groups = [light[first : first + TOGETHER] for first in range(0, len(light), TOGETHER)]
    return groups + [[n] for n, one in sent.items() if one.luggage is not None]


def _passenger(asked: Asked, known: Taught | None) -> Passenger:
    entry = asked.entry
    content = inputs.inputs_of(entry.policy), luggage.packed(entry.policy, entry.name), known
    return Passenger(entry.label, entry.name, entry.params, asked.question, asked.estimators, *content)


def _order(
    setup: Setup, passengers: tuple[Passenger, ...], part: Part, model: Model | None = None, ran: Ran | None = None
) -> Order:
    about = setup.settings, setup.chosen.replay.reward, setup.seed, setup.slate
    source, log = setup.source, setup.log
    found = {name: getattr(source, name) for name in ("cuts", "placed", "together", "spells")}
    return Order(log.address, log.identity, about, found, passengers, part, model, ran)


def _key(group: int, part: Part) -> str:
    return f"{group}-{part.number}"


def _merged(found: Iterator[Any]) -> Any:
    """Sums of parts, put together in the order in which they come."""
    first = next(found)
    for later in found:
        first.merge(later)
    return first


def _done(setup: Setup, orders: Mapping[str, Order], pool: Executor) -> Iterator[Any]:
    """What the orders come to, in their order. Raises RunError where one fails."""
    tasks = {key: Task(perform, (uuid.uuid4().hex, order)) for key, order in orders.items()}
    waiting, came = iter(orders), dict[str, Any]()
    key = next(waiting, None)
    for outcome in pool.outcomes(tasks, setup.session.bar.update):
        if outcome.problem:
            raise RunError(outcome.problem)
        came[outcome.key] = outcome.result
        while key in came:
            yield came.pop(str(key))
            key = next(waiting, None)


# At a worker ----------------------------------------------------------------------------------------------------------
class _Bar:
    """Sends progress to the process that shows it."""

    def __init__(self, step: Step) -> None:
        self.update = step

    def set_description_str(self, text: str) -> None:
        """What is under way here is of no interest there."""

    def close(self) -> None:
        """Nothing is shown here."""


def perform(number: str, order: Order, step: Callable[[float], object]) -> Any:
    """Add up a part: the same order gives the same sums, in any process and on any machine that has log and policies.

    Raises Unfit where this machine lacks one of them, or has another.
    """
    with ExitStack() as stack:
        entries = [_entry(one, stack) for one in order.passengers]
        setup = _setup(order, {entry.label: entry.policy for entry in entries})
        setup.session.bar.close()
        setup.session.bar = _Bar(step)
        for name, value in order.source.items():
            setattr(setup.source, name, value)
        if not entries:
            return _running(setup, order.part)
        asked = [
            Asked(entry, one.question, one.estimators) for entry, one in zip(entries, order.passengers, strict=True)
        ]
        if order.ran is not None:
            judged = learners.judge(setup, asked, order.ran)
        else:
            known = [one.taught for one in order.passengers]
            judged = fixed.judge(setup, asked, order.model, None, known, order.part)
        return _Many([replace(one, entry=None) for one in judged])  # type: ignore[arg-type]


def _running(setup: Setup, part: Part) -> Running:
    running = Running(setup.source)
    for logged in setup.source.read(part.low, part.high):
        running.take(logged)
    return running


def _setup(order: Order, policies: dict[str, Any]) -> Setup:
    try:
        log = Log(order.log)
        identity = log.identity
    except (ConfigError, DataError) as error:
        raise Unfit(f"the log cannot be read there: {error}") from error
    if identity != order.identity:
        raise Unfit(f"the log at {order.log} is another one there.")
    return setup_of(log, policies or ["random"], *order.about)


def _entry(one: Passenger, stack: ExitStack) -> Entry:
    name = stack.enter_context(luggage.opened(one.luggage, one.name))
    try:
        policy = make(find(name), one.params)
    except (ConfigError, ImportError) as error:
        raise Unfit(f"policy {one.label} cannot be made there: {error}") from error
    if inputs.inputs_of(policy) != one.inputs:
        raise Unfit(f"policy {one.label}, a package that it imports or a file that it reads is another one there.")
    return Entry(one.label, one.name, policy, ("replay",))
