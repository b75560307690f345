"""How a figure looks: fonts, colours, dashes and markers, and which policy gets which.

A policy looks the same in all figures of a run: its hue is the policy's name, its dashes tell the hyper-parameters of a
sweep apart, the baseline is grey. A run of more policies than that can tell apart is a crowd. In it each family of
policies has a panel of its own (see `families`), a hue is told apart within its family, and feedback on whole reward
rows is dashed; in a crowd of several cases the panels are the cases, and a policy has a shade of its family's hue.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn as sns

from lersbench.families import BEFOREHAND, MODELS, PATTERNS, family_of
from lersbench.feedback import row_of
from lersbench.results.tables import Results

CROWD = 14  # policies from which on a run is a crowd
HUES = [colour for i, colour in enumerate(sns.color_palette("colorblind")) if i not in (7, 8)]  # not grey, not yellow
GREY = "0.45"
PALE = "0.55"  # what is drawn but not compared, such as a random ranking
BASELINE: dict[str, Any] = {"color": GREY, "linestyle": "-", "marker": None}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 3)))
WHOLE_ROWS = (0, (4, 1.5))  # dashes of feedback on whole reward rows, where a family has a panel of its own
MARKERS = (None, "o", "s", "^", "D", "v")
WITHIN = (*(HUES[i] for i in (0, 1, 2, 3, 4, 5, 7)), "#6c3483")  # hues of a family's members; pale pink is no text
SHADES = {  # of the hue of a family
    "LERS": ("#c2185b", "#7b1e1e", "#ef6f6c", "#a0522d"),
    "neural": ("#ca9161", "#6e4b26", "#e3c29f"),
    "per-position linear": ("#0173b2", "#08306b", "#56b4e9", "#4455c8", "#00838f", "#8aa4d6"),
    "per-position, context-free": ("#029e73", "#0b5345", "#7dcea0", "#8a9a1b"),
    "click model, context-free": ("#c566b8", "#6c3483", "#e8a0d8"),
    MODELS: ("#5d6d7e", "#1b2631", "#aab7b8"),
    "shared linear": ("#d55e00", "#7b1e1e", "#f5a15d", "#c2185b", "#a0522d", "#ef6f6c"),
    BEFOREHAND: ("#3b7a57", "#1b4d3e", "#7fb069", "#9c6644"),
    "context-free": ("#de8f05", "#8a6d00", "#d4b106"),
}
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

Look = Mapping[str, Mapping[str, Any]]  # by policy: the arguments of its line for matplotlib


# Colours, dashes and markers ------------------------------------------------------------------------------------------
def looks(results: Results) -> dict[str, dict[str, Any]]:
    """Colour, dashes and marker of every policy of the run."""
    if by_family(results):
        others = _hues_within_families(results)
    elif crowded(results):
        others = _shades_of_families(results)
    else:
        others = _hues_by_name(results)
    return {policy: others.get(policy, BASELINE) for policy in results.contenders["policy"]}


def _hues_by_name(results: Results) -> dict[str, dict[str, Any]]:
    """Hue by name, dashes by hyper-parameters; the second name of a hue has both other dashes and a marker."""
    rows = _without_baseline(results)
    places: dict[str, int] = {}
    lines_of_hue: dict[int, list[tuple[Any, str | None]]] = {}
    by_policy: dict[str, dict[str, Any]] = {}
    for policy, name in zip(rows["policy"], rows["name"], strict=True):
        use, hue = divmod(places.setdefault(name, len(places)), len(HUES))
        lines = [(dash, marker) for marker in _rotation(MARKERS, use) for dash in _rotation(DASHES, use)]
        earlier = lines_of_hue.setdefault(hue, [])
        dash, marker = next((line for line in lines if line not in earlier), lines[0])
        earlier.append((dash, marker))
        by_policy[policy] = {"color": HUES[hue], "linestyle": dash, "marker": marker}
    return by_policy


def _rotation(choices: Sequence[Any], start: int) -> list[Any]:
    """`choices` from the place `start` on, then those before it."""
    start %= len(choices)
    return [*choices[start:], *choices[:start]]


def _shades_of_families(results: Results) -> dict[str, dict[str, Any]]:
    """Shades and dashes within the hue of a family, so that no two members look alike."""
    sizes: dict[str, int] = {}
    by_policy: dict[str, dict[str, Any]] = {}
    for policy, family in policy_families(results).items():
        place = sizes[family] = sizes.get(family, -1) + 1
        use, shade = divmod(place, len(SHADES[family]))  # dashes begin again with each use of the shades
        dash, marker = DASHES[(use + place) % len(DASHES)], MARKERS[use % len(MARKERS)]
        by_policy[policy] = {"color": SHADES[family][shade], "linestyle": dash, "marker": marker}
    return by_policy


def _hues_within_families(results: Results) -> dict[str, dict[str, Any]]:
    """A hue for each member of a family, the same for both of its feedback regimes; see `dashes`."""
    families, rows = policy_families(results), _without_baseline(results)
    places: dict[str, dict[str, int]] = {}
    by_policy: dict[str, dict[str, Any]] = {}
    for policy, feedback in zip(rows["policy"], rows["feedback"], strict=True):
        members = places.setdefault(families[policy], {})
        use, hue = divmod(members.setdefault(results.entries[policy], len(members)), len(WITHIN))
        dash = dashes(feedback) if results.mixed else "-"
        by_policy[policy] = {"color": WITHIN[hue], "linestyle": dash, "marker": MARKERS[use % len(MARKERS)]}
    return by_policy


def dashes(feedback: str) -> Any:
    """The line style of a regime: dashed where a policy learns from more than the items it showed."""
    return WHOLE_ROWS if row_of(feedback).reveals_all else "-"


# Baseline, families, crowds -------------------------------------------------------------------------------------------
def baselines(results: Results) -> set[str]:
    """The labels under which the scenario's baseline ran."""
    return set(results.called(results.scenario.get("baseline")))


def _without_baseline(results: Results) -> pd.DataFrame:
    """The contenders other than the baseline, a row each."""
    rows = results.contenders
    return rows[~rows["policy"].isin(baselines(results))]


def crowded(results: Results) -> bool:
    """Has the run more policies than hues and dashes can tell apart?"""
    return len(results.contenders) >= CROWD


def by_family(results: Results) -> bool:
    """Has each family of policies a panel of its own? So in a crowd, where the panels are not needed for its cases."""
    return crowded(results) and len(results.variants) == 1 and not results.lists


def policy_families(results: Results) -> dict[str, str]:
    """The family of every policy that is not the baseline, by the policy's name."""
    rows = _without_baseline(results)
    return {policy: family_of(name) for policy, name in zip(rows["policy"], rows["name"], strict=True)}


def family_members(results: Results, policies: Collection[str]) -> dict[str, list[str]]:
    """The families of `policies` with their members, the baseline left out; all in one where there is no family."""
    families = policy_families(results)
    labels = [policy for policy in results.contenders["policy"] if policy in policies]
    titles = list(reversed(PATTERNS))
    members = {title: [policy for policy in labels if families.get(policy) == title] for title in titles}
    return {title: group for title, group in members.items() if group} or {"": labels}
