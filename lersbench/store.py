"""Results on disk: one file a contender, named by what it depends on; a run puts them together.

`results/<scenario>/contenders/<key>.parquet` is written once, under a temporary name and renamed, so a
run that is killed leaves whole files only, and the next run plays just what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lersbench import leftovers
from lersbench.errors import DataError


def digest(content: Any) -> str:
    """A name for a JSON-able value: equal values, equal names."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:20]


def file_digest(paths: list[Path]) -> str:
    """A name for the content of some files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:20]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which takes its place when the block ends well, and is removed when not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(leftovers.name_for(path.name))
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


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
        table = pa.table(columns).replace_schema_metadata({"about": json.dumps(curve.about)})
        with replacing(self.path(key)) as temporary:
            pq.write_table(table, temporary, use_dictionary=False, write_statistics=False)  # half the time, no larger

    def get(self, key: str) -> Curve:
        path = self.path(key)
        try:
            table = pq.ParquetFile(path).read(use_threads=False)
            about = json.loads(table.schema.metadata[b"about"])
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} is damaged ({error}); delete it and run again: only that contender is replayed."
            ) from error
        names = tuple(name for name in table.column_names if name != "round")
        values = np.column_stack([table.column(name).to_numpy() for name in names])
        return Curve(table.column("round").to_numpy(), names, values, about)
