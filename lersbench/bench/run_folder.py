"""The folder of a run: its tables and `run.json`, there as a whole or not at all, named by what it was made of."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lersbench import files
from lersbench.results import last_run


def assemble(
    folder: Path,
    basis: list[Any],
    write: Callable[[Path], dict[str, Any]],
    new: bool,
    schemas: Mapping[str, pa.Schema] = MappingProxyType({}),
) -> Path:
    """The run of this `basis`, JSON-able, in `folder`, which holds all runs of a scenario; it is the last one from now.

    An earlier one of the same basis is taken where it is whole, its tables have the columns of `schemas`, and nothing
    is `new`. Else `write` puts the tables, as Parquet, into the folder it is called with, and returns what run.json
    says beside their digests.
    """
    name = files.digest(basis)[:8]
    for earlier in sorted(folder.glob(f"*-{name}"), reverse=True):
        if not new and _is_whole(earlier, schemas):
            last_run.remember(earlier)
            return earlier
    run = folder / f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{name}"
    with files.replacing(run) as temporary:
        temporary.mkdir(parents=True)
        about = write(temporary)
        about["tables"] = {path.name: files.file_digest(path) for path in sorted(temporary.glob("*.parquet"))}
        (temporary / "run.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    last_run.remember(run)
    return run


def _is_whole(run: Path, schemas: Mapping[str, pa.Schema]) -> bool:
    """Can run.json and all tables it names be read, and have these their columns?

    Whether their digests are right is checked when they are loaded.
    """
    try:
        tables = json.loads((run / "run.json").read_text(encoding="utf-8"))["tables"]
        about = {name: pq.read_metadata(run / name) for name in tables}
        filled = bool(about) and all(table.num_rows for table in about.values())
        there = {
            name: set(table.schema.to_arrow_schema().names) for name, table in about.items()
        }  # lists by their name
        return filled and all(set(schema.names) <= there[name] for name, schema in schemas.items())
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return False
