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
import json
import pickle
import random
import re
import tomllib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import _helperlib

from lersbench.errors import LersbenchError
from lersbench.feedback import REGIMES, USUAL
from lersbench.policy import Policy, find, make
from lersbench.testing.agreement import FAR, same_run, same_state
from lersbench.testing.chance_checks import check_chance
from lersbench.testing.engines import Bench, leaves
from lersbench.testing.worlds import cut_short, make_world, round_of

UNLISTED = [row.name for row in REGIMES.values() if not row.listed]  # regimes that the worlds of the checks allow
EVERY_ROUND = [kind for kind in UNLISTED if not REGIMES[kind].replayed]  # of them those that score every round
OTHER_RANGE = (-3.0, 8.0)  # of rewards that are not clicks


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


def check(policy: str | type[Policy] | Policy, **params: Any) -> list[Result]:
    """Run every check on a policy: an object, or a class or name (as `load` takes it) with hyper-parameters.

    Returns one result a check, in the order of `CHECKS`. Raises ConfigError where the policy can't be made.
    """
    if not isinstance(policy, Policy):
        policy = make(find(policy) if isinstance(policy, str) else policy, params)
    bench = Bench(policy)
    return [result_of(one, bench) for one in CHECKS]


def result_of(one: Callable[[Bench], None], bench: Bench) -> Result:
    """What comes out of one check; whatever a policy raises in it is a finding."""
    problem = ""
    try:
        one(bench)
    except (AssertionError, LersbenchError) as error:
        problem = str(error) or "an assertion of the policy itself failed"
    except Exception as error:  # a policy under test may raise anything: that is a finding too
        frame = inspect.trace()[-1]
        problem = f"{type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})"
    return Result(one.__name__, (inspect.getdoc(one) or "").splitlines()[0].rstrip("."), problem)


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
        same_run(first, bench.play(world), "Two runs of one seed")
    except AssertionError as error:
        if not used:
            raise
        raise AssertionError(
            f"{error} The likely cause: it draws from {' and '.join(used)}, which no seed of a run sets. "
            "Fix: draw from the `rng` that select is given."
        ) from error
    same_state(before, leaves(vars(bench.policy)), "The policy object, before and after its runs")


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
    same_state(before, bench.learned(other), "A state that nobody touched, before and after another run")
    same_state(before, bench.learned(bench.policy.init(world.spec)), "A state made before a run and one made after it")


def check_engines(bench: Bench) -> None:
    """Compiled, batched and interpreted runs agree, in every choice and in the state."""
    protocols = [(1, 1, USUAL), (3, 1, USUAL), (3, 7, USUAL)]
    protocols += [(1 if REGIMES[kind].replayed else 2, 1, kind) for kind in UNLISTED if kind != USUAL]
    for slate, batch, feedback in protocols:
        world = make_world(60, 5, slate, 7)
        runs = {name: bench.play(world, name, batch, feedback) for name in bench.engines}
        for name, run in runs.items():
            what = f"{bench.main} and {name} runs (K = {slate}, a batch of {batch}, feedback '{feedback}')"
            same_run(runs[bench.main], run, what)


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
                same_run(runs[bench.main], run, f"{what}: {bench.main} and {name} runs")
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
            same_run(runs[bench.main], run, what)


def check_delay(bench: Bench) -> None:
    """A batch of B rounds means: choose B slates, then learn from them in their order."""
    world, batch = make_world(60, 5, 2, 7), 7
    spec, chunk = world.spec, world.chunk
    run = bench.play(world, batch=batch)
    state, rng, slates = bench.policy.init(spec), np.random.default_rng(1), np.zeros((spec.rounds, 2), np.int64)
    for start in range(0, spec.rounds, batch):
        rows = range(start, min(spec.rounds, start + batch))
        rounds = [round_of(world, row, start) for row in rows]
        chosen = [slates[row] for row in rows]
        bench.policy.select_batch(state, rng, rounds, chosen)
        rewards = [chunk.rewards[row, slates[row]] for row in rows]
        bench.policy.update_batch(state, rounds, chosen, rewards, [np.ones(2, np.bool_) for _ in rows])
    what = f"A run with feedback every {batch} rounds and a plain loop that does the same"
    assert np.array_equal(run.slates, slates), f"{what}: the slates differ."
    same_state(run.learned, bench.learned(state), what)


def check_no_peeking(bench: Bench) -> None:
    """No peeking: when every reward that was not revealed is turned round, nothing changes."""
    for batch in (1, 7):
        world = make_world(80, 5, 2, 7)
        run = bench.play(world, batch=batch)
        turned = 1.0 - world.chunk.rewards
        shown = np.take_along_axis(world.chunk.rewards, run.slates, axis=1)
        np.put_along_axis(turned, run.slates, shown, axis=1)
        other = bench.play(world, batch=batch, rewards=turned)
        same_run(run, other, "Two logs that differ only in unrevealed rewards")


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
            round, slate = round_of(world, row, row), np.zeros(3, np.int64)
            shown = leaves(round[2:5])
            bench.policy.select_batch(state, rng[i], [round], [slate])
            same_state(shown, leaves(round[2:5]), "Context, candidates and features, before and after select")
            rewards = np.where(seen, world.chunk.rewards[row, slate], np.nan if i else 0.0)
            arguments = (*round, slate, rewards, seen)
            before = leaves(arguments)
            bench.policy.update_batch(state, [round], [slate], [rewards], [seen])
            same_state(
                before,
                leaves(arguments),
                "The round, slate, rewards and `seen` that update was given, before and after",
            )
    same_state(
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
        round, slate, answers, after = round_of(world, row, row), np.zeros(1, np.int64), [], []
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
        same_run(runs[bench.main], run, f"{bench.main} and {name} runs with rewards of {low:g} to {high:g}")
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
