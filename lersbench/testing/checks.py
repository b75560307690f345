"""The contract every policy keeps, as checks that a plugin's author can run: `check(MyPolicy, alpha=0.5)`.

A check is a function `(bench) -> None` whose docstring begins with its title; it raises AssertionError with a
sentence that says what went wrong. All of them play small made-up logs through the engines that real runs use.

Class attributes of a policy speak to the checks. `learns = False`: it is not expected to find a good item.
`working = ("cache", ...)`: these fields of its state are working memory, which may differ between equal runs.
`unit_rewards = True`: its rewards lie in [0, 1], and others are scaled (see `policy.Policy`).
`deterministic = True`: its slate is the order of its scores (see `policy.Policy`), so they say how likely a slate is.
`by_order = True` or `shows_the_log = True`: it goes by the order of the candidates, and says so.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import itertools
import json
import pickle
import random
import re
import tomllib
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numba import _helperlib

from lersbench.engine.chances import DRAWS, chance_now, how
from lersbench.engine.contender import Contender
from lersbench.engine.loop import batched, compiled
from lersbench.engine.play import play, protocol_of
from lersbench.engine.rows import rows_of
from lersbench.errors import LersbenchError
from lersbench.feedback import REGIMES, USUAL
from lersbench.kernels.ties import scramble
from lersbench.log.chunk import Chunk
from lersbench.log.ragged import edges_of
from lersbench.policy import KernelPolicy, Policy, Round, Spec, find, make

TIES = 12345  # seed of the random order of equal scores in all checks
UNLISTED = [row.name for row in REGIMES.values() if not row.listed]  # regimes that the worlds of the checks allow
EVERY_ROUND = [kind for kind in UNLISTED if not REGIMES[kind].replayed]  # of them those that score every round
OTHER_RANGE = (-3.0, 8.0)  # of rewards that are not clicks
FAR = 5.0  # standard errors: chance comes so far once in 1.7 million times


class Result(NamedTuple):
    """What came out of one check."""

    name: str
    title: str
    problem: str  # "" where the contract is kept

    @property
    def ok(self) -> bool:
        return not self.problem

    def as_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "ok": self.ok}


def as_text(name: str, results: list[Result]) -> str:
    """The results of the policy `name`, a line a check and another for each problem."""
    lines = [f"{name}: {sum(r.ok for r in results)} of {len(results)} checks passed"]
    for result in results:
        lines.append(f"  {'ok    ' if result.ok else 'FAILED'} {result.title}")
        if not result.ok:
            lines.append(f"         {result.problem}")
    return "\n".join(lines)


class World(NamedTuple):
    """A made-up log, and what a policy knows of it beforehand."""

    spec: Spec
    chunk: Chunk


class Run(NamedTuple):
    """What a policy did in a world."""

    slates: np.ndarray  # (n, K)
    scores: np.ndarray  # (n, C)
    propensities: np.ndarray  # (n, K)
    shown: np.ndarray  # (n_items,) times each item was shown
    learned: dict[str, np.ndarray]  # the state in the end, less its working memory


def check(policy: str | type[Policy] | Policy, **params: Any) -> list[Result]:
    """Run every check on a policy: an object, or a class or name (as `load` takes it) with hyper-parameters.

    Returns one result a check, in the order of `CHECKS`. Raises ConfigError where the policy can't be made.
    """
    if not isinstance(policy, Policy):
        policy = make(find(policy) if isinstance(policy, str) else policy, params)
    bench = Bench(policy)
    return [_run(one, bench) for one in CHECKS]


def _run(one: Callable[[Bench], None], bench: Bench) -> Result:
    problem = ""
    try:
        one(bench)
    except (AssertionError, LersbenchError) as error:
        problem = str(error) or "an assertion of the policy itself failed"
    except Exception as error:  # a policy under test may raise anything: that is a finding too
        frame = inspect.trace()[-1]
        problem = f"{type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})"
    return Result(one.__name__, (inspect.getdoc(one) or "").splitlines()[0].rstrip("."), problem)


def make_world(
    n: int, candidates: int, slate: int, n_items: int = 0, d: int = 3, m: int = 4, good: int = -1, seed: int = 0
) -> World:
    """A log of `n` rounds with random rewards (clicks and fractions).

    With `n_items` > `candidates` every round offers a random subset. With `good` >= 0 the rewards are 1 for that
    item and 0 for all others, and the first joint feature is 1 for it alone. The first context entry is 1.
    """
    rng = np.random.default_rng(seed)
    n_items = n_items or candidates
    everything = np.arange(n_items)[None]
    offered = everything if n_items == candidates else rng.permuted(np.repeat(everything, n, axis=0), axis=1)
    offered = np.ascontiguousarray(offered[:, :candidates])
    context = rng.normal(size=(n, d))
    context[:, :1] = 1.0
    features = rng.normal(size=(n, candidates, m)) if m else np.zeros((1, candidates, 0))
    clicks, fractions = rng.integers(0, 2, (n, candidates)), rng.random((n, candidates))
    rewards = np.where(rng.random((n, candidates)) < 0.5, clicks, fractions)
    if good >= 0:
        rewards = np.broadcast_to(offered == good, (n, candidates)) * 1.0
        features[..., :1] = 1.0 * (offered == good)[..., None]
    logged = rng.permuted(np.repeat(np.arange(candidates)[None], n, axis=0), axis=1)[:, :slate].copy()
    logged_clicks = np.round(np.take_along_axis(rewards, logged, axis=1))
    unknown, users = np.zeros((0, candidates)), rng.integers(0, 7, n)
    items = rng.normal(size=(n_items, 2))
    history = made_up_history(7, n_items, good) | made_up_past(7, n_items, d)
    spec = Spec(n_items, candidates, slate, d, m, n, 7, items, *made_up_weights(candidates), history)
    likely, none = np.full((n, slate), 1 / candidates), np.zeros((0, 0))
    chunk = Chunk(
        0, users, context, offered, features, rewards, unknown, logged, logged_clicks, likely, none, none, none
    )
    return World(spec, chunk)


def cut_short(world: World, seed: int = 1) -> World:
    """The world with fewer candidates in each round, from one to all, and other slates that were logged of them."""
    rng, chunk = np.random.default_rng(seed), world.chunk
    n, wide = chunk.rewards.shape
    left = np.arange(wide) < rng.integers(1, wide + 1, n)[:, None]
    offered = np.broadcast_to(chunk.candidates, (n, wide))[left]
    features = chunk.features[left] if chunk.features.size else np.zeros((offered.size, 0))
    first = edges_of(left.sum(axis=1))
    sizes = np.minimum(left.sum(axis=1), rng.integers(1, world.spec.slate + 1, n))
    logged = [rng.permutation(count)[:size] for count, size in zip(left.sum(axis=1), sizes, strict=True)]
    paid = [chunk.rewards[row, slate].round() for row, slate in enumerate(logged)]
    likely = 1.0 / np.repeat(left.sum(axis=1), sizes)
    none = np.zeros(0)
    return world._replace(
        chunk=chunk._replace(
            candidates=offered,
            features=features,
            rewards=chunk.rewards[left],
            expected=none,
            slate=np.concatenate(logged),
            clicks=np.concatenate(paid),
            propensities=likely,
            examined=none,
            attraction=none,
            scores=none,
            first=first,
            top=edges_of(sizes),
        )
    )


def made_up_weights(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of `length` positions, as `Spec` holds them: falling, also with the distance to the last click."""
    position = np.arange(length)
    last = np.arange(length + 1)
    fall = 0.8**position
    return fall, np.where(last <= position[:, None], np.sqrt(fall)[:, None] * 0.9 ** (position[:, None] - last), 0)


def made_up_history(users: int, items: int, good: int = -1) -> dict[str, np.ndarray]:
    """What is known of users and products, as `Spec` holds it; one product's first entry marks the good one."""
    rng = np.random.default_rng(3)
    products = rng.normal(size=(items, 5)).astype(np.float32)
    products[:, 0] = np.arange(items) == good
    return {
        "static": rng.normal(size=(users, 4)).astype(np.float32),
        "orders": rng.normal(size=(users, 16, 5)).astype(np.float32),
        "order_streamers": rng.integers(0, 3, (users, 16)),
        "baskets": rng.normal(size=(users, 16, 6)).astype(np.float32),
        "products": products,
    }


def made_up_past(users: int, items: int, d: int) -> dict[str, np.ndarray]:
    """What was bought before, as `Spec` holds it; the last item is new, and so is the last user."""
    rng = np.random.default_rng(4)
    windows = rng.integers(1, 5, users)
    windows[-1:] = 0
    bought = (rng.random((users, items)) < 0.4) & (windows[:, None] > 0) & (np.arange(items) < items - 1)
    rate = rng.random(items)
    rate[-1:] = np.nan
    return {
        "bought_start": edges_of(bought.sum(axis=1)),
        "bought": np.nonzero(bought)[1],
        "bought_orders": rng.integers(1, 4, bought.sum()).astype(float),
        "bought_rate": rng.random(bought.sum()),
        "known": rng.normal(size=(users, d)),
        "past_windows": windows,
        "last_streamer": np.where(windows > 0, rng.integers(0, 3, users), -1),
        "popularity": rng.integers(1, 9, items).astype(float),
        "past_rate": rate,
        "sellers": np.eye(3)[rng.integers(0, 3, items)],
    }


class Bench:
    """A policy with the engines that can play it, each compiled once for all checks."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.engines = {"batched": batched(policy)}
        if isinstance(policy, KernelPolicy):
            self.engines = {
                "compiled": compiled(type(policy)),
                "batched": self.engines["batched"],
                "interpreted": batched(_Interpreted(policy)),
            }
        self.delayed = {
            "batched": batched(policy, True),
            **({"interpreted": batched(_Interpreted(policy), True)} if isinstance(policy, KernelPolicy) else {}),
        }
        self.main = next(iter(self.engines))
        self.driven: set[Callable[..., None]] = set()  # every loop that was used

    def learned(self, state: Any) -> dict[str, np.ndarray]:
        """Every number in a state but its working memory, copied, by the path that leads to it."""
        working = tuple(f"state.{name}" for name in getattr(self.policy, "working", ()))
        return {path: leaf for path, leaf in leaves(state).items() if not path.startswith(working)}

    def play(
        self,
        world: World,
        engine: str = "",
        batch: int = 1,
        feedback: str = USUAL,
        rewards: np.ndarray | None = None,
        seed: int = 1,
    ) -> Run:
        """Play a world, a batch a call. `rewards` (n, C) stand in for those of the log. `seed` is the policy's own.

        Where only matching rounds count, or the world says when its rewards are known, only `shown` and `learned` are
        filled in. Where rounds have fewer candidates,
        slates are -1 beyond them, scores and propensities 0.
        """
        spec, chunk = world.spec, world.chunk
        n, regime = spec.rounds, REGIMES[feedback]
        if rewards is not None:
            chunk = chunk._replace(rewards=rewards)
        rows = rows_of(chunk, spec.items, feedback, spec.slate)
        delayed = rows.known.size > 0
        protocol = protocol_of(feedback, spec.slate, batch, ties=TIES, delayed=delayed)
        contender = Contender(self.policy, spec, protocol, np.random.default_rng(seed), np.arange(n + 1), waiting=n)
        if (engine or self.main) != "compiled":  # a contender is compiled, and asks `wins` or `select`, by itself
            contender.drive = (self.delayed if delayed else self.engines)[engine or self.main]
        self.driven.add(contender.drive)
        slates, scores, chances = (np.zeros((n, width)) for width in (spec.slate, spec.n_candidates, spec.slate))

        offered = np.diff(rows.first)[:, None]
        inside, shown_there = np.arange(spec.n_candidates) < offered, np.arange(spec.slate) < offered

        def after(played: Contender, at: np.ndarray) -> None:
            if not regime.replayed and not delayed:
                slates[at] = np.where(shown_there[at], played.scratch.slates[: at.size], -1)
                scores[at] = np.where(inside[at], played.scratch.scores[: at.size], 0.0)
                chances[at] = np.where(shown_there[at], played.scratch.propensities[: at.size], 0.0)
            memory = (played.scratch.scores, played.scratch.features)
            for padding in memory if delayed else (*memory, played.scratch.rewards):
                padding[:] = np.nan  # what a round without so many candidates must not see

        play(contender, rows, step=batch, after=after)
        shown = contender.meter.shown
        return Run(slates.astype(np.int64), scores, chances, shown, self.learned(contender.state))


class _Interpreted(Policy):
    """A kernel policy whose kernels, and the kernels those call, are run by Python."""

    def __init__(self, policy: KernelPolicy) -> None:
        done: dict[int, Any] = {}
        self.init = policy.init  # type: ignore[method-assign]
        self.select = _plain(policy.kernels[0], done)  # type: ignore[method-assign]
        self.update = _plain(policy.kernels[1], done)  # type: ignore[method-assign]


def _plain(function: Any, done: dict[int, Any]) -> Any:
    """The Python function behind a kernel, with every kernel it names replaced likewise.

    A kernel that names what only the compiler understands (an intrinsic) stays compiled.
    """
    python = getattr(function, "py_func", function)
    if not isinstance(python, FunctionType) or any(_is_intrinsic(part) for part in _named(python).values()):
        return function
    if id(function) not in done:
        scope = dict(python.__globals__)
        plain = FunctionType(python.__code__, scope, python.__name__, python.__defaults__, python.__closure__)
        done[id(function)] = plain
        scope.update({name: _plain(part, done) for name, part in _named(python).items() if hasattr(part, "py_func")})
    return done[id(function)]


def _named(function: FunctionType) -> dict[str, Any]:
    """The global objects a function names."""
    return {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}


def _is_intrinsic(part: Any) -> bool:
    return type(part).__module__.startswith("numba.") and not hasattr(part, "py_func")


def leaves(state: Any, path: str = "state") -> dict[str, np.ndarray]:
    """Every array, number and string in a state, by the path that leads to it."""
    if hasattr(state, "detach"):  # a torch tensor
        state = state.detach().cpu().numpy()
    if isinstance(state, np.ndarray | np.generic | int | float | str | bool | None):
        return {path: np.array(state)}
    if hasattr(state, "_asdict"):
        state = state._asdict()
    elif callable(getattr(state, "state_dict", None)):
        state = state.state_dict()
    elif isinstance(state, list | tuple):
        state = dict(enumerate(state))
    elif hasattr(state, "__dict__"):
        state = vars(state)
    if not isinstance(state, dict):
        return {}
    return {key: leaf for name, part in state.items() for key, leaf in leaves(part, f"{path}.{name}").items()}


OWN, TORCH = 1e-9, 1e-4
"""Relative errors within which two runs of one seed must agree: in our own arithmetic, and in torch's single precision,
whose products depend on the processor, on the number of rows and on where in memory their inputs begin."""


def _rounding(learned: dict[str, np.ndarray]) -> float:
    """The error allowed in a run that has learned this."""
    return TORCH if any(value.dtype == np.float32 for value in learned.values()) else OWN


def _close(ours: np.ndarray, theirs: np.ndarray, rounding: float) -> np.ndarray:
    """Which numbers are the same, up to `rounding` of themselves or of the largest of them."""
    whole = np.abs(ours[np.isfinite(ours)]).max(initial=1e-300)
    return np.isclose(ours, theirs, rounding, rounding * max(whole, 1.0), equal_nan=True)


def _same_state(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], what: str) -> None:
    assert ours.keys() == theirs.keys(), f"{what}: one state holds {sorted(ours)}, the other {sorted(theirs)}."
    for path, value in ours.items():
        if value.dtype.kind == "f":
            same = value.shape == theirs[path].shape and bool(_close(value, theirs[path], _rounding(ours)).all())
        else:
            same = np.array_equal(value, theirs[path])
        assert same, f"{what}: {path} differs."


def _same_run(one: Run, other: Run, what: str) -> None:
    rounding = _rounding(one.learned)
    for name in ("scores", "propensities"):
        same = _close(getattr(one, name), getattr(other, name), rounding).all(axis=1)
        assert same.all(), f"{what}: in round {np.argmin(same)} round.{name} differ."
    differ = np.flatnonzero((one.slates != other.slates).any(axis=1))
    if rounding == TORCH:  # scores as near to each other as that are equal
        here, there = (np.take_along_axis(one.scores, slates, axis=1)[differ] for slates in (one.slates, other.slates))
        differ = differ[~_close(here, there, rounding).all(axis=1)]
    else:
        assert np.array_equal(one.shown, other.shown), f"{what}: the items shown differ."
    if differ.size:
        t = differ[0]
        raise AssertionError(f"{what}: in round {t} the slates are {one.slates[t]} and {other.slates[t]}.")
    _same_state(one.learned, other.learned, what)


def check_slates(bench: Bench) -> None:
    """Slates are distinct candidates, for any sizes and subsets; scores and propensities are sound.

    Also: a policy that needs neither context nor features runs on a log that has none.
    """
    shapes = [(1, 1, 1), (2, 1, 2), (5, 5, 5), (6, 2, 9), (4, 3, 30)]
    for candidates, slate, n_items in shapes:
        for features in (4,) if bench.policy.needs else (4, 0):
            world = make_world(40, candidates, slate, n_items, d=3 if features else 0, m=features)
            run = bench.play(world)
            where = f"With {candidates} of {n_items} items on offer and {slate} to show"
            assert ((run.slates >= 0) & (run.slates < candidates)).all(), f"{where}, an index is not in 0..C-1."
            distinct = (np.diff(np.sort(run.slates, axis=1), axis=1) > 0).all()
            assert distinct, f"{where}, a candidate is shown twice in one slate."
            assert np.isfinite(run.scores).all(), f"{where}, a score is not a finite number."
            sound = (run.propensities >= 0) & (run.propensities <= 1 + 1e-9)
            assert sound.all(), f"{where}, a propensity is not in [0, 1]."


def check_same_seed(bench: Bench) -> None:
    """The same seed gives the same run, whatever ran before on the same policy object."""
    world = make_world(60, 6, 2, 8)
    before = leaves(vars(bench.policy))
    generators = _global_generators()
    first = bench.play(world)
    used = [name for name, state in _global_generators().items() if state != generators[name]]
    bench.play(world, seed=2)
    try:
        _same_run(first, bench.play(world), "Two runs of one seed")
    except AssertionError as error:
        if not used:
            raise
        raise AssertionError(
            f"{error} The likely cause: it draws from {' and '.join(used)}, which no seed of a run sets. "
            "Fix: draw from the `rng` that select is given."
        ) from error
    _same_state(before, leaves(vars(bench.policy)), "The policy object, before and after its runs")


def _global_generators() -> dict[str, bytes]:
    """The states of the random generators that a whole process shares, by what draws from them."""
    numbas: Any = _helperlib
    compiled = (numbas.rnd_get_state(get()) for get in (numbas.rnd_get_np_state_ptr, numbas.rnd_get_py_state_ptr))
    return {
        "the global generator of Python (random.*)": repr(random.getstate()).encode(),
        "the global generator of NumPy (np.random.*)": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "the global generator of compiled code (np.random.* or random.* in a kernel)": repr(list(compiled)).encode(),
    }


def check_state_of_its_own(bench: Bench) -> None:
    """Every init makes a state of its own: a run leaves other states alone."""
    world = make_world(40, 5, 2)
    other = bench.policy.init(world.spec)
    before = bench.learned(other)
    bench.play(world)
    _same_state(before, bench.learned(other), "A state that nobody touched, before and after another run")
    _same_state(before, bench.learned(bench.policy.init(world.spec)), "A state made before a run and one made after it")


def check_engines(bench: Bench) -> None:
    """Compiled, batched and interpreted runs agree, in every choice and in the state."""
    protocols = [(1, 1, USUAL), (3, 1, USUAL), (3, 7, USUAL)]
    protocols += [(1 if REGIMES[kind].replayed else 2, 1, kind) for kind in UNLISTED if kind != USUAL]
    for slate, batch, feedback in protocols:
        world = make_world(60, 5, slate, 7)
        runs = {name: bench.play(world, name, batch, feedback) for name in bench.engines}
        for name, run in runs.items():
            what = f"{bench.main} and {name} runs (K = {slate}, a batch of {batch}, feedback '{feedback}')"
            _same_run(runs[bench.main], run, what)


def check_any_length(bench: Bench) -> None:
    """Rounds of any length: with few candidates, or one, slates are shorter, and nothing else is seen or learned.

    That others of the log have more candidates makes no difference, nor does what stands in memory beyond a round's.
    """
    for feedback in UNLISTED:
        for batch in (1, 5):
            world = cut_short(make_world(60, 7, 3, 9))
            runs = {name: bench.play(world, name, batch, feedback) for name in bench.engines}
            what = f"Rounds of 1 to 7 candidates, 3 to show, a batch of {batch}, feedback '{feedback}'"
            for name, run in runs.items():
                _same_run(runs[bench.main], run, f"{what}: {bench.main} and {name} runs")
            run = runs[bench.main]
            assert world.chunk.first is not None
            offered = np.diff(world.chunk.first)[:, None]
            if not REGIMES[feedback].replayed:
                due = np.arange(3) < offered
                assert ((run.slates >= 0) == due).all(), f"{what}: a slate has not min(3, candidates) positions."
                ordered = np.sort(np.where(due, run.slates, -1 - np.arange(3)), axis=1)
                assert (run.slates < offered).all(), f"{what}: an index is not among the candidates."
                assert (np.diff(ordered, axis=1) > 0).all(), f"{what}: a candidate is shown twice."


def check_clock(bench: Bench) -> None:
    """Feedback that comes when it is known, position by position: what is not known yet is not a number.

    Compiled, batched and interpreted runs agree.
    """
    rng = np.random.default_rng(7)
    for feedback in EVERY_ROUND:
        world = cut_short(make_world(60, 7, 3, 9))
        chunk, time = world.chunk, np.cumsum(rng.integers(0, 4, 60))
        assert chunk.first is not None
        known = np.repeat(time, np.diff(chunk.first)) + rng.integers(0, 25, chunk.first[-1])
        world = world._replace(chunk=chunk._replace(time=time, known=known))
        runs = {name: bench.play(world, name, feedback=feedback) for name in bench.engines}
        for name, run in runs.items():
            what = f"Delayed feedback ('{feedback}'): {bench.main} and {name} runs"
            _same_run(runs[bench.main], run, what)


def check_delay(bench: Bench) -> None:
    """A batch of B rounds means: choose B slates, then learn from them in their order."""
    world, batch = make_world(60, 5, 2, 7), 7
    spec, chunk = world.spec, world.chunk
    run = bench.play(world, batch=batch)
    state, rng, slates = bench.policy.init(spec), np.random.default_rng(1), np.zeros((spec.rounds, 2), np.int64)
    for start in range(0, spec.rounds, batch):
        rows = range(start, min(spec.rounds, start + batch))
        rounds = [_round(world, row, start) for row in rows]
        chosen = [slates[row] for row in rows]
        bench.policy.select_batch(state, rng, rounds, chosen)
        rewards = [chunk.rewards[row, slates[row]] for row in rows]
        bench.policy.update_batch(state, rounds, chosen, rewards, [np.ones(2, np.bool_) for _ in rows])
    what = f"A run with feedback every {batch} rounds and a plain loop that does the same"
    assert np.array_equal(run.slates, slates), f"{what}: the slates differ."
    _same_state(run.learned, bench.learned(state), what)


def _round(world: World, row: int, learned: int) -> Round:
    spec, chunk = world.spec, world.chunk
    return Round(
        learned,
        int(chunk.user[row]),
        chunk.context[row],
        chunk.candidates[row % chunk.candidates.shape[0]],
        chunk.features[row % chunk.features.shape[0]],
        int(scramble(TIES, row)),
        np.zeros(spec.n_candidates),
        np.zeros(spec.slate),
        np.zeros(spec.slate, np.int64),
    )


def check_no_peeking(bench: Bench) -> None:
    """No peeking: when every reward that was not revealed is turned round, nothing changes."""
    for batch in (1, 7):
        world = make_world(80, 5, 2, 7)
        run = bench.play(world, batch=batch)
        turned = 1.0 - world.chunk.rewards
        shown = np.take_along_axis(world.chunk.rewards, run.slates, axis=1)
        np.put_along_axis(turned, run.slates, shown, axis=1)
        other = bench.play(world, batch=batch, rewards=turned)
        _same_run(run, other, "Two logs that differ only in unrevealed rewards")


def check_order(bench: Bench) -> None:
    """No profit from an order: with candidates permuted, or items renumbered, the same ones are chosen, up to ties.

    Every round offers candidates in a random order, and items have random numbers. So a policy that does not go by them
    shows every place of the list equally often, and low numbers as often as high ones. Where nothing ever pays all
    running means are equal: there it shows who breaks ties by an index.
    """
    if bench.policy.by_order or bench.policy.shows_the_log:
        return
    n, wide, slate, n_items = 480, 4, 2, 40
    for pays in (0.0, 1.0):
        world = make_world(n, wide, slate, n_items, seed=5)
        run = bench.play(world, batch=4, rewards=pays * world.chunk.rewards)
        where = "Candidates come in random order" + ("" if pays else ", nothing pays")
        for k in range(slate):
            times = np.bincount(run.slates[:, k], minlength=wide)
            far = np.abs(times - n / wide) / np.sqrt(n / wide * (1 - 1 / wide))
            assert far.max() < FAR, (
                f"{where}: place {far.argmax()} of the list is at position {k} of the slate in "
                f"{times[far.argmax()]} of {n} rounds, where {n / wide:.0f} are due. Break ties by round.ties "
                "(lersbench.policy.top_k), not by the index."
            )
        shown = run.shown.astype(float)
        r = np.corrcoef(np.arange(n_items), shown)[0, 1] if np.ptp(shown) else 0.0
        assert abs(r) * np.sqrt(n_items - 1) < FAR, (
            f"{where}: items of {'low' if r < 0 else 'high'} number are shown more often (correlation {r:.2f}), though "
            "numbers mean nothing. Break ties by round.ties (lersbench.policy.top_k), not by the number of the item."
        )


def check_unseen(bench: Bench) -> None:
    """Learns only where `seen` says so, and writes to nothing but its state."""
    world = make_world(60, 5, 3)
    hidden, rng = np.random.default_rng(3), (np.random.default_rng(1), np.random.default_rng(1))
    states = (bench.policy.init(world.spec), bench.policy.init(world.spec))
    for row in range(world.spec.rounds):
        seen = hidden.random(3) < 0.6
        for i, state in enumerate(states):
            round, slate = _round(world, row, row), np.zeros(3, np.int64)
            shown = leaves(round[2:5])
            bench.policy.select_batch(state, rng[i], [round], [slate])
            _same_state(shown, leaves(round[2:5]), "Context, candidates and features, before and after select")
            rewards = np.where(seen, world.chunk.rewards[row, slate], np.nan if i else 0.0)
            arguments = (*round, slate, rewards, seen)
            before = leaves(arguments)
            bench.policy.update_batch(state, [round], [slate], [rewards], [seen])
            _same_state(
                before,
                leaves(arguments),
                "The round, slate, rewards and `seen` that update was given, before and after",
            )
    _same_state(
        bench.learned(states[0]),
        bench.learned(states[1]),
        "Two runs that differ only in the rewards at unseen positions",
    )


def check_wins(bench: Bench) -> None:
    """The third kernel, if there is one, agrees with select and draws the same numbers."""
    kernels: tuple[Any, ...] = getattr(bench.policy, "kernels", ())
    if len(kernels) < 3:
        return
    for low, high in [(0.0, 1.0)] if bench.policy.unit_rewards else [(0.0, 1.0), OTHER_RANGE]:
        _compare_wins(bench, kernels, low, high)


def _compare_wins(bench: Bench, kernels: tuple[Any, ...], low: float, high: float) -> None:
    """The same for rewards of one range."""
    world = make_world(60, 5, 1, 7)
    paid = low + (high - low) * world.chunk.rewards
    state, rng = bench.policy.init(world.spec), np.random.default_rng(1)
    for row in range(world.spec.rounds):
        round, slate, answers, after = _round(world, row, row), np.zeros(1, np.int64), [], []
        for c in range(world.spec.n_candidates):
            twin = copy.deepcopy(rng)
            answers.append(bool(kernels[2](state, twin, round, c)))
            after.append(twin.bit_generator.state)
        bench.policy.select(state, rng, round, slate)
        assert answers == [c == slate[0] for c in range(len(answers))], (
            f"In round {row} select puts candidate {slate[0]} on top, and wins says yes to {np.flatnonzero(answers)}."
        )
        assert all(s == rng.bit_generator.state for s in after), "wins draws other random numbers than select."
        bench.policy.update(state, round, slate, paid[row, slate], np.ones(1, np.bool_))


def check_chance(bench: Bench) -> None:
    """Says how likely a slate is, if it says so, as often as `select` chooses it; asked or not, it learns nothing.

    For a few rounds and every slate of two: the chances below each first item sum to 1, so do those of all slates,
    they are the frequencies of `select` (over its random numbers and the order of equal scores), and what is said of
    a beginning is said of the whole. A policy that calls itself deterministic draws nothing.
    """
    if bench.policy.shows_the_log:
        return
    policy, world = bench.policy, make_world(24, 4, 2, 6)
    states, rngs = [policy.init(world.spec) for _ in range(2)], [np.random.default_rng(1) for _ in range(2)]
    for row in range(world.spec.rounds):
        if row % 5 == 1 and how(policy) != DRAWS:  # at first there are ties; the rounds between teach it something
            _compare_chances(policy, states[0], world, row)
        slates = []
        for state, rng in zip(states, rngs, strict=True):
            round, slate, before = (
                _round(world, row, row),
                np.zeros(2, np.int64),
                copy.deepcopy(rng.bit_generator.state),
            )
            policy.select_batch(state, rng, [round], [slate])
            drew = rng.bit_generator.state != before
            assert not (policy.deterministic and drew and row), "It is called deterministic, but select draws numbers."
            policy.update_batch(state, [round], [slate], [world.chunk.rewards[row, slate]], [np.ones(2, np.bool_)])
            slates.append(slate)
        same = np.array_equal(slates[0], slates[1])
        assert same, (
            f"Asked how likely slates are, and not asked, it chooses {slates[0]} and {slates[1]} in round {row}."
        )
    what = "Two runs, one of which was asked how likely slates are"
    _same_state(bench.learned(states[0]), bench.learned(states[1]), what)


def _compare_chances(policy: Policy, state: Any, world: World, row: int) -> None:
    """What a policy says of all slates of two in a round, beside what it does."""
    wide = world.spec.n_candidates
    said, below = np.zeros((wide, wide)), np.zeros((wide, wide))
    for first, second in itertools.permutations(range(wide), 2):
        out, alone = np.full(2, np.nan), np.full(1, np.nan)
        slate = np.array([first, second])
        chance_now(policy, state, _round(world, row, row), slate, out)
        chance_now(policy, state, _round(world, row, row), slate[:1], alone)
        assert ((out >= 0) & (out <= 1 + 1e-9)).all(), f"In round {row} it gives slate {slate} the chances {out}."
        assert abs(alone[0] - out[0]) < 1e-9, (
            f"In round {row} it gives candidate {first} the chance {out[0]} to stand on top of {slate}, and asked for "
            f"{slate[:1]} alone {alone[0]}. How many positions there are to fill is the length of round.notes."
        )
        said[first, second], below[first, second] = out[0] * out[1], out[1]
    sums = below.sum(axis=1)
    assert np.abs(sums - 1).max() < 1e-6, (
        f"In round {row}, below candidate {np.abs(sums - 1).argmax()}, the chances of all others to be the next sum to "
        f"{sums[np.abs(sums - 1).argmax()]}, where 1 is due."
    )
    assert abs(said.sum() - 1) < 1e-6, f"In round {row} the chances of all slates sum to {said.sum()}."
    times, rng, draws = np.zeros((wide, wide)), np.random.default_rng(row), 100 if policy.deterministic else 500
    for draw in range(draws):
        round, slate = _round(world, row, row), np.zeros(2, np.int64)
        policy.select_batch(state, rng, [round._replace(ties=int(scramble(round.ties, draw)))], [slate])
        times[slate[0], slate[1]] += 1
    far = np.abs(times - draws * said) / np.sqrt(draws * np.maximum(said * (1 - said), 1e-9))
    worst = np.unravel_index(far.argmax(), far.shape)
    assert far.max() < FAR, (
        f"In round {row} it gives the slate {[int(c) for c in worst]} the chance {said[worst]:.4f}, and chooses it in "
        f"{times[worst]:.0f} of {draws} draws."
    )


def check_learns(bench: Bench) -> None:
    """Finds the one item that pays (policies that learn nothing say `learns = False`)."""
    if not getattr(bench.policy, "learns", True):
        return
    for feedback in EVERY_ROUND:
        world = make_world(400, 5, 1, good=3)
        run = bench.play(world, feedback=feedback, batch=1)
        share = (run.slates[300:, 0] == 3).mean()
        assert share > 0.5, (
            f"The item that pays is on top in {share:.0%} of the last 100 of 400 rounds (feedback '{feedback}')."
        )


def check_other_rewards(bench: Bench) -> None:
    """Takes rewards of another range, -3 to 8, or says `unit_rewards`: then it is given them scaled into [0, 1]."""
    if bench.policy.unit_rewards:
        return
    low, high = OTHER_RANGE
    world = make_world(60, 5, 2, 7)
    paid = low + (high - low) * world.chunk.rewards
    runs = {name: bench.play(world, name, rewards=paid) for name in bench.engines}  # a score that is no number ends it
    for name, run in runs.items():
        _same_run(runs[bench.main], run, f"{bench.main} and {name} runs with rewards of {low:g} to {high:g}")
    if not getattr(bench.policy, "learns", True):
        return
    world = make_world(400, 5, 1, good=3)
    run = bench.play(world, rewards=low + (high - low) * world.chunk.rewards)
    share = (run.slates[300:, 0] == 3).mean()
    assert share > 0.5, (
        f"The item that pays {high:g} where others cost {-low:g} is on top in {share:.0%} of the last 100 of 400 "
        "rounds. Learn from rewards of any size, or set unit_rewards = True."
    )


def check_hyper_parameters(bench: Bench) -> None:
    """Hyper-parameters are the fields of a frozen dataclass and survive a TOML file."""
    kind = type(bench.policy)
    frozen = dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen
    assert frozen, f"{kind.__name__} must be marked @dataclass(frozen=True)."
    params = {f.name: getattr(bench.policy, f.name) for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    back = tomllib.loads("".join(f"{key} = {json.dumps(value)}\n" for key, value in params.items()))
    assert make(kind, back) == bench.policy, f"{params} came back from TOML as {back}."
    assert make(kind, {}) is not None, f"{kind.__name__} needs a default for every hyper-parameter."


def check_source(bench: Bench) -> None:
    """The docstring cites its source: a year, a DOI, an arXiv number or an algorithm."""
    doc = type(bench.policy).__doc__ or ""
    prose = doc and not doc.startswith(f"{type(bench.policy).__name__}(")  # what dataclass writes where there is none
    assert prose, f"{type(bench.policy).__name__} has no docstring."
    cited = re.search(r"\b(19|20)\d\d\b|\bdoi\b|\barxiv\b|\balgorithm\b", doc, re.IGNORECASE)
    assert cited, "The docstring names no year, DOI, arXiv number or algorithm."


def check_one_signature(bench: Bench) -> None:
    """Compiles once: one signature for the loop and one for each kernel, whatever the log."""
    kernels = getattr(bench.policy, "kernels", ())
    bench.play(make_world(3, 4, 2))
    before = {kernel: len(_signatures(kernel)) for kernel in kernels}  # other policies may share it
    for feedback in EVERY_ROUND:
        bench.play(make_world(3, 4, 2), feedback=feedback)
    bench.play(make_world(3, 4, 2, 6, d=0 if not bench.policy.needs else 3), batch=2)
    for function in (*bench.driven, *kernels):
        signatures = _signatures(function)
        names = "; ".join(map(str, signatures))
        most = before.get(function, 1)
        assert len(signatures) <= most, f"{function.__name__} is compiled for {len(signatures)} signatures: {names}"


def _signatures(function: Any) -> set[Any]:
    """What a function is compiled for, called from Python or from compiled code."""
    return {sign for one in (function, getattr(function, "part", None)) for sign in getattr(one, "signatures", ())}


CHECKS: list[Callable[[Bench], None]] = [
    check_slates,
    check_same_seed,
    check_state_of_its_own,
    check_engines,
    check_any_length,
    check_delay,
    check_clock,
    check_no_peeking,
    check_order,
    check_unseen,
    check_wins,
    check_chance,
    check_learns,
    check_other_rewards,
    check_hyper_parameters,
    check_source,
    check_one_signature,
]
