"""Where one policy sits before the rows of a chunk, to be asked about them or taught by them outside of a replay."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from lersbench.engine import service
from lersbench.engine.loop import LENT, Desk, View, read_only, round_in_python
from lersbench.engine.meter import new_meter
from lersbench.engine.rounds import Protocol, scratch_of, visit_of
from lersbench.engine.rows import Rows
from lersbench.engine.service import SERVICE
from lersbench.errors import ConfigError, LersbenchError, LostDigits, RunError
from lersbench.kernels.jit import interpreted, specialise
from lersbench.policy import KernelPolicy, Policy, Round, Spec


class Seat:
    """What a loop over the rows `index` of a chunk needs beside a policy's state. Rows are shown as in a replay.

    Every round has as many positions as were logged. Raises ConfigError where the chunk has no slates, or longer ones
    than the policy fills.
    """

    def __init__(
        self,
        policy: Policy,
        spec: Spec,
        rows: Rows,
        protocol: Protocol,
        index: np.ndarray | None = None,
        at: np.ndarray | None = None,
    ):
        """`index` (n,) int64 are the rows, by default all; `at` (n,) int64 their places in the log, by default the same
        numbers. The order of equal scores hangs on the place."""
        self.policy, self.rows = policy, rows
        self.index = np.arange(rows.user.shape[0]) if index is None else np.asarray(index, np.int64)
        self.at = self.index if at is None else np.asarray(at, np.int64)
        self.protocol = protocol._replace(
            slate=spec.slate, batch=1, replay=True, full=False, lazy=False, delayed=False, delay=0, charged=0
        )
        shown = np.diff(rows.top)[self.index]
        if shown.size and (shown.min() < 1 or shown.max() > spec.slate):
            worst = int(self.at[np.argmax((shown < 1) | (shown > spec.slate))])
            raise ConfigError(
                f"The slate of round {worst} of the log has {shown[np.argmax((shown < 1) | (shown > spec.slate))]} "
                f"positions, and {policy!r} fills 1 to {spec.slate}: set `slate` to the length of the logged slates."
            )
        self.top = np.append(0, np.cumsum(shown))  # (n + 1,) edges of what there is for each logged position
        self.first = np.append(0, np.cumsum(np.diff(rows.first)[self.index]))  # (n + 1,) and for each candidate
        self.logged = self.of_positions(rows.slate)  # (S,) logged slates
        self.scratch = scratch_of(spec, self.protocol)
        safe = type(policy).__module__.startswith("lersbench.") or not isinstance(policy, KernelPolicy)
        self._copies = {} if safe else {name: getattr(rows, name).copy() for name in LENT}
        self.view = View(*(self._copies.get(name, getattr(rows, name)) for name in View._fields))
        visit, meter = visit_of(spec, self.protocol), new_meter(spec.n_items, np.empty(0, np.int64), 0)
        self._box = SERVICE.box(service.Desk(rows, self.protocol, self.scratch, visit, meter))
        self.desk = Desk(SERVICE.address, self._box.at, 0)

    def of_positions(self, values: np.ndarray) -> np.ndarray:
        """A copy of what the chunk has for each logged position, for the rows of the seat: (S,)."""
        return _gathered(values, self.rows.top[self.index], self.top)

    def run(self, loop: Any, state: Any, rng: np.random.Generator, *more: Any) -> None:
        """Run a loop over the rows: of `compiled` or `in_python`, with the arguments beside those of the seat.

        Raises RunError for lost digits, for whatever the policy raises, and where a kernel from outside the package has
        written to the log.
        """
        where = (self.view, self.index, self.at, self.protocol, self.scratch, self.desk, self.top, self.first)
        try:
            loop(state, rng, *where, self.logged, *more)
        except LostDigits as error:
            place = self.scratch.clock[2]
            raise RunError(
                f"{self.policy!r} has lost the digits of its estimates in round {place} of the log: {error}"
            ) from error
        except Exception as error:
            raise broken(self.policy, error, f"in round {self.scratch.clock[2]} of the log") from error
        for name, copy in self._copies.items():
            if not np.array_equal(copy, getattr(self.rows, name)):
                raise RunError(f"{self.policy!r} wrote to {name} of a round, which belongs to the log.")


def broken(policy: Policy, error: Exception, where: str) -> LersbenchError:
    """What to raise in place of an error of a policy: which policy it was, where, and what it said."""
    if isinstance(error, LersbenchError):
        return type(error)(f"{error} This was {where}.") if isinstance(error, RunError) else error
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return RunError(f"{policy!r} failed {where}: {type(error).__name__}: {error}{at}.")


def _gathered(values: np.ndarray, source: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The parts of `values` that begin at `source` (n,), end to end at the edges (n + 1,)."""
    return values[np.arange(edges[-1]) + np.repeat(source - edges[:-1], np.diff(edges))]


_loops: dict[tuple[Any, ...], Callable[..., None]] = {}


def compiled(template: Callable[..., None], policy: type[KernelPolicy], flags: dict[str, bool], **kernels: Any) -> Any:
    """`template` compiled for these kernels of a policy; from disk where it has been compiled before.

    `flags` are global names of the template that are true or false in the compiled loop.
    """
    key = (template, policy, *sorted(flags.items()))
    if key not in _loops:
        module = policy.__module__ if policy.__module__.startswith("lersbench.policies.") else ""
        name = ".".join([policy.__module__, policy.__qualname__, *(one for one, on in sorted(flags.items()) if on)])
        parts = {of: one.compiled(name, module) if isinstance(one, Inner) else one for of, one in kernels.items()}
        _loops[key] = specialise(template, name, module, **parts, **flags)
    return _loops[key]


class Inner:
    """A part of a template that is itself one: `function` with these kernels, compiled where the template is."""

    def __init__(self, function: Callable[..., Any], **kernels: Any):
        self.function, self.kernels = function, kernels

    def compiled(self, name: str, module: str) -> Any:
        """Compiled under this name."""
        parts = {of: one.compiled(name, module) if isinstance(one, Inner) else one for of, one in self.kernels.items()}
        return specialise(self.function, name, module, inner=True, **parts)

    def in_python(self) -> Any:
        """Run by Python."""
        parts = {of: one.in_python() if isinstance(one, Inner) else one for of, one in self.kernels.items()}
        return interpreted(self.function, part=_slice, **parts)


def in_python(template: Callable[..., None], policy: Policy, flags: dict[str, bool], **methods: Any) -> Any:
    """`template` run by Python, for a policy that has methods in place of kernels."""

    def round_at(view, row, at, slot, protocol, scratch, desk, composed, shown_at) -> Round:
        round = round_in_python(view, int(row), int(at), slot, protocol, scratch, desk)
        return round if isinstance(policy, KernelPolicy) else read_only(round)

    parts = {of: one.in_python() if isinstance(one, Inner) else one for of, one in methods.items()}
    return interpreted(template, round_at=round_at, part=_slice, borrow=_itself, **parts, **flags)


def _slice(array: np.ndarray, start: int, stop: int) -> np.ndarray:
    return array[start:stop]


def _itself(value: Any) -> Any:
    return value
