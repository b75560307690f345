"""The folder for what is kept between runs. Compiled code in it is loaded as pickles, which run whatever they say: so
nobody else may write there.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lersbench.errors import ConfigError

ELSEWHERE = "or set LERSBENCH_CACHE to a folder of your own"


def cache_root() -> Path:
    """`LERSBENCH_CACHE`, or `~/.cache/lersbench`; made where it is missing. Raises ConfigError as `private` does."""
    if folder := os.environ.get("LERSBENCH_CACHE"):
        return private(Path(folder))
    return private(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lersbench")


def private(folder: Path) -> Path:
    """`folder`, made for its owner alone where it is missing.

    Raises ConfigError where it cannot be made, is somebody else's (root's will do), or where others can write. Folders
    above it may be writable by all, as /tmp is: what others put in its place is theirs, and that shows.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        link, target = folder.lstat(), folder.stat()
    except OSError as error:
        raise ConfigError(
            f"The cache folder {folder} cannot be made ({error.strerror}): mend that, {ELSEWHERE}."
        ) from error
    if os.name != "posix":
        return folder
    strangers = {link.st_uid, target.st_uid} - {os.getuid(), 0}
    if strangers:
        whose = f"belongs to another user (number {strangers.pop()})"
        raise ConfigError(
            f"The cache folder {folder} {whose}, whose compiled code would be run: remove it, {ELSEWHERE}."
        )
    if target.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"Others can write to the cache folder {folder}, and compiled code in it is run: if you trust what is in "
            f"it, chmod -R go-w '{folder}', {ELSEWHERE}."
        )
    return folder
