"""What tests give to other processes to do; they are up the sooner for what is not imported here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lersbench.errors import RunError, Unfit


def come_to(key: str, problem: str, step: Callable[[float], None]) -> str:
    step(2.0)
    print("a policy may print what it likes", key)
    if problem:
        raise RunError(problem)
    return f"result of {key}"


def be_killed(after: Path, step: Callable[[float], None]) -> str:
    """Killed once `after` is there, or at the end of a minute."""
    end = time.monotonic() + 60
    while not after.exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def stay(how: str, folder: str, step: Callable[[float], None]) -> str:
    (Path(folder) / how).touch()
    while how == "spin":
        pass
    time.sleep(1000 if how == "sleep" else 0)
    return ""


def exit_at_once(step: Callable[[float], None]) -> None:
    os._exit(5)


def abort(step: Callable[[float], None]) -> None:
    os.abort()


def wait_for(folder: str, key: str, step: Callable[[float], None]) -> str:
    """Say, by a file, which process it is that has the task, and wait until `go` is there."""
    (Path(folder) / f"{key}.{os.getppid()}").touch()
    end = time.monotonic() + 60
    while not (Path(folder) / "go").exists() and time.monotonic() < end:
        step(1.0)
        time.sleep(0.02)
    return f"result of {key}"


def unfit_at(worker: int, key: str, step: Callable[[float], None]) -> int:
    """Refused by the processes of one worker; the process id of the worker that has done it."""
    if os.getppid() == worker:
        raise Unfit("the log cannot be read there: gone.parquet: no such file")
    time.sleep(0.05)
    return os.getppid()


def sum_of(values: np.ndarray, step: Callable[[float], None]) -> float:
    return float(values.sum())
