"""The speed of every workload, after its choices were found equal to the strict textbook loop's."""

from __future__ import annotations

from typing import Any

import pytest

from .speed import rates
from .workloads import WORKLOADS


@pytest.mark.parametrize("name", WORKLOADS)
def test_speed(name: str, benchmark: Any) -> None:
    workload = WORKLOADS[name]()
    differ, gap = workload.verdict(workload.choices())
    assert differ == 0 or gap < 1e-12, f"{differ} choices differ from the textbook's, by up to {gap}"
    benchmark.pedantic(workload.play, setup=lambda: ((workload.contender(),), {}), rounds=3)
    numpy, ours = rates(workload, repeats=1)
    benchmark.extra_info.update(numpy=numpy, ours=ours, multiple=ours / numpy, must=workload.must, reach=workload.reach)
