"""What all figures are made of: colours, bands, the frame with its head and foot, legends, labels, files.

Every figure is a `Figure` object of its own (pyplot's global state and backend are not touched), and is written as PNG
and as SVG with text kept as text; equal results give equal bytes. A policy looks the same in all figures of a run: its
hue is the policy's name, its dashes tell the hyper-parameters of a sweep apart, the baseline is grey. Where a run has
more policies than that can tell apart, each family has a panel of its own (see `families`), a hue is told apart within
its family, and feedback on whole reward rows is dashed; in a run of several cases the panels are the cases, the hue is
the family, its members are shades of it, and the best are labelled at the ends of their lines.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lersbench.feedback import row_of
from lersbench.files import replacing
from lersbench.metrics import METRICS, Metric
from lersbench.results.alarms import missing
from lersbench.results.places import data_in_words, settings
from lersbench.results.statistics import LEVEL
from lersbench.results.tables import Case, Results, regime_label

DPI = 200
EARLY = 0.05  # share of the rounds in which running means still jump; it hardly sets the limits of the y axis
FILLED = 0.75  # share of a panel's height above which a band says no more than a note does, and is left out
BANDED = 4  # policies whose bands are drawn, beside the baseline's: more of them make mud
CROWD_SIZE = 7.5  # points of the legend of a crowd
PAGE = 7.6  # inches to which the line below the title widens a figure; a longer one is broken
CROWD = 14  # policies from which on hues are families, and only the BANDED best are labelled
WHOLE_ROWS = (0, (4, 1.5))  # dashes of feedback on whole reward rows, where a family has a panel of its own
LESS = replace(METRICS["regret"], name="regret_less")  # the regret less the baseline's
AXES = {  # axis labels that say more than the metric's title
    "ctr_sum": "Clicks per round (CTR_sum)",
    "expected_ctr_sum": "True CTR_sum (clicks per round)",
    "regret": "Cumulative regret (clicks)",
    "regret_less": "Difference (clicks)",
    "matches": "Matched rounds",
    "entropy": "Entropy of exposure (1 = even)",
    "gini": "Gini index of exposure (0 = even)",
    "similarity": "Intra-list similarity (mean cosine; low = diverse)",
}
HUES = [colour for i, colour in enumerate(sns.color_palette("colorblind")) if i not in (7, 8)]  # not grey, not yellow
GREY = "0.45"
PALE = "0.55"  # what is drawn but not compared, such as a random ranking
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 3)))
MARKERS = (None, "o", "s", "^", "D", "v")
WITHIN = (*(HUES[i] for i in (0, 1, 2, 3, 4, 5, 7)), "#6c3483")  # hues of a family's members; pale pink is no text
BEFOREHAND = "known beforehand"
FAMILIES = (  # of policies, by the first pattern that a name fits: its title, and shades of its hue
    ("LERS", r"lers", ("#c2185b", "#7b1e1e", "#ef6f6c", "#a0522d")),
    ("neural", r"(neural|bayes-by-backprop|.*(net|dqn))", ("#ca9161", "#6e4b26", "#e3c29f")),
    (
        "per-position linear",
        r"(iba|rba).*(lin|hybrid)",
        ("#0173b2", "#08306b", "#56b4e9", "#4455c8", "#00838f", "#8aa4d6"),
    ),
    ("per-position, context-free", r"(iba|rba)-", ("#029e73", "#0b5345", "#7dcea0", "#8a9a1b")),
    ("click model, context-free", r"pbm-(ucb|ts|pie)", ("#c566b8", "#6c3483", "#e8a0d8")),
    (
        "shared linear",
        r".*(lin|hybrid|c2ucb)",
        ("#d55e00", "#7b1e1e", "#f5a15d", "#c2185b", "#a0522d", "#ef6f6c"),
    ),
    (BEFOREHAND, r"(first|past-(popular|bought|streamer))$", ("#3b7a57", "#1b4d3e", "#7fb069", "#9c6644")),
    ("context-free", r"", ("#de8f05", "#8a6d00", "#d4b106")),
)
STYLE = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.titlesize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.5,
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "text.parse_math": False,  # names are text: a "$" in one is a dollar
    "svg.fonttype": "none",  # text stays text: searchable, and set in the reader's font
    "svg.hashsalt": "lersbench",  # else every run would name its clip paths anew
}


@dataclass(frozen=True)
class Band:
    """One curve: mean and interval over seeds at `x`, in the metric's stored unit. All (points,)."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


Bands = Mapping[str, Band]  # by policy
Look = Mapping[str, Mapping[str, Any]]  # by policy: what matplotlib is told of its line


# Who looks how --------------------------------------------------------------------------------------------------------
def looks(results: Results) -> dict[str, dict[str, Any]]:
    """Colour, dashes and marker of every policy of the run: hue by name, dashes by hyper-parameters.

    Where there are more names than hues, the second policy of a hue has both other dashes and a marker. In a crowd
    the hue is the family.
    """
    contenders = results.contenders
    grey = baselines(results)
    if by_family(results):
        return _looks_within(results, grey)
    if crowded(results):
        return _family_looks(results, grey)
    found: dict[str, dict[str, Any]] = {}
    hue: dict[str, int] = {}
    taken: dict[int, list[tuple[Any, str | None]]] = {}
    for policy, name in zip(contenders["policy"], contenders["name"], strict=True):
        if policy in grey:
            found[policy] = {"color": GREY, "linestyle": "-", "marker": None}
            continue
        use, colour = divmod(hue.setdefault(name, len(hue)), len(HUES))
        styles = [(dash, marker) for marker in _from(MARKERS, use) for dash in _from(DASHES, use)]
        used = taken.setdefault(colour, [])
        dash, marker = next((style for style in styles if style not in used), styles[0])
        used.append((dash, marker))
        found[policy] = {"color": HUES[colour], "linestyle": dash, "marker": marker}
    return found


def _from(choices: Sequence[Any], start: int) -> list[Any]:
    start %= len(choices)
    return [*choices[start:], *choices[:start]]


def baselines(results: Results) -> set[str]:
    """The labels under which the scenario's baseline ran."""
    return set(results.called(results.scenario.get("baseline")))


def family(results: Results) -> dict[str, str]:
    """The family of every policy that is not the baseline, by its name."""
    rows = results.contenders
    known = baselines(results)
    return {
        policy: next(title for title, pattern, _ in FAMILIES if re.match(pattern, name))
        for policy, name in zip(rows["policy"], rows["name"], strict=True)
        if policy not in known
    }


def _family_looks(results: Results, grey: Collection[str]) -> dict[str, dict[str, Any]]:
    """Shades and dashes within the hue of a family, so that no two members look alike."""
    families = family(results)
    shades = {title: colours for title, _, colours in FAMILIES}
    found: dict[str, dict[str, Any]] = {}
    sizes: dict[str, int] = {}
    for policy in results.contenders["policy"]:
        if policy in grey:
            found[policy] = {"color": GREY, "linestyle": "-", "marker": None}
            continue
        own = shades[families[policy]]
        place = sizes[families[policy]] = sizes.get(families[policy], -1) + 1
        use, shade = divmod(place, len(own))  # dashes begin again with each use of the shades
        dash, marker = DASHES[(use + place) % len(DASHES)], MARKERS[use % len(MARKERS)]
        found[policy] = {"color": own[shade], "linestyle": dash, "marker": marker}
    return found


def _looks_within(results: Results, grey: Collection[str]) -> dict[str, dict[str, Any]]:
    """A hue for each member of a family, the same for both of its feedback regimes; see `dashes`."""
    families, rows = family(results), results.contenders
    places: dict[str, dict[str, int]] = {}
    found: dict[str, dict[str, Any]] = {}
    for policy, feedback in zip(rows["policy"], rows["feedback"], strict=True):
        if policy in grey:
            found[policy] = {"color": GREY, "linestyle": "-", "marker": None}
            continue
        members = places.setdefault(families[policy], {})
        use, hue = divmod(members.setdefault(results.entries[policy], len(members)), len(WITHIN))
        style = dashes(feedback) if results.mixed else "-"
        found[policy] = {"color": WITHIN[hue], "linestyle": style, "marker": MARKERS[use % len(MARKERS)]}
    return found


def dashes(feedback: str) -> Any:
    """The line style of a regime: dashed where a policy is told more than what it showed."""
    return WHOLE_ROWS if row_of(feedback).reveals_all else "-"


def crowded(results: Results) -> bool:
    return len(results.contenders) >= CROWD


def by_family(results: Results) -> bool:
    """Has each family of policies a panel of its own? So in a crowd, where the panels are not needed for its cases."""
    return crowded(results) and len(results.variants) == 1 and not results.lists


def families_of(results: Results, policies: Collection[str]) -> dict[str, list[str]]:
    """The families of `policies` with their members, the baseline left out; with less than two, all in one."""
    known, rows = family(results), list(results.contenders["policy"])
    titles = [title for title, *_ in reversed(FAMILIES)]
    found = {title: [p for p in rows if p in policies and known.get(p) == title] for title in titles}
    return {title: own for title, own in found.items() if own} or {"": [p for p in rows if p in policies]}


def label(results: Results, policy: str) -> str:
    """The policy's label, with its feedback regime where regimes differ within a variant."""
    if not results.mixed:
        return policy
    regime = str(results.contenders.set_index("policy").loc[policy, "feedback"])
    return regime_label(results.entries[policy], regime)


def by_value(finals: Mapping[str, float], metric: Metric) -> list[str]:
    """Policies by final value, the best (or the highest) first; those without one last."""
    sign = 1 if metric.better == "lower" else -1
    return sorted(finals, key=lambda p: sign * finals[p] if math.isfinite(finals[p]) else math.inf)


def outstanding(finals: Mapping[str, float], metric: Metric, look: Look) -> set[str]:
    """The policies whose bands and labels are drawn: the best by final value, and the baseline."""
    return {*by_value(finals, metric)[:BANDED], *(policy for policy in finals if look[policy]["color"] == GREY)}


# The frame of a figure ------------------------------------------------------------------------------------------------
def grid(
    panels: int,
    columns: int,
    panel: tuple[float, float],
    title: str,
    results: Results,
    notes: Sequence[str],
    beside: float,
    outside: bool = True,
) -> tuple[Figure, list[Axes]]:
    """A figure of `panels` axes of the size `panel` (inches), with head and foot, and room `beside` for a legend.

    The legend of a crowd is taller than a panel, so it belongs to the figure, and the axes leave its room free; not
    where the figure has a legend of its own (`outside` is False).
    """
    columns = min(columns, panels)
    if results.mixed:
        title += f": {' and '.join(dict.fromkeys(kind for _, kind in results.boards))} feedback"
    rows = math.ceil(panels / columns)
    said = run_in_words(results)
    width = max(columns * panel[0] + beside, min(0.2 + 0.068 * len(said), PAGE), 0.2 + 0.092 * len(title))
    said_lines = textwrap.wrap(said, int((width - 0.2) / 0.068) + 1, break_on_hyphens=False)
    foot = [
        line
        for note in [*missing(results), *notes]
        for line in textwrap.wrap(note, int(width * 18.7), break_on_hyphens=False)
    ]
    above, below = 0.52 + 0.16 * (len(said_lines) - 1), 0.16 + 0.135 * len(foot)
    aside = beside if outside and crowded(results) else 0.0
    height = max(rows * panel[1], tallest(results) if aside else 0.0) + above + below
    inside = (0, below / height, 1 - aside / width, 1 - (above + below) / height)
    layout = ConstrainedLayoutEngine(rect=inside, w_pad=0.06, h_pad=0.06)
    figure = Figure(figsize=(width, height), layout=layout)
    figure.text(0.08 / width, 1 - 0.08 / height, title, va="top", fontsize=11, fontweight="bold")
    figure.text(0.08 / width, 1 - 0.32 / height, "\n".join(said_lines), va="top", fontsize=9, color="0.3")
    figure.text(0.08 / width, 0.06 / height, "\n".join(foot), va="bottom", fontsize=7, color="0.3", linespacing=1.25)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(panels)]
    for ax in axes:
        sns.despine(ax=ax)
    return figure, axes


def run_in_words(results: Results) -> str:
    seeds = len(results.meta["seeds"])
    logs = {case.data for case in results.cases}
    if len(results.variants) == 1:
        data = data_in_words(results, results.variants[0])
    else:
        log = results.meta["logs"][0]
        first = (
            f"{log['name']}, {log['rounds']:,} rounds"
            if len(logs) == 1
            else f"{log['name']} and others, {len(logs)} logs"
        )
        data = ", ".join([first, *settings(results)])
    return f"{results.title} ({data}, {seeds} {'seed' if seeds == 1 else 'seeds'})"


def foot(results: Results) -> list[str]:
    """The foot of a figure: interval, feedback, whose data it is."""
    seeds, level = seeds_in_words(results), f"{100 * LEVEL:.0f} %"
    kind = {
        "shuffle": f"{level} bootstrap interval over {seeds} orders of arrival",
        "subsample": f"{level} interval from {seeds} random halves of the log (not narrowed by their number)",
        "none": f"{level} bootstrap interval over {seeds} seeds on one fixed log",
    }[results.replicates]
    alone = len(results.meta["seeds"]) == 1
    spread = "One seed only, so no interval can be given." if alone else f"Mean and {kind}."
    regimes = sorted(set(results.summary["feedback"]))
    regime = f"Feedback: {regimes[0]}." if len(regimes) == 1 else "Feedback differs as named: compare within a regime."
    picked = [results.meta["picked"]] if "picked" in results.meta else []
    return [f"{spread}{'' if results.lists else f' {regime}'}", *picked, *sources(results)]


def seeds_in_words(results: Results) -> str:
    """ "10", or "3 to 10" where some contenders have run fewer seeds than others."""
    ran = sorted(set(results.summary.groupby(["variant", "policy"])["seed"].nunique()))
    return f"{ran[0]}" if len(ran) == 1 else f"{ran[0]} to {ran[-1]}"


def sources(results: Results) -> list[str]:
    """Whose data it is, a line each."""
    logs = results.meta["logs"]
    told = dict.fromkeys(f"{log['attribution'].rstrip('.')}. {_licence(log)}" for log in logs if log.get("attribution"))
    return [f"Data: {source}" for source in told]


def _licence(log: Mapping[str, Any]) -> str:
    """The first clause of the licence; the report has the whole of it."""
    return f"{re.split(r';| [(]the', log.get('licence') or 'Licence not stated')[0]}."


def height_of(ax: Axes, rows: int) -> float:
    """About how high one of `rows` axes will be, in inches, once the figure is laid out."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return 0.78 * (figure.get_figheight() - 1.0) / rows


def axis_title(metric: Metric) -> str:
    title = AXES.get(metric.name, metric.title).removesuffix(", as published")
    return f"{title} (%)" if metric.unit == "%" else title


def band_note(results: Results, policies: Sequence[str]) -> list[str]:
    if len(policies) <= BANDED + 1:
        return []
    told = "Bands and labels" if crowded(results) else "Bands"
    return [f"{told} of the best {BANDED} and the baseline only."]


def known(name: str) -> Metric:
    return LESS if name == LESS.name else METRICS[name]


def drawn_cases(results: Results) -> list[Case]:
    """The cases that get a panel of their own: all of them, or of a sweep over slate sizes those nearest to a quarter
    and to a half of the longest; a dozen panels would show nothing."""
    sizes = results.slates
    if len(sizes) > 2:
        kept = {min(sizes, key=lambda size: abs(size - sizes[-1] * share)) for share in (0.25, 0.5)}
        return [case for case in results.cases if case.slate in kept]
    return results.cases


# Lines and bands ------------------------------------------------------------------------------------------------------
def draw(ax: Axes, bands: Bands, times: float, look: Look, banded: Collection[str], pale: bool = False) -> None:
    """Lines, and bands for `banded`; all bands lie below all lines, so none of them hides a line.

    `pale`: lines that are not `banded` are thin and light, for figures with so many that they can't be told apart.
    """
    for policy, band in bands.items():
        if policy in banded:
            ax.fill_between(
                band.x, band.low * times, band.high * times, color=look[policy]["color"], alpha=0.16, lw=0, zorder=1
            )
            if look[policy]["linestyle"] != "-":  # another policy has the same hue: the edge says whose band it is
                edge = {"color": look[policy]["color"], "ls": look[policy]["linestyle"], "lw": 0.7, "zorder": 1.5}
                ax.plot(band.x, np.stack([band.low, band.high], axis=1) * times, **edge)
        every = max(1, len(band.x) // 10)
        faint: dict[str, Any] = {}
        if pale and policy not in banded:
            faint = {"lw": 0.9, "alpha": 0.55, "zorder": 1.8, "marker": None}
        ax.plot(band.x, band.mean * times, **{**look[policy], "zorder": 2, **faint}, markevery=every, markersize=4)


def limits(bands: Bands, metric: Metric, banded: Collection[str]) -> tuple[float, float] | None:
    """Limits of y in the metric's stored unit: every line after the early rounds, and not too much for all the rest.

    Bands and early lines stretch them by a share at most: the funnel of the early bands, and an early line far away
    from all others, may leave the picture.
    """
    end = max(band.x[-1] for band in bands.values())
    means = np.concatenate([band.mean[band.x >= EARLY * end] for band in bands.values()])
    if not np.isfinite(means).any():
        return None
    low, high = np.nanmin(means), np.nanmax(means)
    wide = [(band, band.x >= 0.25 * end) for policy, band in bands.items() if policy in banded]
    low, high = _stretched(low, high, [edge[keep] for b, keep in wide for edge in (b.low, b.high)], 0.5)
    low, high = _stretched(low, high, [band.mean for band in bands.values()], 0.35)
    floor = -math.inf if metric is LESS else 0.0
    low = 0.0 if floor == 0 and low < 0.3 * high else low  # near enough to zero to show it
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = max(low - margin, floor), high + margin
    if metric.unit == "%":
        high = min(high, 1.02)
    return low, high


def _stretched(low: float, high: float, parts: Sequence[np.ndarray], most: float) -> tuple[float, float]:
    """`low` and `high` moved outwards to hold `parts`, each by no more than the share `most` of their distance."""
    values = np.concatenate(parts) if parts else np.empty(0)
    if not np.isfinite(values).any():
        return low, high
    room = most * (high - low)
    return max(low - room, min(low, np.nanmin(values))), min(high + room, max(high, np.nanmax(values)))


def fitting(bands: Bands, metric: Metric, look: Look, wanted: set[str] | None = None) -> tuple[set[str], set[str]]:
    """The policies whose bands are drawn, and those whose would be if none filled the whole panel at the end: `wanted`,
    or those that are outstanding."""
    if wanted is None:
        wanted = outstanding({policy: float(band.mean[-1]) for policy, band in bands.items()}, metric, look)
    low, high = limits(bands, metric, wanted) or (-math.inf, math.inf)
    width = {policy: bands[policy].high[-1] - bands[policy].low[-1] for policy in wanted}
    return {policy for policy in wanted if not width[policy] > FILLED * (high - low)}, wanted  # NaN: nothing is drawn


def typical(bands: Iterable[Band]) -> float:
    """The typical half-width of the last interval."""
    widths = [(band.high[-1] - band.low[-1]) / 2 for band in bands]
    return float(np.nanmedian(widths)) if np.isfinite(widths).any() else math.nan


def thousands(ax: Axes, ticks: int) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if max(map(abs, ax.get_ylim())) >= 1000:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}".replace("-", "\N{MINUS SIGN}")))


# Legends and labels ---------------------------------------------------------------------------------------------------
def legend(
    ax: Axes,
    results: Results,
    order: Sequence[str],
    values: Mapping[str, str],
    more: Sequence[Line2D] = (),
    at: float = 1.02,
) -> None:
    """The legend to the right of `ax`: policies in `order`, with the final values where they are given, then `more`.

    It begins at the share `at` of the axes' width. A crowd is grouped by family, each under its name, and stands to the
    right of the whole figure.
    """
    look = looks(results)
    lines = [Line2D([], [], **look[policy], markersize=4) for policy in order]
    labels = [label(results, policy) + (f"  {values[policy]}" if policy in values else "") for policy in order]
    if crowded(results):
        _crowd_legend(ax, results, order, lines, labels, more)
        return
    ax.legend(
        [*lines, *more],
        [*labels, *(str(line.get_label()) for line in more)],
        loc="upper left",
        bbox_to_anchor=(at, 1.03),
        frameon=False,
        handlelength=2.6,
        borderaxespad=0,
        labelspacing=0.35,
    )


def _crowd_legend(
    ax: Axes,
    results: Results,
    order: Sequence[str],
    lines: Sequence[Line2D],
    labels: Sequence[str],
    more: Sequence[Line2D],
) -> None:
    families, figure = family(results), ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    group_of = {policy: families.get(policy, "baseline") for policy in order}
    handles: list[Line2D] = []
    texts: list[str] = []
    for group in dict.fromkeys(group_of[policy] for policy in order):
        own = [i for i, policy in enumerate(order) if group_of[policy] == group]
        handles += [Line2D([], [], lw=0), *(lines[i] for i in own)]
        texts += [group, *(labels[i] for i in own)]
    drawn = figure.legend(
        [*handles, *more],
        [*texts, *(str(line.get_label()) for line in more)],
        loc="upper right",
        bbox_to_anchor=(1.0, 1 - 0.45 / figure.get_figheight()),
        frameon=False,
        handlelength=2.6,
        labelspacing=0.2,
        fontsize=CROWD_SIZE,
    )
    drawn.set_in_layout(False)
    for text, line in zip(drawn.get_texts(), handles, strict=False):
        if line.get_linewidth() == 0:
            text.set(fontweight="bold", color="0.3")


def tallest(results: Results) -> float:
    """Inches the legend of a crowd needs."""
    return 0.4 + (len(results.contenders) + len(FAMILIES) + 1) * CROWD_SIZE / 72 * 1.3


def room(results: Results, policies: Sequence[str]) -> float:
    """Inches a legend of `policies` needs beside the axes."""
    return 0.95 + 0.075 * max(14, *(len(label(results, policy)) for policy in policies))


def end_labels(ax: Axes, texts: Mapping[str, tuple[float, str, Any]], height: float, size: float = 7) -> float:
    """Labels (y, text, colour) to the right of `ax`, moved apart where they would overlap; inches they need.

    `height` is that of the axes in inches; the limits of y must have been set.
    """
    low, high = ax.get_ylim()
    if ax.get_yscale() == "log":
        low, high = math.log(low), math.log(high)
    gap = 1.25 * size / 72 / height
    wanted = []
    for policy, (y, _, _) in texts.items():
        value = math.log(y) if ax.get_yscale() == "log" else y
        wanted.append((min(max((value - low) / (high - low), 0.0), 1.0), policy))
    wanted.sort()
    for (at, policy), (aimed, _) in zip(apart(wanted, gap), wanted, strict=True):
        _, text, colour = texts[policy]
        link = {"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 0, "relpos": (0.0, 0.5)}
        ax.annotate(
            text,
            (1.0, aimed),
            (1.03, at),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops=link if abs(at - aimed) > 0.3 * gap else None,
            va="center",
            fontsize=size,
            color=colour,
        )
    return 0.1 + 0.0095 * size * max((len(text) for _, text, _ in texts.values()), default=0)


def apart(wanted: Sequence[tuple[float, str]], gap: float) -> list[tuple[float, str]]:
    """Ascending places moved to be at least `gap` apart, each group about its own middle."""
    groups: list[tuple[list[str], float]] = []  # names, and the sum of the places they want less their offsets
    for at, name in wanted:
        groups.append(([name], at))
        while len(groups) > 1 and _top(groups[-2], gap) + gap > _bottom(groups[-1], gap):
            names, total = groups.pop()
            first, before = groups.pop()
            groups.append((first + names, before + total - gap * len(first) * len(names)))
    return [(_bottom(group, gap) + i * gap, name) for group in groups for i, name in enumerate(group[0])]


def _bottom(group: tuple[list[str], float], gap: float) -> float:
    return group[1] / len(group[0])


def _top(group: tuple[list[str], float], gap: float) -> float:
    return _bottom(group, gap) + gap * (len(group[0]) - 1)


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
