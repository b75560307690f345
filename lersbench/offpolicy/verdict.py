"""May one believe an off-policy estimate? The lowest cell of a table of its diagnostics decides, and says why in words.

THRESHOLDS holds for each diagnostic the bounds of "believe" and of "caution"; beyond the second it is "do not believe".
Its order is that of the reasons within a level: causes stand before what follows from them, as few effective rows do
from one row that carries most of the weight.

Below "believe" only intervals that hold for rare and heavy weights (Cressie-Read, gamma) should be shown, never the
normal one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lersbench.errors import ConfigError
from lersbench.offpolicy.diagnostics import Cut, Diagnostics, changing_clip

BELIEVE, CAUTION, DO_NOT_BELIEVE = LEVELS = ("believe", "caution", "do not believe")
PROPENSITIES = ("logged", "estimated", "fitted", "uniform")
MODEL = "dm"  # the kind of estimate that no weights stand behind


class Bounds(NamedTuple):
    """What a diagnostic must reach ("least"), or stay within ("most"), for a level; its sign does not count."""

    side: str
    believe: float
    caution: float


UNSURE = {  # propensities that cap a verdict, and why
    "estimated": "the propensities are estimated, and their own error is in no interval",
    "fitted": "the propensities are estimated by a fit, which cannot see what the logging policy saw and the log does "
    "not hold",
}
THRESHOLDS: Mapping[str, Bounds] = {
    "zero_share": Bounds("most", 1 - 1e-12, 1 - 1e-12),
    "groups": Bounds("least", 20, 2),
    "max_share": Bounds("most", 0.01, 0.05),
    "top_out": Bounds("most", 0.5, 2.0),
    "support": Bounds("most", 0.0, 0.10),
    "resolution_share": Bounds("most", 0.0, 0.05),
    "wbar_off": Bounds("most", 0.10, 0.25),
    "wbar_z": Bounds("most", 3.0, 4.0),
    "slices_off": Bounds("most", 0.0, 0.05),
    "events": Bounds("least", 50, 20),
    "thin": Bounds("most", 0.05, 0.20),
    "ess": Bounds("least", 200, 50),
    "agree_z": Bounds("most", 3.0, 4.0),
    "r2": Bounds("least", 1e-9, -math.inf),
    "hill": Bounds("least", 3.0, 2.0),
}


@dataclass(frozen=True)
class Verdict:
    """A level, and every reason for not a higher one in words, the worst first. None where the level is "believe"."""

    level: str
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The level and its two worst reasons: "Do not believe: one row carries 69 % of all weight." """
        if not self.reasons:
            return "Believe: nothing speaks against it."
        first, *rest = self.reasons[:2]
        return " ".join([f"{self.level.capitalize()}: {first}.", *(f"{_capital(reason)}." for reason in rest)])


def verdict(
    diagnostics: Diagnostics,
    kind: str = "snips",
    caps: Sequence[tuple[str, str]] = (),
    thresholds: Mapping[str, Bounds] = THRESHOLDS,
) -> Verdict:
    """The verdict on an estimate of this `kind` ("ips", "snips", "dr", ... or "dm", a model's own prediction).

    `caps`: pairs of a level that the verdict may not exceed and the reason in words, for what the sums cannot know.
    ConfigError for unknown propensities or levels.
    """
    if diagnostics.propensities not in PROPENSITIES:
        raise ConfigError(f"propensities '{diagnostics.propensities}' are none of {', '.join(PROPENSITIES)}.")
    if kind == MODEL:
        return Verdict(DO_NOT_BELIEVE, ("it is the prediction of a reward model, not evidence from the log",))
    levels = {name: level_of(diagnostics, name, thresholds) for name in thresholds}
    found = [(level, WORDS[name](diagnostics, kind)) for name, level in levels.items() if level != BELIEVE]
    if diagnostics.propensities in UNSURE:
        found.append((CAUTION, UNSURE[diagnostics.propensities]))
    found += caps
    if unknown := {level for level, _ in found} - set(LEVELS):
        raise ConfigError(f"no verdict has the level {', '.join(map(repr, sorted(unknown)))}; there are {LEVELS}.")
    found = sorted((pair for pair in found if pair[0] != BELIEVE), key=lambda pair: -LEVELS.index(pair[0]))
    return Verdict(found[0][0] if found else BELIEVE, tuple(dict.fromkeys(words for _, words in found)))


def level_of(diagnostics: Diagnostics, name: str, thresholds: Mapping[str, Bounds] = THRESHOLDS) -> str:
    """The level that one diagnostic alone allows; "believe" where it is not known."""
    side, believe, caution = thresholds[name]
    value = abs(diagnostics.wbar - 1) if name == "wbar_off" else getattr(diagnostics, name)
    if math.isnan(value):
        return BELIEVE
    if side == "most":
        return BELIEVE if abs(value) <= believe else CAUTION if abs(value) <= caution else DO_NOT_BELIEVE
    return BELIEVE if value >= believe else CAUTION if value >= caution else DO_NOT_BELIEVE


def sign_warning(cuts: Sequence[Cut]) -> str:
    """What the sensitivity row says of the sign of the lift against the log: "" where no clip changes it."""
    clip = changing_clip(cuts)
    return "" if clip is None else f"the sign of the lift against the log depends on rows above weight {_number(clip)}"


# --- in words --------------------------------------------------------------------------------------------------------


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def percent(share: float) -> str:
    """A share in words, two digits: 69 %, 2.7 %, 0.04 %."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.2g} %"


def _number(value: float) -> str:
    """Two digits or three, and all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 10 else f"{value:.2g}"


def _mean(value: float) -> str:
    """Three digits, and all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _z(value: float) -> str:
    """ " (z = 4.2)"; nothing where it is not known."""
    return f" (z = {value:.1f})" if math.isfinite(value) else ""


def _top_row(d: Diagnostics, kind: str) -> str:
    row = f"one row carries {percent(d.max_share)} of all weight"
    if not d.top_out > THRESHOLDS["top_out"].believe:
        return row
    estimate = "the estimate" if kind == "snips" else "the self-normalised estimate"
    without, with_it = (f"{x:.3g}" for x in (d.snips_without_top, d.snips))
    if without == with_it:
        return row
    if _number(d.snips_without_top) != _number(d.snips):
        without, with_it = _number(d.snips_without_top), _number(d.snips)
    return f"{row}; without it {estimate} is {without} instead of {with_it}"


def _support(d: Diagnostics, kind: str) -> str:
    return f"{percent(d.support)} of the target lies on actions that the logging policy never takes"


def _resolution(d: Diagnostics, kind: str) -> str:
    return (
        f"the propensities lie on a grid of {d.resolution:.3g}, as after {1 / d.resolution:,.0f} simulated draws or "
        f"rounding, and {percent(d.resolution_share)} of all weight on those below {25 * d.resolution:.3g}, which are "
        "off by 20 % or more, or beside the grid"
    )


def _mean_weight(d: Diagnostics, kind: str) -> str:
    return f"the mean weight is {_mean(d.wbar)} and should be 1{_z(d.wbar_z)}"


def _slices(d: Diagnostics, kind: str) -> str:
    return (
        f"the mean weight of {d.worst_slice} is {_mean(d.worst_slice_mean)} and should be 1"
        f"{_z(d.worst_slice_z)}, and that of {percent(d.slices_off)} of {d.slices} slices is off as far"
    )


def _events(d: Diagnostics, kind: str) -> str:
    if d.events == 0:
        return "no row that the target would have shown has a reward"
    return f"its rewards are worth {_number(d.events)} equally weighted ones"


def _thin(d: Diagnostics, kind: str) -> str:
    return f"{percent(d.thin)} of the target lies where the log is to hold less than one rewarded row"


def _effective_rows(d: Diagnostics, kind: str) -> str:
    return f"its {d.rows:,} rows are worth {_number(d.ess)} equally weighted ones"


def _groups(d: Diagnostics, kind: str) -> str:
    if d.rows < 2:
        return "it is one row, so nothing is known of its error"
    if d.groups < 2:
        return "all rows are of one user, so nothing is known of its error"
    return f"its error rests on {d.groups} users or independent rows"


def _agreement(d: Diagnostics, kind: str) -> str:
    of = "their own" if d.propensities == "fitted" else "their difference"
    return f"estimators of the same value differ by {d.agree_z:.1f} standard errors of {of}"


def _reward_model(d: Diagnostics, kind: str) -> str:
    return f"the reward model explains nothing of the weighted rewards (R² {d.r2:.2g})"


def _tail(d: Diagnostics, kind: str) -> str:
    return f"the tail index of the weights is {d.hill:.1f}, and below 2 no standard error holds"


WORDS: Mapping[str, Callable[[Diagnostics, str], str]] = {
    "zero_share": lambda d, kind: "the target never takes a logged action, so every weight is 0",
    "groups": _groups,
    "max_share": _top_row,
    "top_out": _top_row,
    "support": _support,
    "resolution_share": _resolution,
    "wbar_off": _mean_weight,
    "wbar_z": _mean_weight,
    "slices_off": _slices,
    "events": _events,
    "thin": _thin,
    "ess": _effective_rows,
    "agree_z": _agreement,
    "r2": _reward_model,
    "hill": _tail,
}
