"""Results on disk: one file a contender, named by what it depends on; a run puts them together.

`results/<scenario>/contenders/<key>.parquet` is written once, under a temporary name and renamed, so a
run that is killed leaves whole files only, and the next run plays just what is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lersbench.bench import addresses
from lersbench.errors import ConfigError, DataError
from lersbench.files import replacing
from lersbench.system import leftovers
from lersbench.system.unpack import read_table


class Content(Protocol):
    """What is kept of a contender: a table, and a few words about it."""

    @property
    def about(self) -> dict[str, Any]: ...

    def table(self) -> pa.Table: ...


C = TypeVar("C", bound=Content)


class Store(Generic[C]):
    """The finished contenders of one scenario, each a file named by its key; `read` makes one of table and words."""

    def __init__(self, folder: Path, read: Callable[[pa.Table, dict[str, Any]], C]):
        self.folder, self.read = folder / "contenders", read

    def make(self) -> None:
        """Make the folder, and remove what processes that are gone left in it and beside it. Raises ConfigError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The folder of the results, {self.folder.parent}, cannot be made ({error.strerror})."
            ) from error
        for used in (self.folder.parent, self.folder):
            leftovers.sweep(used)

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.parquet"

    def has(self, key: str) -> bool:
        """Is there a whole file? One that was cut short counts as missing, and is written anew."""
        try:
            return bool(pq.read_metadata(self.path(key)).num_rows)
        except (OSError, pa.ArrowException):
            return False

    def put(self, key: str, content: C) -> None:
        table, about = content.table(), json.dumps(content.about)
        table = table.replace_schema_metadata({"about": about, "sum": _sum(table, about.encode())})
        with replacing(self.path(key)) as temporary:
            pq.write_table(table, temporary, use_dictionary=False, write_statistics=False)  # half the time, no larger
        addresses.keep(self.path(key))

    def get(self, key: str) -> C:
        """Raises DataError where the file is damaged."""
        path = self.path(key)
        try:
            table = read_table(path, str(path))
            metadata = table.schema.metadata
            about = json.loads(metadata[b"about"])
            if metadata[b"sum"].decode() != _sum(table, metadata[b"about"]):
                raise ValueError("its sum does not match")
            return self.read(table, about)
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} is damaged ({error}); delete it and run again: only that contender is replayed."
            ) from error


def _sum(table: pa.Table, about: bytes) -> str:
    """sha256 over all that a file of a contender holds: names and values of its columns, and `about`."""
    total = hashlib.sha256(json.dumps(table.column_names).encode() + about)
    for column in table.columns:
        total.update(_flat(column.combine_chunks()))
    return total.hexdigest()


def _flat(column: pa.Array) -> memoryview:
    """The bytes of the values of a column of numbers, or of lists of numbers one after the other."""
    flat = column.flatten() if pa.types.is_list(column.type) else column
    return np.ascontiguousarray(flat.to_numpy(zero_copy_only=False)).data.cast("B")
