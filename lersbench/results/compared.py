"""The contenders of a run against each other: what separates them on this log, and for new customers."""

from __future__ import annotations

from collections.abc import Sequence

from lersbench.metrics import Metric
from lersbench.results import separation
from lersbench.results.separation import Separation
from lersbench.results.tables import Results


def on_this_log(results: Results, variant: str, policies: Sequence[str], metric: Metric) -> Separation:
    """All pairs of `policies` by their seeds (`separation.separate`), by the final values of `metric`."""
    values = results.final(variant, metric.name).reindex(list(policies))
    return separation.separate(
        values.to_numpy(),
        [results.family(policy) for policy in policies],
        results.replicates,
        results.resolution(variant, metric),
        results.is_steady(variant, policies),
        results.halves(values.columns),
    )
