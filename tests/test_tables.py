"""A table as aligned text."""

from __future__ import annotations

import pytest

from lersbench.tables import aligned


def test_words_stand_to_the_left_and_numbers_to_the_right() -> None:
    rows = [["linucb", "a", "1.5"], ["x", "", "10"]]
    assert aligned(["policy", "by", "n"], rows, words=2) == ["policy  by    n", "linucb  a   1.5", "x            10"]
    assert aligned(["policy"], [["x"]], words=1) == ["policy", "x"]
    assert aligned(["policy"], [], words=0) == ["policy"]


def test_rows_of_another_length_are_an_error() -> None:
    with pytest.raises(ValueError):
        aligned(["policy", "n"], [["x"]], words=1)
