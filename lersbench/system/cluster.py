"""Workers on many machines: tasks go to a Dask cluster, which places them, moves what is left of a machine that dies to
another, and grows and shrinks as it is told. This file sends tasks and takes their outcomes; it places nothing itself.

A worker is used only where it has the versions of this process, for else it would come to other numbers. One that does
not, or cannot reach the log, hands its task back with the reason; it is named, and the task goes to the others.
"""

from __future__ import annotations

import pickle
import platform
import queue
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from types import TracebackType
from typing import Any

from lersbench.errors import ConfigError, MissingPackage, RunError
from lersbench.sources import package_digest
from lersbench.system.parcels import packed
from lersbench.system.progress import say
from lersbench.system.workers import PATIENCE, Outcome, Step, Task

LOCAL = "local:"
PACKAGES = ("lersbench", "numpy", "numba", "llvmlite")  # whose versions results may depend on
LONELY = 60.0  # seconds without any worker after which a run ends
ANSWER = 15.0  # seconds in which a scheduler answers
LOST = (
    "the scheduler of the cluster is lost{}. What was finished is kept: start it again, and run the same command, with "
    "or without --cluster; it does only what is missing."
)


def facts() -> dict[str, str]:
    """What must be the same at a worker for it to come to the same bits."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    sources = {"the files of lersbench": package_digest()}
    return {"python": platform.python_version(), "machine": platform.machine(), **versions, **sources}


def opened(where: Any, timeout: float | None = None, warn: Callable[[str], None] = say) -> Cluster:
    """The cluster at an address (tcp://host:8786), of so many processes of this machine ("local:4"), or of a
    `distributed.Client`; a context manager. Raises ConfigError where there is none, or Dask is not installed."""
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise MissingPackage(
            "a cluster needs Dask, which is not installed: pip install 'lersbench[cluster]'."
        ) from error
    if isinstance(where, distributed.Client):
        return Cluster(where, timeout, warn)
    own: list[Any] = []
    try:
        address = where
        if where.startswith(LOCAL):
            address = distributed.LocalCluster(
                n_workers=_number(where), threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL"
            )
            own.append(address)
        client = distributed.Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        for one in own:
            one.close()
        raise ConfigError(
            f"--cluster {where}: no scheduler of Dask answers there ({error}). Fix: start one (dask scheduler) and "
            "workers (dask worker tcp://HOST:8786), or use local:4, four processes of this machine."
        ) from error
    return Cluster(client, timeout, warn, [client, *own])


def _number(where: str) -> int:
    text = where.removeprefix(LOCAL)
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"--cluster {where}: after local: comes the number of processes, as in local:4.")
    return int(text)


class Cluster:
    """Does tasks as `workers.Pool` does, on the workers of a Dask cluster. A task must be pure: one whose machine dies
    is done again on another."""

    everywhere = True  # all tasks go there, not only those that this process should not do itself

    def __init__(
        self, client: Any, timeout: float | None = None, warn: Callable[[str], None] = say, own: Any = ()
    ) -> None:
        self.client, self.timeout, self.warn, self.own = client, timeout, warn, list(own)
        self.facts = facts()
        self.lonely = LONELY
        self._blobs: dict[str, Any] = {}  # futures, by name
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._blobs.clear()
        if (
            self.own and self.client.status == "running"
        ):  # else there will be more for the processes to do; left alone they end after a minute
            with suppress(Exception):
                self.client.run(_rest(), on_error="ignore", nanny=False)
        for one in self.own:
            with suppress(Exception):  # a cluster that is gone cannot be left in peace
                one.close(timeout=5)

    @property
    def at_once(self) -> int:
        """How many tasks are done at a time, as of now."""
        return max(1, sum(self._asked(self.client.nthreads).values()))

    def outcomes(self, tasks: Mapping[str, Task], step: Step = lambda done: None) -> Iterator[Outcome]:
        """Run tasks; the outcome of each, as they are finished. What they come to depends on no worker.

        Raises RunError where the scheduler is lost, where no worker has been there for a minute, or where none is fit.
        """
        sent = _Sent(self, tasks)
        try:
            while sent.waiting:
                try:
                    key, future = sent.finished.get(timeout=PATIENCE)
                except queue.Empty:
                    sent.look()
                else:
                    outcome = sent.outcome(key, future)
                    if outcome is not None:
                        yield outcome
                step(sent.progress())
        finally:
            sent.close()

    def blobs(self, parts: Mapping[str, bytes]) -> list[Any]:
        """The parts as futures, each sent to the scheduler once."""
        for name, blob in parts.items():
            if name not in self._blobs:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # of Dask, that it is large
                    self._blobs[name] = self.client.submit(_as_it_is(), blob, key=f"lersbench-{name}", pure=False)
        return [self._blobs[name] for name in parts]

    def tell(self, worker: str, reason: str) -> None:
        """Say once why a worker is not used."""
        if (worker, reason) not in self._told:
            self._told.add((worker, reason))
            self.warn(f"Worker {worker} is not used: {reason}")

    def workers(self) -> set[str]:
        """The addresses of the workers there are."""
        return set(self._asked(self.client.nthreads))

    def check(self) -> None:
        """Raise RunError where the scheduler is gone."""
        if self.client.status != "running":
            raise RunError(LOST.format(""))

    def _asked(self, question: Callable[[], Any]) -> Any:
        self.check()
        try:
            return question()
        except (OSError, TimeoutError) as error:
            raise RunError(LOST.format(f" ({error})")) from error


class _Sent:
    """The tasks of one call that are with the scheduler."""

    def __init__(self, cluster: Cluster, tasks: Mapping[str, Task]) -> None:
        self.cluster, self.tasks = cluster, tasks
        self.topic = f"lersbench-{uuid.uuid4().hex}"
        self.finished: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.steps: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.waiting: dict[str, Any] = {}  # futures, by the key of the task
        self.allowed: dict[str, set[str]] = {}  # workers of those that some have handed back
        self.unfit: dict[str, str] = {}  # workers and their reasons
        self.tries = 0
        self.seen = time.monotonic()  # when there was a worker
        cluster.check()
        cluster.client.subscribe_topic(self.topic, lambda event: self.steps.put(event[1]))
        for key in tasks:
            self._send(key)

    def _send(self, key: str) -> None:
        """Send a task to whichever workers are fit, as far as that is known."""
        cluster, self.tries = self.cluster, self.tries + 1
        parcel, parts = packed(self.tasks[key])
        fit = cluster.workers() - self.unfit.keys() if self.unfit else set()
        if fit:
            self.allowed[key] = fit
        else:
            self.allowed.pop(key, None)
        future = cluster.client.submit(
            _visit(), parcel, self.tasks[key].parts, list(parts), cluster.facts, cluster.timeout, self.topic,
            *cluster.blobs(parts),
            key=f"{self.topic}-{self.tries}", pure=False, workers=sorted(fit) or None,
        )  # fmt: skip
        self.waiting[key] = future
        future.add_done_callback(lambda future: self.finished.put((key, future)))

    def outcome(self, key: str, future: Any) -> Outcome | None:
        """What a task that is no longer under way came to; None where it was sent again."""
        if key not in self.waiting or self.waiting[key] is not future:
            return None
        self.cluster.check()
        if future.status not in ("finished", "error"):
            raise RunError(LOST.format(f" (it says that a task is {future.status})"))
        error = future.exception()
        reply: tuple[str, str, Any] = "failed", "", f"not finished: {type(error).__name__}: {error}"
        kind, worker, what = self._result(future) if error is None else reply
        if kind == "unfit":
            self._hand_on(key, worker, what)
            return None
        del self.waiting[key]
        self.allowed.pop(key, None)
        return Outcome(key, pickle.loads(what), "") if kind == "done" else Outcome(key, None, str(what))

    def _result(self, future: Any) -> tuple[str, str, Any]:
        from distributed.client import FutureCancelledError

        try:
            kind, worker, what = future.result()
            return kind, worker, what
        except (OSError, FutureCancelledError) as error:
            raise RunError(LOST.format(f" ({error})")) from error

    def _hand_on(self, key: str, worker: str, reason: str) -> None:
        """Give a task that a worker has handed back to others. Raises RunError where all have."""
        self.unfit[worker] = reason
        self.cluster.tell(worker, reason)
        there = self.cluster.workers()
        if there and there <= self.unfit.keys():
            each = "\n".join(f"  {one}: {self.unfit[one]}" for one in sorted(there))
            raise RunError(f"none of the {len(there)} workers of the cluster can be used:\n{each}")
        self._send(key)

    def look(self) -> None:
        """Are there workers, and is there one for each task that only some may do?"""
        there = self.cluster.workers()
        if there:
            self.seen = time.monotonic()
        elif time.monotonic() - self.seen > self.cluster.lonely:
            raise RunError(
                f"no worker of the cluster has been there for {self.cluster.lonely:.0f} seconds. What was finished is "
                "kept: start workers (dask worker ADDRESS), and run the same command again."
            )
        for key, allowed in list(self.allowed.items()):
            if key in self.waiting and there and not allowed & there:
                self.waiting[key].cancel()
                self._send(key)

    def progress(self) -> float:
        """What was done since this was asked last."""
        done = 0.0
        with suppress(queue.Empty):
            while True:
                done += self.steps.get_nowait()
        return done

    def close(self) -> None:
        """Leave nothing at the scheduler: what is under way is no longer wanted."""
        with suppress(Exception):
            self.cluster.client.unsubscribe_topic(self.topic)
            self.cluster.client.cancel(list(self.waiting.values()))
        self.waiting.clear()


# What is sent. These are made inside functions so that Dask sends them as they are: a worker without the package, or
# with another version of it, could else not even say so. They may name nothing of this file.
def _as_it_is() -> Callable[[bytes], bytes]:
    return lambda blob: blob


def _rest() -> Callable[[], None]:
    def rest() -> None:
        from lersbench.system import hosting

        hosting.rest()

    return rest


def _visit() -> Callable[..., tuple[str, str, Any]]:
    def visit(
        parcel: bytes,
        times: int,
        names: list[str],
        wanted: dict[str, str],
        timeout: float | None,
        topic: str,
        *blobs: bytes,
    ) -> tuple[str, str, Any]:
        """A task at a worker: "done", "failed" or "unfit", the worker's address, and the result or the reason."""
        import platform
        from importlib import metadata

        from distributed import get_worker

        worker = get_worker()
        key = worker.get_current_task()
        here = {"python": platform.python_version(), "machine": platform.machine()}
        for name in wanted.keys() - here.keys():
            try:
                here[name] = "none" if " " in name else metadata.version(name)
            except metadata.PackageNotFoundError:
                here[name] = "none"
        try:
            from lersbench.sources import package_digest
            from lersbench.system.hosting import Dismissed, host

            here["the files of lersbench"] = package_digest()
        except ImportError as error:
            if here["lersbench"] == wanted["lersbench"]:
                return "unfit", worker.address, f"lersbench cannot be imported there ({error})."
        other = [f"{name} {here[name]} (here {wanted[name]})" for name in wanted if here[name] != wanted[name]]
        if other:
            return "unfit", worker.address, f"it has {', '.join(other)}. Fix: install the same versions there."

        def is_wanted() -> bool:
            task = worker.state.tasks.get(key)
            return task is not None and task.state in ("executing", "long-running")

        try:
            parts = dict(zip(names, blobs, strict=True))
            kind, what = host(parcel, times, parts, timeout, lambda done: worker.log_event(topic, done), is_wanted)
        except Dismissed:
            return "failed", worker.address, "dismissed"
        return kind, worker.address, what

    return visit
