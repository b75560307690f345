"""What items, context and features are called in the user's own tables: policies are told it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, overload

from lersbench.log.reader import Log
from lersbench.log.schema import LogInfo

KEY = "feature_names"  # of the provenance, by the kinds below
SIZES = {"context": "d", "features": "m", "items": "p"}  # kind of names -> how many there are, in LogInfo


class ItemIds(Sequence[str]):
    """The ids of the items of a log, by number. They are read at the first use, so they cost nothing before."""

    def __init__(self, path: str, items: int) -> None:
        self._path, self._items = path, items

    @cached_property
    def _ids(self) -> list[str]:
        table = Log(self._path).table("items.parquet")
        name = "id" if "id" in table.column_names else "item"
        return [str(one) for one in table.column(name).to_pylist()]

    def __len__(self) -> int:
        return self._items

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        return self._ids[at]

    def __repr__(self) -> str:
        return f"ItemIds({self._path!r}, {self._items})"


def item_ids(log: Log) -> ItemIds:
    """The ids of the items of a log, (n_items,) texts."""
    return ItemIds(log.path, log.info.items)


def feature_names(info: LogInfo) -> dict[str, tuple[str, ...]]:
    """The names of "context" (d,), "features" (m,) and "items" (p,), of each of these that the log has and names."""
    said: dict[str, Any] = info.provenance.get(KEY, {})
    names = {kind: tuple(said.get(kind, ())) for kind in SIZES}
    return {kind: of for kind, of in names.items() if of and len(of) == getattr(info, SIZES[kind])}
