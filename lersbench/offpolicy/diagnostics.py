"""What stands between an off-policy estimate and belief: the figures of its weights, from its sums.

    effective rows     (sum w)^2 / sum w^2 (Kish 1965): equally weighted rows that would say as much
    effective events   the same of v = w r: equally weighted rewards that would. Where rewards can be below 0, of
                       w |r - V|, since then no reward is as good as any
    thin mass          the share of the target on rows of p < 1 / (n V): where the log holds less than one rewarded row
    largest weight     max w / sum w, and how far SNIPS and IPS move, in standard errors, without that row
    mean weight        it must be 1; z by users. By slice and by item as well: see `slices`
    resolution         the step of the propensities' grid, and the share of the weight on rows that lie off it or below
                       25 steps, where a simulated propensity is off by 20 % and more: see `resolution`
    tail index         of Hill (1975, Annals of Statistics 3(5)) from the k largest weights: below 2 the variance of an
                       estimate may be infinite, and so is what its standard error estimates

Thin mass, resolution and tail come from the logged rows: actions that were never logged are not in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import DataError
from lersbench.offpolicy import resolution, slices
from lersbench.offpolicy.intervals import Six, cluster_error, row_errors
from lersbench.offpolicy.sums import (
    CELLS,
    RR,
    TOP_P,
    TOP_V,
    TOP_W,
    ZERO,
    Sums,
    by_cell,
    cell_of_quantile,
    clipped,
    edge,
    influence,
    six,
    spread,
    top_weights,
    weight_below,
)

TAIL = 1000  # of the largest weights make the tail index, and no more than one in
TAIL_SHARE = 50  # of the rows of w > 0
TIED = 3  # of the largest weights that are equal: there the tail ends, and the log holds its end
QUANTILES = (0.9, 0.99, 0.999)  # of w: where the sensitivity row clips
SAME = 1e-9  # relative difference below which two numbers are the same but for rounding


@dataclass(frozen=True)
class Diagnostics:
    """The figures of one contender at one place. NaN: not known, or not defined here."""

    rows: int
    groups: int  # users, or the buckets they were hashed to; rows where there are no users
    snips: float  # the self-normalised estimate
    ips: float
    log: float  # the mean reward of the log itself
    ess: float  # effective rows
    ess_share: float  # of all rows, 0..1
    events: float  # effective rewarded rows
    thin: float  # 0..1
    thin_exact: bool  # else the weight of one cell of p, an eighth wide, is estimated
    max_weight: float
    max_share: float  # 0..1
    snips_without_top: float  # SNIPS without the row of the largest weight
    top_out: float  # standard errors by which SNIPS or IPS moves without it, whichever is more
    wbar: float  # mean weight
    wbar_z: float
    slices: int  # slices and items judged
    worst_slice: str  # "" where there are none
    worst_slice_mean: float
    worst_slice_z: float
    slices_off: float  # share of slices whose mean weight is not 1
    resolution: float  # step of the propensities' grid; 0 where they lie on none
    resolution_share: float  # of the weight, 0..1
    hill: float  # tail index; infinite where the largest weights are equal
    zero_share: float  # of the rows, whose logged action the target never takes
    support: float  # share of the target on actions that the log cannot hold, from the caller; NaN: not known
    r2: float  # of the reward model, from the caller; NaN: none
    agree_z: float  # the largest |z| between two of DR, SNIPS and IPS
    propensities: str  # "logged", "estimated" (by others), "fitted" (here) or "uniform"


def diagnose(
    sums: Sums,
    *,
    propensities: str = "logged",
    slice_names: Sequence[str] = (),
    items: Sequence[slices.Slice] = (),
    doubly: bool = False,
    thin: float | None = None,
    support: float = math.nan,
    r2: float = math.nan,
) -> Diagnostics:
    """The diagnostics of `sums`.

    `propensities` as the log calls them; `slice_names` (L,) of the slices of the sums; `items` from `slices.by_item`,
    the same for all contenders of a log; `doubly`: the sums hold values of a doubly robust estimator; `thin` computed
    over all candidates, where the whole logging distribution is known: None takes it from the rows; `support` share of
    the target on actions of p = 0; `r2` of the reward model. DataError for sums without a row.
    """
    s = six(sums)
    if not s.n:
        raise DataError("an estimate needs at least one row.")
    top, judged = top_weights(sums), _slices(sums, slice_names, items)
    worst = max(judged, key=lambda part: abs(part.z), default=slices.Slice("", 0, math.nan, math.nan))
    limit = slices.bound(len(judged))
    wbar = s.s1 / s.n
    mass, exact = (thin, True) if thin is not None else thin_mass(sums, s)
    without, moves = _without_top(sums, s, top)
    step = resolution.step(sums.sample)
    return Diagnostics(
        rows=s.n,
        groups=int(np.count_nonzero(sums.bucket_rows)),
        snips=_ratio(s.r1, s.s1),
        ips=s.r1 / s.n,
        log=s.total / s.n,
        ess=_ratio(s.s1**2, s.s2, 0.0),
        ess_share=_ratio(s.s1**2, s.s2, 0.0) / s.n,
        events=_events(sums, s),
        thin=mass,
        thin_exact=exact,
        max_weight=float(top[0, TOP_W]) if len(top) else 0.0,
        max_share=_ratio(float(top[0, TOP_W]), s.s1) if len(top) else math.nan,
        snips_without_top=without,
        top_out=moves,
        wbar=wbar,
        wbar_z=_z(wbar - 1, _error(sums, "weight", wbar), 1.0),
        slices=len(judged),
        worst_slice=worst.name,
        worst_slice_mean=worst.mean,
        worst_slice_z=worst.z,
        slices_off=sum(abs(part.z) >= limit for part in judged) / len(judged) if judged else 0.0,
        resolution=step,
        resolution_share=_coarse(sums, s, step),
        hill=hill(top[:, TOP_W], _tail_rows(sums)),
        zero_share=int(sums.rows[ZERO]) / s.n,
        support=support,
        r2=r2,
        agree_z=_agreement(sums, s, doubly),
        propensities=propensities,
    )


def _ratio(top: float, bottom: float, otherwise: float = math.nan) -> float:
    return top / bottom if bottom > 0 else otherwise


def _z(difference: float, error: float, scale: float) -> float:
    """difference / error; 0 for a difference that is rounding beside `scale`, infinite for one without an error."""
    if abs(difference) <= SAME * abs(scale):
        return 0.0
    return difference / error if error > 0 else math.nan if math.isnan(error) else math.copysign(math.inf, difference)


def _error(sums: Sums, kind: str, value: float) -> float:
    """The standard error by users."""
    return float(cluster_error(influence(sums, kind, value), sums.bucket_rows)[0])


def _events(sums: Sums, s: Six) -> float:
    """(sum v)^2 / sum v^2; where rewards can be below 0, of w |r - V|."""
    if sums.span[0] >= 0 or s.s1 == 0:
        return _ratio(s.r1**2, s.q2, 0.0)
    mass, squares = spread(sums, s.r1 / s.s1)
    return _ratio(mass**2, squares, s.s1**2 / s.s2)  # rewards all the same: every row is as good


def thin_mass(sums: Sums, s: Six) -> tuple[float, bool]:
    """The share of the weight on rows of p < 1 / (n c), and whether it is exact; NaN where there is no weight.

    c, the chance of a reward under the target, is V for rewards of 0 and 1; for others V over the size of a reward,
    sum r^2 / sum r over the log; and at least 1 / n. Where rewards can be below 0 every row counts as one.
    """
    if s.s1 == 0:
        return math.nan, True
    squares = math.fsum(by_cell(sums)[:, RR])
    size = squares / s.total if s.total > 0 else 1.0
    chance = 1.0 if sums.span[0] < 0 else max(s.r1 / s.s1 / size, 1 / s.n)
    weight, exact = weight_below(sums, 1 / (s.n * chance))
    return min(1.0, weight / s.s1), exact


def _without_top(sums: Sums, s: Six, top: np.ndarray) -> tuple[float, float]:
    """SNIPS without the row of the largest weight, and by how many standard errors SNIPS or IPS moves without it."""
    if not len(top) or s.n < 2:
        return math.nan, math.nan
    w, v = float(top[0, TOP_W]), float(top[0, TOP_V])
    snips, ips = s.r1 / s.s1, s.r1 / s.n
    without = _ratio(s.r1 - v, s.s1 - w if s.s1 - w > SAME * s.s1 else 0.0)
    moves = (
        _z(without - snips, _error(sums, "snips", snips), snips),
        _z((s.r1 - v) / (s.n - 1) - ips, _error(sums, "ips", ips), ips),
    )
    known = [abs(move) for move in moves if not math.isnan(move)]
    return without, max(known) if known and not math.isnan(without) else math.nan


def _tail_rows(sums: Sums) -> int:
    return min(TAIL, int(sums.rows[0] - sums.rows[ZERO]) // TAIL_SHARE)


def hill(weights: np.ndarray, k: int) -> float:
    """The tail index 1 / mean ln(w_(i) / w_(k+1)), i = 1..k, of `weights` (m,) from the largest on, all above 0.

    Infinite where these are all equal, or the three largest are: weights of a few sizes have a largest, and where the
    log holds rows of it no tail is to come. NaN for k < 2, and where there are no k + 1 weights.
    """
    if k < 2 or len(weights) <= k:
        return math.nan
    if weights[min(TIED, k) - 1] == weights[0]:
        return math.inf
    mean = float(np.log(weights[:k] / weights[k]).mean())
    return 1 / mean if mean > 0 else math.inf


def _slices(sums: Sums, names: Sequence[str], items: Sequence[slices.Slice]) -> list[slices.Slice]:
    s = six(sums)
    mean = s.s1 / s.n
    row = row_errors(s._replace(r1=s.s1, r2=s.s2, q2=s.s2)).ips  # of v = w
    by_user = _error(sums, "weight", mean)
    deff = (by_user / row) ** 2 if row > 0 and by_user > 0 else 1.0
    return [*slices.by_slice(sums, names, deff), *items]


def _coarse(sums: Sums, s: Six, step: float) -> float:
    """The share of the weight on rows of p < 25 steps or off the grid.

    Off the grid: of the largest weights each, of the others those in the sample for as many as it stands for.
    """
    if step == 0.0 or s.s1 == 0:
        return 0.0
    limit = resolution.DRAWS * step
    weight, _ = weight_below(sums, limit)
    top, (p, _, w) = top_weights(sums), resolution.kept(sums.sample)
    high = top[top[:, TOP_P] >= limit]
    weight += float(high[resolution.off_grid(high[:, TOP_P], step), TOP_W].sum())
    strange = (p >= limit) & resolution.off_grid(p, step)
    for each, all_of_it in zip(p[strange].tolist(), w[strange].tolist(), strict=True):
        rest = all_of_it - float(top[top[:, TOP_P] == each, TOP_W].sum())
        if rest > SAME * all_of_it:
            weight += rest * 2.0 ** int(sums.sample.state[resolution.LEVEL])
    return min(1.0, weight / s.s1)


def _agreement(sums: Sums, s: Six, doubly: bool) -> float:
    """The largest |z| of the differences of SNIPS, IPS and DR, by their influences on the same rows; NaN: no error."""
    if s.s1 == 0:
        return math.nan
    values = {"snips": s.r1 / s.s1, "ips": s.r1 / s.n}
    if doubly:
        values["dr"] = float(sums.buckets[:, 2].sum()) / s.n
    psi = {kind: influence(sums, kind, value) for kind, value in values.items()}
    kinds, z = list(values), []
    for i, a in enumerate(kinds):
        for b in kinds[:i]:
            error = float(cluster_error(psi[a] - psi[b], sums.bucket_rows)[0])
            z.append(abs(_z(values[a] - values[b], error, values["snips"])))
    return max(z) if not any(map(math.isnan, z)) else math.nan


# --- how much hangs on the largest weights ---------------------------------------------------------------------------


class Cut(NamedTuple):
    """An estimate with weights clipped."""

    quantile: float  # of w > 0, near which the clip lies; 1 for none
    clip: float  # the largest weight left; infinite for none
    value: float  # the estimate
    cut: float  # share of the weight taken away, 0..1
    lift: float  # value less the mean reward of the log


def sensitivity(sums: Sums, kind: str = "snips") -> list[Cut]:
    """The estimate clipped near the quantiles .9, .99 and .999 of w > 0, and not clipped; `kind` "snips" or "ips".

    A clip lies on the edge of a cell of w, at or above the quantile (at most 1.5 times as large).
    """
    s, out = six(sums), []
    for q in (*QUANTILES, 1.0):
        cell = cell_of_quantile(sums, q) if q < 1 else CELLS
        cut = clipped(sums, cell) if cell < CELLS else s
        value = _ratio(cut.r1, cut.s1) if kind == "snips" else cut.r1 / cut.n
        gone = max(0.0, 1 - _ratio(cut.s1, s.s1)) if s.s1 > 0 else math.nan
        out.append(Cut(q, edge(cell) if cell < CELLS else math.inf, value, gone, value - s.total / s.n))
    return out


def changing_clip(cuts: Sequence[Cut]) -> float | None:
    """The largest clip at which the sign of the lift is not that of the unclipped estimate; None: it never changes."""
    sign = np.sign(cuts[-1].lift)
    return max((cut.clip for cut in cuts[:-1] if np.sign(cut.lift) != sign), default=None)


def check_stochastic(sums: Sums, source: str = "the log") -> None:
    """DataError where every row was logged with certainty: weights of 0 and 1 measure agreement with the logger."""
    p, _, _ = resolution.kept(sums.sample)
    if resolution.is_whole(sums.sample) and len(p) and p.min() >= 1.0:
        raise DataError(
            f"{source}: all propensities are 1, so the logging policy never took another action: what other choices "
            "would have earned is not in it. Only bounds, and the prediction of a reward model, can be given."
        )


def check_known_weights(sums: Sums, source: str = "the log") -> None:
    """The logger as its own target has weights of 1: DataError where `sums`, made so, say anything else.

    Then the chances that were computed for the logger (from its scores, or as uniform) are not the propensities logged.
    """
    s, top = six(sums), top_weights(sums)
    if s.n and (abs(s.s1 - s.n) > SAME * s.n or abs(s.s2 - s.n) > SAME * s.n or abs(s.r1 - s.total) > SAME * s.n):
        raise DataError(
            f"{source}: the logging policy as its own target has a mean weight of {s.s1 / s.n:.6g} and a largest of "
            f"{top[0, TOP_W] if len(top) else 0.0:.6g}, where all should be 1: the propensities are not those of the "
            "scores (or of uniform choice). Repair one of the two columns, or leave the scores out."
        )
