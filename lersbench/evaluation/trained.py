"""Scores that come from elsewhere: were they made from the rewards that they are judged by?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from lersbench.errors import ConfigError
from lersbench.evaluation.logged import Source
from lersbench.evaluation.setup import moment_of
from lersbench.offpolicy.verdict import CAUTION


def caps(source: Source, label: str, policy: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """What the verdict on a policy may not exceed for this reason, and notes on it; nothing for other policies.

    Raises ConfigError for a date that is none.
    """
    until = getattr(policy, "trained_until", None)
    if until is None:
        return [], []
    if not until:
        return [], [
            f"Nothing says up to when the ranker behind {label} had seen rewards. If rows judged here are among them, "
            "its value is too high: say so with trained_until, and judge later rows (--frozen DATE)."
        ]
    moment = moment_of(until, f"{label}: trained_until")
    if "time" not in source.log.info.columns:
        raise ConfigError(f"{label}: trained_until = {until!r}, but log '{source.log.info.name}' has no times.")
    one = next(source.read())
    first = int(one.rows.time[one.inside[0]])
    if moment <= first:
        return [], []
    day = f"{pd.Timestamp(first, unit='us'):%Y-%m-%d}"
    words = f"its ranker had seen rewards up to {until}, and rows from {day} on are judged"
    return [(CAUTION, words)], [f"{label}: {words}, so its value is too high by an unknown amount."]
