"""The results of a run as they lie on disk: read, checked, and taken apart by case, contender and metric."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from lersbench import columns
from lersbench.columns import DRAWS
from lersbench.errors import ConfigError, DataError, did_you_mean
from lersbench.feedback import REGIMES, TITLES, row_of, same_rounds
from lersbench.files import file_digest, read_json
from lersbench.metrics import METRICS, Metric, in_reward
from lersbench.results.customers import Sums
from lersbench.results.extent import CLICK, bounds, resolution
from lersbench.results.last_run import last_of
from lersbench.results.statistics import Interval, flat, interval
from lersbench.system.unpack import read_table
from lersbench.words import cleaned, one_line

IN_MEMORY = Path("(in memory)")  # the path of a run that has no folder
LOGGED = ("ctr", "misses", "reward", "hr", "regret", "coverage", "logged_order", "bracket_high")
"""How metrics begin that count logged clicks: where nobody knows what was seen, no interval is given of them."""
SHIPPED = Path(__file__).parents[1] / "policies"  # the folder of the policies that come with the package
LEARN_NOTHING = ("random", "ltr", "first", "past-popular", "past-bought", "past-streamer")  # so no regime helps them


@dataclass(frozen=True)
class Case:
    """One comparison of a run: `variant` is the key of its rows, such as "logging=uniform simulated K=6"."""

    variant: str
    data: str  # what tells its log from those of other cases; "" where there is one log
    protocol: str  # a regime for ranked lists (see feedback.TITLES), "" for another one
    slate: int
    differs: frozenset[str]  # of "protocol" and "slate", those in which the cases of the run differ

    def in_words(self, protocol: bool = True, slate: bool = True) -> str:
        """ "logging=uniform, simulated users, K = 6"; only what tells it from other cases, less what is not wanted."""
        parts = [self.data]
        parts += [TITLES[self.protocol]] if protocol and self.protocol and "protocol" in self.differs else []
        parts += [f"K = {self.slate}"] if slate and "slate" in self.differs else []
        return ", ".join(filter(None, parts))


@dataclass(frozen=True, repr=False)
class Results:
    """One run: final values `summary` (a row a contender, seed and metric), and run.json as `meta`.

    `summary` has `columns.SUMMARY` and `entry`, the label of the policy's entry in the scenario: `policy` is the label
    of the contender, which names the regime too where an entry played under several.

    Curves and the sums by block of customers may be large, and are read from `path` when they are asked for, but where
    they are `held` in memory (`held`, `held_sums`).
    """

    path: Path
    summary: pd.DataFrame
    meta: dict[str, Any]
    held: pd.DataFrame | None = None
    held_sums: pd.DataFrame | None = None

    @property
    def curves(self) -> pd.DataFrame:
        """All curves over seeds: variant, policy, feedback, metric, round (rounds of the log passed), and
        `columns.OVER_SEEDS`, in fractions and counts."""
        return _over_seeds(self._read(("metric",)) if self.held is None else self.held)

    def curves_of(self, metric: str) -> pd.DataFrame:
        """The curves of a metric over seeds, of the contenders of `summary`: variant, policy, feedback, round, and
        `columns.OVER_SEEDS`."""
        return _over_seeds(self._rows_of(metric))

    def seeds_of(self, metric: str) -> pd.DataFrame:
        """The curves of a metric seed by seed, of contenders with fewer than `columns.FEW`: variant, policy, feedback,
        seed, round, value."""
        rows = self._rows_of(metric)
        rows = rows[rows["seed"].notna()].rename(columns={"mean": "value"}).astype({"seed": "int64"})
        return rows[["variant", "policy", "feedback", "seed", "round", "value"]]

    def _rows_of(self, metric: str) -> pd.DataFrame:
        if self.held is None:
            return self._read((), [("metric", "=", metric)])
        rows = self.held[self.held["metric"] == metric].drop(columns="metric")
        return rows.merge(self.summary[["variant", "policy"]].drop_duplicates(), on=["variant", "policy"])

    def in_memory(self) -> Self:
        """The same without its folder, which may then be removed."""
        return replace(self, path=IN_MEMORY, held=self._read(("metric",)), held_sums=self._sums)

    def _read(self, more: tuple[str, ...], filters: list[tuple[str, str, str]] | None = None) -> pd.DataFrame:
        """The curves in the folder, of the contenders of `summary` and called as they are there."""
        path, text = self.path / "curves.parquet", ["variant", "policy", "feedback", *more]
        numbers = ["round", "seed", *columns.OVER_SEEDS]
        known = self.summary[["variant", "entry", "feedback", "policy"]].drop_duplicates()
        try:
            table = pq.read_table(path, columns=[*text, *numbers], filters=filters, read_dictionary=text).to_pandas()
        except (OSError, ValueError) as error:  # pyarrow's errors are both of these
            raise DataError(f"{path} is not a readable Parquet file ({error}); run the scenario again.") from error
        table = _one_lined(table.astype(dict.fromkeys(text, object)), text).rename(columns={"policy": "entry"})
        return table.merge(known, on=["variant", "entry", "feedback"])[[*text, *numbers]]

    # What customers paid
    def sums(self, variant: str, policy: str, paid: str, rounds: str) -> Sums | None:
        """The sums `paid` and `rounds` of a contender by seed (ascending) and block of customers, as they are named in
        customers.parquet; None where the run has none, or they were not measured."""
        table = self._sums
        rows = table[(table["variant"] == variant) & (table["policy"] == policy)].sort_values("seed")
        if rows.empty or rows[[paid, rounds]].isna().any(axis=None):
            return None
        return Sums(*(np.stack(rows[name].to_list()).astype(np.float64) for name in (paid, rounds)))

    @cached_property
    def _sums(self) -> pd.DataFrame:
        """The table of customers.parquet, of the contenders of `summary` and called as they are there; without rows for
        runs that have no such file."""
        if self.held_sums is not None:
            return self.held_sums
        path, text = self.path / "customers.parquet", ["variant", "policy", "feedback"]
        if not path.is_file():
            return pd.DataFrame(columns=[*text, "seed"])
        _check_table(path, [*text, "seed"])
        try:
            table = read_table(path, str(path)).to_pandas()
        except (OSError, ValueError) as error:  # pyarrow's errors are both of these
            raise DataError(f"{path} is not a readable Parquet file ({error}); run the scenario again.") from error
        table = _one_lined(table.astype(dict.fromkeys(text, object)), text).rename(columns={"policy": "entry"})
        known = self.summary[["variant", "entry", "feedback", "policy"]].drop_duplicates()
        return table.drop(columns=["log", "slate", "name", "params"], errors="ignore").merge(
            known, on=["variant", "entry", "feedback"]
        )

    def blocks(self, variant: str) -> str:
        """What new ones of an interval are about: "customers", or "rounds" where the log names no users or replicates
        are halves of it."""
        named = self.log(variant).get("blocks", {}).get("of", "users") == "users"
        return "customers" if named and self.replicates != "subsample" else "rounds"

    def __repr__(self) -> str:
        name, seeds = self.scenario["name"], len(self.meta["seeds"])
        contenders = len(self.contenders)
        what = f"{contenders} {'policy' if contenders == 1 else 'policies'}, {seeds} seed{'s' * (seeds > 1)}"
        return f"<Results of {name}: {what}, {self.path}; summary, curves>"

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
        """Were ranked lists scored, by a regime for them? Their lift over the baseline is what counts."""
        return bool(set(self.summary["feedback"]) & set(TITLES))

    def case(self, variant: str) -> Case:
        """What `variant` was: its log, its protocol and its slate size."""
        return next(case for case in self.cases if case.variant == variant)

    @cached_property
    def cases(self) -> list[Case]:
        rows = self.summary[list(columns.CASE)].drop_duplicates()
        protocols = rows["feedback"].nunique() > 1 and self.lists
        differs = {"protocol"} if protocols else set()
        differs |= {"slate"} if rows["slate"].nunique() > 1 else set()
        cases = []
        for variant, part in rows.groupby("variant", sort=False):
            (log,), (slate,), kinds = (part[key].unique() for key in ("log", "slate", "feedback"))
            protocol = kinds[0] if len(kinds) == 1 and kinds[0] in TITLES else ""
            data = [log, *(kinds if protocols and not protocol else [])]  # other regimes beside protocols are cases too
            cases.append(Case(str(variant), " ".join(filter(None, data)), protocol, int(slate), frozenset(differs)))
        return cases

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
    def entries(self) -> dict[str, str]:
        """The label of the entry in the scenario of each policy."""
        return dict(zip(self.contenders["policy"], self.contenders["entry"], strict=True))

    def called(self, label: str | None) -> list[str]:
        """The policies with this label, or whose entry in the scenario has it, under whatever regime."""
        return [policy for policy, entry in self.entries.items() if label in (policy, entry)]

    def under(self, variant: str, label: str, feedback: str) -> str | None:
        """The policy called `label` in `variant` under one regime; None where it was not run so."""
        regimes = self.feedback(variant)
        return next((policy for policy in self.called(label) if regimes.get(policy) == feedback), None)

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
        seeds: dict[str, dict[str, list[int]]] = {}
        for (variant, policy), part in self.summary.groupby(["variant", "policy"])["seed"]:
            seeds.setdefault(str(variant), {})[str(policy)] = sorted(set(part))
        return seeds

    def feedback(self, variant: str) -> pd.Series:
        """The feedback regime of each policy."""
        return self._regimes[variant]

    @cached_property
    def _regimes(self) -> dict[str, pd.Series]:
        rows = self.summary.drop_duplicates(["variant", "policy"])
        return {str(variant): part.set_index("policy")["feedback"] for variant, part in rows.groupby("variant")}

    @cached_property
    def boards(self) -> list[tuple[str, str]]:
        """Variant and regime of every ranking: regimes do not compare, so each has its own."""
        boards = []
        for variant in self.variants:
            kinds = set(self.feedback(variant))
            known = [kind for kind in REGIMES if kind in kinds]
            boards += [(variant, kind) for kind in [*known, *sorted(kinds - set(known))]]
        return boards

    def baseline_label(self, variant: str, feedback: str, wanted: str | None = None) -> str | None:
        """The label of the baseline (the scenario's, or `wanted`) for contenders of one regime; None where it has none.

        It is its run under that regime. One that learns nothing is the same under `bandit` and `full`, which score the
        same rounds, so its run under either serves both; any other is no measure across regimes.
        """
        wanted = wanted or self.scenario.get("baseline") or ""
        if policy := self.under(variant, wanted, feedback):
            return policy
        names = self.contenders.set_index("policy")["name"]
        others = [self.under(variant, wanted, kind) for kind in REGIMES if same_rounds(feedback, kind)]
        return next((label for label in others if label and names[label] in LEARN_NOTHING), None)

    # What makes contenders comparable
    def family(self, policy: str) -> str:
        """Of whose spreads the policy's may borrow: "compiled", "neural", or "own" for what does not come with us."""
        stem = str(self.contenders.set_index("policy")["name"][policy]).replace("-", "_")
        if not stem.isidentifier() or not (SHIPPED / f"{stem}.py").is_file():
            return "own"
        return "neural" if self.entries[policy] in self.meta.get("torch_policies", []) else "compiled"

    def halves(self, seeds: Iterable[Any]) -> np.ndarray:
        """Which half of the log each seed played, where seeds play halves: DRAWS seeds in a row have one."""
        return np.array([int(seed) // DRAWS for seed in seeds], dtype=np.int64)

    def is_steady(self, variant: str, policies: Iterable[str]) -> np.ndarray:
        """Which of `policies` draw nothing, (policies,) bool."""
        return np.array([policy in self.steady[variant] for policy in policies], dtype=bool)

    # What is paid
    @property
    def reward(self) -> dict[str, str]:
        """What is learned and counted, in "words", and its "unit"; {} where it is clicks."""
        return self.meta.get("reward", {})

    def metric(self, name: str) -> Metric:
        """The metric called `name`, in the unit of the run's rewards where it counts them."""
        paid = self.reward
        return in_reward(METRICS[name], paid["words"], paid["unit"]) if paid else METRICS[name]

    def learns(self, kind: str) -> str:
        """What a policy learns from under a regime, in words."""
        words = row_of(kind).learns
        return words.replace("logged click", "logged reward") if self.reward else words

    def reward_range(self, variant: str) -> tuple[float, float]:
        """The range of what an item can pay, as the log declares it."""
        low, high = self.log(variant).get("reward_range", CLICK)
        return -math.inf if low is None else low, math.inf if high is None else high

    @cached_property
    def has_lifts(self) -> bool:
        """Is a value a share more than another? Not where rewards may be negative."""
        return all(self.reward_range(variant)[0] >= 0 for variant in self.variants)

    # Where what was seen is not known
    def bracketed(self, variant: str) -> bool:
        """Is what a contender of `variant` earns known as a bracket alone (see `brackets`)? Where the world is known
        its true values stand beside the logged clicks instead."""
        return self.unweighed(variant) and not self.final(variant, "bracket_high").empty

    def unweighed(self, variant: str) -> bool:
        """Do logged clicks count wherever items are placed, with nothing to tell how likely these were to be seen?"""
        told = "expected_ctr_sum" in self.metrics and not self.final(variant, "expected_ctr_sum").empty
        return bool(self.log(variant).get("bracket")) and row_of(self.case(variant).protocol).weighed and not told

    # What an interval may claim
    def bounds(self, variant: str, metric: Metric) -> tuple[float, float]:
        """The least and the most that the final value of `metric` can be."""
        return bounds(metric, self.rounds[variant], self.case(variant).slate, self.reward_range(variant))

    def resolution(self, variant: str, metric: Metric, rounds: float | None = None) -> float:
        """The step in which `metric` changes with one outcome, after `rounds` (by default at the end)."""
        return resolution(metric, self.rounds[variant] if rounds is None else rounds, self.reward_range(variant))

    def floor(self, variant: str, policies: Iterable[str], metric: Metric, rounds: float | None = None) -> float:
        """The least standard deviation over seeds that is believed of `metric` (after `rounds`; by default at the end).

        0 where all `policies` draw nothing: that their seeds agree is then no accident, and no interval is given.
        """
        if set(policies) <= self.steady[variant]:
            return 0.0
        return self.resolution(variant, metric, rounds)

    def interval(
        self, variant: str, policy: str, metric: Metric, values: np.ndarray, rounds: np.ndarray | None = None
    ) -> Interval:
        """Mean and interval of `values` (seeds,), or of a curve (seeds, points) at `rounds` (points,)."""
        if rounds is None:
            floor: Any = self.floor(variant, [policy], metric)
        else:
            floor = np.array([self.floor(variant, [policy], metric, float(at)) for at in rounds])
        if metric.name.startswith(LOGGED) and self.unweighed(variant):
            mean = np.asarray(values, dtype=np.float64).mean(axis=0)  # seeds tell nothing of the error that counts
            return Interval(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan))
        ran = self._ran[variant].get(policy, [])
        half = self.halves(ran) if len(ran) == len(values) else None
        return interval(values, self.replicates, bounds=self.bounds(variant, metric), floor=floor, half=half)

    @cached_property
    def rounds(self) -> dict[str, float]:
        """The rounds of each variant, where its curves end: those of its log but for the ones that were fitted on."""
        fit = self.scenario.get("replay", {}).get("fit", 0)
        return {v: float((self.log(v).get("rounds") or math.inf) - fit) for v in self.variants}

    @cached_property
    def steady(self) -> dict[str, set[str]]:
        """The policies of each variant that come to the same in every seed, by all metrics: they draw nothing."""
        steady: dict[str, set[str]] = {variant: set() for variant in self.variants}
        for (variant, policy), part in self.summary.groupby(["variant", "policy"], sort=False):
            values = part.pivot(index="seed", columns="metric", values="value").dropna(axis=1)
            if len(values) > 1 and flat(values.to_numpy()).all():
                steady[str(variant)].add(str(policy))
        return steady


def load(run_dir: str | Path) -> Results:
    """Read the results of one run. A missing folder is a ConfigError; a missing or broken file in it is a DataError."""
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise ConfigError(f"There are no results at {run_dir}: run the scenario first (lersbench bench SCENARIO).")
    _check_table(run_dir / "curves.parquet", columns.CURVES)
    summary = _name_regimes(_read_table(run_dir / "summary.parquet", columns.SUMMARY))
    key = ["variant", "policy", "metric", "seed"]
    twice = summary[summary.duplicated(key)]
    if len(twice):
        first = ", ".join(f"{column} {twice.iloc[0][column]!r}" for column in key)
        raise DataError(f"{run_dir / 'summary.parquet'} holds two values for {first}; run the scenario again.")
    meta = _read_meta(run_dir / "run.json")
    for file, content in meta.get("tables", {}).items():
        if not (run_dir / file).is_file():
            raise DataError(f"{run_dir / file} is missing, which run.json names. Fix: run the scenario again.")
        if file_digest(run_dir / file) != content:
            raise DataError(f"{run_dir / file} is damaged: it is not what run.json says. Fix: run the scenario again.")
    return Results(run_dir, summary, meta)


def _over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that are over seeds, without the column of these."""
    return rows[rows["seed"].isna()].drop(columns="seed").reset_index(drop=True)


def regime_label(entry: str, feedback: str) -> str:
    return f"{entry} ({feedback})"


def _name_regimes(table: pd.DataFrame) -> pd.DataFrame:
    """Entries that ran under several regimes in one variant become contenders of their own: "linucb (full)"."""
    table = table.assign(entry=table["policy"])
    regimes = table[["variant", "policy", "feedback"]].drop_duplicates()
    several = regimes[regimes.duplicated(["variant", "policy"], keep=False)]
    if several.empty:
        return table
    rows = pd.MultiIndex.from_frame(table[["variant", "policy"]]).isin(
        pd.MultiIndex.from_frame(several[["variant", "policy"]])
    )
    return table.assign(policy=table["policy"].where(~rows, table["policy"] + " (" + table["feedback"] + ")"))


def _check_table(path: Path, wanted: Sequence[str]) -> None:
    """Raise DataError where a table is not there, or not what it must be, as far as its footer tells."""
    if not path.is_file():
        raise DataError(f"{path} is missing; the run did not finish. Run the scenario again.")
    try:
        about = pq.read_metadata(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are both of these
        raise DataError(f"{path} is not a readable Parquet file ({error}); run the scenario again.") from error
    absent = [column for column in wanted if column not in about.schema.names]
    if absent:
        why = f"{path} has no column {', '.join(absent)}, so another version of lersbench wrote it"
        raise DataError(f"{why}. Fix: run the scenario again; contenders that have results are not played again.")
    if not about.num_rows:
        raise DataError(f"{path} has no rows: no contender has finished. Run the scenario again.")


def _read_table(path: Path, wanted: Sequence[str]) -> pd.DataFrame:
    _check_table(path, wanted)
    try:
        table = read_table(path, str(path)).to_pandas()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable Parquet file ({error}); run the scenario again.") from error
    return _one_lined(table, [name for name in columns.TEXTS if name != "params"])


def _one_lined(table: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """The table with its texts in one line each, without characters that no terminal or figure should get."""
    for column in texts:
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
    for key, value in {"scenario": scenario, "logs": meta.get("logs"), "seeds": meta.get("seeds")}.items():
        if not value:
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
    hint = did_you_mean(scenario, names)
    raise ConfigError(f"{results_dir} holds no finished run of {scenario!r}, only of {', '.join(names)}{hint}")


def known_metric(results: Results, name: str) -> Metric:
    """The metric called `name`, which the run must have measured."""
    if name not in results.metrics:
        raise ConfigError(
            f"The run {results.path} did not measure {name!r}, only {', '.join(results.metrics)}."
            + did_you_mean(name, results.metrics)
        )
    return results.metric(name)
