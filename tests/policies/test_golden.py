"""Every policy still draws the curve it drew when it was last checked against its paper."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support import golden
from tests.support.siblings import SIBLINGS

EXPECTED = json.loads(golden.FILE.read_text())
ROWS = golden.world()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.sibling if name in SIBLINGS else ()) for name in golden.NAMES]
)
def test_golden_curve(name: str) -> None:
    assert name in EXPECTED, "a new policy: run python -m tests.support.golden"
    got = golden.curve(name, ROWS)
    for metric, values in EXPECTED[name].items():
        assert len(values) == golden.POINTS
        np.testing.assert_allclose(got[metric], values, rtol=1e-9, atol=1e-12, err_msg=f"{name}, {metric}")


def test_learners_beat_chance_on_the_golden_world() -> None:
    final = {name: EXPECTED[name]["ctr_sum"][-1] for name in golden.NAMES}
    for name in ("linucb", "linucb-hybrid", "ucb1", "thompson", "epsilon-greedy"):
        assert final[name] > final["random"], (name, final)
