"""The speed of off-policy sums, after they were found equal to NumPy's on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .offpolicy import Rows, check, epsilon_rows, nanoseconds, numpy_all, ours, softmax_rows


@pytest.mark.parametrize("rows_of", [softmax_rows, epsilon_rows])
def test_speed(rows_of: Callable[[int], Rows], benchmark: Any) -> None:
    check(rows_of(20_000))
    rows = rows_of(500_000)
    benchmark.pedantic(ours, (rows,), rounds=3, warmup_rounds=1)
    benchmark.extra_info.update(ours=nanoseconds(ours, rows), numpy=nanoseconds(numpy_all, rows))
