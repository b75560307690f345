"""Temporary files and folders: named after their process, and removed where that is gone."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import time
import uuid
from pathlib import Path

HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
OLD = 7 * 24 * 3600  # seconds after which nobody is at work on a temporary of another machine or a number taken again
_NAME = re.compile(r"\..+\.(?P<host>[0-9a-f]{6})-(?P<process>\d+)-[0-9a-z_]{8}")


def prefix(what: str) -> str:
    """How the name of a temporary of this process begins; eight letters or digits are to follow."""
    return f".{what}.{HOST}-{os.getpid()}-"


def name_for(what: str) -> str:
    """A name for a temporary of this process, which nobody else has."""
    return prefix(what) + uuid.uuid4().hex[:8]


def sweep(folder: Path) -> None:
    """Remove the temporaries in a folder whose process is gone."""
    for path in folder.glob(".*"):
        name = _NAME.fullmatch(path.name)
        if name and _is_left(path, name["host"], int(name["process"])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # another process may sweep here as well
            else:
                path.unlink(missing_ok=True)


def _is_left(path: Path, host: str, process: int) -> bool:
    if host == HOST and not _lives(process):
        return True
    try:
        return path.stat().st_mtime < time.time() - OLD
    except FileNotFoundError:
        return False


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
