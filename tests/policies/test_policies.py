"""The contract, for every policy in the directory."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lersbench.errors import ConfigError
from lersbench.policy import KernelPolicy, find, load, names
from lersbench.sources import closure
from lersbench.testing import checks

NAMES = names()


@functools.cache
def bench(name: str) -> checks.Bench:
    return checks.Bench(load(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("contract", checks.CHECKS, ids=lambda c: c.__name__)
def test_contract(name: str, contract: Callable[[checks.Bench], None]) -> None:
    contract(bench(name))


def test_every_file_of_the_directory_is_a_policy_with_a_name() -> None:
    assert set(NAMES) <= set(names())
    assert len({find(name) for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if issubclass(find(name), KernelPolicy)])
def test_a_kernel_is_kept_by_the_file_that_lays_out_its_state(name: str) -> None:
    """Compiled code is named by what the kernel's file draws on: a state from elsewhere could change it unnoticed."""
    policy = load(name)
    assert isinstance(policy, KernelPolicy)
    state = policy.init(checks.make_world(5, 5, 2).spec)
    layout = Path(sys.modules[type(state).__module__].__file__ or "")
    for function in policy.kernels:
        assert layout in closure(function.py_func.__module__), function


@pytest.mark.parametrize("name", NAMES)
def test_hyper_parameters_are_checked(name: str) -> None:
    """A negative or infinite number is refused where it makes no sense: by name, with the value."""
    kind = find(name)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.type in ("float", float):
            for value in (-1.0, float("nan"), float("inf")):
                with pytest.raises(ConfigError) as caught:
                    kind(**{field.name: value})
                assert field.name in str(caught.value) and str(value).lstrip("-").split(".")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "param", "value"),
    [
        ("epsilon-greedy", "epsilon", 1.01),
        ("exp3", "gamma", 1.5),
        ("exp3m", "gamma", 1.5),
        ("softmax", "temperature", 0.0),
        ("thompson", "prior_a", 0.0),
        ("thompson", "prior_b", 0.0),
        ("popular", "prior", 0.0),
        ("linucb-k", "ridge", 0.0),
        ("linucb-hybrid", "ridge", 0.0),
        ("lints", "ridge", 0.0),
    ],
)
def test_ranges(name: str, param: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{param} = {value} must be"):
        load(name, **{param: value})


@pytest.mark.parametrize("name", ["exp3", "exp3m"])
def test_the_horizon_formula_needs_a_horizon(name: str) -> None:
    spec = dataclasses.replace(checks.make_world(5, 3, 1).spec, rounds=0)
    with pytest.raises(ConfigError, match="gamma"):
        load(name, gamma=0.0).init(spec)


INTERPRETED = """
import json, sys, numba
from lersbench.testing import checks
from lersbench.policy import load
assert numba.config.DISABLE_JIT
world = checks.make_world(40, 5, 2, 7)
runs = {name: checks.Bench(load(name)).play(world) for name in sys.argv[1:]}
print(json.dumps({name: [run.slates.tolist(), run.scores.tolist()] for name, run in runs.items()}))
"""


def without_the_compiler(*command: str) -> str:
    """The output of a Python that runs every kernel, the loop included, as plain Python."""
    told = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, *command], env=told, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_whole_runs_are_the_same_without_the_compiler() -> None:
    found = json.loads(without_the_compiler("-c", INTERPRETED, *NAMES))
    world = checks.make_world(40, 5, 2, 7)
    for name in NAMES:
        run = bench(name).play(world)
        assert run.slates.tolist() == found[name][0], name
        assert np.allclose(run.scores, found[name][1], rtol=1e-9, atol=1e-9), name


def test_twins_and_arithmetic_hold_without_the_compiler() -> None:
    folder = Path(__file__).parents[1]
    names = ("policies/test_twins.py", "kernels/test_ties.py", "kernels/test_linalg.py")
    tests = [str(folder / name) for name in names]
    out = without_the_compiler("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *tests)
    assert " passed" in out and "failed" not in out and "skipped" not in out
