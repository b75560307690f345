"""Figures of the logs of a run: the click models fitted before the replay, and how the encoder of the features learned.

All is in run.json; a log that several cases share is drawn once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lersbench.clicks.facts import NAMES
from lersbench.figures import click_models as click_figures
from lersbench.figures.records import Plan
from lersbench.figures.style import GREY, HUES, grid, sources
from lersbench.results.tables import Case, Results

TITLES = {
    "click-model": "How far down users look: click models fitted before the replay",
    "encoder-loss": "Denoising loss of the encoder",
}
LOSSES = {"loss_train": "training", "loss_held_out": "held out"}  # what an encoded log tells, by epoch
PCA = "reconstruction_pca"  # the loss of as many principal components, held out, of clean input
CLEAN = "reconstruction_dae"  # that of the encoder


def plans(results: Results) -> list[Plan]:
    """Every figure of this module that the logs of the run have the facts for; its cases are the first of each log."""
    drawn = {
        "click-model": (click_models(results), click_model),
        "encoder-loss": (_distinct(results, _losses), encoder_loss),
    }
    return [
        Plan(stem, TITLES[stem], stem, tuple(case.variant for case, _ in facts), partial(make, results, facts))
        for stem, (facts, make) in drawn.items()
        if facts
    ]


def click_models(results: Results) -> list[tuple[Case, dict[str, Any]]]:
    """What run.json tells of the fits (`clickfacts.summary`), once a log, with the first of its cases."""
    return _distinct(results, _fits)


def _fits(log: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = log.get("click_models") or {}
    return told if "models" in told else {}


def _losses(log: Mapping[str, Any]) -> dict[str, Any]:
    told = log.get("provenance") or {}
    return {key: told[key] for key in (*LOSSES, PCA, CLEAN) if key in told} if "loss_train" in told else {}


def _distinct(
    results: Results, part: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> list[tuple[Case, dict[str, Any]]]:
    """`part` of each log that has it, without repetition."""
    found: dict[str, tuple[Case, dict[str, Any]]] = {}
    for case in results.cases:
        if told := part(results.log(case.variant)):
            found.setdefault(json.dumps(told), (case, told))
    return list(found.values())


# Click models ---------------------------------------------------------------------------------------------------------
def click_model(results: Results, fitted: list[tuple[Case, dict[str, Any]]]) -> Figure:
    """A row a log: examination by position, the user browsing weights, the last clicks."""
    panels = [(case, told, draw) for case, told in fitted for draw in click_figures.panels(told)]
    columns = len(panels) // len(fitted)
    figure, axes = grid(
        len(panels),
        columns,
        (4.1, 3.5),
        TITLES["click-model"],
        results,
        [*_about(fitted), *sources(results)],
        0.1,
        outside=False,
    )
    for i, (ax, (case, told, draw)) in enumerate(zip(axes, panels, strict=True)):
        draw(ax, told)
        if i % columns == 0 and case.data:
            ax.set_title(f"{ax.get_title(loc='left')}, {case.data}", loc="left")
    return figure


def _about(fitted: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    """On what the models were fitted, and what to know of each fit."""
    lines = []
    for case, told in fitted:
        notes = [f"{NAMES[name].capitalize()}: {' '.join(told['models'][name]['notes'])}" for name in told["models"]]
        place = f"{case.data}: " if case.data else ""
        lines += [f"{place}Fitted on the first {told['records']:,} records.", *notes]
    return lines


# Encoder --------------------------------------------------------------------------------------------------------------
def encoder_loss(results: Results, trained: list[tuple[Case, dict[str, Any]]]) -> Figure:
    """Loss by epoch of training and of held-out lists, beside that of as many principal components."""
    notes = ["The encoder is given noisy features and learns to give back clean ones; error a feature."]
    if all(CLEAN in told for _, told in trained):
        last = ", ".join(f"{told[CLEAN]:.4f}" for _, told in trained)
        notes = [f"{notes[0]} Given clean features, held out, it comes to {last}."]
    columns = min(3, len(trained))
    figure, axes = grid(
        len(trained),
        columns,
        (5.2, 3.4),
        TITLES["encoder-loss"],
        results,
        [*notes, *sources(results)],
        0.3,
        outside=False,
    )
    for ax, (case, told) in zip(axes, trained, strict=True):
        _loss_lines(ax, told)
        ax.set_title(case.data if len(trained) > 1 else "", loc="left", fontsize=9)
    return figure


def _loss_lines(ax: Axes, told: Mapping[str, Any]) -> None:
    if PCA in told:
        ax.axhline(told[PCA], color=GREY, ls=(0, (5, 2)), lw=1.1, label="principal components (clean input, held out)")
    for hue, marker, (key, words) in zip(HUES, "os^", LOSSES.items(), strict=False):
        if key in told:
            epochs = np.arange(1, len(told[key]) + 1)
            ax.plot(epochs, told[key], marker + "-", ms=3.5, color=hue, label=words)
    ax.set(xlabel="Epoch", ylabel="Mean squared error")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=8)
