"""The end of the command: with the exit code that was meant, whatever threads there are."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def end(code: int) -> NoReturn:
    """End the process with this exit code.

    While other threads are alive the interpreter cannot be taken down in peace: libraries with threads of their own
    have ended it by "terminate called without an active exception", exit code 134. So it is left at once.
    """
    if threading.active_count() == 1:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):  # nobody listens any more
                stream.flush()
    os._exit(code)
