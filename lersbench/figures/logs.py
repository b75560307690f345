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
from lersbench.figures.frame import grid, sources
from lersbench.figures.records import Plan
from lersbench.figures.style import GREY, HUES
from lersbench.results.tables import Case, Results

TITLES = {
    "click-model": "How far down users look: click models fitted before the replay",
    "encoder-loss": "Denoising loss of the encoder",
}
LOSSES = {"loss_train": "training", "loss_held_out": "held out"}  # keys of the log of an encoder, by epoch
PCA = "reconstruction_pca"  # the held-out loss of as many principal components, given clean features
CLEAN = "reconstruction_dae"  # that of the encoder, given clean features


def plans(results: Results) -> list[Plan]:
    """Every figure of this module that the logs of the run have the facts for; its cases are the first of each log."""
    makers = {
        "click-model": (click_models(results), click_model),
        "encoder-loss": (_distinct(results, _losses), encoder_loss),
    }
    return [
        Plan(stem, TITLES[stem], stem, tuple(case.variant for case, _ in facts), partial(make, results, facts))
        for stem, (facts, make) in makers.items()
        if facts
    ]


def click_models(results: Results) -> list[tuple[Case, dict[str, Any]]]:
    """The facts of the fits (`facts.summary`) in run.json, once a log, with the first of its cases."""
    return _distinct(results, _fits)


def _fits(log: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = log.get("click_models") or {}
    return facts if "models" in facts else {}


def _losses(log: Mapping[str, Any]) -> dict[str, Any]:
    facts = log.get("provenance") or {}
    return {key: facts[key] for key in (*LOSSES, PCA, CLEAN) if key in facts} if "loss_train" in facts else {}


def _distinct(
    results: Results, part: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> list[tuple[Case, dict[str, Any]]]:
    """`part` of each log that has it, without repetition."""
    by_content: dict[str, tuple[Case, dict[str, Any]]] = {}
    for case in results.cases:
        if facts := part(results.log(case.variant)):
            by_content.setdefault(json.dumps(facts), (case, facts))
    return list(by_content.values())


# Click models ---------------------------------------------------------------------------------------------------------
def click_model(results: Results, fitted: list[tuple[Case, dict[str, Any]]]) -> Figure:
    """A row a log: examination by position, the user browsing weights, the last clicks."""
    panels = [(case, facts, draw) for case, facts in fitted for draw in click_figures.panels(facts)]
    columns = len(panels) // len(fitted)
    figure, axes = grid(
        len(panels),
        columns,
        (4.1, 3.5),
        TITLES["click-model"],
        results,
        [*_fit_notes(fitted), *sources(results)],
        0.1,
        outside=False,
    )
    for i, (ax, (case, facts, draw)) in enumerate(zip(axes, panels, strict=True)):
        draw(ax, facts)
        if i % columns == 0 and case.data:
            ax.set_title(f"{ax.get_title(loc='left')}, {case.data}", loc="left")
    return figure


def _fit_notes(fitted: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    """On what the models were fitted, and what to know of each fit."""
    lines = []
    for case, facts in fitted:
        notes = [f"{NAMES[name].capitalize()}: {' '.join(facts['models'][name]['notes'])}" for name in facts["models"]]
        place = f"{case.data}: " if case.data else ""
        lines += [f"{place}Fitted on the first {facts['records']:,} records.", *notes]
    return lines


# Encoder --------------------------------------------------------------------------------------------------------------
def encoder_loss(results: Results, trained: list[tuple[Case, dict[str, Any]]]) -> Figure:
    """Loss by epoch of training and of held-out lists, beside that of as many principal components."""
    notes = ["The encoder is given noisy features and learns to give back clean ones; error a feature."]
    if all(CLEAN in facts for _, facts in trained):
        last = ", ".join(f"{facts[CLEAN]:.4f}" for _, facts in trained)
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
    for ax, (case, facts) in zip(axes, trained, strict=True):
        _draw_losses(ax, facts)
        ax.set_title(case.data if len(trained) > 1 else "", loc="left", fontsize=9)
    return figure


def _draw_losses(ax: Axes, facts: Mapping[str, Any]) -> None:
    if PCA in facts:
        ax.axhline(facts[PCA], color=GREY, ls=(0, (5, 2)), lw=1.1, label="principal components (clean input, held out)")
    for hue, marker, (key, words) in zip(HUES, "os^", LOSSES.items(), strict=False):
        if key in facts:
            epochs = np.arange(1, len(facts[key]) + 1)
            ax.plot(epochs, facts[key], marker + "-", ms=3.5, color=hue, label=words)
    ax.set(xlabel="Epoch", ylabel="Mean squared error")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=8)
