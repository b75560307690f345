"""What the click models say of a log, as JSON values and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lersbench.clicks.counts import Counts, by_position
from lersbench.clicks.fit import Fit
from lersbench.clicks.heldout import FOLDS, Perplexity
from lersbench.clicks.model import parse
from lersbench.log import LogInfo
from lersbench.tables import aligned
from lersbench.words import one_line

NAMES = {"pbm": "position-based model", "ubm": "user browsing model"}


# Facts ----------------------------------------------------------------------------------------------------------------
def summary(
    info: LogInfo, counts: Counts, fits: list[Fit], held_out: Mapping[str, Perplexity] | None = None
) -> dict[str, Any]:
    """Everything the report says, as JSON values. Positions are 1-based, shares are in [0, 1].

    None for what does not exist: the weight of a cell nobody saw, a perplexity that is not finite or not measured.
    """
    return {
        "log": one_line(info.name),
        "records": counts.records,
        "positions": counts.length,
        "items": int((counts.displays.sum(axis=1) > 0).sum()),
        "records_without_click": int(counts.last[0]),
        "clicks_per_display": (by_position(counts.clicks) / counts.lists_with).tolist(),
        "last_click": last_click(counts).tolist(),
        "mean_last_click": float(last_click(counts) @ np.arange(1, counts.length + 1)),
        "pseudo_exposed": pseudo_exposed(counts),
        "unexamined": unexamined(counts),
        "unexamined_by_position": _shares(counts.unseen[0], counts.lists_with),
        "true_weights": true_weights(info, counts),
        "models": {fit.name: _facts(fit, (held_out or {}).get(fit.name)) for fit in fits},
    }


def last_click(counts: Counts) -> np.ndarray:
    """The share (L,) of the records with a click whose last one is at each position."""
    return counts.last[1:] / counts.last[1:].sum()


def pseudo_exposed(counts: Counts) -> float:
    """The share of displays below the last click, in the records with a click: those that may not have been seen."""
    return float(counts.ends[1] / counts.ends[0])


def unexamined(counts: Counts) -> dict[str, float] | None:
    """The true share of displays that were not seen, in all records and in those with a click, if the log knows."""
    if not counts.unseen.shape[1]:
        return None
    total = counts.unseen.sum(axis=1)
    return {"all": float(total[0] / counts.displays.sum()), "with_click": float(total[1] / counts.ends[0])}


def true_weights(info: LogInfo, counts: Counts) -> list[list[float]] | None:
    """The weights (L, L + 1) of the world the log comes from, relative to the first, if the log knows them."""
    if not info.click_model:
        return None
    weights = parse(info.click_model).weights[: counts.length, : counts.length + 1]
    return (weights / weights[0, 0]).tolist() if weights[0, 0] else None


def _shares(parts: np.ndarray, whole: np.ndarray) -> list[float] | None:
    return (parts / whole).tolist() if len(parts) else None


def _numbers(values: np.ndarray) -> Any:
    """Nested lists, None for what is not finite."""
    cells = values.astype(object)
    cells[~np.isfinite(values)] = None
    return cells.tolist()


def _facts(fit: Fit, held_out: Perplexity | None) -> dict[str, Any]:
    return {
        "weights": _numbers(fit.weights),
        "displays": fit.displays.tolist(),
        "effective_displays": fit.effective.tolist(),
        "components": len(fit.components),
        "log_likelihood": fit.log_likelihood,
        "perplexity_of_the_fitted": {"conditional": _numbers(fit.perplexity)},
        "perplexity_held_out": {kind: _numbers(x) for kind, x in held_out._asdict().items()} if held_out else None,
        "mean_attraction": float(np.average(fit.attraction, weights=fit.shown)),
        "filtered": fit.filtered,
        "removed": fit.removed,
        "iterations": fit.iterations,
        "converged": fit.converged,
        "notes": fit.notes,
    }


# Words ----------------------------------------------------------------------------------------------------------------
def text(facts: dict[str, Any]) -> str:
    """The summary as plain text: tables over positions, the user browsing weights, fit quality, what to know."""
    blocks = [_head(facts), _aligned(columns(facts))]
    if "ubm" in facts["models"]:
        blocks.append(_browsing(facts["models"]["ubm"]["weights"]))
    blocks += [f"{title}\n{_aligned(cells)}" for title, cells in foreseen(facts).items()]
    blocks += [_quality(name, model) for name, model in facts["models"].items()]
    return "\n\n".join(blocks)


def _head(facts: dict[str, Any]) -> str:
    first = (
        f"{facts['log']}: {facts['records']:,} records of {facts['positions']} positions, "
        f"{facts['items']:,} items shown, {facts['records_without_click']:,} records without a click"
    )
    return "\n".join([first, *exposure(facts)])


def exposure(facts: dict[str, Any]) -> list[str]:
    """How much of what was displayed may not have been seen, a sentence each; the second where the log knows."""
    lines = [
        f"Records with a click: the last is at position {facts['mean_last_click']:.2f} on average; "
        f"{facts['pseudo_exposed']:.1%} of their displays are below it (pseudo-exposed, by that proxy)."
    ]
    if exact := facts["unexamined"]:
        lines.append(
            f"Displays truly not examined: {exact['with_click']:.1%} in records with a click, "
            f"{exact['all']:.1%} in all."
        )
    return lines


def columns(facts: dict[str, Any]) -> dict[str, list[str]]:
    """Cells by heading, one a position: clicks, last clicks, weights."""
    cells: dict[str, list[str]] = {
        "position": [str(k + 1) for k in range(facts["positions"])],
        "CTR": [f"{x:.2%}" for x in facts["clicks_per_display"]],
        "last click": [f"{x:.1%}" for x in facts["last_click"]],
    }
    if facts["unexamined_by_position"]:
        cells["examined"] = [f"{1 - x:.1%}" for x in facts["unexamined_by_position"]]
    if facts["true_weights"]:
        cells["true w(k,0)"] = [f"{row[0]:.3f}" for row in facts["true_weights"]]
    for name, model in facts["models"].items():
        first = [row[0] for row in model["weights"]] if name == "ubm" else model["weights"]
        cells[f"{name} w(k,0)" if name == "ubm" else f"{name} w(k)"] = [_cell(x, 3) for x in first]
    return cells


def foreseen(facts: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Held-out perplexity by its kind, in words: cells by heading, one a position, and the mean. Empty if not measured.

    A table a kind: marginal and conditional perplexity are not to be compared.
    """
    words = {"marginal": "from the list alone", "conditional": "given the clicks above"}
    models = {name: fit["perplexity_held_out"] for name, fit in facts["models"].items() if fit["perplexity_held_out"]}
    tables = {}
    for kind in words if models else ():
        cells = {"position": [*(str(k + 1) for k in range(facts["positions"])), "mean"]}
        for name, perplexity in models.items():
            known = [x for x in perplexity[kind] if x is not None]
            mean = float(np.mean(known)) if len(known) == len(perplexity[kind]) else None
            cells[name] = [_cell(x, 4) for x in (*perplexity[kind], mean)]
        tables[f"Held-out perplexity ({FOLDS} folds), {kind}: of a click {words[kind]}"] = cells
    return tables


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _aligned(cells: dict[str, list[str]]) -> str:
    return "\n".join(aligned(list(cells), list(zip(*cells.values(), strict=True)), words=0))


def _browsing(weights: list[list[float | None]]) -> str:
    """The triangle of user browsing weights."""
    head = "last click   none" + "".join(f"{j:>6}" for j in range(1, len(weights)))
    lines = [
        f"position {k + 1:<2}" + "".join(f"{_cell(x, 2):>6}" for x in row[: k + 1]) for k, row in enumerate(weights)
    ]
    title = "Weights of the user browsing model, w(k, last click above); -: nobody saw it"
    return "\n".join([title, head, *lines])


def _quality(name: str, model: dict[str, Any]) -> str:
    return "\n".join([quality(name, model), *(f"  {note}" for note in model["notes"])])


def quality(name: str, model: dict[str, Any]) -> str:
    """How well the model `name` fits, in one sentence."""
    groups = model["components"]
    return (
        f"{NAMES[name].capitalize()}: log-likelihood {model['log_likelihood']:.1f}, "
        f"mean attraction {model['mean_attraction']:.4f}, "
        f"{model['iterations']} EM steps, "
        + ("all cells connected by shared items" if groups == 1 else f"{groups} unconnected groups of cells")
    )
