"""Days and loggers of a log, as slices in which the mean weight must be 1 as everywhere else.

A log of several logging policies is weighed row by row, each by the propensity that its own logger gave: logs do not
hold what the other loggers would have given, which balanced weights need (see `offpolicy.balanced`). A logger whose
propensities are wrong shows in its slice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.log import Log

DAY = 86_400_000_000  # microseconds
MOST = 31  # slices of each kind


class Spells(NamedTuple):
    first: int  # day, since 1970
    days: int  # from it on; 0 where the log has no times, or one day
    each: int  # days of a slice
    loggers: int  # logging policies; 0 where there is one

    @property
    def parts(self) -> int:
        """Slices of days."""
        return -(-self.days // self.each) if self.days else 0

    def numbers(self, start: int, time: np.ndarray, logger: np.ndarray) -> list[np.ndarray]:
        """The numbers from `start` on of the slices of rounds (n,), a column a kind."""
        columns = []
        if self.days:
            columns.append(start + (time // DAY - self.first) // self.each)
        if self.loggers:
            columns.append(start + self.parts + np.minimum(logger, MOST - 1))
        return columns

    @property
    def names(self) -> list[str]:
        """What each slice is called."""
        names = []
        for part in range(self.parts):
            low = self.first + part * self.each
            ends = [_date(low), _date(min(low + self.each, self.first + self.days) - 1)]
            names.append(f"the day {ends[0]}" if ends[0] == ends[1] else f"the days {ends[0]} to {ends[1]}")
        shown = min(self.loggers, MOST)
        names += [f"logger {i}" for i in range(shown)]
        if self.loggers > MOST:
            names[-1] = f"loggers {MOST - 1} to {self.loggers - 1}"
        return names


def spells_of(log: Log) -> Spells:
    """By one pass over times and loggers."""
    names = [name for name in ("time", "logger") if name in log.info.columns]
    first, last, loggers = np.iinfo(np.int64).max, np.iinfo(np.int64).min, 0
    for chunk in log.read(columns=names) if names else ():
        if len(chunk.time):
            first, last = min(first, int(chunk.time.min())), max(last, int(chunk.time.max()))
        loggers = max(loggers, int(chunk.logger.max(initial=-1)) + 1)
    days = last // DAY - first // DAY + 1 if last >= first else 0
    return Spells(first // DAY, days if days > 1 else 0, max(1, -(-days // MOST)), loggers if loggers > 1 else 0)


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))
