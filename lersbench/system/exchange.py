"""Putting what is finished in the place of what is there: at every moment one of the two is whole.

On Linux both change places in one step (renameat2 with RENAME_EXCHANGE). Where that cannot be done a folder is moved
aside first, under a name that the next command looks for: whatever cut the exchange off, it brings the old one back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

from lersbench.errors import DataError
from lersbench.system.progress import say

AT_FDCWD = -100
RENAME_EXCHANGE = 2
CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)  # of kernels, file systems and sandboxes without it
TRIES = 3  # another process may bring the old one back in between


def take_the_place(finished: Path, target: Path) -> None:
    """Move a finished file or folder to `target`. An old folder that was there is at `finished` afterwards, or gone.

    Raises OSError where it cannot be done; then the old one is at `target` still, or, where not even that could be
    restored, the message says where it lies.
    """
    if not (target.is_dir() and finished.is_dir()):
        os.replace(finished, target)
        return
    aside = _aside(target)
    if aside.is_dir():  # left by an exchange that was cut off after its last step: `target` is the newer
        shutil.rmtree(aside)
    for tries_left in reversed(range(TRIES)):
        if _exchanged(finished, target):
            return
        os.rename(target, aside)
        try:
            os.rename(finished, target)
            break
        except OSError as error:
            _put_back(aside, target, error)
            if not tries_left or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    shutil.rmtree(aside)


def recover(target: Path) -> None:
    """Bring back the folder that an exchange which was cut off left aside. Does nothing where there is none.

    Raises a DataError that names it where it cannot be moved.
    """
    aside = _aside(target)
    if os.path.lexists(target) or not aside.is_dir():
        return
    try:
        os.rename(aside, target)
    except OSError as error:
        raise DataError(
            f"{target}: its replacement was cut off, and what was there lies whole at {aside}, but it cannot be moved "
            f"back ({error.strerror}). Fix: move it by hand"
        ) from error
    say(f"{target}: its replacement was cut off; what was there before is back")


def _put_back(aside: Path, target: Path, why: OSError) -> None:
    if os.path.lexists(target):  # somebody else was faster
        return
    try:
        os.rename(aside, target)
    except OSError as error:
        message = f"{why.strerror}; what was at {target} lies whole at {aside}, and the next command moves it back"
        raise OSError(error.errno, message, str(target)) from why


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _exchanged(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where this machine cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):  # no C library, an old one, or none of that kind (Windows)
        return False
    if call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))
