"""The contenders of a run against each other: what separates them on this log, and for new customers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lersbench.errors import DataError
from lersbench.metrics import Metric
from lersbench.results import customers, separation
from lersbench.results.customers import LEAST_BLOCKS, Crowd, Sums
from lersbench.results.separation import Separation
from lersbench.results.tables import LOGGED, Results

OF = {  # the sums whose ratio a metric is, as customers.parquet names them
    "ctr": ("paid", "revealed"),
    "misses": ("paid", "revealed"),  # 1 - ctr
    "ctr_sum": ("paid", "rounds"),
    "ctr_set": ("sets", "rounds"),
    "reward": ("paid", "revealed"),
    "reward_sum": ("paid", "rounds"),
    "expected_ctr_sum": ("expected", "rounds"),
    "expected_ctr_set": ("expected_set", "rounds"),
}
OFF = 1e-6  # a value may differ from the ratio of its sums by this share


class Anew(NamedTuple):
    """Contenders for new customers: what their blocks paid, and their pairs."""

    people: Crowd
    pairs: Separation


def on_this_log(results: Results, variant: str, policies: Sequence[str], metric: Metric) -> Separation:
    """All pairs of `policies` by their seeds (`separation.separate`), by the final values of `metric`.

    Where replicates are halves of the log this is about new rounds already.
    """
    values = results.final(variant, metric.name).reindex(list(policies))
    found = separation.separate(
        values.to_numpy(),
        [results.family(policy) for policy in policies],
        results.replicates,
        results.resolution(variant, metric),
        results.is_steady(variant, policies),
        results.halves(values.columns),
    )
    if metric.name.startswith(LOGGED) and results.unweighed(variant):
        return found._replace(p=np.full_like(found.p, np.nan))  # seeds tell nothing of the error that counts
    return found


def for_new_customers(
    results: Results, variant: str, policies: Sequence[str], metric: Metric, here: Separation
) -> Anew | None:
    """The same pairs as `here` over new customers too (`customers.separate`); None where that cannot be said: for a
    metric that is no ratio of sums, halves of a log, and runs without sums by block of customers."""
    if metric.name not in OF or results.replicates == "subsample":
        return None
    if metric.name.startswith(LOGGED) and results.unweighed(variant):
        return None
    sums = [sums_of(results, variant, policy, metric) for policy in policies]
    known = [one for one in sums if one is not None]
    if len(known) < len(sums) or not known:
        return None
    if np.sum([one.rounds.sum(axis=0) for one in known], axis=0).astype(bool).sum() < LEAST_BLOCKS:
        return None
    people = customers.crowd(known)
    return Anew(people, customers.separate(people, here))


def sums_of(results: Results, variant: str, policy: str, metric: Metric) -> Sums | None:
    """The sums whose ratio `metric` is, by seed and block; None where the run has none.

    Raises DataError where their ratio is not the final value that the run has.
    """
    sums = results.sums(variant, policy, *OF[metric.name])
    if sums is None:
        return None
    values = results.finals(variant, metric.name).get(policy, np.empty(0))
    rounds = sums.rounds.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = sums.paid.sum(axis=1) / rounds
    rates = 1 - rates if metric.name == "misses" else rates
    if len(rates) != len(values) or not np.allclose(rates, values, rtol=OFF, atol=OFF, equal_nan=True):
        raise DataError(
            f"{results.path / 'customers.parquet'}: the sums of {policy} come to {metric.name} {rates[:3]}, "
            f"summary.parquet has {values[:3]}; run the scenario again."
        )
    return sums
