"""The log: rounds on disk, streamed in chunks that are bounded in bytes and checked on the way.

A log is a folder. `rounds.parquet` (or `rounds/part-*.parquet`, in the order of their names) holds one row a
round, `items.parquet` one row an item, the optional `users.parquet` one row a user, and `log.json` the sizes,
the provenance and the licence. List columns have one fixed width in every row. `write` makes a log, `Log.read`
streams it, `validate` looks at all of it and tells everything that is wrong.
"""

from lersbench.logcheck import Problem, Report
from lersbench.logformat import SCHEMA, LogInfo
from lersbench.logread import Chunk, Log, read_all, validate
from lersbench.logwrite import write

__all__ = ["SCHEMA", "Chunk", "Log", "LogInfo", "Problem", "Report", "read_all", "validate", "write"]
