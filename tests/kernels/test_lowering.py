"""What a kernel was given is not counted, and all else is: nothing is freed while it is used, nothing is kept."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba.core.compiler import Flags
from numba.core.runtime import _nrt_python, rtsys

from lersbench.kernels.jit import inner, kernel
from lersbench.kernels.lowering import Settings
from lersbench.kernels.uncounted import borrow, part

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")


class Inner(NamedTuple):
    numbers: np.ndarray
    places: np.ndarray


class Outer(NamedTuple):
    inner: Inner
    weight: float


@kernel
def sum_of(outer: Outer) -> float:
    return outer.inner.numbers.sum() * outer.weight + outer.inner.places[0]


@kernel
def field_of(outer: Outer) -> np.ndarray:
    return outer.inner.numbers


@kernel
def same(outer: Outer) -> Outer:
    other = outer
    return other  # noqa: RET504  # a variable of its own is what is tried


@kernel
def either(outer: Outer, count: int) -> np.ndarray:
    """A variable that holds what was given at first, then arrays of its own."""
    numbers = outer.inner.numbers
    for i in range(count):
        numbers = numbers + i
    return numbers


@inner
def first_of(outer: Outer, place: int) -> float:
    inner = outer.inner
    numbers, again = inner.numbers, inner.numbers
    return numbers[place] * again[place]


@kernel
def first_of_both(outer: Outer, place: int) -> float:
    return first_of(outer, place)


@inner
def made(count: int) -> Outer:
    return Outer(Inner(np.full(count, 2.0), np.arange(count)), 3.0)


@kernel
def sums_of_made(count: int) -> float:
    total = 0.0
    for _ in range(count):
        outer = made(count)
        numbers = outer.inner.numbers
        total += sum_of(outer) + numbers[0]
    return total


@kernel
def chosen(outer: Outer, first: bool) -> Inner:
    """A tuple of lent and own arrays."""
    own = np.ones(3)
    picked = outer.inner.numbers if first else own
    return Inner(picked, outer.inner.places)


@kernel
def sum_of_parts(outer: Outer) -> float:
    inner = borrow(outer).inner
    total = 0.0
    for i in range(inner.numbers.shape[0]):
        pair = Inner(part(inner.numbers, 0, i + 1), part(inner.places, 0, 1))
        total += pair.numbers.sum() + pair.places[0]
    return total


def outer_of(n: int = 4) -> Outer:
    return Outer(Inner(np.arange(n) + 1.0, np.arange(n)), 0.5)


def unfreed() -> int:
    _nrt_python.memsys_enable_stats()
    stats = rtsys.get_allocation_stats()
    return stats.alloc - stats.free


def test_what_is_returned_lives_on_without_what_it_came_from() -> None:
    numbers, whole = field_of(outer_of()), same(outer_of())
    assert numbers.tolist() == [1, 2, 3, 4]
    assert whole.inner.numbers.tolist() == [1, 2, 3, 4] and whole.inner.places.tolist() == [0, 1, 2, 3]
    assert [either(outer_of(), count).tolist()[0] for count in (0, 1, 4)] == [1, 1, 7]
    assert chosen(outer_of(), True).numbers.tolist() == [1, 2, 3, 4] and chosen(outer_of(), False).numbers[2] == 1


def test_the_references_of_what_is_given_are_what_they_were() -> None:
    outer = outer_of()
    held = [sys.getrefcount(array) for array in outer.inner]
    for _ in range(100):
        assert sum_of(outer) == 5 and sum_of_parts(outer) == 1 + 3 + 6 + 10
        field_of(outer), same(outer), either(outer, 2), chosen(outer, True), chosen(outer, False)
    assert [sys.getrefcount(array) for array in outer.inner] == held


def test_arrays_of_a_kernel_are_freed_once() -> None:
    assert sums_of_made(3) == 3 * (3 * 2 * 3.0 + 2)
    before = unfreed()
    for _ in range(10):
        sums_of_made(5), either(outer_of(), 3), chosen(outer_of(), False), sum_of_parts(outer_of()), same(outer_of())
    assert unfreed() == before


def test_nothing_is_counted_of_what_is_only_read() -> None:
    assert first_of_both(outer_of(), 0) == 1
    assert sums_of_made(1) > 0
    (read,), (owning,) = first_of.overloads.values(), made.overloads.values()
    assert "NRT_" not in read.library.get_llvm_str() and "NRT_" in owning.library.get_llvm_str()


def test_settings_are_equal_where_numba_s_are() -> None:
    one, other = Flags(), Flags()
    one.nrt = other.nrt = True
    assert Settings(one) == Settings(other) and hash(Settings(one)) == hash(Settings(other))
    other.forceinline = True
    assert Settings(one) != Settings(other)
