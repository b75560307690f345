"""The leaderboard of a run: read the results, rank the contenders, show them as text, Markdown, CSV or JSON."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from lersbench.errors import ConfigError, DataError
from lersbench.files import file_digest, read_json
from lersbench.metrics import METRICS, Metric
from lersbench.results import stability
from lersbench.results.alarms import ESTIMATES, gap
from lersbench.results.extent import bounds, resolution
from lersbench.results.last_run import last_of
from lersbench.results.statistics import (
    LEVEL,
    RESAMPLES,
    Interval,
    compare_pairs,
    flat,
    half_width,
    interval,
    paired,
    rank_ranges,
    separated,
)
from lersbench.system.unpack import read_table
from lersbench.words import cleaned, defused, markdown, markdown_cell, one_line

SUMMARY = ("variant", "policy", "name", "params", "feedback", "seed", "metric", "value")
CURVES = (*SUMMARY, "round")
TEXTS = ("variant", "policy", "name", "feedback", "metric")
FURTHER = ("ctr_sum", "misses", "hr@20", "coverage", "diversity", "matches")  # beside the metric ranked by
FURTHER_LISTS = ("ctr_sum", "ctr_set", "expected_ctr_sum", "expected_ctr_set", *ESTIMATES, "similarity")
RATES = ("ctr", "ctr_sum", "ctr_set", "expected_ctr_sum", "expected_ctr_set", *ESTIMATES)  # lifts make sense
PROTOCOL = {"slate": 1, "batch": 1}  # what goes without saying in a heading; so does bandit feedback
PROTOCOLS = {"logged": "logged-click re-ranking", "simulated": "simulated users"}  # of ranked lists, in words
CURVE_RESAMPLES = 1000  # of the bands of curves; tables use more
IN_MEMORY = Path("(in memory)")  # the path of a run that has no folder
MISSING = "-"  # shown for a number that does not exist; never a zero
SAME = "same in every seed"  # instead of an interval, of a contender that draws nothing
SAME_ROUNDS = ("bandit", "full")  # regimes that score the same quantity on the same rounds
LEARN_NOTHING = ("random", "ltr", "first", "past-popular", "past-bought", "past-streamer")  # so no regime helps them
REGIMES = {  # each has a ranking of its own, in this order: what can be deployed comes first
    "bandit": "learns only from the items it showed",
    "full": "learns from the whole reward row of every round, which no shop knows",
    "logged": "logged-click re-ranking: chooses among the items of the logged slate, and an item's reward is its "
    "logged click wherever it is placed",
    "simulated": "simulated users: its slate is shown to a user of the world, who looks and clicks anew",
    "replay": "learns from, and is scored on, the rounds in which it chose what was logged",
}


@dataclass(frozen=True)
class Case:
    """One comparison of a run: `variant` is its label in the tables, such as "logging=uniform simulated K=6"."""

    variant: str
    data: str  # the part of the label that tells the log; "" where there is one log
    protocol: str  # one of PROTOCOLS, "" for another regime
    slate: int

    def in_words(self, protocol: bool = True, slate: bool = True) -> str:
        """ "logging=uniform, simulated users, K = 6"; only what the label tells, less what is not wanted."""
        told = self.variant.split()
        parts = [self.data]
        parts += [PROTOCOLS[self.protocol]] if protocol and self.protocol in told else []
        parts += [f"K = {self.slate}"] if slate and f"K={self.slate}" in told else []
        return ", ".join(filter(None, parts))


# Reading results ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, repr=False)
class Results:
    """One run: final values `summary` (a row a contender, seed and metric), and run.json as `meta`.

    Curves may be large, and are read from `path` when they are asked for, but where they are `held` in memory.
    """

    path: Path
    summary: pd.DataFrame
    meta: dict[str, Any]
    held: pd.DataFrame | None = None

    def leaderboard(
        self, metric: str | None = None, metrics: str | Sequence[str] | None = None, baseline: str | None = None
    ) -> pd.DataFrame:
        """The ranking, best first, in fractions and counts: see `table`."""
        return table(self, metric, [metrics] if isinstance(metrics, str) else metrics, baseline)

    @property
    def curves(self) -> pd.DataFrame:
        """All curves: variant, policy, feedback, seed, metric, round (rounds of the log passed) and value, in fractions
        and counts, as `summary` has the last of each."""
        if self.held is not None:
            return self.held
        return self._known(self._read(["variant", "policy", "feedback", "metric"], None))

    def curves_of(self, metric: str) -> pd.DataFrame:
        """The curves of a metric, of the contenders of `summary`: variant, policy, feedback, seed, round, value."""
        if self.held is None:
            return self._known(self._read(["variant", "policy", "feedback"], [("metric", "=", metric)]))
        rows = self.held[self.held["metric"] == metric].drop(columns="metric")
        kept = pd.MultiIndex.from_frame(self.summary[["variant", "policy"]].drop_duplicates())
        return rows[pd.MultiIndex.from_frame(rows[["variant", "policy"]]).isin(kept)]

    def in_memory(self) -> Results:
        """The same without its folder, which may then be removed."""
        return replace(self, path=IN_MEMORY, held=self.curves)

    def _read(self, text: list[str], filters: list[tuple[str, str, str]] | None) -> pd.DataFrame:
        path = self.path / "curves.parquet"
        try:
            table = pq.read_table(
                path, columns=[*text, "seed", "round", "value"], filters=filters, read_dictionary=text
            ).to_pandas()
        except (OSError, ValueError) as error:  # pyarrow's errors are both of these
            raise DataError(f"{path} is not a readable Parquet file ({error}); run the scenario again.") from error
        return _one_lined(table.astype(dict.fromkeys(text, object)), text)

    def _known(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of the contenders of `summary`, which may be called after their regime."""
        known = pd.MultiIndex.from_frame(self.summary[["variant", "policy"]].drop_duplicates())
        plain = pd.MultiIndex.from_frame(table[["variant", "policy"]]).isin(known)
        table["policy"] = table["policy"].where(plain, table["policy"] + " (" + table["feedback"] + ")")
        return table[pd.MultiIndex.from_frame(table[["variant", "policy"]]).isin(known)]

    def __repr__(self) -> str:
        name, seeds = self.scenario["name"], len(self.meta["seeds"])
        contenders = len(self.contenders)
        what = f"{contenders} {'policy' if contenders == 1 else 'policies'}, {seeds} seed{'s' * (seeds > 1)}"
        return f"<Results of {name}: {what}, {self.path}; leaderboard(), summary, curves>"

    def __str__(self) -> str:
        return to_terminal(board(self), bold=False)

    def _repr_html_(self) -> str:
        return to_html(board(self))

    @property
    def scenario(self) -> dict[str, Any]:
        return self.meta["scenario"]

    @property
    def title(self) -> str:
        return self.scenario.get("title") or self.scenario["name"]

    @property
    def replicates(self) -> str:
        return self.scenario["replicates"]

    @cached_property
    def variants(self) -> list[str]:
        return list(self.summary["variant"].unique())

    @cached_property
    def metrics(self) -> list[str]:
        """Names of the metrics that were measured: a metric that is NaN throughout does not apply to the run."""
        measured = set(self.summary.loc[self.summary["value"].notna(), "metric"])
        return [name for name in METRICS if name in measured]

    @cached_property
    def lists(self) -> bool:
        """Were ranked lists scored, by one of the PROTOCOLS? Their lift over the baseline is what counts."""
        return bool(set(self.summary["feedback"]) & set(PROTOCOLS))

    def case(self, variant: str) -> Case:
        """What `variant` was: its log, its protocol and its slate size."""
        (kind, *others) = self.summary.loc[self.summary["variant"] == variant, "feedback"].unique()
        words = variant.split()
        sizes = [int(word[2:]) for word in words if re.fullmatch(r"K=\d+", word)]
        told = self.scenario.get("replay", {}).get("slate", 1)
        data = " ".join(word for word in words if word not in PROTOCOLS and not re.fullmatch(r"K=\d+", word))
        size = sizes[-1] if sizes else told if isinstance(told, int) else 1
        return Case(variant, data, kind if kind in PROTOCOLS and not others else "", size)

    @cached_property
    def cases(self) -> list[Case]:
        return [self.case(variant) for variant in self.variants]

    @property
    def slates(self) -> list[int]:
        """The slate sizes that were run, ascending."""
        return sorted({case.slate for case in self.cases})

    def log(self, variant: str) -> dict[str, Any]:
        """What run.json says of the log of `variant`; empty where it says nothing."""
        return next((log for log in self.meta["logs"] if log["variant"] == variant), {})

    @cached_property
    def contenders(self) -> pd.DataFrame:
        """One row of the summary a policy, in the order of the results."""
        return self.summary.drop_duplicates("policy")

    @cached_property
    def mixed(self) -> bool:
        """Do policies of several feedback regimes stand in one ranking?"""
        regimes = self.summary[["variant", "feedback"]].drop_duplicates()
        return len(regimes) > len(self.variants)

    def final(self, variant: str, metric: str) -> pd.DataFrame:
        """Final values of `metric`: a row a policy, a column a seed, NaN where a seed has not been run."""
        if (variant, metric) not in self._finals:
            return pd.DataFrame(columns=pd.Index(sorted(self.meta["seeds"]), name="seed"), dtype=float)
        return self._finals[variant, metric].pivot(index="policy", columns="seed", values="value")

    @cached_property
    def _finals(self) -> dict[tuple[str, str], pd.DataFrame]:
        return {(str(v), str(m)): rows for (v, m), rows in self.summary.groupby(["variant", "metric"], sort=False)}

    def finals(self, variant: str, metric: str) -> dict[str, np.ndarray]:
        """Final values (seeds run,) of `metric` by policy; NaN where a seed has none, as of a rate over nothing."""
        values, ran = self.final(variant, metric), self._ran[variant]
        return {policy: values.loc[policy].reindex(ran[policy]).to_numpy() for policy in values.index}

    @cached_property
    def _ran(self) -> dict[str, dict[str, list[int]]]:
        """The seeds that each policy of each variant has run."""
        found: dict[str, dict[str, list[int]]] = {}
        for (variant, policy), part in self.summary.groupby(["variant", "policy"])["seed"]:
            found.setdefault(str(variant), {})[str(policy)] = sorted(set(part))
        return found

    def feedback(self, variant: str) -> pd.Series:
        """The feedback regime of each policy."""
        rows = self.summary[self.summary["variant"] == variant]
        return rows.drop_duplicates("policy").set_index("policy")["feedback"]

    @cached_property
    def boards(self) -> list[tuple[str, str]]:
        """Variant and regime of every ranking: regimes do not compare, so each has its own."""
        found = []
        for variant in self.variants:
            kinds = set(self.feedback(variant))
            known = [kind for kind in REGIMES if kind in kinds]
            found += [(variant, kind) for kind in [*known, *sorted(kinds - set(known))]]
        return found

    def baseline_label(self, variant: str, feedback: str, wanted: str | None = None) -> str | None:
        """The label of the baseline (the scenario's, or `wanted`) for contenders of one regime; None where it has none.

        It is its run under that regime. One that learns nothing is the same under `bandit` and `full`, which score the
        same rounds, so its run under either serves both; any other is no measure across regimes.
        """
        wanted, regimes = wanted or self.scenario.get("baseline") or "", self.feedback(variant)
        labels = [label for label in (wanted, *(regime_label(wanted, k) for k in REGIMES)) if label in regimes]
        names = self.contenders.set_index("policy")["name"]
        own = [label for label in labels if regimes[label] == feedback]
        other = [
            label
            for label in labels
            if feedback in SAME_ROUNDS and regimes[label] in SAME_ROUNDS and names[label] in LEARN_NOTHING
        ]
        return next(iter([*own, *other]), None)

    # What an interval may claim
    def bounds(self, variant: str, metric: Metric) -> tuple[float, float]:
        """The least and the most that the final value of `metric` can be."""
        return bounds(metric, self.rounds[variant], self.case(variant).slate)

    def floor(self, variant: str, policies: Iterable[str], metric: Metric, rounds: float | None = None) -> float:
        """The least standard deviation over seeds that is believed of `metric` (after `rounds`; by default at the end).

        0 where all `policies` draw nothing: that their seeds agree is then no accident, and no interval is given.
        """
        if set(policies) <= self.steady[variant]:
            return 0.0
        return resolution(metric, self.rounds[variant] if rounds is None else rounds)

    def interval(
        self, variant: str, policy: str, metric: Metric, values: np.ndarray, rounds: np.ndarray | None = None
    ) -> Interval:
        """Mean and interval of `values` (seeds,), or of a curve (seeds, points) at `rounds` (points,)."""
        if rounds is None:
            floor: Any = self.floor(variant, [policy], metric)
        else:
            floor = np.array([self.floor(variant, [policy], metric, float(at)) for at in rounds])
        resamples = RESAMPLES if rounds is None else CURVE_RESAMPLES
        ends = self.bounds(variant, metric)
        return interval(values, self.replicates, resamples=resamples, bounds=ends, floor=floor)

    @cached_property
    def rounds(self) -> dict[str, float]:
        """The rounds of each variant, where its curves end: those of its log but for the ones that were fitted on."""
        fit = self.scenario.get("replay", {}).get("fit", 0)
        return {v: float((self.log(v).get("rounds") or math.inf) - fit) for v in self.variants}

    @cached_property
    def steady(self) -> dict[str, set[str]]:
        """The policies of each variant that come to the same in every seed, by all metrics: they draw nothing."""
        found: dict[str, set[str]] = {variant: set() for variant in self.variants}
        for (variant, policy), part in self.summary.groupby(["variant", "policy"], sort=False):
            values = part.pivot(index="seed", columns="metric", values="value").dropna(axis=1)
            if len(values) > 1 and flat(values.to_numpy()).all():
                found[str(variant)].add(str(policy))
        return found


def load(run_dir: str | Path) -> Results:
    """Read the results of one run. A missing folder is a ConfigError; a missing or broken file in it is a DataError."""
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise ConfigError(f"There are no results at {run_dir}: run the scenario first (lersbench bench SCENARIO).")
    _check_table(run_dir / "curves.parquet", CURVES)
    summary = _name_regimes(_read_table(run_dir / "summary.parquet", SUMMARY))
    key = ["variant", "policy", "metric", "seed"]
    twice = summary[summary.duplicated(key)]
    if len(twice):
        first = ", ".join(f"{column} {twice.iloc[0][column]!r}" for column in key)
        raise DataError(f"{run_dir / 'summary.parquet'} holds two values for {first}; run the scenario again.")
    meta = _read_meta(run_dir / "run.json")
    for file, content in meta.get("tables", {}).items():
        if file_digest(run_dir / file) != content:
            raise DataError(f"{run_dir / file} is damaged: it is not what run.json says. Fix: run the scenario again.")
    return Results(run_dir, summary, meta)


def regime_label(policy: str, feedback: str) -> str:
    return f"{policy} ({feedback})"


def _name_regimes(table: pd.DataFrame) -> pd.DataFrame:
    """Policies that ran under several regimes in one variant become contenders of their own: "linucb (full)"."""
    regimes = table[["variant", "policy", "feedback"]].drop_duplicates()
    several = regimes[regimes.duplicated(["variant", "policy"], keep=False)]
    if several.empty:
        return table
    rows = pd.MultiIndex.from_frame(table[["variant", "policy"]]).isin(
        pd.MultiIndex.from_frame(several[["variant", "policy"]])
    )
    return table.assign(policy=table["policy"].where(~rows, table["policy"] + " (" + table["feedback"] + ")"))


def _check_table(path: Path, columns: Sequence[str]) -> None:
    """Raise DataError where a table is not there, or not what it must be, as far as its footer tells."""
    if not path.is_file():
        raise DataError(f"{path} is missing; the run did not finish. Run the scenario again.")
    try:
        about = pq.read_metadata(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are both of these
        raise DataError(f"{path} is not a readable Parquet file ({error}); run the scenario again.") from error
    absent = [column for column in columns if column not in about.schema.names]
    if absent:
        raise DataError(f"{path} has no column {', '.join(absent)}; it was not written by this version of lersbench.")
    if not about.num_rows:
        raise DataError(f"{path} has no rows: no contender has finished. Run the scenario again.")


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    _check_table(path, columns)
    try:
        table = read_table(path, str(path)).to_pandas()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable Parquet file ({error}); run the scenario again.") from error
    return _one_lined(table, TEXTS)


def _one_lined(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The table with its texts in one line each, without characters that no terminal or figure should get."""
    for column in columns:
        names = {name: one_line(name) for name in map(str, table[column].unique())}
        if any(name != text for name, text in names.items()):
            table[column] = table[column].map(names)
    return table


def _read_meta(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path} is missing; the run did not finish. Run the scenario again.")
    try:
        meta = cleaned(read_json(path))
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); run the scenario again.") from error
    if not isinstance(meta, dict):
        raise DataError(f"{path} holds no JSON object; run the scenario again.")
    scenario = meta.get("scenario")
    for key, found in {"scenario": scenario, "logs": meta.get("logs"), "seeds": meta.get("seeds")}.items():
        if not found:
            raise DataError(f"{path} says nothing about {key!r}; run the scenario again.")
    for key in ("name", "replicates", "leaderboard"):
        if not isinstance(scenario, dict) or not scenario.get(key):
            raise DataError(f"{path} names no scenario.{key}; run the scenario again.")
    return meta


def latest(results_dir: str | Path, scenario: str, asked: str = "") -> Path:
    """The folder of the last run of `scenario` under `results_dir`; `bench` makes one when `asked` so."""
    results_dir = Path(results_dir)
    finished = sorted(path.parent for path in results_dir.glob("*/*/run.json") if not path.parent.name.startswith("."))
    runs = [run for run in finished if run.parent.name == scenario]
    if runs:
        return last_of(runs)
    names = sorted({run.parent.name for run in finished})
    if not names:
        raise ConfigError(f"{results_dir} holds no finished run yet; start with: lersbench bench {asked or scenario}")
    raise ConfigError(
        f"{results_dir} holds no finished run of {scenario!r}, only of {', '.join(names)}.{suggestion(scenario, names)}"
    )


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """' Did you mean ...?' with the nearest of `names`, or nothing when none is near."""
    near = difflib.get_close_matches(wrong, list(names), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def known_metric(results: Results, name: str) -> Metric:
    """The metric called `name`, which the run must have measured."""
    if name not in results.metrics:
        raise ConfigError(
            f"The run {results.path} did not measure {name!r}, only {', '.join(results.metrics)}."
            + suggestion(name, results.metrics)
        )
    return METRICS[name]


# The table ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Board:
    """A ranking and all that is needed to read it: `frame` has one row a variant, regime and policy, best first."""

    results: Results
    metric: Metric
    further: list[Metric]
    baseline: str | None
    frame: pd.DataFrame

    def rows(self, variant: str, feedback: str) -> pd.DataFrame:
        """The ranking of one regime of a variant."""
        return self.frame[(self.frame["variant"] == variant) & (self.frame["feedback"] == feedback)]

    @property
    def tables(self) -> list[tuple[str, str]]:
        """Variant and regime of every ranking that has rows."""
        return [place for place in self.results.boards if len(self.rows(*place))]

    @property
    def warnings(self) -> list[str]:
        found = [*missing(self.results), *unfinished(self.results), *undefined(self.results, self.metric)]
        found += unmeasured(self.results, self.metric)
        found += alarms(self.results)
        told = self.results.scenario.get("baseline")
        if self.baseline is None and told:
            found.append(f"The scenario's baseline {told!r} was not run, so there are no differences to it.")
        return [*found, *without_baseline(self.results, self.baseline)]


def board(
    results: Results, metric: str | None = None, metrics: Sequence[str] | None = None, baseline: str | None = None
) -> Board:
    """Rank the contenders of a run by the final value of `metric`.

    `metric` and `baseline` default to what the scenario says, `metrics` (further columns, means only) to a short list.
    Raises ConfigError for a metric that was not measured or has no better direction, and for an unknown baseline.
    """
    by = known_metric(results, metric or results.scenario["leaderboard"])
    if by.better == "neither":
        raise ConfigError(f"{by.name} is neither better high nor low, so nothing can be ranked by it; choose another.")
    if metrics is None:
        said = {by.name, "misses"} if by.name == "ctr" else {by.name}  # misses are 1 - ctr
        usual = FURTHER_LISTS if results.lists else FURTHER
        metrics = [name for name in usual if name in results.metrics and name not in said]
    further = [known_metric(results, name) for name in metrics]
    baseline = _baseline(results, baseline)
    sections = [_section(results, *place, by, further, baseline) for place in results.boards]
    return Board(results, by, further, baseline, pd.concat(sections, ignore_index=True))


def table(
    results: Results, metric: str | None = None, metrics: Sequence[str] | None = None, baseline: str | None = None
) -> pd.DataFrame:
    """The ranking alone, in fractions and counts; see `board`.

    Columns: variant, rank ("1-3", among the contenders of its regime; "-" where the seeds support none), policy,
    feedback, mean, low, high, with a baseline difference, difference_low and difference_high (policy minus baseline,
    seed by seed), where ranked lists were scored by a click rate also lift, lift_low and lift_high (policy / baseline
    - 1, seed by seed), one mean per further metric, seeds, rank_together (ranges that are right all at once),
    better_than_next (was the row shown to be better than the next of its regime, in the same sense?) and
    same_in_every_seed (the contender draws nothing, so it has no interval over seeds).
    """
    return board(results, metric, metrics, baseline).frame


def _baseline(results: Results, asked: str | None) -> str | None:
    """The baseline to compare with; None where the scenario's own was not run (a baseline asked for must have been)."""
    baseline = asked or results.scenario.get("baseline")
    contenders = results.summary.drop_duplicates("policy")
    if any(own_baseline(baseline, kind, contenders["policy"]) for kind in contenders["feedback"].unique()):
        return baseline
    if asked:
        raise ConfigError(
            f"The baseline {asked!r} is not among the policies of the run: {', '.join(contenders['policy'])}."
            + suggestion(asked, contenders["policy"])
        )
    return None


def own_baseline(baseline: str | None, feedback: str, policies: Iterable[str]) -> str | None:
    """The label of the baseline for a contender of this regime: one that ran under several is taken from its own."""
    known = set(policies)
    if baseline is None or baseline in known:
        return baseline
    label = regime_label(baseline, feedback)
    return label if label in known else None


def _section(
    results: Results, variant: str, kind: str, by: Metric, further: Sequence[Metric], baseline: str | None
) -> pd.DataFrame:
    """The ranking of one regime of a variant."""
    every, feedback = results.final(variant, by.name), results.feedback(variant)
    own = {policy: x for policy, x in results.finals(variant, by.name).items() if feedback[policy] == kind}
    others = {m.name: {p: x.mean() for p, x in results.finals(variant, m.name).items()} for m in further}
    base = results.baseline_label(variant, kind, baseline) if baseline else None
    order = sorted(own, key=_best_first(own, by))
    values, higher = every.loc[order].to_numpy(), by.better == "higher"
    floor = results.floor(variant, own, by) or resolution(by, results.rounds[variant])
    ranges, all_at_once = (
        rank_ranges(values, higher, results.replicates, floor=floor, together=together) for together in (False, True)
    )
    apart = separated(compare_pairs(values, results.replicates, floor)[0], together=True)
    rows = []
    for i, policy in enumerate(order):
        found = results.interval(variant, policy, by, own[policy])
        row = {
            "variant": variant,
            "rank": _rank_in_words(ranges[i]),
            "policy": policy,
            "feedback": kind,
            "mean": float(found.mean),
            "low": float(found.low),
            "high": float(found.high),
        }
        if baseline:
            row |= _compared("difference", results, variant, by, every, policy, base)
            if results.lists and by.name in RATES:
                row |= _compared("lift", results, variant, by, every, policy, base)
        row |= {name: means.get(policy, math.nan) for name, means in others.items()}
        row["seeds"] = len(own[policy])
        row["rank_together"] = _rank_in_words(all_at_once[i])
        row["better_than_next"] = bool(apart[i, i + 1]) if i + 1 < len(order) else None
        row["same_in_every_seed"] = policy in results.steady[variant]
        rows.append(row)
    return pd.DataFrame(rows)


def _best_first(own: dict[str, np.ndarray], by: Metric) -> Callable[[str], tuple[bool, float]]:
    sign = -1 if by.better == "higher" else 1
    means = {policy: sign * float(values.mean()) for policy, values in own.items()}
    return lambda policy: (math.isnan(means[policy]), means[policy])


def _rank_in_words(found: tuple[int, int] | None) -> str:
    if found is None:
        return MISSING
    return str(found[0]) if found[0] == found[1] else f"{found[0]}-{found[1]}"


def _compared(
    kind: str, results: Results, variant: str, by: Metric, values: pd.DataFrame, policy: str, baseline: str | None
) -> dict[str, float]:
    """The "difference" to, or the "lift" over, the baseline on the seeds both have; NaN for the baseline itself and
    where it was not run."""
    nothing = dict.fromkeys((kind, f"{kind}_low", f"{kind}_high"), math.nan)
    if baseline is None or policy == baseline or baseline not in values.index:
        return nothing
    both = values.loc[[policy, baseline]].dropna(axis=1).to_numpy()
    if both.shape[1] == 0:
        return nothing
    floor = results.floor(variant, [policy, baseline], by)
    if kind == "difference":
        found = paired(both[0], both[1], results.replicates, bounds=results.bounds(variant, by), floor=floor)
    else:
        found = lift(both[0], both[1], results.replicates, floor)
    return dict(zip(nothing, map(float, found), strict=True))


def lift(values: np.ndarray, baseline: np.ndarray, replicates: str, floor: float = 0.0) -> Interval:
    """By what share `values` exceed `baseline`, both (seeds,): value / baseline - 1, seed by seed; at least -1.

    NaN where a baseline is 0, of which nothing is a multiple. `floor` is the resolution of a value.
    """
    below = np.where(np.asarray(baseline) > 0, baseline, np.nan)
    return interval(np.asarray(values) / below - 1, replicates, bounds=(-1.0, math.inf), floor=floor / below.mean())


# Words ----------------------------------------------------------------------------------------------------------------
def _few(names: Iterable[str], most: int = 4) -> str:
    """The names, or how many they are."""
    told = list(names)
    return ", ".join(told) if len(told) <= most else f"{len(told)} policies"


def regime_in_words(kind: str) -> str:
    """ "bandit feedback: learns only from the items it showed", the heading of a ranking."""
    return f"{kind} feedback: {REGIMES[kind]}" if kind in REGIMES else f"{kind} feedback"


def without_baseline(results: Results, baseline: str | None) -> list[str]:
    """A warning for every ranking that the baseline is no measure for, since it played under another regime."""
    if baseline is None:
        return []
    return [
        f"{place_in_words(results, variant)}{baseline} was not run under {kind} feedback, so these contenders have no "
        "difference to it: it learns, and under another regime from other facts."
        for variant, kind in results.boards
        if results.baseline_label(variant, kind, baseline) is None
    ]


def borrowed_baseline(results: Results, baseline: str | None) -> list[str]:
    """What is to be said where the baseline of a ranking played under another regime."""
    kinds = dict.fromkeys(
        (kind, results.feedback(variant)[label])
        for variant, kind in results.boards
        if baseline and (label := results.baseline_label(variant, kind, baseline))
    )
    return [
        f"Under {kind} feedback the difference is to {baseline} as it played under {played}: it learns nothing, and "
        "both regimes score the same rounds."
        for kind, played in kinds
        if kind != played
    ]


def missing(results: Results) -> list[str]:
    """A warning for a run that lacks contenders: it was cut short, still goes on, or some of them failed."""
    again = f"`lersbench bench {results.scenario['name']}`" if results.held is None else "replaying them"
    ends = {
        "unfinished": f"the run was cut short, or goes on still; the same {again} finishes it",
        "failed": f"they failed, and {again} tries them again",
    }
    return [
        f"UNFINISHED: without {', '.join(results.meta[why])}: {told}."
        for why, told in ends.items()
        if results.meta.get(why)
    ]


def unfinished(results: Results) -> list[str]:
    """A warning when some contender lacks seeds of the run."""
    wanted = len(results.meta["seeds"])
    counts = results.summary.groupby(["variant", "policy"])["seed"].nunique()
    short = counts[counts < wanted]
    if short.empty:
        return []
    groups = "; ".join(f"{_few(own.index.unique('policy'))}: {have}" for have, own in short.groupby(short))
    return [f"Not every contender has run all {wanted} seeds ({groups}). Intervals are wider for it."]


def undefined(results: Results, metric: Metric) -> list[str]:
    """A warning for every contender whose final value does not exist in some seed."""
    return [
        f"{metric.name} of {policy}{f' ({variant})' if variant else ''} is undefined in {np.isnan(values).sum()} of "
        f"{len(values)} seeds (a rate over no rounds at all), so it has no mean."
        for variant in results.variants
        for policy, values in results.finals(variant, metric.name).items()
        if np.isnan(values).any()
    ]


def unmeasured(results: Results, metric: Metric) -> list[str]:
    """A warning for every variant whose ranking leaves contenders out, for the metric says nothing of them."""
    warnings = []
    for variant in results.variants:
        names = [p for p in results.feedback(variant).index if p not in results.final(variant, metric.name).index]
        if names:
            place = place_in_words(results, variant)
            warnings.append(f"{place}{metric.name} has no value for {', '.join(names)}, which this ranking leaves out.")
    return warnings


def alarms(results: Results) -> list[str]:
    """A line for every estimate by propensity by which, on a uniformly random log, random is not the logger's equal."""
    lines = []
    for case in results.cases:
        if case.protocol != "logged" or results.log(case.variant).get("propensities") != "uniform":
            continue
        rows = results.summary[results.summary["variant"] == case.variant].drop_duplicates("policy")
        labels = [rows.loc[rows["name"] == name, "policy"].min() for name in ("random", "ltr")]
        for metric, reason in ESTIMATES.items():
            values = results.final(case.variant, metric)
            if not set(labels) <= set(values.index):
                continue
            errors = results.final(case.variant, f"{metric}_se").reindex(labels, columns=values.columns)
            (random, logger), (random_error, logger_error) = values.loc[labels].to_numpy(), errors.to_numpy()
            found = gap(random, logger, random_error, logger_error, results.replicates)
            if found.sure:
                lines.append(
                    f"ALARM: {place_in_words(results, case.variant)}{METRICS[metric].title} of {labels[0]} is "
                    f"{number(found.mean, 4, sign=True)} +- {number(found.half, 4)} from that of the logger "
                    f"({labels[1]}). On a uniformly random log random must equal the logger: {reason}, and the values "
                    "of other policies are off by as much or more."
                )
    return lines


def interval_in_words(results: Results) -> str:
    """One sentence: what the intervals of this run are."""
    seeds, level = len(results.meta["seeds"]), f"{100 * LEVEL:.0f} %"
    if seeds < 2:
        return f"One seed only: no interval can be given ({MISSING}), and no two contenders can be told apart."
    return {
        "shuffle": f"{level} bootstrap interval of the mean over {seeds} seeds; each seed shuffles the order in which "
        "the rounds arrive (the same for all policies) and draws the policy's own randomness.",
        "subsample": f"{level} interval from {seeds} random halves of the log: halves scatter around the whole log as "
        "it scatters around the truth, so more halves do not narrow the interval; only more rounds do. "
        f"{MISSING}: the halves all agree, as where none holds a click, and tell nothing of the error.",
        "none": f"{level} bootstrap interval of the mean over {seeds} seeds of the policy's own randomness on one "
        "fixed log; the error of the log itself is not in it.",
    }[results.replicates]


def place_in_words(results: Results, variant: str) -> str:
    """What a line about one variant begins with; "" where there is one alone."""
    words = results.case(variant).in_words()
    return f"{words}: " if words else ""


def data_in_words(results: Results, variant: str) -> str:
    """The log of a variant (name, rounds, items) and what is unusual of the protocol."""
    log = results.log(variant)
    told = f"{log['name']}, {log['rounds']:,} rounds, {log['items']:,} items" if log else "log not described"
    return ", ".join([told, *settings(results, variant)])


def settings(results: Results, variant: str | None = None) -> list[str]:
    """What differs from the usual protocol of a variant, or of the run: "slate 5", "batch 10", "feedback replay"."""
    cases = [case for case in results.cases if variant is None or case.variant == variant]
    replay = results.scenario.get("replay", {})
    sizes = sorted({case.slate for case in cases})
    told = {"slate": sizes[0] if len(sizes) == 1 else _several(sizes), "batch": replay.get("batch", 1)}
    rows = results.summary if variant is None else results.summary[results.summary["variant"] == variant]
    kinds = sorted(set(rows["feedback"]))
    known = [] if variant is None else variant.split()  # what the label of the variant says already
    found = [
        f"{key} {told[key]}" for key, usual in PROTOCOL.items() if told[key] != usual and f"K={told[key]}" not in known
    ]
    found = [part.replace("slate ", "slates ") if len(sizes) > 1 else part for part in found]
    if set(kinds) <= set(PROTOCOLS):
        return found + ([" and ".join(PROTOCOLS[kind] for kind in kinds)] if not set(kinds) & set(known) else [])
    return found + ([] if kinds == ["bandit"] else [f"feedback {' and '.join(kinds)}"])


def _several(sizes: Sequence[int]) -> str:
    """ "3 and 6", "1 to 12", "1, 3 and 6"."""
    if len(sizes) > 2 and list(sizes) == list(range(sizes[0], sizes[-1] + 1)):
        return f"{sizes[0]} to {sizes[-1]}"
    return f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"


def legend(board: Board) -> list[str]:
    """The lines below the table that say what its numbers are."""
    results, better = board.results, "higher" if board.metric.better == "higher" else "lower"
    unit = {"%": ", in %", "share": ", as a share", "count": ", a count"}[board.metric.unit]
    lines = [f"{board.metric.name}: {board.metric.title}{unit}; {better} is better. {board.metric.source}"]
    lines += [f"{metric.name}: {metric.title}. {metric.source}" for metric in board.further]
    lines.append(f"Interval: {interval_in_words(results)}")
    if board.baseline and "lift" in board.frame:
        lines.append(
            f"Lift: value of the policy / value of {board.baseline} - 1, in %, taken seed by seed (the same rounds for "
            "both), with the interval of its mean."
        )
    elif board.baseline:
        points = " in percentage points" if board.metric.unit == "%" else ""
        lines.append(
            f"Difference: policy minus {board.baseline}{points}, paired by seed, with the interval of its mean."
        )
    lines += borrowed_baseline(results, board.baseline)
    lines.append(
        "Rank: the best and the worst place among the contenders of its regime that the data allow: behind all that "
        "were shown to be better, before all that were shown to be worse (paired t tests; a contender's own range is "
        f"right with {100 * LEVEL:.0f} %, by Holm's correction over its pairs). Disjoint intervals can go with "
        "overlapping ranks, and the other way round: an interval is of one contender alone, ranks rest on differences "
        "paired by seed and corrected for all pairs of the contender. Policies that lock in early break the level at "
        "10 seeds."
    )
    kinds = list(dict.fromkeys(kind for _, kind in results.boards))
    lines.append(
        "Feedback: " + "; ".join(f"{kind} {REGIMES[kind]}" if kind in REGIMES else kind for kind in kinds) + "."
    )
    if results.mixed:
        lines.append(
            "Regimes are ranked apart: a policy that is told more per round is ahead for that reason alone, so compare "
            "within a table."
        )
    return [*lines, *stable_in_words(board)]


def stable_in_words(board: Board) -> list[str]:
    """What of the ranking may change with other seeds or on another machine."""
    results, rows = board.results, board.frame
    found = []
    for variant, kind in board.tables:
        if told := stability.order_in_words(board.rows(variant, kind)):
            found.append(f"Order, {table_in_words(results, variant, kind)}: {told}.")
    steady = list(rows.loc[rows["same_in_every_seed"], "policy"])
    if steady:
        found.append(
            f"{SAME[0].upper()}{SAME[1:]}: {stability.named(steady)}. Nothing is drawn, so the seeds tell nothing of "
            "how sure the value is; another log would change it."
        )
    found += stability.unranked(rows, MISSING) + stability.few_seeds(rows)
    return found + stability.of_torch(rows, results.meta.get("torch_policies", []))


def table_in_words(results: Results, variant: str, kind: str) -> str:
    """The name of one ranking of a run: what its variant and its regime are called."""
    words = results.case(variant).in_words()
    return ", ".join(filter(None, [words, f"{kind} feedback" if results.mixed or not words else ""]))


def conclusion(board: Board, variants: Sequence[str] | None = None) -> list[str]:
    """What each ranking comes to, a few sentences for each regime of `variants` (all by default), bandits first.

    Who can be told apart from the leader follows from the ranges that are right all at once: its worst place leaves
    below it exactly those shown to be worse, and nobody was shown to be better than a contender whose best place is
    the first.
    """
    found = []
    for variant, kind in board.tables:
        rows = board.rows(variant, kind)
        if (variants is None or variant in variants) and math.isfinite(rows.iloc[0]["mean"]):
            place = place_in_words(board.results, variant)
            if board.results.mixed:
                words = table_in_words(board.results, variant, kind)
                place = f"{words[:1].upper()}{words[1:]}: "
            found.append(f"{place}{_lead(board, rows)} {_apart(rows)}")
    return found


def _lead(board: Board, rows: pd.DataFrame) -> str:
    """ "linucb leads with 78.7 % misses, 18.2 percentage points below random [-21.9, -13.5]." """
    leader, metric, times = rows.iloc[0], board.metric, scale(board.metric)
    digits = decimals((leader["high"] - leader["low"]) / 2 * times, metric)
    unit, points = (" %", " percentage points") if metric.unit == "%" else ("", "")
    together = leader["rank_together"]
    verb = "comes first" if together == MISSING or int(together.split("-")[-1]) == len(rows) else "leads"
    title = metric.title if metric.title[:2].isupper() else metric.title[:1].lower() + metric.title[1:]
    mean = number(leader["mean"] * times, digits)
    told = f"{leader['policy']} {verb} with {f'{mean}{unit} {title}' if unit else f'{title} {mean}'}"
    gain = leader.get("difference", math.nan) * times
    if math.isfinite(leader.get("lift", math.nan)):
        gain, low, high = (100 * leader[key] for key in ("lift", "lift_low", "lift_high"))
        told += f", {lift_in_words(gain, low, high)} over {board.baseline}"
    elif math.isfinite(gain):
        between = _range(leader["difference_low"] * times, leader["difference_high"] * times, digits, True)
        between = "" if between == MISSING else f" {between}"
        side = "below" if gain < 0 else "above"
        told += f", {number(abs(gain), digits)}{points} {side} {board.baseline}{between}"
    return told + "."


def lift_in_words(mean: float, low: float, high: float) -> str:
    """ "+15.1 % [14.8, 15.4]", all in percent."""
    digits = decimals((high - low) / 2, METRICS["ctr"])
    between = _range(low, high, digits, True)
    return f"{number(mean, digits, True)} %" + ("" if between == MISSING else f" {between}")


def _apart(rows: pd.DataFrame) -> str:
    """Which of the other contenders the leader (the first of `rows`) was shown to be better than."""
    others = len(rows) - 1
    if others == 0:
        return "It ran alone."
    everyone = f"1-{len(rows)}"  # of a contender without a rank nothing is known
    told = rows["rank_together"].where(rows["rank_together"] != MISSING, everyone)
    ranges = [tuple(map(int, (first, last or first))) for first, _, last in told.str.partition("-").to_numpy()]
    close = ranges[0][1] - 1  # not shown to be worse than the leader
    if close == 0:
        return "It is surely better than every other contender."
    if close == others:
        return (
            f"None of the other {others} can be told apart from it." if others > 1 else "The two can't be told apart."
        )
    level = [policy for policy, (first, _) in zip(rows["policy"][1:], ranges[1:], strict=True) if first == 1]
    names = ", ".join(level) if len(level) == close and close <= 4 else f"{close} of the others"
    rest = "remaining one" if others - close == 1 else f"other {others - close}"
    return f"It cannot be told apart from {names}; it is surely better than the {rest}."


# Numbers --------------------------------------------------------------------------------------------------------------
def scale(metric: Metric) -> int:
    """What a stored value is multiplied with to be shown in the metric's unit."""
    return 100 if metric.unit == "%" else 1


def heading(metric: Metric) -> str:
    return f"{metric.name} %" if metric.unit == "%" else metric.name


def decimals(spread: float, metric: Metric) -> int:
    """Decimals to show of a number that is uncertain by `spread` (in the unit shown): two digits of the uncertainty."""
    most = {"%": 2, "share": 4, "count": 1}[metric.unit]
    if not (math.isfinite(spread) and spread > 0):
        return most
    return min(max(1 - math.floor(math.log10(spread)), 0), most)


def number(value: float, digits: int, sign: bool = False) -> str:
    """`value` with `digits` decimals and a comma between thousands; MISSING where there is none."""
    return MISSING if not math.isfinite(value) else f"{value:{'+' if sign else ''},.{digits}f}"


def _range(low: float, high: float, digits: int, sign: bool = False) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    return f"[{number(low, digits, sign)}, {number(high, digits, sign)}]"


def _spread(widths: Iterable[float]) -> float:
    """The typical half-width of a column; NaN when there is none."""
    known = [width for width in widths if math.isfinite(width) and width > 0]
    return float(np.median(known)) if known else math.nan


def cells(board: Board, variant: str, feedback: str) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table of one regime of a variant, as text."""
    rows = board.rows(variant, feedback)
    times = scale(board.metric)
    digits = decimals(_spread((rows["high"] - rows["low"]) * times / 2), board.metric)
    shown = f"{100 * LEVEL:.0f} % interval"
    between = [
        SAME if same and not math.isfinite(low) else _range(low * times, high * times, digits)
        for low, high, same in zip(rows["low"], rows["high"], rows["same_in_every_seed"], strict=True)
    ]
    columns: dict[str, list[str]] = {
        "rank": list(rows["rank"]),
        "policy": list(rows["policy"]),
        "feedback": list(rows["feedback"]),
        heading(board.metric): [number(x * times, digits) for x in rows["mean"]],
        shown: between,
    }
    has_baseline = board.baseline and board.results.baseline_label(variant, feedback, board.baseline)
    if has_baseline and "lift" in rows:
        parts = rows[["lift", "lift_low", "lift_high"]] * 100
        columns[f"lift over {board.baseline} %"] = _gains(parts, decimals(_spread(_half(parts)), METRICS["ctr"]))
    elif has_baseline:
        parts = rows[["difference", "difference_low", "difference_high"]] * times
        columns[f"minus {board.baseline}{' (points)' if board.metric.unit == '%' else ''}"] = _gains(parts, digits)
    for metric in board.further:
        finals = board.results.finals(variant, metric.name)
        found = [board.results.interval(variant, p, metric, finals[p]) for p in rows["policy"] if p in finals]
        digits = decimals(_spread(float(half_width(one)) * scale(metric) for one in found), metric)
        columns[heading(metric)] = [number(x * scale(metric), digits) for x in rows[metric.name]]
    columns["seeds"] = [str(count) for count in rows["seeds"]]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def headings(board: Board, variant: str, feedback: str) -> list[str]:
    """What stands above a table: the case and its data (above its first table), the regime where there are several."""
    results = board.results
    kinds = [kind for one, kind in board.tables if one == variant]
    about = [f"{place_in_words(results, variant)}{data_in_words(results, variant)}"] if feedback == kinds[0] else []
    return [*about, *([regime_in_words(feedback)] if len(kinds) > 1 else [])]


def _half(parts: pd.DataFrame) -> pd.Series:
    return (parts.iloc[:, 2] - parts.iloc[:, 1]) / 2


def _gains(parts: pd.DataFrame, digits: int) -> list[str]:
    """Differences with their intervals; the three columns of `parts` are mean, low and high in the unit shown."""
    return [
        number(x, digits, True) + ("" if (r := _range(low, high, digits, True)) == MISSING else f" {r}")
        for x, low, high in parts.itertuples(index=False)
    ]


# Renderers ------------------------------------------------------------------------------------------------------------
def _bold_is_wanted() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _leaders(rows: Sequence[Sequence[str]]) -> set[str]:
    """The policies that may be first; none where that can be said of everyone."""
    first = {row[1] for row in rows if row[0] == MISSING or row[0].split("-")[0] == "1"}
    return first if len(first) < len(rows) else set()


def to_terminal(board: Board, bold: bool | None = None) -> str:
    """Aligned text; the leaders (those that may be first) in bold on a terminal unless NO_COLOR is set."""
    bold = _bold_is_wanted() if bold is None else bold
    alarm = [textwrap.fill(line, 118, subsequent_indent="  ") for line in missing(board.results)]
    lines = [board.results.title, *alarm]
    for variant, kind in board.tables:
        head, rows = cells(board, variant, kind)
        leaders = _leaders(rows) if bold else set()
        lines += ["", *headings(board, variant, kind)]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for row in [head, *rows]:
            aligned = [
                cell.ljust(width) if column < 3 else cell.rjust(width)  # words to the left, numbers to the right
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            line = "  ".join(aligned).rstrip()
            lines.append(f"\033[1m{line}\033[0m" if row[1] in leaders else line)
    below = [f"Warning: {line}" for line in board.warnings if line not in missing(board.results)] + legend(board)
    return "\n".join([*lines, "", *(textwrap.fill(line, 118, subsequent_indent="  ") for line in below)])


def to_html(board: Board) -> str:
    """One HTML table a ranking, for a notebook: warnings above, the legend folded away below."""
    lines = [f"<p><b>{escape(line)}</b></p>" for line in board.warnings]
    for variant, kind in board.tables:
        head, rows = cells(board, variant, kind)
        lines += [f"<p>{escape(line)}</p>" for line in headings(board, variant, kind)]
        lines.append(pd.DataFrame(rows, columns=head).to_html(index=False, border=0))
    words = "".join(f"<li>{escape(line)}</li>" for line in legend(board))
    return "\n".join([*lines, f"<details><summary>What the numbers are</summary><ul>{words}</ul></details>"])


def to_markdown(board: Board) -> str:
    """One Markdown table a variant, the leaders in bold, then warnings and the legend as a list."""
    lines = [f"> **{markdown(line)}**\n" for line in missing(board.results)]
    for variant, kind in board.tables:
        head, rows = cells(board, variant, kind)
        lines += [line for head_line in headings(board, variant, kind) for line in (f"**{markdown(head_line)}**", "")]
        lines += [markdown_row(head), markdown_row(["---"] * 3 + ["---:"] * (len(head) - 3))]
        leaders = _leaders(rows)
        lines += [markdown_row(row, bold=1 if row[1] in leaders else None) for row in rows]
        lines.append("")
    lines += [f"> **Warning:** {markdown(line)}\n" for line in board.warnings if line not in missing(board.results)]
    return "\n".join([*lines, *(f"* {markdown(line)}" for line in legend(board))]) + "\n"


def markdown_row(cells: Sequence[str], bold: int | None = None) -> str:
    """A row of a table; the cell number `bold` is so."""
    texts = [markdown_cell(cell).replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(f'**{text}**' if at == bold else text for at, text in enumerate(texts))} |"


def to_csv(board: Board) -> str:
    """The table in fractions and counts, empty where there is no number; warnings stand in a column of their own."""
    frame = board.frame
    if board.warnings:
        frame = frame.assign(warning=" ".join(board.warnings))
    return defused(frame).to_csv(index=False)


def to_json(board: Board) -> str:
    """The table in fractions and counts, null where there is no number, with the words that belong to it."""
    rows = [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in board.frame.to_dict(orient="records")
    ]
    scenario = board.results.scenario["name"]
    document = {
        "scenario": scenario,
        "run": board.results.path.name,
        "metric": board.metric.name,
        "better": board.metric.better,
        "baseline": board.baseline,
        "replicates": board.results.replicates,
        "unfinished": board.results.meta.get("unfinished", []),
        "failed": board.results.meta.get("failed", []),
        "warnings": board.warnings,
        "legend": legend(board),
        "regimes": {kind: REGIMES.get(kind, "") for _, kind in board.tables},
        "rows": rows,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
