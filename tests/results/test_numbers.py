"""Numbers as text: units and decimals."""

from __future__ import annotations

import math

from lersbench.metrics import METRICS
from lersbench.results import numbers
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid", "ucb1")}


def test_percent_and_digits() -> None:
    hit, rate = METRICS["hr@20"], METRICS["ctr_sum"]
    assert numbers.decimals(1.234, hit) == 1  # 37.5 +- 1.2
    assert numbers.decimals(0.012, rate) == 3
    assert numbers.decimals(0.00001, hit) == 2
    assert numbers.decimals(250.0, METRICS["regret"]) == 0
    assert numbers.number(12345.678, 1) == "12,345.7"
    assert numbers.number(math.nan, 2) == "-"
    assert numbers.heading(hit) == "hr@20 %"
