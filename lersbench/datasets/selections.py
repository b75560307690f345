"""What an import left out, cut or repaired, and how many rows of a join met: said where it happens, kept with the log.

The log's provenance has a list of `selections` and one of `joins`, from which a report shows them. A selection is a
dictionary: `step` (the option that asked for it), `said` (a sentence) and, where rows went, `requests`, `rows`,
`clicks` and `ctr`, each the value before and after. A join has `what`, `rows` (that looked for a partner), `met`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lersbench.errors import DataError
from lersbench.system.progress import say

ENOUGH = 0.9  # the share of rows that meet a partner, below which a join is warned of


class Tally(NamedTuple):
    """What is in a table of items shown."""

    requests: int
    rows: int
    clicks: int

    @property
    def ctr(self) -> float:
        """Clicks a row."""
        return self.clicks / self.rows if self.rows else 0.0


class Selections:
    """The selections and joins of an import so far."""

    def __init__(self) -> None:
        self.selections: list[dict[str, Any]] = []
        self.joins: list[dict[str, Any]] = []

    def repaired(self, step: str, what: str) -> None:
        """Cells were changed, rows stayed."""
        said = f"{step}: {what}"
        say(said)
        self.selections.append({"step": step, "said": said})

    def left_out(self, step: str, before: Tally, after: Tally, what: str = "") -> None:
        """Rows went; `what` says which, where that does not follow from the step."""
        parts = [f"{before.rows - after.rows:,} of {before.rows:,} rows left out"]
        if before.requests != after.requests and before.requests != before.rows:
            parts.append(f"{before.requests - after.requests:,} of {before.requests:,} requests")
        parts.append(f"{before.clicks - after.clicks:,} of {before.clicks:,} clicks lost")
        said = f"{step}: {what}{', '.join(parts)}; clicks a row {before.ctr:.2%} before, {after.ctr:.2%} after"
        say(said)
        record = {key: [getattr(before, key), getattr(after, key)] for key in ("requests", "rows", "clicks", "ctr")}
        self.selections.append({"step": step, "said": said, **record})

    def joined(self, what: str, rows: int, met: int, fix: str) -> None:
        """`met` of `rows` rows found their partner. Raises a DataError where none did."""
        if rows and not met:
            raise DataError(f"{what}: none of {rows:,} rows met. Fix: {fix}")
        warning = "" if met >= ENOUGH * rows else f"; warning: the others have nothing of it ({fix})"
        say(f"{what}: {met:,} of {rows:,} rows met ({met / max(rows, 1):.1%}){warning}")
        self.joins.append({"what": what, "rows": rows, "met": met})

    @property
    def facts(self) -> dict[str, Any]:
        """For the provenance of the log."""
        return {"selections": self.selections, "joins": self.joins}
