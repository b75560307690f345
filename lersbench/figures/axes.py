"""The axes of a curve: the metrics that are drawn, their titles, and ticks with commas between thousands."""

from __future__ import annotations

from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lersbench.metrics import METRICS, Metric
from lersbench.results.tables import Results

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


def metric_of(results: Results, name: str) -> Metric:
    """The metric called `name`, or LESS, as this run has it."""
    return replace(results.metric("regret"), name=LESS.name) if name == LESS.name else results.metric(name)


def full_title(metric: Metric) -> str:
    """The title of a figure of `metric`, with the unit of what is paid."""
    return f"{metric.title} ({metric.named})" if metric.named else metric.title


def axis_title(metric: Metric) -> str:
    """What stands at the axis of `metric`, with its unit."""
    title = TITLES.get(metric.name, metric.title).removesuffix(", as published")
    if metric.named:
        return f"{title.removesuffix(' (clicks)')} ({metric.named})"
    return f"{title} (%)" if metric.unit == "%" else title


def set_round_ticks(ax: Axes, ticks: int) -> None:
    """At most `ticks` whole rounds on the axis of x; commas between thousands on both axes."""
    if ax.get_xscale() == "linear":
        ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if max(map(abs, ax.get_ylim())) >= 1000:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}".replace("-", "\N{MINUS SIGN}")))
