"""What the click models say of a log, in words, as JSON and as a figure."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lersbench.clickfit import Counts, Fit
from lersbench.clickmodel import parse
from lersbench.drawing import GREY, HUES, STYLE
from lersbench.log import LogInfo

NAMES = {"pbm": "position-based model", "ubm": "user browsing model"}
LABELS = {"pbm": "position-based", "ubm": "user browsing, no click above"}
WIDE = 14  # positions up to which the heat map has room for numbers


# Facts ----------------------------------------------------------------------------------------------------------------
def summary(info: LogInfo, counts: Counts, fits: list[Fit]) -> dict[str, Any]:
    """Everything the report tells, as JSON values. Positions are 1-based, shares are in [0, 1]."""
    return {
        "log": info.name,
        "records": counts.records,
        "positions": counts.length,
        "items": int((counts.displays.sum(axis=1) > 0).sum()),
        "records_without_click": int(counts.last[0]),
        "clicks_per_display": (by_position(counts.clicks) / counts.records).tolist(),
        "last_click": last_click(counts).tolist(),
        "mean_last_click": float(last_click(counts) @ np.arange(1, counts.length + 1)),
        "pseudo_exposed": pseudo_exposed(counts),
        "unexamined": unexamined(counts),
        "unexamined_by_position": _shares(counts.unseen[0], counts.records),
        "true_weights": true_weights(info, counts),
        "models": {fit.name: _told(fit) for fit in fits},
    }


def by_position(cells: np.ndarray) -> np.ndarray:
    """Sums (L,) over items and last clicks of counts (n_items, cells)."""
    total = cells.sum(axis=0)
    length = int((2 * len(total)) ** 0.5)
    return np.add.reduceat(total, np.arange(length) * np.arange(1, length + 1) // 2)


def last_click(counts: Counts) -> np.ndarray:
    """The share (L,) of the records with a click whose last one is at each position."""
    return counts.last[1:] / counts.last[1:].sum()


def pseudo_exposed(counts: Counts) -> float:
    """The share of displays below the last click, in the records with a click: those that may not have been seen."""
    below = np.arange(counts.length - 1, -1, -1)
    return float(last_click(counts) @ below / counts.length)


def unexamined(counts: Counts) -> dict[str, float] | None:
    """The true share of displays that were not seen, in all records and in those with a click, if the log knows."""
    if not counts.unseen.shape[1]:
        return None
    total = counts.unseen.sum(axis=1) / counts.length
    return {"all": float(total[0] / counts.records), "with_click": float(total[1] / counts.last[1:].sum())}


def true_weights(info: LogInfo, counts: Counts) -> list[list[float]] | None:
    """The weights (L, L + 1) of the world the log comes from, relative to the first, if the log knows them."""
    if not info.click_model:
        return None
    weights = parse(info.click_model).weights[: counts.length, : counts.length + 1]
    return (weights / weights[0, 0]).tolist() if weights[0, 0] else None


def _shares(parts: np.ndarray, whole: int) -> list[float] | None:
    return (parts / whole).tolist() if len(parts) else None


def _told(fit: Fit) -> dict[str, Any]:
    return {
        "weights": fit.weights.tolist(),
        "displays": fit.displays.tolist(),
        "effective_displays": fit.effective.tolist(),
        "components": len(fit.components),
        "log_likelihood": fit.log_likelihood,
        "perplexity": fit.perplexity.tolist(),
        "mean_attraction": float(np.average(fit.attraction, weights=fit.shown)),
        "filtered": fit.filtered,
        "removed": fit.removed,
        "iterations": fit.iterations,
        "converged": fit.converged,
        "notes": fit.notes,
    }


# Words ----------------------------------------------------------------------------------------------------------------
def text(told: dict[str, Any]) -> str:
    """The summary as plain text: a table over positions, the user browsing weights, fit quality, what to know."""
    blocks = [_head(told), _positions(told)]
    if "ubm" in told["models"]:
        blocks.append(_browsing(told["models"]["ubm"]["weights"]))
    blocks += [_quality(name, model) for name, model in told["models"].items()]
    return "\n\n".join(blocks)


def _head(told: dict[str, Any]) -> str:
    lines = [
        f"{told['log']}: {told['records']:,} records of {told['positions']} positions, {told['items']:,} items shown, "
        f"{told['records_without_click']:,} records without a click",
        f"Records with a click: the last is at position {told['mean_last_click']:.2f} on average; "
        f"{told['pseudo_exposed']:.1%} of their displays are below it (pseudo-exposed, by that proxy).",
    ]
    if exact := told["unexamined"]:
        lines.append(
            f"Displays truly not examined: {exact['with_click']:.1%} in records with a click, "
            f"{exact['all']:.1%} in all."
        )
    return "\n".join(lines)


def _positions(told: dict[str, Any]) -> str:
    """One line a position: clicks, weights, last clicks, perplexity."""
    columns: dict[str, list[str]] = {
        "position": [str(k + 1) for k in range(told["positions"])],
        "CTR": [f"{x:.2%}" for x in told["clicks_per_display"]],
        "last click": [f"{x:.1%}" for x in told["last_click"]],
    }
    if told["unexamined_by_position"]:
        columns["examined"] = [f"{1 - x:.1%}" for x in told["unexamined_by_position"]]
    if told["true_weights"]:
        columns["true w(k,0)"] = [f"{row[0]:.3f}" for row in told["true_weights"]]
    for name, model in told["models"].items():
        first = [row[0] for row in model["weights"]] if name == "ubm" else model["weights"]
        columns[f"{name} w(k,0)" if name == "ubm" else f"{name} w(k)"] = [f"{x:.3f}" for x in first]
        columns[f"{name} perplexity"] = [f"{x:.4f}" for x in model["perplexity"]]
    wide = {name: max(len(name), *map(len, cells)) for name, cells in columns.items()}
    lines = ["  ".join(name.rjust(wide[name]) for name in columns)]
    lines += ["  ".join(columns[name][k].rjust(wide[name]) for name in columns) for k in range(told["positions"])]
    return "\n".join(lines)


def _browsing(weights: list[list[float]]) -> str:
    """The triangle of user browsing weights."""
    head = "last click   none" + "".join(f"{j:>6}" for j in range(1, len(weights)))
    lines = [f"position {k + 1:<2}" + "".join(f"{x:6.2f}" for x in row[: k + 1]) for k, row in enumerate(weights)]
    return "\n".join(["Weights of the user browsing model, w(k, last click above)", head, *lines])


def _quality(name: str, model: dict[str, Any]) -> str:
    groups = model["components"]
    lines = [
        f"{NAMES[name].capitalize()}: log-likelihood {model['log_likelihood']:.1f}, "
        f"mean perplexity {np.mean(model['perplexity']):.4f}, mean attraction {model['mean_attraction']:.4f}, "
        f"{model['iterations']} EM steps, "
        + ("all cells connected by shared items" if groups == 1 else f"{groups} unconnected groups of cells")
    ]
    return "\n".join(lines + [f"  {note}" for note in model["notes"]])


# Figure ---------------------------------------------------------------------------------------------------------------
def figure(told: dict[str, Any]) -> Figure:
    """Examination over positions, the user browsing weights where fitted, and the last clicks, side by side."""
    panels = [_examination, *([_heat] if "ubm" in told["models"] else []), _last_clicks]
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(4.3 * len(panels), 3.9), layout="constrained")
        for ax, draw in zip(np.atleast_1d(drawn.subplots(1, len(panels))), panels, strict=True):
            draw(ax, told)
        drawn.suptitle(f"{told['log']}: {told['records']:,} records of {told['positions']} positions", fontsize=11)
    return drawn


def _examination(ax: Axes, told: dict[str, Any]) -> None:
    """Weights over positions: fitted, and true where the log knows."""
    at = np.arange(1, told["positions"] + 1)
    if told["true_weights"]:
        ax.plot(
            at, [row[0] for row in told["true_weights"]], color=GREY, lw=4, alpha=0.45, label="true, no click above"
        )
    if told["unexamined_by_position"]:
        seen = 1.0 - np.array(told["unexamined_by_position"])
        if seen[0] > 0:
            ax.plot(at, seen / seen[0], color=GREY, lw=1.2, ls=(0, (1.2, 1.2)), label="share truly examined")
    for hue, marker, (name, model) in zip(HUES, "os", told["models"].items(), strict=False):
        weights = np.array(model["weights"])
        ax.plot(at, weights if name == "pbm" else weights[:, 0], marker + "-", ms=4, color=hue, label=LABELS[name])
    ax.set_ylim(0, max(1.05, ax.get_ylim()[1]))
    ax.set(xlabel="Position", ylabel="Examination (first position = 1)")
    ax.set_title("Examination", loc="left")
    _ticks(ax, told["positions"])
    ax.legend(frameon=False)
    sns.despine(ax=ax)


def _heat(ax: Axes, told: dict[str, Any]) -> None:
    """The triangle of user browsing weights, in numbers where they have room."""
    length = told["positions"]
    weights = np.array(told["models"]["ubm"]["weights"])[:, :length]
    shown = np.where(np.tri(length, length, dtype=bool), weights, np.nan)
    top = np.nanmax(shown)
    ax.imshow(shown, cmap="cividis", vmin=0.0, vmax=top, aspect="auto", interpolation="nearest")
    if length <= WIDE:
        for k in range(length):
            for j in range(k + 1):
                ink = "black" if weights[k, j] > 0.55 * top else "white"
                ax.text(j, k, f"{weights[k, j]:.2f}", ha="center", va="center", fontsize=6, color=ink)
    step = 1 if length <= WIDE else -(-length // 10)
    ax.set_xticks(range(0, length, step), ["none", *map(str, range(1, length))][::step])
    ax.set_yticks(range(0, length, step), [str(k + 1) for k in range(0, length, step)])
    ax.tick_params(length=0, labelsize=8)
    ax.set(xlabel="Last click above", ylabel="Position")
    ax.set_title("User browsing weights", loc="left")
    sns.despine(ax=ax, left=True, bottom=True)


def _last_clicks(ax: Axes, told: dict[str, Any]) -> None:
    """Where the last click is, and the share of displays below it at each position."""
    at = np.arange(1, told["positions"] + 1)
    shares = np.array(told["last_click"])
    below = np.cumsum(shares) - shares
    ax.bar(at, 100 * shares, color=HUES[0], alpha=0.75, width=0.8, label="last click is here")
    ax.plot(at, 100 * below, "o-", ms=4, color=HUES[1], label="last click is above")
    ax.set_ylim(0, 105)
    ax.set(xlabel="Position", ylabel="Share of records with a click (%)")
    exact = told["unexamined"]
    words = f"{told['pseudo_exposed']:.0%} of displays are below the last click"
    ax.set_title(words + (f",\n{exact['with_click']:.0%} were truly not examined" if exact else ""), loc="left")
    _ticks(ax, told["positions"])
    ax.legend(frameon=False, loc="upper left")
    sns.despine(ax=ax)


def _ticks(ax: Axes, length: int) -> None:
    ax.set_xticks(range(1, length + 1, 1 if length <= WIDE else -(-length // 10)))
    ax.set_xlim(0.4, length + 0.6)
