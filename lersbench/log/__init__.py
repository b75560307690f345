"""The log: rounds on disk, streamed in chunks that are bounded in bytes and checked on the way.

A log is a folder. `rounds.parquet` (or `rounds/part-*.parquet`, in the order of their names) holds one row a
round, `items.parquet` one row an item, the optional `users.parquet` one row a user, and `log.json` the sizes,
the provenance and the licence. rounds.parquet carries a checksum of each block and column, log.json the sha256 of all
of them, of the tables, and of itself (`seal`): reading compares what it reads. A log without them, as other tools
write, may leave `sums`, `seal` and `files` out. List columns have one fixed width in every row, or, where `ragged` of
log.json names the candidates or the slate, a length of their own in each. Columns `outcome_NAME` hold what else
came of each position of the slate, in the unit and range that `outcomes` of log.json declares. `propensity_kind` of
log.json says of what the column `propensities` has the probabilities: "position" (of the item at this place; what a log
means that does not say it), "conditional" (of it, given the items above: the first k multiplied are the probability of
the first k) or "slate" (of the whole slate, the same in all of its positions); for slates of one position they are one.
None is 1e-12 or below, but for whole slates. `scores` are the log-weights of the logging policy for every candidate;
`logger` numbers the logging policies where there were several. `reward_window` of log.json, in microseconds, is how
long after a round its clicks still come in: rounds after `Log.mature_until` cannot be judged. requests.parquet, where
there is one, has the id of each round's request, a text, in the order of the rounds: `Log.requests`. Without a column
`candidates` all items are on offer, in the order of their numbers: number them by nothing that knows the rewards.
`published_rank` of items.parquet, where there is one, orders equal scores in the published hit ratios, and nothing
else. `write` makes a log, `convert` makes one of schema 1 or of another tool anew, `Log.read` streams it, `validate`
looks at all of it and reports everything that is wrong.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lersbench.errors import ConfigError, DataError
from lersbench.log.checks import Problem, Report
from lersbench.log.chunk import Chunk
from lersbench.log.convert import advice, convert
from lersbench.log.ragged import Ragged
from lersbench.log.reader import Log
from lersbench.log.schedule import Schedule
from lersbench.log.schema import SCHEMA, LogInfo
from lersbench.log.writer import write

__all__ = [
    "SCHEMA",
    "Log",
    "LogInfo",
    "Problem",
    "Ragged",
    "Report",
    "Schedule",
    "convert",
    "read_all",
    "validate",
    "write",
]


def read_all(log: Log, limit_bytes: int, columns: Collection[str] | None = None) -> Chunk:
    """The whole log as one chunk, for whoever needs the rounds in another order; `columns` as in `Log.read`.

    Raises a ConfigError where that takes more than `limit_bytes`, and a DataError as `Log.read` does.
    """
    needed = log.info.rounds * log.row_bytes(columns)
    if needed > limit_bytes:
        fault = f"{log.path}: holding the whole log takes {needed:,} bytes, but {limit_bytes:,} are allowed"
        fix = 'use replicates = "subsample" or "none", which stream the log unless feedback is delayed'
        raise ConfigError(f"{fault}. Raise the limit, or {fix}")
    (chunk,) = log.read(chunk_bytes=needed, columns=columns)
    return chunk


def validate(path: str | Path | Log) -> Report:
    """Read all of a log once and report everything that is wrong with it; nothing is raised for broken data."""
    path = path.path if isinstance(path, Log) else path
    report = Report(str(path))
    try:
        log = Log(path)
        report.advice = advice(log.info, str(path))
        log.inspect(report)
    except DataError as error:
        report.broken(error)
    return report
