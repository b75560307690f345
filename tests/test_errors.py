"""The end of a message about a name that nobody knows."""

from __future__ import annotations

from lersbench.errors import did_you_mean


def test_the_nearest_name_is_suggested() -> None:
    assert did_you_mean("alhpa", ["gamma", "alpha"], "known are") == "; did you mean 'alpha'?"
    assert did_you_mean("alhpa", iter(["alpha"])) == "; did you mean 'alpha'?"


def test_where_none_is_near_all_are_named_if_so_wished() -> None:
    assert did_you_mean("x", ["gamma", "alpha"], "it takes") == "; it takes gamma, alpha."
    assert did_you_mean("x", iter(["alpha"]), "it takes") == "; it takes alpha."
    assert did_you_mean("x", ["alpha"]) == "."
    assert did_you_mean("x", [], "it has") == "; it has none."
