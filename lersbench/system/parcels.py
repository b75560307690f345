"""Tasks as bytes for another machine; what is large and shared by many of them travels once.

A parcel is a pickle in which large arrays and texts are left out; each is called by its digest, and goes along as a
blob of its own.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from lersbench.errors import Unfit
from lersbench.system.workers import Step, Task

LARGE = 1 << 16  # bytes from which on a part is a blob


class _Packer(pickle.Pickler):
    """Leaves large parts out, and keeps them in `blobs`."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file, protocol=5)
        self.blobs: dict[str, bytes] = {}

    def persistent_id(self, part: Any) -> str | None:
        large = (isinstance(part, np.ndarray) and part.nbytes >= LARGE and not part.dtype.hasobject) or (
            isinstance(part, bytes) and len(part) >= LARGE
        )
        if not large:
            return None
        blob = pickle.dumps(part, protocol=5)
        name = hashlib.sha256(blob).hexdigest()
        self.blobs[name] = blob
        return name


class _Unpacker(pickle.Unpickler):
    """Puts them back."""

    def __init__(self, file: io.BytesIO, blobs: Mapping[str, bytes]):
        super().__init__(file)
        self.blobs = blobs

    def persistent_load(self, name: str) -> Any:
        return pickle.loads(self.blobs[name])


def packed(task: Task) -> tuple[bytes, dict[str, bytes]]:
    """A task as bytes, and its large parts by their names."""
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(task)
    return file.getvalue(), packer.blobs


def carry_out(parcel: bytes, blobs: Mapping[str, bytes], step: Step) -> tuple[str, Any]:
    """Do the task of a parcel: ("done", its result as a pickle), or ("unfit", why this machine cannot do it)."""
    task: Task = _Unpacker(io.BytesIO(parcel), blobs).load()
    try:
        return "done", pickle.dumps(task.function(*task.args, step), protocol=5)
    except Unfit as error:
        return "unfit", str(error)
