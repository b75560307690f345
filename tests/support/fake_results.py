"""Made-up results of any size for the tests of what is shown: no policy is run and no log is read."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lersbench import columns, growth
from lersbench.results.tables import Results, load

TOPS = range(10, 101, 10)
LIKES = 0.033  # density of the made-up log
POLICIES: dict[str, tuple[str, dict[str, Any], str, float]] = {  # label: name, params, feedback, strength
    "random": ("random", {}, "bandit", 0.0),
    "popular": ("popular", {}, "bandit", 0.45),
    "egreedy epsilon=0.1": ("egreedy", {"epsilon": 0.1}, "bandit", 0.42),
    "ucb1": ("ucb1", {}, "bandit", 0.10),
    "thompson": ("thompson", {}, "bandit", 0.38),
    "exp3": ("exp3", {}, "bandit", 0.05),
    "linucb alpha=0.1": ("linucb", {"alpha": 0.1}, "bandit", 0.66),
    "linucb alpha=0.3": ("linucb", {"alpha": 0.3}, "bandit", 0.68),
    "linucb alpha=1.0": ("linucb", {"alpha": 1.0}, "bandit", 0.50),
    "linucb-k": ("linucb-k", {}, "bandit", 0.55),
    "hybrid": ("hybrid", {}, "bandit", 0.70),
    "lints": ("lints", {}, "bandit", 0.60),
    "softmax": ("softmax", {}, "bandit", 0.30),
}


def curve(rng: np.random.Generator, strength: float, rounds: np.ndarray, metrics: set[str]) -> dict[str, np.ndarray]:
    """Curves (len(rounds),) of one contender and seed: a learner whose click rate grows from LIKES."""
    total = int(rounds[-1])
    step = np.arange(total)
    clicks = rng.random(total) < LIKES * (1 + 6 * strength * (1 - np.exp(-step / (0.3 * total))))
    regret = np.cumsum(0.25 - clicks * 0.2)
    at = rounds - 1
    rate = (np.cumsum(clicks) / (step + 1))[at]
    shown = 1 - np.exp(-rounds * (1.2 - strength) / 120)
    found = {
        "ctr": rate,
        "ctr_sum": rate,
        "ctr_set": rate,
        "misses": 1 - rate,
        "regret": regret[at],
        "regret_published": 1 - rate * 0.9,
        "coverage": rate * rounds / (total * 6.6),
        "diversity": shown,
        "entropy": 0.4 + 0.5 * shown,
        "gini": 0.9 - 0.6 * shown,
    }
    noise = rng.normal(0, 0.01) + rng.normal(0, 0.05, len(rounds)) / np.sqrt(1 + np.arange(len(rounds)))
    for top in TOPS:
        share = top / 100
        gain = strength * share * (1 - share) * 1.6
        found[f"hr@{top}"] = share + (gain + noise * (1 - share)) * (1 - np.exp(-rounds / 150))
        found[f"hr_published@{top}"] = np.minimum(1, found[f"hr@{top}"] + 0.4 * share * (1 - share))
    found["hr20_per_round"] = found["hr@20"] * 0.16
    found["hr20_per_round_published"] = found["hr_published@20"] * 0.16
    return {name: values for name, values in found.items() if name in metrics} if metrics else found


def make(
    folder: Path,
    policies: dict[str, Any] | None = None,
    seeds: int = 10,
    points: int = 200,
    rounds: int = 1000,
    slate: int = 1,
    variants: tuple[str, ...] = ("",),
    replicates: str = "shuffle",
    metrics: set[str] | None = None,
    leaderboard: str = "hr@20",
    baseline: str | None = "random",
    feedback: str | None = None,
    matched: float = 1.0,
    notes: tuple[str, ...] = (),
    log_facts: dict[str, Any] | None = None,
) -> Path:
    """Write curves.parquet, summary.parquet and run.json into `folder` and return it.

    `policies` are as POLICIES; one may have several regimes, a tuple, in place of one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    at = np.unique(np.linspace(rounds / points, rounds, points).round().astype(int))
    frames = []
    for variant in variants:
        for label, (name, params, told, strength) in (policies or POLICIES).items():
            regimes = told if isinstance(told, tuple) else (told,)
            for regime, seed in itertools.product(regimes, range(seeds)):
                own = label if len(regimes) == 1 else f"{label} ({regime})"
                rng = np.random.default_rng([seed, *own.encode(), *variant.encode()])
                values = curve(rng, strength, at, metrics or set())
                if feedback == "replay":
                    values["matches"] = (at * matched).round()
                frame = pd.DataFrame({"round": at, **values}).melt("round", var_name="metric", value_name="value")
                fixed = {"variant": variant, "policy": label, "name": name, "params": json.dumps(params)}
                fixed |= {"log": variant, "slate": slate}
                frames.append(frame.assign(**fixed, seed=seed, feedback=feedback or regime))
    write_tables(pd.concat(frames, ignore_index=True), folder)
    log = {"name": "completejourney", "rounds": rounds, "items": 200, "users": 1000, "C": 200, "digest": "0" * 64}
    log |= {"licence": "CC0 (stand-in)", "attribution": "Made up for tests, after the completejourney study"}
    log |= {"provenance": {"like_window_days": 7, "density": LIKES}} | (log_facts or {})
    scenario: dict[str, Any] = {
        "name": "active",
        "title": "Active customers",
        "description": "1,000 customers, 200 products.",
    }
    scenario |= {"baseline": baseline, "leaderboard": leaderboard, "replicates": replicates}
    meta = {
        "scenario": scenario,
        "logs": [{"variant": variant, **log} for variant in variants],
        "seeds": list(range(seeds)),
        "versions": {"lersbench": "0.1.0", "numpy": "2.4"},
        "machine": {"cpu": "made up", "cores": 2},
        "seconds": {"compile": 3.2, "replay": 1.4},
        "rounds_per_second": 123456.0,
        "notes": list(notes),
    }
    (folder / "run.json").write_text(json.dumps(meta))
    return folder


def write_tables(curves: pd.DataFrame, folder: Path) -> None:
    """The tables of a run, from its curves with a row a contender, metric, round and seed."""
    over_seeds(curves).to_parquet(folder / "curves.parquet")
    last = curves[curves["round"] == curves["round"].max()].drop(columns="round")
    pd.concat([last, *_slopes(curves)]).to_parquet(folder / "summary.parquet")


def over_seeds(curves: pd.DataFrame) -> pd.DataFrame:
    """What `curves.parquet` holds of such curves."""
    key = [*columns.CASE, *columns.CONTENDER, "metric", "round"]
    values = curves.groupby(key, sort=False, dropna=False)["value"]
    parts = {"seeds": values.size(), "mean": values.mean(), "sd": values.std(), "sd_of_halves": np.nan}
    parts |= {name: values.quantile(level) for name, level in columns.QUANTILES.items()}
    rows = pd.DataFrame(parts).reset_index().assign(seed=pd.NA)
    few = rows["seeds"].max() < columns.FEW
    single = curves.rename(columns={"value": "mean"}).assign(seeds=1) if few else curves.iloc[:0]
    return pd.concat([rows, single.reindex(columns=rows.columns)]).astype({"seed": "Int64"})


def _slopes(curves: pd.DataFrame) -> list[pd.DataFrame]:
    """The growth of true regret, where true values are known."""
    if "expected_ctr_sum" not in set(curves["metric"]):
        return []
    rows = []
    regret = curves[curves["metric"] == "regret"]
    for key, part in regret.groupby([*columns.CASE, *columns.CONTENDER, "seed"], sort=False):
        value = growth.slope(part["round"].to_numpy(), part[["value"]].to_numpy())[0]
        names = [*columns.CASE, *columns.CONTENDER, "seed"]
        rows.append({**dict(zip(names, key, strict=True)), "metric": growth.NAME, "value": value})
    return [pd.DataFrame(rows).dropna(subset="value")]


# Ranked lists ---------------------------------------------------------------------------------------------------------
LISTS: dict[str, tuple[str, dict[str, Any], float, float, float]] = {  # name, params, clicks, bias, likeness
    "ltr": ("ltr", {}, 0.0, 0.0, 0.0),  # lift in truth, what re-ranking of logged clicks adds, similarity of slates
    "random": ("random", {}, -0.22, 0.02, -0.08),
    "popular": ("popular", {}, -0.02, 0.06, -0.02),
    "pbm-ucb": ("pbm-ucb", {"eps": 0.02}, -0.01, 0.0, -0.01),
    "pbm-ts": ("pbm-ts", {}, 0.02, 0.0, -0.01),
    "pbm-pie": ("pbm-pie", {"eps": 0.02}, -0.03, 0.01, -0.01),
    "iba-exp3": ("iba-exp3", {"gamma": 0.1}, -0.15, 0.03, -0.05),
    "iba-ucb1": ("iba-ucb1", {}, -0.08, 0.04, -0.04),
    "rba-exp3": ("rba-exp3", {"gamma": 0.1}, -0.17, 0.03, -0.05),
    "rba-ucb1": ("rba-ucb1", {}, -0.11, 0.05, -0.04),
    "iba-linucb": ("iba-linucb", {"alpha": 0.3}, 0.06, 0.05, 0.03),
    "iba-linucb-sw": ("iba-linucb-sw", {"alpha": 0.3, "share_positions": False}, 0.065, 0.055, 0.03),
    "iba-linucb-sw shared": ("iba-linucb-sw", {"alpha": 0.3, "share_positions": True}, 0.085, 0.03, 0.05),
    "iba-hybrid-sw": ("iba-hybrid-sw", {"alpha": 0.3, "variant": "P"}, 0.07, 0.05, -0.03),
    "iba-hybrid-sw H": ("iba-hybrid-sw", {"alpha": 0.3, "variant": "H"}, 0.05, 0.04, -0.02),
    "rba-linucb": ("rba-linucb", {"alpha": 0.3}, 0.02, 0.06, 0.02),
    "rba-linucb first": ("rba-linucb", {"alpha": 0.3, "first_click_only": True}, 0.0, 0.06, 0.02),
    "linucb-k": ("linucb-k", {"alpha": 0.3}, 0.09, 0.06, 0.06),
    "ubm-linucb": ("ubm-linucb", {"alpha": 0.3}, 0.11, 0.02, 0.06),
    "pbm-linucb": ("pbm-linucb", {"alpha": 0.3}, 0.10, 0.03, 0.06),
    "cascade-linucb": ("cascade-linucb", {"alpha": 0.3}, 0.04, 0.02, 0.05),
    "c2ucb": ("c2ucb", {"alpha": 0.3, "mu": 0.1}, 0.09, 0.04, -0.06),
}
FEW_LISTS = {label: LISTS[label] for label in ("ltr", "random", "iba-linucb", "linucb-k", "ubm-linucb")}


def swept(values: tuple[float, ...], names: tuple[str, ...] = ("iba-linucb", "linucb-k")) -> dict[str, Any]:
    """Contenders of a sweep of alpha: best near 0.1, beside those of FEW_LISTS that have no alpha."""
    found: dict[str, Any] = {label: LISTS[label] for label in ("ltr", "random", "popular")}
    for name in names:
        _, _, gain, bias, alike = LISTS[name]
        for alpha in values:
            lost = 0.02 * np.log10(alpha / 0.1) ** 2
            found[f"{name} alpha={alpha}"] = (name, {"alpha": alpha}, gain - lost, bias, alike)
    return found


def list_curves(
    rng: np.random.Generator, gains: tuple[float, float, float], case: tuple[str, int], at: np.ndarray
) -> dict[str, np.ndarray]:
    """Curves (len(at),) of one contender in a case (protocol, slate size) of twelve items."""
    (gain, bias, alike), (protocol, size) = gains, case
    total, left = at[-1], (12 - size) / 9  # with all twelve shown everyone is as good as everyone
    base = 0.24 * size**0.6
    learned = 1 - np.exp(-at / (0.12 * total))
    luck = rng.normal(0, 0.002)
    true = base * (1 + left * (gain * learned + luck)) * (1 + 0.01 * rng.normal() / np.sqrt(at))
    seen = base * (1 + left * ((gain + (bias if protocol == "logged" else 0)) * learned + luck))
    noise = rng.normal(0, 0.3 * left, at.size) / np.sqrt(at) * (protocol == "simulated")
    short = base * left * 0.14 - base * left * gain  # what the best slate has more, once all is learned
    power = 0.55 + 2.5 * max(0.0, 0.12 - gain)
    found = {
        "ctr_sum": seen + noise,
        "ctr_set": 1 - np.exp(-0.8 * (seen + noise)),
        "ctr": (seen + noise) / size,
        "misses": 1 - (seen + noise) / size,
        "expected_ctr_sum": true,
        "expected_ctr_set": 1 - np.exp(-0.8 * true),
        "regret": np.maximum(short, 0.02) * total * (at / total) ** min(power, 1.0) * (1 + 0.05 * rng.normal()),
        "regret_set": 0.6 * np.maximum(short, 0.02) * total * (at / total) ** min(power, 1.0),
        "similarity": np.full(at.size, 0.42 + alike * left + 0.002 * rng.normal()),
        "entropy": np.full(at.size, 0.7),
        "diversity": np.minimum(1.0, at / total + 0.4),
    }
    if protocol == "logged":
        for name, share in (("pbm_ips", 0.35), ("ubm_ips", 0.1), ("iips", 0.2)):
            value = true * (1 + share * bias * left)
            found |= {name: value, f"{name}_se": 0.8 / np.sqrt(at), f"{name}_ess": np.full(at.size, 0.4)}
    return found


def make_lists(
    folder: Path,
    policies: dict[str, Any] | None = None,
    protocols: tuple[str, ...] = ("logged", "simulated"),
    slates: tuple[int, ...] = (3, 6),
    data: tuple[str, ...] = ("",),
    seeds: int = 10,
    points: int = 200,
    rounds: int = 180_000,
    without: tuple[str, ...] = (),
    leaderboard: str = "ctr_sum",
    name: str = "taobao",
) -> Path:
    """Results of ranked lists in the cases data x protocols x slates; metrics that begin with one of `without` lack."""
    folder.mkdir(parents=True, exist_ok=True)
    at = np.unique(np.linspace(rounds / points, rounds, points).round().astype(int))
    frames, variants = [], []
    for log in data:
        for protocol in protocols:
            for size in slates:
                told = [log, protocol if len(protocols) > 1 else "", f"K={size}" if len(slates) > 1 else ""]
                variants.append(" ".join(filter(None, told)))
                for label, (policy, params, *gains) in (policies or LISTS).items():
                    for seed in range(seeds):
                        rng = np.random.default_rng([seed, *label.encode(), *variants[-1].encode()])
                        found = list_curves(rng, tuple(gains), (protocol, size), at)
                        kept = {metric: x for metric, x in found.items() if not metric.startswith(without or ("-",))}
                        frame = pd.DataFrame({"round": at, **kept}).melt("round", var_name="metric", value_name="value")
                        fixed = {"variant": variants[-1], "policy": label, "name": policy, "params": json.dumps(params)}
                        frames.append(frame.assign(**fixed, log=log, slate=size, seed=seed, feedback=protocol))
    write_tables(pd.concat(frames, ignore_index=True), folder)
    about = {"name": "taobao", "rounds": rounds, "items": 960, "users": 20000, "C": 12, "digest": "0" * 64}
    about |= {"licence": "CC0 (made up)", "attribution": "Simulated shop", "provenance": {"encoder": "dae"}}
    about |= {"propensities": "logged"}
    replay = {"slate": list(slates) if len(slates) > 1 else slates[0], "feedback": list(protocols), "batch": 1}
    scenario: dict[str, Any] = {
        "name": name,
        "title": "Ranked lists of a mobile shop",
        "description": "Twelve items, K are chosen.",
    }
    scenario |= {"baseline": "ltr", "leaderboard": leaderboard, "replicates": "shuffle", "replay": replay}
    meta = {
        "scenario": scenario,
        "logs": [{"variant": variant, **about} for variant in variants],
        "seeds": list(range(seeds)),
        "versions": {"lersbench": "0.1.0"},
        "machine": {"cores": 2},
        "seconds": {"replay": 60.0},
        "notes": [],
    }
    (folder / "run.json").write_text(json.dumps(meta))
    return folder


def edit_meta(run: Path, **changes: object) -> None:
    path = run / "run.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps({**meta, **changes}))


def in_cases(folder: Path, label: Callable[[str], str] = str) -> Results:
    """A run of two logs, two protocols and two slate sizes, its cases called what `label` makes of their names."""
    policies = {name: LISTS[name] for name in ("ltr", "random")}
    run = make_lists(folder, policies, data=("logging=ltr", "logging=uniform"), seeds=2, points=2)
    for name in ("curves.parquet", "summary.parquet"):
        rows = pd.read_parquet(run / name)
        rows.assign(variant=rows["variant"].map(label)).to_parquet(run / name)
    logs = json.loads((run / "run.json").read_text())["logs"]
    edit_meta(run, logs=[{**log, "variant": label(log["variant"])} for log in logs])
    return load(run)


def add_customers(
    folder: Path, users: int = 64, spread: float = 0.1, of: str = "users", seed: int = 0, drop: tuple[str, ...] = ()
) -> Path:
    """Write customers.parquet for a run of `make` or `make_lists`: sums whose ratios are its final values.

    Customers differ by a factor of the standard deviation `spread`, the same for all contenders; `drop` names sums that
    were not measured.
    """
    summary = pd.read_parquet(folder / "summary.parquet")
    rng = np.random.default_rng(seed)
    weights = 1 + spread * rng.standard_normal(users)
    weights /= weights.mean()
    key = ["variant", "log", "feedback", "slate", "policy", "name", "params", "seed"]
    rows = []
    for about, part in summary.groupby(key, sort=False):
        final = part.set_index("metric")["value"]
        slate, rounds = about[3], 1000.0 / users
        rates = {"revealed": float(slate), "paid": slate * (1 - final.get("misses", math.nan)), "rounds": 1.0}
        rates |= {"sets": final.get("ctr_set", math.nan), "expected": final.get("expected_ctr_sum", math.nan)}
        rates |= {"expected_set": final.get("expected_ctr_set", math.nan)}
        if math.isnan(rates["paid"]):
            rates["paid"] = final.get("ctr_sum", math.nan)
        lists = {
            name: None
            if math.isnan(rate) or name in drop
            else np.full(users, rounds * rate) * (1.0 if name in ("revealed", "rounds") else weights)
            for name, rate in rates.items()
        }
        rows.append(dict(zip(key, about, strict=True)) | lists)
    pd.DataFrame(rows).to_parquet(folder / "customers.parquet")
    logs = json.loads((folder / "run.json").read_text())["logs"]
    edit_meta(folder, logs=[{**log, "blocks": {"of": of, "number": users}} for log in logs])
    return folder
