"""The contract, for every policy in the directory."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError, MissingPackage
from lersbench.policy import KernelPolicy, find, load, names, require
from lersbench.sources import closure
from lersbench.testing import checks, engines, worlds
from tests.support import models
from tests.support.siblings import SIBLINGS

NAMES = [name for name in names() if name not in models.MISSING]
KERNELS = [name for name in NAMES if issubclass(find(name), KernelPolicy)]
NETWORKS = [name for name in NAMES if name not in KERNELS]
_CONTEXT = {"streamer_state": 6, "basket_state": 7, "code": 4, "orders": 2, "baskets": 3}
SMALL: dict[str, dict[str, Any]] = {  # networks that are quick to play, with every part of those as they stand
    "bayes-by-backprop": {"hidden": 8, "first_steps": 20, "steps": 20},
    "lers": _CONTEXT,
    "lers-context": _CONTEXT,
    "lers-recommendation": {**_CONTEXT, "draws": 5},
    "lers-both": {**_CONTEXT, "draws": 5},
}
TABLES: dict[str, dict[str, Any]] = {
    "scores": {"table": str(Path(__file__).parents[1] / "support" / "scores.csv")},
    **models.PARAMS,
}
"""What cannot be played as it stands: these have no default that says where a table lies."""
REPEATS = ("lers-context", "lers-recommendation")
"""Their parts are those of `lers` (a plain code, a plain recommender) and `lers-both` (a sampled code, a Bayesian
recommender). So what plays them whole is slow (`make test-slow`), but for what `test_lers` does to all four."""
LONG = {  # `test_lers` has what the LERS policies learn; neural-ts chooses and learns as neural-ucb does
    checks.check_learns: ("lers", "lers-both", "neural-ts"),
    checks.check_order: ("lers-both", "neural-ts", "neural-linear"),
}
"""What takes seconds a policy, and is no part of the fast tests for those."""
ON_THE_CLOCK = ("random", "linucb", "iba-linucb", "exp3m", "lers", "neural-ucb")
"""Of these the fast tests play delayed feedback, for which a loop of its own is compiled."""
UNPLAYED = (checks.check_hyper_parameters, checks.check_source)
BRIEF = (*UNPLAYED, checks.check_wins, checks.check_one_signature)


@functools.cache
def bench(name: str, small: bool = True) -> engines.Bench:
    return engines.Bench(load(name, **TABLES.get(name, {}), **SMALL.get(name, {}) if small else {}))


def cases() -> list[Any]:
    """(check, policy, is it a small one): networks that play are small ones here, and as they stand with the slow."""
    found = []
    for contract, name in itertools.product(checks.CHECKS, NAMES):
        called = f"{contract.__name__}-{name}"
        small = name in SMALL and contract not in BRIEF
        if small:
            found.append(pytest.param(contract, name, False, id=f"{called}-as-it-stands", marks=pytest.mark.slow))
        if not small or name not in REPEATS:
            long = name in LONG.get(contract, ()) or (name in SIBLINGS and contract not in UNPLAYED)
            long |= contract is checks.check_clock and name not in ON_THE_CLOCK
            marks = pytest.mark.sibling if long else ()
            found.append(pytest.param(contract, name, small, id=called, marks=marks))
    return found


@pytest.mark.parametrize(("contract", "name", "small"), cases())
def test_contract(contract: Callable[[engines.Bench], None], name: str, small: bool) -> None:
    contract(bench(name, small))


@pytest.mark.parametrize("name", models.EXTRAS)
def test_a_policy_of_another_package_is_tested_where_that_is_installed(name: str) -> None:
    """It is one of those that all tests here play; or it is refused with the command that installs the package."""
    if name in models.MISSING:
        with pytest.raises(MissingPackage, match=rf"pip install 'lersbench\[{models.EXTRAS[name][1]}\]'"):
            load(name)
        pytest.skip(f"{models.EXTRAS[name][0]} is not installed")
    assert name in NAMES


def test_every_file_of_the_directory_is_a_policy_with_a_name() -> None:
    assert set(NAMES) <= set(names())
    assert len({find(name) for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_kept_by_the_file_that_lays_out_its_state(name: str) -> None:
    """Compiled code is named by what the kernel's file draws on: a state from elsewhere could change it unnoticed."""
    policy = load(name, **TABLES.get(name, {}))
    assert isinstance(policy, KernelPolicy)
    state = policy.init(worlds.make_world(5, 5, 2).spec)
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


def test_a_text_has_a_range_too() -> None:
    """What authors call with their own hyper-parameters asks no text whether it is a finite number."""

    @dataclasses.dataclass(frozen=True)
    class Bold:
        how: str = "very"
        far: float = float("inf")

    require(True, Bold(), "how", "a word")
    with pytest.raises(ConfigError, match="Bold: how = 'very' must be another word"):
        require(False, Bold(), "how", "another word")
    with pytest.raises(ConfigError, match="Bold: far = inf must be near"):
        require(True, Bold(), "far", "near")


@pytest.mark.parametrize("name", ["exp3", "exp3m"])
def test_the_horizon_formula_needs_a_horizon(name: str) -> None:
    spec = dataclasses.replace(worlds.make_world(5, 3, 1).spec, rounds=0)
    with pytest.raises(ConfigError, match="gamma"):
        load(name, gamma=0.0).init(spec)


INTERPRETED = """
import json, sys, numba
from lersbench.testing import checks, engines, worlds
from lersbench.policy import load
assert numba.config.DISABLE_JIT
world = worlds.make_world(40, 5, 2, 7)
told = json.loads(sys.argv[1])
runs = {name: engines.Bench(load(name, **params)).play(world) for name, params in told.items()}
print(json.dumps({name: [run.slates.tolist(), run.scores.tolist()] for name, run in runs.items()}))
"""


def without_the_compiler(*command: str) -> str:
    """The output of a Python that runs every kernel, the loop included, as plain Python."""
    told = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, *command], env=told, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([name for name in KERNELS if name not in SIBLINGS], id="kernels"),
        pytest.param([*SIBLINGS, *NETWORKS], id="siblings and torch", marks=pytest.mark.sibling),
    ],
)
def test_whole_runs_are_the_same_without_the_compiler(names: list[str]) -> None:
    """Of a policy in PyTorch it is only the engine that is compiled, and that is the engine of all."""
    params = {name: TABLES.get(name, {}) | SMALL.get(name, {}) for name in names}
    found = json.loads(without_the_compiler("-c", INTERPRETED, json.dumps(params)))
    world = worlds.make_world(40, 5, 2, 7)
    for name in names:
        run = bench(name).play(world)
        assert run.slates.tolist() == found[name][0], name
        assert np.allclose(run.scores, found[name][1], rtol=1e-9, atol=1e-9), name


def test_twins_and_arithmetic_hold_without_the_compiler() -> None:
    folder = Path(__file__).parents[1]
    names = ("policies/test_twins.py", "kernels/test_ties.py", "kernels/test_linalg.py")
    tests = [str(folder / name) for name in names]
    out = without_the_compiler("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *tests)
    assert " passed" in out and "failed" not in out and "skipped" not in out
