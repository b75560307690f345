"""Policies side by side over the same rows: compiled ones in threads, since their loops hold no lock of Python's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lersbench.policy import KernelPolicy

Each = Callable[[Callable[[Any], None]], None]  # has something done for every policy


@contextmanager
def side_by_side(judged: Sequence[Any]) -> Iterator[Each]:
    """Yields what does a piece of work for each of `judged`, which have a `policy`; results do not depend on threads.

    Policies in Python, and those of libraries with threads of their own, have their turn one after the other.
    """
    compiled = [one for one in judged if isinstance(one.policy, KernelPolicy) and not one.policy.apart]
    alone = [one for one in judged if one not in compiled]
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def each(work: Callable[[Any], None]) -> None:
            for future in [pool.submit(work, one) for one in compiled]:
                future.result()
            for one in alone:
                work(one)

        yield each
