"""Lengths of time in words, such as "30 min"."""

from __future__ import annotations

import re

UNITS = {"ms": 1e3, "s": 1e6, "min": 6e7, "h": 3.6e9, "d": 8.64e10}  # in microseconds


def microseconds(text: str) -> int:
    """A time such as "30 min" or "60s" in microseconds. Raises ValueError where it is none, or no time from 0 on."""
    parts = re.fullmatch(r"\s*([0-9.eE+-]*[0-9.])\s*([a-z]+)\s*", text)
    try:
        value = float(parts[1]) * UNITS[parts[2]] if parts else -1.0
    except (ValueError, KeyError):
        value = -1.0
    if not 0.0 <= value < 2.0**62:
        raise ValueError(f"{text!r} is no time such as '30 min' ({', '.join(UNITS)})")
    return round(value)
