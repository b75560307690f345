"""The axes of a curve: the metrics that are drawn, their titles, and ticks with commas between thousands."""

from __future__ import annotations

from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lersbench.metrics import METRICS, Metric

LESS = replace(METRICS["regret"], name="regret_less")  # the regret less the baseline's
TITLES = {  # axis titles that say more than the metric's
    "ctr_sum": "Clicks per round (CTR_sum)",
    "expected_ctr_sum": "True CTR_sum (clicks per round)",
    "regret": "Cumulative regret (clicks)",
    "regret_less": "Difference (clicks)",
    "matches": "Matched rounds",
    "entropy": "Entropy of exposure (1 = even)",
    "gini": "Gini index of exposure (0 = even)",
    "similarity": "Intra-list similarity (mean cosine; low = diverse)",
}


def metric_of(name: str) -> Metric:
    """The metric called `name`, or LESS."""
    return LESS if name == LESS.name else METRICS[name]


def axis_title(metric: Metric) -> str:
    """What stands at the axis of `metric`, with its unit."""
    title = TITLES.get(metric.name, metric.title).removesuffix(", as published")
    return f"{title} (%)" if metric.unit == "%" else title


def set_round_ticks(ax: Axes, ticks: int) -> None:
    """At most `ticks` whole rounds on the axis of x; commas between thousands on both axes."""
    ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if max(map(abs, ax.get_ylim())) >= 1000:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}".replace("-", "\N{MINUS SIGN}")))
