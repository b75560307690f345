"""Jobs of a run: which have a result already, which are missing, which failed; and the loop that does them elsewhere.

What does a job in another process is pure: it takes names, paths and digests, and returns a curve. Here it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from lersbench.bench.store import Curve, Store
from lersbench.system.workers import Pool, Step, Task


class Job(Protocol):
    """One result to come to."""

    @property
    def key(self) -> str:
        """The name of the result: a digest of all that it depends on."""


J = TypeVar("J", bound=Job)


class Work(Generic[J]):
    """The jobs of a run, no two of one key, and how far they are."""

    def __init__(self, jobs: Sequence[J], kept: Store, fresh: bool):
        self.jobs, self.kept = jobs, kept
        self.missing = [job for job in jobs if fresh or not kept.has(job.key)]  # at the start
        self.failed: dict[str, str] = {}  # key: why

    @property
    def done(self) -> list[J]:
        """All that have not failed; where every missing one has been done, those that have a result."""
        return [job for job in self.jobs if job.key not in self.failed]

    @property
    def played(self) -> int:
        return sum(job.key not in self.failed for job in self.missing)

    @property
    def reused(self) -> int:
        return len(self.jobs) - len(self.missing)

    def keep(self, job: J, curve: Curve) -> None:
        self.kept.put(job.key, curve)

    def perform(
        self,
        tasks: Mapping[str, Task],
        pool: Pool,
        step: Step = lambda done: None,
        finished: Callable[[], object] = lambda: None,
    ) -> None:
        """Carry out tasks, each of the job of its key and returning its curve, in the processes of a pool.

        Each curve is kept as it comes, so that an interruption loses those under way alone. `step` is told of
        progress within tasks, `finished` of the end of each. Raises OSError where a curve cannot be written.
        """
        for key, curve, problem in pool.outcomes(tasks, step):
            if problem:
                self.failed[key] = problem
            else:
                self.kept.put(key, curve)
            finished()


@dataclass
class Run:
    """What was done, and where the run lies."""

    folder: Path
    played: int
    reused: int
    seconds: dict[str, float]  # by purpose
    failures: str  # what failed, in words; "" where nothing did
