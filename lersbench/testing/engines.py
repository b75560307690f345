"""A policy with all engines that can play it, and what it did and learned in a world."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from lersbench.engine.contender import Contender
from lersbench.engine.loop import batched, compiled
from lersbench.engine.play import play, protocol_of
from lersbench.engine.rows import rows_of
from lersbench.feedback import REGIMES, USUAL
from lersbench.policy import KernelPolicy, Policy
from lersbench.testing.worlds import TIES, World


class Run(NamedTuple):
    """What a policy did in a world."""

    slates: np.ndarray  # (n, K)
    scores: np.ndarray  # (n, C)
    propensities: np.ndarray  # (n, K)
    shown: np.ndarray  # (n_items,) times each item was shown
    learned: dict[str, np.ndarray]  # the state in the end, less its working memory


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
