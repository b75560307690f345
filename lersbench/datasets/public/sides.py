"""Tables beside a log, of users or of items, as a few standardised numbers for each that the log has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench.datasets.public.rounds import Ids
from lersbench.datasets.reduce import encode, reduce
from lersbench.datasets.selections import ENOUGH
from lersbench.errors import DataError
from lersbench.system.progress import say

ROWS = 100_000  # of a table, read at a time


class Side(NamedTuple):
    """A table beside a log, for the ids of the log."""

    values: np.ndarray  # (codes, w); zeros for ids that the table does not know
    join: dict[str, Any]  # how many ids it knows, see `check_met`


def side(path: Path, key: str, ids: Ids, width: int, without: Sequence[str] = ()) -> Side:
    """The table `path` reduced to `width` numbers (0: all) for each id; its columns `without` are not used.

    Numbers are taken as they are, texts of at most 64 values one-hot, see `reduce`. Only rows of the ids are kept while
    the table is read. Raises DataError where it cannot be read, lists an id twice, or knows none of them.
    """
    try:
        with pd.read_csv(path, dtype={key: str}, chunksize=ROWS, low_memory=False) as reader:
            kept = [part[part[key].isin(ids)] for part in reader]
    except (ValueError, KeyError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())
        fix = "give the file as it was published, or move it away to do without it"
        raise DataError(f"{path}: cannot be read as a table with the column {key} ({reason}). Fix: {fix}") from error
    found = pd.concat(kept, ignore_index=True)
    twice = found[key].duplicated()
    if twice.any():
        raise DataError(f"{path}, column {key}: {found[key][twice].iloc[0]} is there twice. Fix: keep one row of it")
    join = check_met(path, len(found), len(ids), ids.what)
    table = found.set_index(key).reindex(list(ids)).drop(columns=[*without], errors="ignore")
    known = np.isin(np.array(list(ids)), found[key].to_numpy(str))
    values, _ = reduce(encode(table, known), known, width)
    values[~known] = 0.0
    return Side(values, join)


def check_met(path: Path, met: int, ids: int, what: str) -> dict[str, Any]:
    """Say how many of the ids of a log, each a `what`, a table knows: `met` of `ids`. Returns that as a join for the
    provenance of the log, see `selections`. Raises a DataError where it knows none."""
    if not met:
        raise DataError(
            f"{path}: knows none of the {ids:,} {what}s of the log. Fix: give the table of the same data set"
        )
    if met < ENOUGH * ids:
        say(f"Warning: {path} knows only {met:,} of the {ids:,} {what}s of the log; the others have zeros.")
    else:
        say(f"{path} knows {met:,} of the {ids:,} {what}s of the log ({met / ids:.1%})")
    return {"what": f"{what}s of the log with {path.name}", "rows": ids, "met": met, "unit": f"{what}s"}
