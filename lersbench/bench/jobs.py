"""Jobs of a run: which have a result already, which are missing, which failed; and the loop that has them done.

A job is done in another process by a pure function of names, paths and digests, whose curve is stored here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from lersbench.bench.store import Content, Store
from lersbench.system.elsewhere import Executor
from lersbench.system.workers import Step, Task


class Job(Protocol):
    """One result to make."""

    @property
    def key(self) -> str:
        """The name of the result: a digest of all that it depends on."""


J = TypeVar("J", bound=Job)
C = TypeVar("C", bound=Content)


class Work(Generic[J, C]):
    """The jobs of a run, no two of one key, and their state."""

    def __init__(self, jobs: Sequence[J], store: Store[C], fresh: bool):
        self.jobs, self.store = jobs, store
        self.missing = [job for job in jobs if fresh or not store.has(job.key)]  # at the start
        self.problems: dict[str, str] = {}  # of the jobs that failed, by key

    @property
    def done(self) -> list[J]:
        """All that have not failed; where every missing one has been done, those that have a result."""
        return [job for job in self.jobs if job.key not in self.problems]

    @property
    def played(self) -> int:
        return sum(job.key not in self.problems for job in self.missing)

    @property
    def reused(self) -> int:
        return len(self.jobs) - len(self.missing)

    def perform(
        self,
        tasks: Mapping[str, Task],
        pool: Executor,
        step: Step = lambda done: None,
        finished: Callable[[], object] = lambda: None,
    ) -> None:
        """Carry out tasks, each of the job of its key and returning its curve, in the processes of a pool.

        Each curve is stored as it comes, so that an interruption loses only those under way. `step` is called with
        progress within tasks, `finished` at the end of each. Raises OSError where a curve cannot be written.
        """
        for key, curve, problem in pool.outcomes(tasks, step):
            if problem:
                self.problems[key] = problem
            else:
                self.store.put(key, curve)
            finished()


@dataclass
class Run:
    """What was done, and where the run lies."""

    folder: Path
    played: int
    reused: int
    seconds: dict[str, float]  # by purpose
    failures: str  # what failed, in words; "" where nothing did
