"""The frame of a figure: its panels, title, subtitle and footer, and the files it is written to.

Every figure is a `Figure` object of its own (pyplot's global state and backend are not touched), and is written as PNG
and as SVG with text kept as text; equal results give equal bytes.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from lersbench.distributions import LEVEL
from lersbench.figures.legends import crowd_legend_height
from lersbench.figures.style import crowded
from lersbench.files import replacing
from lersbench.results.alarms import missing
from lersbench.results.places import data_in_words, seeds_in_words, settings
from lersbench.results.tables import Case, Results

DPI = 200
PAGE = 7.6  # inches to which the subtitle widens a figure; a longer one is broken


@dataclass(frozen=True)
class Frame:
    """What stands around the panels of a figure, in inches."""

    title: str
    subtitle: Sequence[str]  # its lines
    footer: Sequence[str]  # its notes, broken to the width
    width: float
    height: float  # of the panels alone
    aside: float = 0.0  # what the panels leave free at the right, for a legend of the whole figure

    def figure(self, panels: int, columns: int) -> tuple[Figure, list[Axes]]:
        """A figure in this frame, with `panels` axes in `columns`."""
        width = self.width
        notes = [
            line for note in self.footer for line in textwrap.wrap(note, int(width * 18.7), break_on_hyphens=False)
        ]
        above, below = 0.52 + 0.16 * (len(self.subtitle) - 1), 0.16 + 0.135 * len(notes)
        height = self.height + above + below
        inside = (0, below / height, 1 - self.aside / width, 1 - (above + below) / height)
        layout = ConstrainedLayoutEngine(rect=inside, w_pad=0.06, h_pad=0.06)
        figure = Figure(figsize=(width, height), layout=layout)
        subtitle, footer = "\n".join(self.subtitle), "\n".join(notes)
        figure.text(0.08 / width, 1 - 0.08 / height, self.title, va="top", fontsize=11, fontweight="bold")
        figure.text(0.08 / width, 1 - 0.32 / height, subtitle, va="top", fontsize=9, color="0.3")
        figure.text(0.08 / width, 0.06 / height, footer, va="bottom", fontsize=7, color="0.3", linespacing=1.25)
        axes = [figure.add_subplot(math.ceil(panels / columns), columns, i + 1) for i in range(panels)]
        for ax in axes:
            sns.despine(ax=ax)
        return figure, axes


def grid(
    panels: int,
    columns: int,
    panel: tuple[float, float],
    title: str,
    results: Results,
    notes: Sequence[str],
    beside: float,
    outside: bool = True,
    finding: str = "",
) -> tuple[Figure, list[Axes]]:
    """A figure of a run: `panels` axes of the size `panel` (inches), with room `beside` for a legend.

    `title` says what is drawn; with a `finding` that is the title, and what is drawn stands below it.

    The legend of a crowd is taller than a panel, so it belongs to the figure, and the axes leave its room free; not
    where the figure has a legend of its own (`outside` is False).
    """
    columns = min(columns, panels)
    subtitle = run_in_words(results)
    if finding:
        title, subtitle = finding, f"{title}. {subtitle}"
    elif results.mixed:
        title += f": {' and '.join(dict.fromkeys(kind for _, kind in results.boards))} feedback"
    width = max(columns * panel[0] + beside, min(0.2 + 0.068 * len(subtitle), PAGE), 0.2 + 0.092 * len(title))
    lines = textwrap.wrap(subtitle, int((width - 0.2) / 0.068) + 1, break_on_hyphens=False)
    aside = beside if outside and crowded(results) else 0.0
    height = max(math.ceil(panels / columns) * panel[1], crowd_legend_height(results) if aside else 0.0)
    return Frame(title, lines, [*missing(results), *notes], width, height, aside).figure(panels, columns)


def drawn_cases(results: Results) -> list[Case]:
    """The cases that get a panel of their own: all of them, or of a sweep over slate sizes those nearest to a quarter
    and to a half of the longest; a dozen panels would show nothing."""
    sizes = results.slates
    if len(sizes) > 2:
        nearest = {min(sizes, key=lambda size: abs(size - sizes[-1] * share)) for share in (0.25, 0.5)}
        return [case for case in results.cases if case.slate in nearest]
    return results.cases


def columns_of(panels: int, names: Sequence[str]) -> int:
    """How many panels stand side by side, where each shows one of the metrics `names`."""
    return len(names) if len(names) > 1 else 2 if panels == 4 else 3


def panel_height(ax: Axes, rows: int) -> float:
    """About how high one of `rows` axes will be, in inches, once the figure is laid out."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return 0.78 * (figure.get_figheight() - 1.0) / rows


# Subtitle and footer --------------------------------------------------------------------------------------------------
def run_in_words(results: Results) -> str:
    """The subtitle: what was run, on which data, with how many seeds."""
    seeds = len(results.meta["seeds"])
    return f"{results.title} ({_data_in_words(results)}, {seeds} {'seed' if seeds == 1 else 'seeds'})"


def _data_in_words(results: Results) -> str:
    if len(results.variants) == 1:
        return data_in_words(results, results.variants[0])
    log, logs = results.meta["logs"][0], {case.data for case in results.cases}
    if len(logs) == 1:
        data = f"{log['name']}, {log['rounds']:,} rounds"
    elif len({log["name"] for log in results.meta["logs"]}) == 1:
        data = f"{log['name']}, {len(logs)} logs"
    else:
        data = f"{log['name']} and others, {len(logs)} logs"
    return ", ".join([data, *settings(results)])


def footer(results: Results) -> list[str]:
    """Below a figure: what its intervals are, the feedback, whose data it is."""
    seeds, level = seeds_in_words(results), f"{100 * LEVEL:.0f} %"
    kind = {
        "shuffle": f"{level} t interval over {seeds} orders of arrival",
        "subsample": f"{level} interval from {seeds} runs of random halves of the log (not narrowed by their number)",
        "none": f"{level} t interval over {seeds} seeds on one fixed log",
    }[results.replicates]
    alone = len(results.meta["seeds"]) == 1
    spread = "One seed only, so no interval can be given." if alone else f"Mean and {kind}."
    if all(map(results.unweighed, results.variants)):
        spread = (
            "Mean over seeds, by logged clicks, the low end of each bracket: without bands, since what the log cannot "
            "tell is wider by far than what seeds differ by."
        )
    regimes = sorted(set(results.summary["feedback"]))
    regime = f"Feedback: {regimes[0]}." if len(regimes) == 1 else "Feedback differs as named: compare within a regime."
    choice = [results.meta["choice"]] if "choice" in results.meta else []
    return [f"{spread}{'' if results.lists else f' {regime}'}", *choice, *sources(results)]


def sources(results: Results) -> list[str]:
    """Whose data it is, a line each."""
    logs = [log for log in results.meta["logs"] if log.get("attribution")]
    lines = [f"Data: {log['attribution'].rstrip('.')}. {_licence(log)}" for log in logs]
    return list(dict.fromkeys(lines))


def _licence(log: Mapping[str, Any]) -> str:
    """The first clause of the licence; the report has the whole of it."""
    return f"{re.split(r';| [(]the', log.get('licence') or 'Licence not stated')[0]}."


# Files ----------------------------------------------------------------------------------------------------------------
def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write `figure` as PNG and SVG into `folder`; each file appears whole or not at all."""
    paths = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=DPI, metadata=metadata)
        figure.set_layout_engine("none")  # laid out once, by the first of the two
        path = folder / f"{stem}.{kind}"
        with replacing(path) as unfinished:
            unfinished.write_bytes(content.getvalue())
        paths.append(path)
    return paths
