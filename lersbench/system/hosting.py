"""What a worker of a cluster does with a task: it has a process of its own carry it out, which may die, hang or fill
the memory without taking the worker along. The process is kept for more tasks, and ended when there are none for long.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping

from lersbench.system.parcels import carry_out
from lersbench.system.workers import KILLED, Outcome, Pool, Step, Task

IDLE = 60.0  # seconds after which a process without work is ended
PACE = 0.5  # seconds between two reports of progress
KILLED_THERE = (
    "not finished: its process was killed, most likely for want of memory. Fix: fewer threads a worker (dask worker "
    "--nthreads 1), or machines of more memory; run again, which does only what is missing."
)


class Dismissed(BaseException):
    """Nobody waits for the task any more."""


class _Kept:
    """The process of one thread of the worker."""

    def __init__(self) -> None:
        self.pool, self.lock = Pool(1), threading.Lock()
        self.timer: threading.Timer | None = None
        _all.add(self)

    def outcome(self, task: Task, timeout: float | None, step: Step) -> Outcome:
        if self.timer:
            self.timer.cancel()
        with self.lock:
            self.pool.timeout = timeout
            try:
                (outcome,) = list(self.pool.outcomes({"task": task}, step))
            except BaseException:
                self.end()
                raise
        self.timer = threading.Timer(IDLE, self.end_idle)
        self.timer.daemon = True
        self.timer.start()
        return outcome

    def end(self) -> None:
        self.pool.__exit__(None, None, None)

    def end_idle(self) -> None:
        """End the process, unless it has work."""
        if self.lock.acquire(blocking=False):
            try:
                self.end()
            finally:
                self.lock.release()


_all: weakref.WeakSet[_Kept] = weakref.WeakSet()
_here = threading.local()  # a process dies with the thread that started it, so each thread has its own


def host(
    parcel: bytes, times: int, blobs: Mapping[str, bytes], timeout: float | None, step: Step, wanted: Callable[[], bool]
) -> tuple[str, object]:
    """The reply to a parcel: as `parcels.carry_out` gives it, or ("failed", why).

    It may take so many `times` the seconds of `timeout`.
    `step` takes progress, twice a second at most; `wanted()` says whether anybody still waits: where nobody does,
    Dismissed is raised and the process is ended.
    """
    if not hasattr(_here, "kept"):
        _here.kept = _Kept()
    report = _Paced(step, wanted)
    outcome = _here.kept.outcome(Task(carry_out, (parcel, blobs), times), timeout, report)
    report.flush()
    if outcome.problem:
        return "failed", KILLED_THERE if outcome.problem == KILLED else outcome.problem
    return tuple(outcome.result)


def rest() -> None:
    """End the processes of this worker that have no work: a run is over."""
    for kept in list(_all):
        kept.end_idle()


class _Paced:
    """Adds up progress, and passes it on now and then."""

    def __init__(self, step: Step, wanted: Callable[[], bool]):
        self.step, self.wanted = step, wanted
        self.done, self.last = 0.0, time.monotonic()

    def __call__(self, done: float) -> None:
        self.done += done
        if time.monotonic() - self.last >= PACE:
            if not self.wanted():
                raise Dismissed
            self.flush()

    def flush(self) -> None:
        if self.done:
            self.step(self.done)
        self.done, self.last = 0.0, time.monotonic()
