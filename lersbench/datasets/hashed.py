"""An order that tells nothing: that of a hash of the ids.

Shops number products and customers by age, trade or likes, and files list them so. A policy whose equal scores fall to
the lowest number would then know the answer. So whoever makes a log numbers its items, users and, where they are
exchangeable, its rounds in this order. It depends on the ids alone, whatever the machine and however they come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np


def hashed_order(ids: Iterable[Any], what: str) -> np.ndarray:
    """(n,) the places of distinct `ids`, read as text, in the order of their hash; `what` makes orders independent."""
    keys = [hashlib.sha256(f"{what}\0{one}".encode()).digest() for one in ids]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def hashed_numbers(ids: Iterable[Any], what: str) -> np.ndarray:
    """(n,) the number 0..n-1 that each of the distinct `ids` gets in that order: the inverse of `hashed_order`."""
    return np.argsort(hashed_order(ids, what))


def hashed_key(column: str, what: str) -> str:
    """The SQL that DuckDB has to order a column of ids by for that order."""
    return f"sha256('{what}' || chr(0) || {column})"
