"""Logs some of whose lists were put in uniformly random order, while a ranker ordered the others.

Their column `logger` is 0 (the ranker) or 1 (random), and `provenance` says so under "random_logger": 1. Random means
that, of a list, every order of the items it showed was equally likely; which items these are may depend on anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

KEY = "random_logger"  # of the provenance
LOGGER = 1  # who ordered the random lists
NAMES = ["the ranker", "random order"]  # of the loggers, by number


def said_of(requests: int) -> dict[str, Any]:
    """For the provenance of a log, `requests` of which are in random order."""
    return {KEY: LOGGER, "loggers": NAMES, "requests in random order": requests}


def is_said(provenance: Mapping[str, Any], columns: Collection[str]) -> bool:
    """Does a log of these columns say which of its lists are in random order?"""
    return KEY in provenance and "logger" in columns


def without(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance of a part of such a log, all of whose lists were ordered alike."""
    return {key: value for key, value in provenance.items() if key not in said_of(0)}
