"""Results on disk: one file a contender, named by what it depends on; a run puts them together.

`results/<scenario>/contenders/<key>.parquet` is written once, under a temporary name and renamed, so a
run that is killed leaves whole files only, and the next run plays just what is missing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lersbench.errors import ConfigError, DataError
from lersbench.files import replacing
from lersbench.system import leftovers
from lersbench.system.unpack import read_table


class Curve:
    """The curve of one contender: what was measured after how many rounds."""

    def __init__(self, rounds: np.ndarray, metrics: tuple[str, ...], values: np.ndarray, about: dict[str, Any]):
        self.rounds = rounds  # (n,) int64 rows of the log passed
        self.metrics = metrics
        self.values = values  # (n, len(metrics)), NaN where not measured
        self.about = about  # policy, params, seed, seconds ...


class Store:
    """The finished contenders of one scenario."""

    def __init__(self, folder: Path):
        self.folder = folder / "contenders"

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

    def put(self, key: str, curve: Curve) -> None:
        columns = {"round": curve.rounds, **dict(zip(curve.metrics, curve.values.T, strict=True))}
        about = json.dumps(curve.about)
        table = pa.table(columns)
        table = table.replace_schema_metadata({"about": about, "sum": _sum(table, about.encode())})
        with replacing(self.path(key)) as temporary:
            pq.write_table(table, temporary, use_dictionary=False, write_statistics=False)  # half the time, no larger

    def get(self, key: str) -> Curve:
        path = self.path(key)
        try:
            table = read_table(path, str(path))
            metadata = table.schema.metadata
            about = json.loads(metadata[b"about"])
            if metadata[b"sum"].decode() != _sum(table, metadata[b"about"]):
                raise ValueError("its sum does not match")
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} is damaged ({error}); delete it and run again: only that contender is replayed."
            ) from error
        names = tuple(name for name in table.column_names if name != "round")
        values = np.column_stack([table.column(name).to_numpy() for name in names])
        return Curve(table.column("round").to_numpy(), names, values, about)


def _sum(table: pa.Table, about: bytes) -> str:
    """sha256 over all that a file of a contender holds: names and values of its columns, and `about`."""
    total = hashlib.sha256(json.dumps(table.column_names).encode() + about)
    for column in table.columns:
        total.update(np.ascontiguousarray(column.to_numpy()).tobytes())
    return total.hexdigest()
