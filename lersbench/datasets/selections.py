"""What an import left out, cut or repaired, and how many rows of a join met: said where it happens, kept with the log.

The log's provenance has a list of `selections` and one of `joins`, from which a report shows them. A selection is a
dictionary: `step` (the option that asked for it), `said` (a sentence) and, where rows went, `requests`, `rows`,
`clicks` and `ctr`, each the value before and after; of a log without clicks, an outcome and `mean` in place of the last
two. A join has `what`, `rows` (that looked for a partner), `met`, and the `unit` of these two where it is not rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lersbench.errors import DataError
from lersbench.system.progress import say

CLICKS = "clicks"
ENOUGH = 0.9  # the share of rows that meet a partner, below which a join is warned of


class Tally(NamedTuple):
    """What is in a table of items shown."""

    requests: int
    rows: int
    came: float  # clicks, or the sum of an outcome

    @property
    def mean(self) -> float:
        """What came of a row."""
        return self.came / self.rows if self.rows else 0.0


class Selections:
    """The selections and joins of an import so far; `of` is what is counted as rows go: clicks, or an outcome."""

    def __init__(self, of: str = CLICKS) -> None:
        self.of = of
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
        total, rate, mean = (",.0f", ".2%", "ctr") if self.of == CLICKS else (",.6g", ".4g", "mean")
        parts.append(f"{before.came - after.came:{total}} of {before.came:{total}} {self.of} lost")
        rates = f"{self.of} a row {before.mean:{rate}} before, {after.mean:{rate}} after"
        said = f"{step}: {what}{', '.join(parts)}; {rates}"
        say(said)
        ours = {"requests": "requests", "rows": "rows", self.of: "came", mean: "mean"}
        record = {key: [getattr(before, value), getattr(after, value)] for key, value in ours.items()}
        if self.of == CLICKS:
            record[CLICKS] = [int(clicks) for clicks in record[CLICKS]]
        self.selections.append({"step": step, "said": said, **record})

    def joined(self, what: str, rows: int, met: int, fix: str, unit: str = "rows") -> None:
        """`met` of `rows` rows (or another unit) found their partner. Raises a DataError where none did."""
        if rows and not met:
            raise DataError(f"{what}: none of {rows:,} {unit} met. Fix: {fix}")
        warning = "" if met >= ENOUGH * rows else f"; warning: the others have nothing of it ({fix})"
        say(f"{what}: {met:,} of {rows:,} {unit} met ({met / max(rows, 1):.1%}){warning}")
        self.joins.append({"what": what, "rows": rows, "met": met} | ({} if unit == "rows" else {"unit": unit}))

    @property
    def facts(self) -> dict[str, Any]:
        """For the provenance of the log."""
        return {"selections": self.selections, "joins": self.joins}
