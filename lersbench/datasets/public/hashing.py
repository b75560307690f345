"""Named values of any number, hashed into a vector of one width.

Logs of decisions name features as they like, and new names come all the time. As Vowpal Wabbit does, a name is hashed
to a place and a sign; names that fall on the same place add up. The hash is of the name alone, the same on every
machine. (Kilian Weinberger, Anirban Dasgupta, John Langford, Alex Smola, Josh Attenberg: Feature Hashing for Large
Scale Multitask Learning, ICML 2009.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np


@lru_cache(1 << 18)
def _place(name: str) -> tuple[int, float]:
    digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return digest >> 1, 1.0 if digest & 1 else -1.0


def hashed(pairs: Iterable[tuple[str, float]], width: int) -> np.ndarray:
    """(width,) the sum of named values, each at its place and with its sign."""
    values = np.zeros(width)
    for name, value in pairs:
        place, sign = _place(name)
        values[place % width] += sign * value
    return values


def named(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The named values of JSON: a number has its own, a text and a truth are 1 of "name=text", a list and an object
    name their parts. What begins with _ is no feature, nor is a null."""
    if isinstance(value, dict):
        for key, part in value.items():
            if not key.startswith("_"):
                yield from named(part, f"{name}^{key}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from named(part, name if isinstance(part, dict | str) else f"{name}^{place}")
    elif isinstance(value, bool):
        if value:
            yield name, 1.0
    elif isinstance(value, int | float):
        yield name, float(value)
    elif isinstance(value, str):
        yield f"{name}={value}", 1.0
