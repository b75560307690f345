"""stdout and stderr that outlast their readers: `lersbench bench active | head -1` does its work to the end.

A pipe that nobody reads any more, or a stream that was closed (`2>&-`), takes what it is given and drops it, so the
exit code is that of the work alone. A full disk behind stdout is an error, as everywhere; behind stderr it is
ignored.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Lasting(io.FileIO):
    """A file descriptor that becomes /dev/null when its reader has gone or its disk is full."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # else Python would try again, and fail, when it ends
            os.close(nowhere)
            if self.fileno() == 1 and not isinstance(error, BrokenPipeError):
                error.filename = "stdout"
                raise
            return len(memoryview(data).cast("B"))


def outlast_readers() -> None:
    """Put streams that last in the place of sys.stdout and sys.stderr. What cannot be encoded is shown as an escape."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would take its number, and what is printed
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    for number, name in ((1, "stdout"), (2, "stderr")):
        raw, old = _Lasting(number, "w", closefd=False), getattr(sys, name)
        at_once = number == 2 or raw.isatty()
        encoding = old.encoding if old else "utf-8"
        buffered = io.BufferedWriter(raw)
        setattr(sys, name, io.TextIOWrapper(buffered, encoding, "backslashreplace", line_buffering=at_once))
