"""Watch time as an outcome of a log: seconds, with a range that is declared and not taken from the files."""

from __future__ import annotations

from typing import Any

import numpy as np

from lersbench.system.progress import say

NAME = "watch_s"
COLUMN = f"outcome_{NAME}"


class Watch:
    """Watch times in seconds from 0 to `longest`; longer ones are cut to it and counted."""

    def __init__(self, longest: float) -> None:
        self.longest, self.times, self.cut = longest, 0, 0

    def seconds(self, milliseconds: np.ndarray) -> np.ndarray:
        """(n,) float64 from (n,) milliseconds."""
        seconds = milliseconds / 1000.0
        self.times += len(seconds)
        self.cut += int((seconds > self.longest).sum())
        return np.minimum(seconds, self.longest)

    def say(self) -> None:
        if self.cut:
            say(f"watch times: {self.cut:,} of {self.times:,} are cut to {self.longest:g} s (--longest-watch)")

    @property
    def outcomes(self) -> dict[str, Any]:
        """As `lersbench.log.write` takes it."""
        return {NAME: {"low": 0.0, "high": self.longest, "unit": "s"}}

    @property
    def facts(self) -> dict[str, Any]:
        """For the provenance of the log."""
        return {"longest watch time": self.longest, "watch times cut to it": self.cut}
