"""What items, context and features are called in the user's own tables: policies are told it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, overload

from lersbench.log.reader import Log
from lersbench.log.schema import LogInfo

KEY = "feature_names"  # of the provenance, by the kinds below
SIZES = {"context": "d", "features": "m", "items": "p"}  # kind of names -> how many there are, in LogInfo


class Ids(Sequence[str]):
    """The ids of the items or of the requests of a log, by number. They are read at the first use."""

    def __init__(self, path: str, kind: str, size: int) -> None:
        self._path, self._kind, self._size = path, kind, size

    @cached_property
    def _ids(self) -> Sequence[str]:
        log = Log(self._path)
        if self._kind == "requests":
            return [str(one) for one in log.requests().to_pylist()]
        table = log.table("items.parquet")
        name = "id" if "id" in table.column_names else "item"
        return [str(one) for one in table.column(name).to_pylist()]

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        return self._ids[at]

    def __repr__(self) -> str:
        return f"Ids({self._path!r}, {self._kind!r}, {self._size})"


def item_ids(log: Log) -> Ids:
    """The ids of the items of a log, (n_items,) texts."""
    return Ids(log.path, "items", log.info.items)


def request_ids(log: Log) -> Sequence[str]:
    """The ids of the requests of a log, a text a round; empty where the log does not keep them."""
    return Ids(log.path, "requests", log.info.rounds) if log.has_requests else ()


def feature_names(info: LogInfo) -> dict[str, tuple[str, ...]]:
    """The names of "context" (d,), "features" (m,) and "items" (p,), of each of these that the log has and names."""
    said: dict[str, Any] = info.provenance.get(KEY, {})
    names = {kind: tuple(said.get(kind, ())) for kind in SIZES}
    return {kind: of for kind, of in names.items() if of and len(of) == getattr(info, SIZES[kind])}
