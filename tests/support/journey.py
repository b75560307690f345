"""The logs of the stock scenarios on real purchases, which are kept once they are built."""

from __future__ import annotations

from lersbench.datasets import build
from lersbench.log import Log

LIKE_DAYS = {"active": 7, "normal": 14, "repeat": 7}


def journey(scenario: str) -> Log:
    return build("completejourney", scenario=scenario, like_days=LIKE_DAYS[scenario])
