"""What curves and hit ratios are drawn of: means with intervals, from the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lersbench.figures.axes import LESS, metric_of
from lersbench.figures.bands import (
    Band,
    Bands,
)
from lersbench.metrics import METRICS
from lersbench.results.curves import band, freedom, standard_errors
from lersbench.results.statistics import around
from lersbench.results.tables import Results

POINTS = 200  # points of a curve that are drawn; more cannot be seen
SAME = {  # why the two of a pair may be equal, by the first; then one is drawn
    "regret_published": "Equal to the published regret: no policy here stays silent.",
    "hr20_per_round_published": "Equal to the published values: no two scores that matter are tied here.",
}
ONE_RATE = "With one item shown per round, {} are the same number, so one of them is drawn."
RATES = ("reward_sum", "reward", "ctr_sum", "ctr_set", "ctr")


def curve_bands(results: Results, metrics: Iterable[str], policies: Sequence[str]) -> dict[tuple[str, str], Bands]:
    """The curves over rounds of `policies`, by (variant, metric); a policy without the metric is left out."""
    bands: dict[tuple[str, str], dict[str, Band]] = {}
    for metric in dict.fromkeys(metrics):  # one at a time: all would be millions of rows
        rows = results.curves_of(metric)
        rows = rows[rows["policy"].isin(policies)]
        for (variant, policy), part in rows.groupby(["variant", "policy"], sort=False):
            if part["mean"].isna().all():
                continue
            part = _thinned(part.sort_values("round"))
            span = band(results, str(variant), str(policy), results.metric(metric), part)
            bands.setdefault((str(variant), metric), {})[str(policy)] = Band(part["round"].to_numpy(), *span)
    return dict(bands)


def _thinned(values: pd.DataFrame) -> pd.DataFrame:
    """No more than POINTS rows, evenly spaced, with the first and the last."""
    if len(values) <= POINTS:
        return values
    return values.iloc[np.unique(np.linspace(0, len(values) - 1, POINTS).round().astype(int))]


def regret_less_baseline(results: Results, policies: Sequence[str]) -> dict[tuple[str, str], Bands]:
    """Cumulative regret less that of the baseline; empty where no baseline ran.

    The errors of both add up, as of independent runs: that seeds share the order of rounds is left out of account.
    """
    rows = results.curves_of("regret")
    by_variant: dict[tuple[str, str], Bands] = {}
    for variant, part in rows.groupby("variant", sort=False):
        curves = {policy: _thinned(one.sort_values("round")) for policy, one in part.groupby("policy", sort=False)}
        feedback = results.feedback(str(variant))
        bands = {}
        for policy in (policy for policy in policies if policy in curves):
            base = results.baseline_label(str(variant), feedback[policy])
            if base in curves:
                bands[policy] = _less(results, str(variant), policy, str(base), curves)
        if bands:
            by_variant[str(variant), LESS.name] = bands
    return by_variant


def _less(results: Results, variant: str, policy: str, base: str, curves: Mapping[Any, pd.DataFrame]) -> Band:
    """The regret of a policy less that of another, round by round."""
    one, other = curves[policy], curves[base]
    at = one["round"].to_numpy()
    if policy == base:
        return Band(at, *(np.zeros(len(at)) for _ in range(3)))
    metric = metric_of(results, LESS.name)
    errors = [standard_errors(results, variant, [policy, base], metric, rows) for rows in (one, other)]
    least = min(freedom(results, rows) for rows in (one, other))
    return Band(at, *around(one["mean"].to_numpy() - other["mean"].to_numpy(), np.hypot(*errors) ** 2, least))


def equal(first: Bands, second: Bands) -> bool:
    """Whether two metrics have the same curves."""
    return first.keys() == second.keys() and all(
        np.allclose(first[policy].mean, second[policy].mean, equal_nan=True) for policy in first
    )


def hit_bands(results: Results, family: str, variant: str, policies: Sequence[str]) -> Bands:
    """Final hit ratio over the share K of the ranking, in percent; `family` is "hr" or "hr_published"."""
    names = {int(m.split("@")[1]): m for m in results.metrics if m.startswith(family + "@")}
    tops = sorted(names)
    finals = {top: results.finals(variant, names[top]) for top in tops}
    bands = {}
    for policy in policies:
        if all(policy in finals[top] and not np.isnan(finals[top][policy]).all() for top in tops):
            values = np.stack([finals[top][policy] for top in tops], axis=1)
            bands[policy] = Band(np.array(tops), *results.interval(variant, policy, METRICS["hr@20"], values))
    return bands


def one_item_slates(results: Results) -> bool:
    """Whether what comes of a round and of a position agree in every contender."""
    item, round_ = ("reward", "reward_sum") if results.reward else ("ctr", "ctr_sum")
    if not {item, round_} <= set(results.metrics):
        return False
    wide = results.summary.pivot(index=["variant", "policy", "seed"], columns="metric", values="value")
    return bool(np.allclose(wide[item], wide[round_], equal_nan=True))


def one_rate_note(results: Results) -> list[str]:
    """The note on rates that are one number, where slates have one item."""
    same = "the rewards per round and per item" if results.reward else "CTR, CTR_sum and set-CTR"
    return [ONE_RATE.format(same)] if one_item_slates(results) else []
