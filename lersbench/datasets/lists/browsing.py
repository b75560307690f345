"""How the users of a simulated shop look down a list, and the two numbers that tie it to published facts.

The weights of the user browsing model come from a family of two parameters:

    P(position k is examined | last click above at j) = reach(k) / (k - j) ** forgetting
    P(position k is examined | no click above) = reach(k) = scroll + (1 - scroll) * GLANCE ** k

with positions from 0. The first item is in full sight, the second partly, and to those below users have to scroll:
examination falls with the position toward `scroll`, and with the distance to the last click by FORGETTING. The
position-based model is reach alone.

Published are two facts of records with a click: 6.2 % have one at position 12, and the mean position of the last click
is 5.52. Given ranked lists of known appeal both follow in closed form from the intercept of the attraction and from
`scroll`; `calibrate` solves for these two. (They can be told apart: attraction moves the last click down by more clicks
on all lists, scroll by deeper ones.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lersbench.clicks.model import ClickModel, draw_clicks, expected, pbm, shown_attraction, ubm
from lersbench.errors import RunError
from lersbench.kernels.jit import kernel

LAST_CLICKED = 0.062  # share of records with a click at position 12, published
MEAN_LAST = 5.52  # mean position of the last click, counted from 1: 12 (1 - 0.54), from the published 54 %
GLANCE = 0.35  # what is left of the head start of the first position, at each further one
FORGETTING = 0.3
FADE = 0.8  # what an item keeps of its attraction for each item of its family above it
STEPS, TOLERANCE = 40, 1e-5  # of Newton's method; relative
NUDGE = (1e-4, 1e-5)  # for the slopes
LONGEST = np.array([0.5, 0.1])  # a step at most
START = (-2.25, 0.4)  # intercept and scroll from which `calibrate` starts, and which hold on the earlier days


class Facts(NamedTuple):
    """Expected over records with a click."""

    last_clicked: float  # P(a click at the last position)
    mean_last: float  # mean position of the last click, from 1


def browsing(length: int, scroll: float, kind: str, fade: float) -> ClickModel:
    """The click model of this family; `kind` is "ubm" or "pbm", `scroll` in [0, 1]."""
    k = np.arange(length)
    position = scroll + (1 - scroll) * GLANCE**k
    if kind == "pbm":
        return pbm(position, fade)
    distance = np.maximum(k[:, None] - k, 1)  # from position j to k; what stands above the diagonal is ignored
    after = position[:, None] / distance**FORGETTING
    return ubm(np.hstack([position[:, None], after]), fade)


def facts(model: ClickModel, attraction: np.ndarray, family: np.ndarray, slate: np.ndarray) -> Facts:
    """What users of the model do with ranked lists, in closed form.

    attraction (n, C); family (n, C) of the candidates; slate (n, L) indices into the candidates.
    """
    last = np.zeros(slate.shape[1] + 1)
    _last_clicks(model.weights, model.goes_on, model.fade, attraction, family, slate, last)
    last = last[1:] / last[1:].sum()
    return Facts(float(last[-1]), float(last @ np.arange(1, len(last) + 1)))


@kernel
def _last_clicks(weights, goes_on, fade, attraction, family, slate, last):
    """Add to `last` (L + 1,) the probabilities of the last click's position, counted from 1; 0 is no click.

    Nobody leaves under these models (goes_on = 1), so what `expected` leaves in `reached` is just that.
    """
    K = slate.shape[1]
    shown, examined, reached = np.empty(K), np.empty(K), np.empty(K + 1)
    for t in range(slate.shape[0]):
        shown_attraction(attraction[t], family[t], slate[t], fade, shown)
        expected(weights, goes_on, shown, reached, examined)
        for j in range(K + 1):
            last[j] += reached[j]


@kernel
def browse(weights, goes_on, fade, attraction, family, slate, keys, clicks, examined):
    """Show every list to its user: fill `clicks` and `examined` (n, L) with 0 or 1. `keys` (n,): see `draw_clicks`."""
    shown = np.empty(slate.shape[1])
    for t in range(slate.shape[0]):
        shown_attraction(attraction[t], family[t], slate[t], fade, shown)
        draw_clicks(weights, goes_on, shown, slate[t], keys[t], clicks[t], examined[t])


def calibrate(outcome: Callable[[float, float], Facts]) -> tuple[float, float]:
    """The intercept and scroll at which `outcome(intercept, scroll)` is what was published: Newton's method from START.

    Raises RunError where none is found, which happens only to worlds that differ much from the default one.
    """
    aim, at = np.array([LAST_CLICKED, MEAN_LAST]), np.array(START)

    def miss(x: np.ndarray) -> np.ndarray:
        return np.array(outcome(float(x[0]), float(x[1]))) - aim

    for _ in range(STEPS):
        now = miss(at)
        if np.abs(now / aim).max() < TOLERANCE:
            return float(at[0]), float(at[1])
        slope = np.column_stack([(miss(at + step) - now) / step.sum() for step in np.diag(NUDGE)])
        move = np.linalg.solve(slope, now)
        at = at - move / max(1.0, np.abs(move / LONGEST).max())
        at[1] = min(max(at[1], 0.0), 1.0 - NUDGE[1])
    raise RunError(
        f"No click model of the family gives these lists the published facts (P(click at the last position) = "
        f"{LAST_CLICKED}, mean last click {MEAN_LAST}): it came to intercept {at[0]:.3g} and scroll {at[1]:.3g}, where "
        f"they are {now[0] + aim[0]:.4f} and {now[1] + aim[1]:.3f}. Use more items and users, or the default ranker."
    )
