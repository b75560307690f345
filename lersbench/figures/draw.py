"""All figures of a run, from its results alone: which are drawn, under which names, and drawing them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lersbench.errors import ConfigError, did_you_mean
from lersbench.figures import families as family_figures
from lersbench.figures import lers as lers_figures
from lersbench.figures import logs as log_figures
from lersbench.figures import sweeps as sweep_figures
from lersbench.figures.axes import LESS, full_title
from lersbench.figures.bands import (
    Bands,
)
from lersbench.figures.curve_values import (
    RATES,
    SAME,
    curve_bands,
    equal,
    hit_bands,
    one_item_slates,
    regret_less_baseline,
)
from lersbench.figures.curves import curves
from lersbench.figures.forest import forest, title_of
from lersbench.figures.frame import drawn_cases
from lersbench.figures.hit_ratio import HIT_RATIO, HIT_RATIOS, RANDOM, hit_ratio
from lersbench.figures.records import Plan, Record, draw_plans
from lersbench.figures.style import by_family, crowded
from lersbench.results.comparisons import representatives
from lersbench.results.tables import Results, known_metric

PAIRS = (  # curves over rounds; two names stand side by side, as published and sound
    ("reward_sum",),
    ("reward",),
    ("ctr_sum",),
    ("ctr_set",),
    ("ctr",),
    ("regret_published", "misses"),
    ("regret",),
    ("hr20_per_round_published", "hr20_per_round"),
    ("coverage",),
    ("diversity",),
    ("entropy",),
    ("matches",),
    ("undelivered",),
    ("exposure_first100",),
    ("reward_first100",),
)
LISTS = (  # the same of ranked lists
    ("reward_sum",),
    ("ctr_sum",),
    ("ctr_set",),
    ("expected_ctr_sum",),
    ("expected_ctr_set",),
)


def labels_to_draw(results: Results, policies: Sequence[str] | None) -> list[str]:
    """The labels of `policies`, or of all, in the order of the results; ConfigError for one that was not run."""
    labels = list(results.summary["policy"].unique())
    for policy in policies or []:
        if policy not in labels:
            hint = did_you_mean(policy, labels)
            raise ConfigError(f"The run has no policy {policy!r}, only {', '.join(labels)}{hint}")
    return [policy for policy in labels if policies is None or policy in policies]


def draw_all(
    results: Results, folder: str | Path, metrics: Sequence[str] | None = None, policies: Sequence[str] | None = None
) -> list[Record]:
    """Draw the figures of a run into `folder` and return their records, which are kept there too.

    By default: every curve that was measured, HR@K over K, the forest plot of the leaderboard's metric, and what
    `sweeps`, `logs` and `lers` have to draw of the run. With `metrics`, the curve and the forest plot of each of those;
    with `policies` (labels) only those contenders. Raises ConfigError for a metric or policy that the run does not
    have.
    """
    whole, labels = results, labels_to_draw(results, policies)
    if policies is None and crowded(results):
        results, labels = _best_of_sweeps(results, labels)
    groups = groups_of(results) if metrics is None else [(known_metric(results, name).name,) for name in metrics]
    plans = _plans(results, groups, metrics, labels)
    if metrics is None:
        plans += [*sweep_figures.plans(results, whole, labels), *log_figures.plans(results)]
        plans += lers_figures.plans(whole) if policies is None else []
    return draw_plans(plans, folder, whole, metrics is None and policies is None)


def _best_of_sweeps(results: Results, policies: Sequence[str]) -> tuple[Results, list[str]]:
    """Of a crowd that sweeps a parameter, the best of each swept policy: the sweep has a figure of its own."""
    best = representatives(results, policies)
    if len(best) == len(policies):
        return results, list(policies)
    summary = results.summary[results.summary["policy"].isin(best)]
    note = "Of each swept policy the best value of its parameter is drawn."
    return replace(results, summary=summary, meta={**results.meta, "choice": note}), best


def _plans(
    results: Results, groups: Sequence[tuple[str, ...]], metrics: Sequence[str] | None, policies: Sequence[str]
) -> list[Plan]:
    """The figures of this module: of `metrics`, or of all of a run."""
    bands = curve_bands(results, {name for group in groups for name in group}, policies)
    if any("regret" in group for group in groups) and (less := regret_less_baseline(results, policies)):
        bands |= less
        groups = [(*group, LESS.name) if group == ("regret",) else group for group in groups]
    forests = metrics if metrics is not None else [results.scenario["leaderboard"]]
    variants = tuple(case.variant for case in drawn_cases(results))
    plans = []
    for name in forests:
        title = title_of(results, known_metric(results, name))
        plans.append(Plan(stem_of("final", name), title, "final", variants, partial(forest, results, name, policies)))
    if by_family(results):
        return plans + _family_plans(results, groups, bands, policies, metrics is None)
    for group in groups:
        cases = tuple(variant for variant in variants if any(bands.get((variant, name)) for name in group))
        if cases:
            name = _named_after(group)
            make = partial(curves, results, group, bands)
            plans.append(Plan(stem_of("curve", name), full_title(results.metric(name)), "curve", cases, make))
    if metrics is None and "hr@20" in results.metrics and not results.lists:
        make = partial(hit_ratio, results, policies)
        plans.append(Plan("hit-ratio", HIT_RATIO, "hit-ratio", variants, make))
    return plans


def _family_plans(
    results: Results,
    groups: Sequence[tuple[str, ...]],
    bands: Mapping[tuple[str, str], Bands],
    policies: Sequence[str],
    whole: bool,
) -> list[Plan]:
    """Of a crowd, a figure a metric with a panel a family."""
    (variant,) = results.variants
    names = [name for group in groups for name in group if bands.get((variant, name))]
    for first, second in zip(SAME, ("misses", "hr20_per_round"), strict=True):
        if {first, second} <= set(names) and equal(bands[variant, first], bands[variant, second]):
            names.remove(first)
    plans = []
    for name in names:
        title = family_figures.LESS_TITLE if name == LESS.name else full_title(results.metric(name))
        make = partial(family_figures.curves, results, name, bands[variant, name])
        plans.append(Plan(stem_of("curve", name), title, "curve", (variant,), make))
    if whole:
        for family, stem in (("hr", "hit-ratio"), ("hr_published", "hit-ratio-published")):
            if f"{family}@20" in results.metrics:
                hits = hit_bands(results, family, variant, policies)
                make = partial(family_figures.hit_ratio, results, hits, HIT_RATIOS[stem], RANDOM)
                plans.append(Plan(stem, HIT_RATIOS[stem], "hit-ratio", (variant,), make))
    return plans


def stem_of(kind: str, name: str) -> str:
    """The stem of the files of a figure of one metric."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}"


def _named_after(group: Sequence[str]) -> str:
    """The metric that names the figure of a group."""
    return "regret" if group[-1] == LESS.name else group[-1]


def groups_of(results: Results) -> list[tuple[str, ...]]:
    """The curves to draw of a run: PAIRS as far as measured, and the leaderboard's metric."""
    pairs = LISTS if results.lists else PAIRS
    groups = [tuple(name for name in pair if name in results.metrics) for pair in pairs]
    groups = [group for group in groups if group]
    if not any(results.scenario["leaderboard"] in group for group in groups):
        groups.insert(0, (known_metric(results, results.scenario["leaderboard"]).name,))
    if one_item_slates(results):  # then the three click rates are one
        usual = "reward_sum" if results.reward else "ctr_sum"
        rate = results.scenario["leaderboard"] if results.scenario["leaderboard"] in RATES else usual
        groups = [group for group in groups if group[0] not in RATES or group[0] == rate]
    return groups
