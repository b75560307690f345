"""Boxes: the values that a service called through its address works on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from lersbench.kernels.indirect import Service
from lersbench.kernels.jit import woven


class Value(NamedTuple):
    numbers: np.ndarray
    scale: float


@woven
def scaled(value: Value, task: int, row: int, at: int, slot: int) -> int:
    """The number in a row, times the scale."""
    return int(value.scale * value.numbers[row, task])


SERVICE = Service(scaled, lambda: Value(np.zeros((1, 1), np.int64), 1.0))


def ask(value: Any, row: int, task: int) -> int:
    box = SERVICE.box(value)
    return SERVICE.asked(box.at, task, row, 0, 0)


def test_every_box_is_of_its_own_value() -> None:
    for size in (2, 5, 3):
        numbers = np.arange(size * size).reshape(size, size)
        assert ask(Value(numbers, 2.0), 1, 0) == 2 * size
    numbers.flags.writeable = False
    assert ask(Value(numbers, 3.0), 2, 1) == 21


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="without a compiler any value will do")
@pytest.mark.parametrize(
    "value",
    [
        Value(np.zeros((2, 2)), 1.0),
        Value(np.zeros(4, np.int64), 1.0),
        Value(np.zeros((4, 4), np.int64)[:, ::2], 1.0),
        Value(np.zeros((2, 3), np.int64).T, 1.0),
        Value(np.zeros((2, 2), np.int64), 1),
    ],
)
def test_a_value_of_another_kind_is_refused_every_time(value: Any) -> None:
    assert ask(Value(np.ones((2, 2), np.int64), 1.0), 0, 0) == 1
    for _ in range(2):
        with pytest.raises(TypeError, match="a service is for values of"):
            SERVICE.box(value)
