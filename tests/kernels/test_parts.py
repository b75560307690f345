"""Parts: code that is finished in its callers only, and behaves as the function itself does."""

from __future__ import annotations

import pickle

import numba
import numpy as np
import pytest

from lersbench.kernels.jit import inlined, inner, kernel

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")


@inlined
def share(numbers: np.ndarray, total: float) -> float:
    return numbers[0] / total


@inner
def checked(numbers: np.ndarray) -> float:
    if numbers[0] < 0:
        raise ValueError("negative")
    return share(numbers, numbers.sum())


@kernel
def twice(numbers: np.ndarray) -> float:
    return 2 * checked(numbers) + 0.1


@kernel
def of_twice(numbers: np.ndarray) -> float:
    return twice(numbers)


def test_what_only_compiled_code_calls_is_made_machine_code_in_its_caller_alone() -> None:
    numbers = np.array([1.0, 2.0, 4.0])
    assert of_twice(numbers) == 2 * (1 / 7) + 0.1
    assert not twice.overloads and len(twice.part.overloads) == 1
    assert not share.overloads and len(share.part.overloads) == 1
    with pytest.raises(TypeError, match="checked is called by compiled code only"):
        checked(numbers)


def test_a_function_and_its_part_give_the_same_bits() -> None:
    for numbers in np.random.default_rng(0).standard_normal((100, 50)) ** 2:
        assert twice(numbers) == of_twice(numbers)


def test_an_error_in_a_part_reaches_python_with_its_words() -> None:
    with pytest.raises(ValueError, match="negative"):
        of_twice(np.array([-1.0, 2.0]))
    with pytest.raises(ZeroDivisionError):
        of_twice(np.zeros(2))


def test_a_kernel_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(twice))
    assert copy(np.array([1.0, 1.0])) == 1.1
