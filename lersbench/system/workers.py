"""Processes that work beside this one, a task each at a time; none outlives it, and one that dies takes no other along.

A worker reads tasks from its standard input and writes their outcomes to a copy of its standard output; whatever a
task itself prints goes to stderr. It ends when its input does: when this process has no more work, or is killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, NamedTuple

from lersbench.errors import LersbenchError

PATIENCE = 0.5  # seconds between two looks at the clocks of the workers
DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # one core a worker, where nobody says else
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from lersbench.system import workers; workers.serve(int(sys.argv[2]))"
)
KILLED = (
    "not finished: its process was killed, most likely for want of memory. Run again with --threads 1, which does one "
    "at a time and only what is missing."
)
OVERTIME = "not finished after {:g} seconds, the limit that --timeout sets."

Step = Callable[[float], object]  # takes the amount of work done


class Task(NamedTuple):
    """A function of a module, called as `function(*args, step)`; its `Outcome` has what it returns or raises."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    parts: int = 1  # each of which may take as long as the limit of time says


class Outcome(NamedTuple):
    """The result of a task, or why it has none ("": it has one)."""

    key: str
    result: Any
    problem: str


class Pool:
    """Up to `at_once` workers, started when there is work for them and kept for more; a context manager."""

    def __init__(self, at_once: int, timeout: float | None = None):
        self.at_once, self.timeout = at_once, timeout  # seconds a task may take
        self._workers: list[_Worker] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def outcomes(self, tasks: Mapping[str, Task], step: Step = lambda done: None) -> Iterator[Outcome]:
        """Run tasks; the outcome of each, as they are finished.

        Where a worker dies or takes longer than `timeout` its task has failed, and another takes its place.
        """
        waiting = deque(tasks.items())
        while waiting or any(worker.key for worker in self._workers):
            while len(self._workers) < min(self.at_once, len(waiting) + sum(bool(w.key) for w in self._workers)):
                self._workers.append(_Worker())
            for worker in self._workers:
                if waiting and worker.key is None:
                    worker.take(*waiting.popleft())
            wait([worker.replies for worker in self._workers], PATIENCE)
            for worker in list(self._workers):
                yield from self._poll(worker, step)

    def _poll(self, worker: _Worker, step: Step) -> Iterator[Outcome]:
        """The outcome of a worker's task, where there is one by now."""
        key, reply = worker.key, worker.hear(step)
        if reply is None and worker.ended:
            reply = None, worker.obituary()
        if reply is None and self.timeout is not None and worker.seconds > self.timeout * worker.parts:
            reply = None, OVERTIME.format(self.timeout)
            worker.end()
        if worker.ended:
            self._workers.remove(worker)
        if reply is not None and key is not None:
            yield Outcome(key, *reply)


class _Worker:
    """A process, as seen from here."""

    def __init__(self) -> None:
        env = {**dict.fromkeys(THREADS, "1"), **os.environ}
        command = [sys.executable, "-c", START, json.dumps(sys.path), str(os.getpid())]
        talk = None if sys.__stderr__ else subprocess.DEVNULL
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=talk, env=env)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.replies = Connection(os.dup(self.process.stdout.fileno()), writable=False)
        self.tasks = Connection(os.dup(self.process.stdin.fileno()), readable=False)
        self.process.stdin.close()
        self.process.stdout.close()
        self.key: str | None = None  # of the task it is at
        self.parts = 1
        self.started: float | None = None  # when it began with it; starting the process is not the task's fault
        self.ended = False

    @property
    def seconds(self) -> float:
        """Seconds that its task has taken so far."""
        return time.monotonic() - self.started if self.started is not None else 0.0

    def take(self, key: str, task: Task) -> None:
        self.key, self.parts, self.started = key, task.parts, None
        with suppress(BrokenPipeError):  # it is dead, which `hear` will find
            self.tasks.send(task)

    def hear(self, step: Step) -> tuple[Any, str] | None:
        """Read what it says; result and problem of its task where that is done."""
        try:
            while self.replies.poll():
                kind, what = self.replies.recv()
                if kind == "begun":
                    self.started = time.monotonic()
                elif kind == "step":
                    step(what)
                else:
                    self.key = self.started = None
                    result, problem = what
                    return result, str(problem)
        except (EOFError, OSError):
            self.ended = True
        return None

    def obituary(self) -> str:
        """Why it is dead, in words."""
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:  # it has closed its files and lives on
            code = -signal.SIGKILL
        self.end()
        if code == -signal.SIGKILL:
            return KILLED
        if code < 0:
            return f"not finished: its process died of {signal.Signals(-code).name}."
        return f"not finished: it ended its process with exit code {code}, as os._exit does."

    def end(self) -> None:
        """End the process, whatever it is at."""
        self.ended = True
        for pipe in (self.tasks, self.replies):
            pipe.close()
        self.process.kill()
        self.process.wait()


def serve(parent: int) -> None:
    """What a worker does all its life; `parent` is the process it works for."""
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    tasks, replies = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks, arrived), daemon=True).start()
    while True:
        task: Task = pickle.loads(arrived.get())  # imports what it needs, which is no part of its time
        replies.send(("begun", None))
        outcome = attempt(task.function, task.args, lambda done: replies.send(("step", done)))
        replies.send(("done", outcome))


def attempt(function: Callable[..., Any], args: tuple[Any, ...], step: Step) -> tuple[Any, str]:
    """What a task returns, and why it has not, in words ("": it has)."""
    try:
        return function(*args, step), ""
    except LersbenchError as error:  # says all there is to say
        return None, str(error) or type(error).__name__
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return None, f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno}: {last.line})"


def _receive(tasks: Connection, arrived: queue.SimpleQueue[bytes]) -> None:
    """Take tasks in; where the parent is gone, there are no more and nobody waits for this one."""
    try:
        while True:
            arrived.put(tasks.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies, for compiled code may not let `_receive` see it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
