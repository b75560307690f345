"""Compiling the loops of several policies side by side: each in a process, into the cache that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numba
import numpy as np

from lersbench.engine.contender import Contender
from lersbench.engine.loop import Desk, View
from lersbench.engine.rounds import Protocol
from lersbench.engine.service import DELAYS, SERVICE
from lersbench.kernels.jit import is_kept
from lersbench.policy import Spec, find, make
from lersbench.sources import closure
from lersbench.system.workers import Pool, Task

FEWEST = 2  # loops from which on it is worth a second process, which takes some seconds to start


class Loop(NamedTuple):
    """What a process is told to compile the loop of a policy of the package; it may be one of many protocols."""

    policy: str
    params: dict[str, Any]
    spec: Spec
    protocol: Protocol


def compile_all(loops: Mapping[Callable[..., None], Loop], at_once: int) -> None:
    """Compile those of `loops` (by what `Contender.drive` is) that are not kept on disk, `at_once` at a time.

    A loop that cannot be compiled is left out here: whoever plays it compiles it, and is told why it cannot be.
    """
    absent = {str(i): loop for i, (drive, loop) in enumerate(loops.items()) if not is_kept(drive)}
    if at_once < 2 or len(absent) < FEWEST or numba.config.DISABLE_JIT:
        return
    longest = sorted(absent, key=lambda key: -_size(absent[key]))  # first, or one may be left over at the end
    delayed = any(loop.protocol.delayed for loop in absent.values())
    tasks = {"": Task(_service, (delayed,)), **{key: Task(_loop, (absent[key],)) for key in longest}}
    with Pool(min(at_once, len(absent))) as pool:
        for _ in pool.outcomes(tasks):
            pass


def _size(loop: Loop) -> int:
    """The bytes of source code that a policy draws on: a measure of how long its loop takes to compile."""
    return sum(path.stat().st_size for path in closure(find(loop.policy).__module__))


def _service(delayed: bool, step: Callable[[float], object]) -> None:
    for service in (SERVICE, DELAYS) if delayed else (SERVICE,):
        service.box(service.example())


def _loop(loop: Loop, step: Callable[[float], object]) -> None:
    for array in loop.spec.history.values():  # as they are where it will be played: a matter of types
        array.flags.writeable = False
    none, one, rng = np.zeros(0, np.int64), np.zeros((1, 1)), np.random.default_rng(0)
    made = Contender(make(find(loop.policy), loop.params), loop.spec, loop.protocol, rng, none)
    view = View(none, one, none, 0, none, one, none, none, none, 0, none)
    given = (made.state, rng, view, none, none, made.protocol, made.scratch, Desk(0, 0, 0))
    made.drive.compile(tuple(map(numba.typeof, given)))  # type: ignore[attr-defined]
