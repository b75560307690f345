"""Who does the work where this process should not: workers on other machines, or the processes of a library."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol

from lersbench.errors import ConfigError, MissingPackage
from lersbench.system.cluster import LOCAL
from lersbench.system.cluster import opened as cluster_at
from lersbench.system.parcels import carry_out, packed
from lersbench.system.progress import say
from lersbench.system.workers import Outcome, Step, Task, attempt

KINDS = (
    "an executor is the address of a Dask scheduler ('tcp://host:8786'), 'local:4' for four processes of this machine, "
    "a distributed.Client, a joblib.Parallel of processes, or the name of a joblib backend of processes ('loky')"
)


class Executor(Protocol):
    """What does tasks: `workers.Pool`, `cluster.Cluster`, `Joblib`."""

    def outcomes(self, tasks: Mapping[str, Task], step: Step = ...) -> Iterator[Outcome]:
        """Run tasks; the outcome of each, as they are finished."""


def opened(
    where: Any, timeout: float | None = None, warn: Callable[[str], None] = say
) -> AbstractContextManager[Executor | None]:
    """The executor that `where` names or is (see KINDS), as a context manager; None for none.

    Raises ConfigError for what is none, or where nothing answers.
    """
    if where is None:
        return nullcontext()
    if isinstance(where, str) and ("://" in where or where.startswith(LOCAL)):
        return cluster_at(where, timeout, warn)
    if type(where).__module__.partition(".")[0] == "distributed":
        return cluster_at(where, timeout, warn)
    if isinstance(where, str) or (callable(where) and hasattr(where, "n_jobs")):
        return Joblib(where, timeout)
    raise ConfigError(f"executor = {where!r}: {KINDS}.")


class Joblib:
    """Does tasks in the processes of joblib: of a backend by its name, or of a `joblib.Parallel`.

    One that dies takes the others along: what they had not finished is done by the next run.
    """

    def __init__(self, where: Any, timeout: float | None = None) -> None:
        try:
            import joblib
        except ModuleNotFoundError as error:
            raise MissingPackage("joblib is not installed: pip install joblib.") from error
        if timeout is not None:
            raise ConfigError("timeout: joblib cannot end a single task. Leave it out, or use 'local:N'.")
        try:
            self.parallel = (
                joblib.Parallel(n_jobs=-1, backend=where, return_as="generator_unordered")
                if isinstance(where, str)
                else where
            )
        except ValueError as error:
            raise ConfigError(f"executor = {where!r}: {error}. Fix: {KINDS}.") from error
        if getattr(getattr(self.parallel, "_backend", None), "uses_threads", False):
            raise ConfigError(f"executor = {where!r} works in threads, which policies would share: {KINDS}.")

    def __enter__(self) -> Joblib:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Its processes are joblib's to keep."""

    def outcomes(self, tasks: Mapping[str, Task], step: Step = lambda done: None) -> Iterator[Outcome]:
        import joblib

        call = joblib.delayed(_outcome)
        for key, result, problem in self.parallel(call(key, *packed(task)) for key, task in tasks.items()):
            yield Outcome(key, result, problem)


def _outcome(key: str, parcel: bytes, blobs: dict[str, bytes]) -> Outcome:
    """A task in a process of joblib."""
    reply, problem = attempt(carry_out, (parcel, blobs), lambda done: None)
    if problem or reply[0] == "unfit":
        return Outcome(key, None, problem or reply[1])
    return Outcome(key, pickle.loads(reply[1]), "")
