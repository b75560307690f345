"""All that is kept of one contender at one place while a log streams by: sums, from which every figure comes later.

A row is a logged action with its reward r and propensity p, and w = pi / p, how much likelier the contender (the
target policy) was to take that action. One pass fills a `Sums` of some 100 kB, however long the log is; `merge` puts
two of them together. From it come IPS and SNIPS with errors by user, the sums of Cressie-Read and of the gamma
interval, every clipped form, and the diagnostics of the weights.

By bucket. Users are hashed to 1,024 buckets (rows where there are no users). Every error by user needs the sum over a
user's rows of an influence, and influences are linear in what a bucket keeps: rows, sum w, sum w r and the sum of a
doubly robust row value. So the values themselves, known only at the end, are not needed on the way.

By size of weight. Rows are also added up by cells of w, two an octave. The totals over the cells are the six sums of
Cressie-Read; the totals below and above an edge M of a cell are those of weights clipped at M, exactly.

By size of propensity. Thin mass asks for the weight on rows with p < 1 / (n V), known only at the end as well: sums of
w by cells of p, eight an octave, and exactly by the distinct propensities where these are few (see `resolution`).

Rounding. Within a cell 1,024 rows are added up as they come; such blocks, and whatever has no cells, are added up with
compensation (Neumaier 1974). A bucket is a plain sum of one in 1,024 rows. Counts are whole numbers.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lersbench.errors import ConfigError, DataError
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.ties import scramble
from lersbench.offpolicy.intervals import Six
from lersbench.offpolicy.resolution import HALF, Sample, add_to_sample, added, is_whole, merge_into, new_sample

BUCKETS = 1024  # a power of two
TOP = 1001  # largest weights that are kept: a thousand, and the one that begins their tail
HEAVIEST = 1e12  # a larger weight is an error
LEAST, MOST = -10, 40  # octaves of w that have cells
CELLS = 2 + 2 * (MOST - LEAST)  # the first for w = 0, the second for all below 2**LEAST
ROWS = 1 << 14  # taken at a time
BLOCK = 1024  # rows of a cell that are added up without compensation
THINNEST = -44  # octave of the smallest p that has a cell of its own
THIN_CELLS = 1 - 8 * THINNEST
STEPS = 256  # cells of the reward, where it can be below 0
ROUNDING = 1e-9  # by which a chance may exceed 1

S1, S2, R1, R2, Q2, R, RR, DD = range(8)  # columns of the cells: sums of w, w^2, w r, w^2 r, w^2 r^2, r, r^2, d^2
N, ZERO = 0, 1  # places of `rows`: all rows, those of weight 0
TOP_W, TOP_V, TOP_P = range(3)  # columns of `top`


class Settings(NamedTuple):
    """What the sums need to know before the first row."""

    r_min: float = 0.0  # range of a reward; a reward outside is an error
    r_max: float = 1.0
    slices: int = 0  # number of slices of all slicings together (places, days, levels of the context, loggers)
    buckets: int = BUCKETS  # a power of two
    top: int = TOP


class Sums(NamedTuple):
    """Sums of one contender at one place, changed by `add`. G buckets, C cells of w, L slices."""

    rows: np.ndarray  # (2,) int64: all rows, rows of weight 0
    bucket_rows: np.ndarray  # (G,) int64
    buckets: np.ndarray  # (G, 3) sums of w, of w r, and of the doubly robust row value
    cell_rows: np.ndarray  # (C,) int64
    recent: np.ndarray  # (C, 8) sums of the last rows of each cell
    cells: np.ndarray  # (C, 8) sums of those before
    lost: np.ndarray  # (C, 8) what rounding lost of `cells`
    thin: np.ndarray  # (THIN_CELLS, 2) sum of w by cells of p, and what rounding lost
    sample: Sample  # distinct propensities
    top: np.ndarray  # (TOP, 3) the largest weights, with w r and p: a heap with the least of them first
    top_rows: np.ndarray  # (1,) int64, how many there are
    slice_rows: np.ndarray  # (L,) int64
    slices: np.ndarray  # (L, 2, 2) sums of w and of w^2 by slice, and what rounding lost
    steps: np.ndarray  # (256 or 0, 2, 2) sums of w and of w r by cells of r, and what rounding lost
    span: np.ndarray  # (2,) range of a reward


def new_sums(settings: Settings = Settings()) -> Sums:  # noqa: B008 - immutable
    """Sums before the first row. Raises ConfigError for settings that cannot be."""
    g, low, high = settings.buckets, settings.r_min, settings.r_max
    if g < 2 or g & (g - 1):
        raise ConfigError(f"{g} buckets: their number must be a power of two, such as {BUCKETS}.")
    if not low < high or (low < 0 and not math.isfinite(high - low)):
        raise ConfigError(f"rewards from {low:g} to {high:g}: give a range with r_min < r_max, finite below 0.")
    return Sums(
        rows=np.zeros(2, np.int64),
        bucket_rows=np.zeros(g, np.int64),
        buckets=np.zeros((g, 3)),
        cell_rows=np.zeros(CELLS, np.int64),
        recent=np.zeros((CELLS, 8)),
        cells=np.zeros((CELLS, 8)),
        lost=np.zeros((CELLS, 8)),
        thin=np.zeros((THIN_CELLS, 2)),
        sample=new_sample(),
        top=np.zeros((settings.top, 3)),
        top_rows=np.zeros(1, np.int64),
        slice_rows=np.zeros(settings.slices, np.int64),
        slices=np.zeros((settings.slices, 2, 2)),
        steps=np.zeros((STEPS if low < 0 else 0, 2, 2)),
        span=np.array([low, high], np.float64),
    )


# --- what a row is ---------------------------------------------------------------------------------------------------


@kernel
def _buckets(users: np.ndarray, first_row: int, out: np.ndarray) -> None:
    mask = BUCKETS - 1
    for i in range(out.shape[0]):
        if users.shape[0] > 0 and users[i] >= 0:
            out[i] = scramble(users[i] >> HALF, users[i] & ((1 << HALF) - 1)) & mask
        else:  # the 1,024 rows of a block lie in as many buckets, in another order in every block
            row = first_row + i
            out[i] = (row ^ scramble(row // BUCKETS, 1)) & mask


def buckets_of(users: np.ndarray | None, n: int, first_row: int = 0) -> np.ndarray:
    """The buckets (n,) int64 of n rows from number `first_row` on, by `users` (n,) of whole numbers >= 0.

    A user lies in one bucket wherever he occurs. A row without a user (None, or -1) stands for itself: the first 1,024
    rows have a bucket each. Take the places of another log's users here only if they are the same users.
    """
    ids = np.empty(0, np.int64) if users is None else np.ascontiguousarray(users, np.int64)
    if users is not None and ids.shape != (n,):
        raise ConfigError(f"users of shape {ids.shape} for {n} rows.")
    out = np.empty(n, np.int64)
    _buckets(ids, first_row, out)
    return out


def importance_weights(
    pi: np.ndarray, p: np.ndarray, first_row: int | np.ndarray = 0, source: str = "the log"
) -> np.ndarray:
    """w = pi / p (n,) of the logged actions: `pi` (n,) in [0, 1] under the target policy, `p` (n,) in (0, 1] logged.

    DataError with row, column and value for a number that is no probability, a propensity of 0, and a weight above
    1e12, which would leave nothing of the other rows. `first_row` is the number of the first one in the log, or (n,)
    those of all of them.
    """
    pi, p = np.asarray(pi, np.float64), np.asarray(p, np.float64)
    if pi.shape != p.shape or pi.ndim != 1:
        raise ConfigError(f"chances of shape {pi.shape} for propensities of shape {p.shape}: both must be (n,).")
    where = (source, first_row)
    _refuse(~((p > 0) & (p <= 1 + ROUNDING)), p, "propensities", "in (0, 1]", *where)
    _refuse(~((pi >= 0) & (pi <= 1 + ROUNDING)), pi, "chance", "in [0, 1]", *where)
    with np.errstate(over="ignore"):
        w = pi / p
    _refuse(~(w <= HEAVIEST), w, "weight chance / propensity", f"at most {HEAVIEST:g}", *where)
    return w


def _refuse(bad: np.ndarray, values: np.ndarray, column: str, rule: str, source: str, first_row: Any) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        number = first_row + row if np.ndim(first_row) == 0 else first_row[row]
        raise DataError(
            f"{source}: row {number}, column {column}: {values[row]:.6g} is not {rule}; repair or drop the row."
        )


@kernel
def _first_bad(w: np.ndarray, r: np.ndarray, p: np.ndarray, extra: np.ndarray, span: np.ndarray) -> int:
    """The first row that cannot be added, or -1."""
    low, high = span[0], span[1]
    for i in range(w.shape[0]):
        fine = (w[i] >= 0.0) & (w[i] <= HEAVIEST) & (r[i] >= low) & (r[i] <= high) & (p[i] > 0.0)
        if not (fine & (p[i] <= 1.0 + ROUNDING)):
            return i
    for i in range(extra.shape[0]):
        if not abs(extra[i]) < math.inf:
            return i
    return -1


@kernel
def _places_fit(bucket: np.ndarray, buckets: int, slices: np.ndarray, count: int) -> bool:
    fine = True
    for i in range(bucket.shape[0]):
        fine &= (bucket[i] >= 0) & (bucket[i] < buckets)
    for i in range(slices.shape[0]):
        for s in range(slices.shape[1]):
            fine &= (slices[i, s] >= -1) & (slices[i, s] < count)
    return fine


# --- one pass --------------------------------------------------------------------------------------------------------


def add(
    sums: Sums,
    w: np.ndarray,
    r: np.ndarray,
    p: np.ndarray,
    bucket: np.ndarray,
    extra: np.ndarray | None = None,
    slices: np.ndarray | None = None,
    first_row: int = 0,
    source: str = "the log",
) -> None:
    """Add n rows to `sums`.

    `w` (n,) in [0, 1e12], from `importance_weights`; `r` (n,) rewards inside the range of the settings, of any numeric
    type; `p` (n,) in (0, 1] logged propensities; `bucket` (n,) from `buckets_of`; `extra` (n,) values of the rows under
    a doubly robust estimator, None without one; `slices` (n, S) numbers of the slices a row lies in, -1 for none.
    DataError with row, column and value for NaN and what lies outside; `sums` are then as before.
    """
    given = [np.ascontiguousarray(values, np.float64) for values in (w, r, p, () if extra is None else extra)]
    places = np.ascontiguousarray(bucket, np.int64)
    n = len(given[0])
    parts = np.empty((n, 0), np.int64) if slices is None else np.ascontiguousarray(slices, np.int64)
    if any(values.shape != (n,) for values in (*given[:3], places)) or len(parts) != n or len(given[3]) not in (0, n):
        raise ConfigError(f"all of w, r, p, bucket, extra and slices must have the {n} rows of w.")
    if _first_bad(*given, sums.span) >= 0:
        low, high = sums.span.tolist()
        v, where = dict(zip("wrpd", given, strict=True)), (source, first_row)
        _refuse(~((v["w"] >= 0) & (v["w"] <= HEAVIEST)), v["w"], "weight", f"in [0, {HEAVIEST:g}]", *where)
        _refuse(~((v["r"] >= low) & (v["r"] <= high)), v["r"], "reward", f"in [{low:g}, {high:g}]", *where)
        _refuse(~((v["p"] > 0) & (v["p"] <= 1 + ROUNDING)), v["p"], "propensities", "in (0, 1]", *where)
        _refuse(~np.isfinite(v["d"]), v["d"], "doubly robust value", "finite", *where)
    if not _places_fit(places, len(sums.bucket_rows), parts, len(sums.slice_rows)):
        raise ConfigError(
            f"buckets must lie in 0..{len(sums.bucket_rows) - 1}, slices in -1..{len(sums.slice_rows) - 1}."
        )
    for first in range(0, n, ROWS):
        some = slice(first, first + ROWS)
        _add_block(sums, *(values[some] for values in (*given[:3], places, given[3], parts)))


def _add_block(
    sums: Sums, w: np.ndarray, r: np.ndarray, p: np.ndarray, bucket: np.ndarray, extra: np.ndarray, slices: np.ndarray
) -> None:
    """`add` without its checks, for rows that lie near the processor while one kernel after another takes them."""
    w_bits, p_bits = w.view(np.int64), p.view(np.int64)
    _by_bucket(sums.bucket_rows, sums.buckets, bucket, w, r, extra)
    _by_weight(sums.cell_rows, sums.recent, sums.cells, sums.lost, w_bits, w, r, extra)
    _by_propensity(sums.thin, p_bits, w)
    add_to_sample(*sums.sample, p_bits, p, w, np.empty(0), np.empty(0, np.int64))
    _largest(sums.top, sums.top_rows, w, r, p)
    if slices.shape[1]:
        _by_slice(sums.slice_rows, sums.slices, slices, w)
    if len(sums.steps):
        _by_reward(sums.steps, sums.span, w, r)
    sums.rows[N] += len(w)
    sums.rows[ZERO] = sums.cell_rows[0]


@kernel
def _by_bucket(
    rows: np.ndarray, buckets: np.ndarray, bucket: np.ndarray, w: np.ndarray, r: np.ndarray, extra: np.ndarray
) -> None:
    for i in range(w.shape[0]):
        at = bucket[i]
        rows[at] += 1
        buckets[at, 0] += w[i]
        buckets[at, 1] += w[i] * r[i]
    for i in range(extra.shape[0]):
        buckets[bucket[i], 2] += extra[i]


@inlined
def _cell(bits: int) -> int:
    """The cell of a weight by its bits: its exponent and the first digit after the point."""
    if bits == 0:
        return 0
    return max(1, (bits >> 51) - 2 * (1023 + LEAST) + 2)


@kernel
def _by_weight(
    rows: np.ndarray,
    recent: np.ndarray,
    cells: np.ndarray,
    lost: np.ndarray,
    bits: np.ndarray,
    w: np.ndarray,
    r: np.ndarray,
    extra: np.ndarray,
) -> None:
    doubly = extra.shape[0] > 0
    for i in range(w.shape[0]):
        cell, v, d = _cell(bits[i]), w[i] * r[i], extra[i] if doubly else 0.0
        recent[cell, S1] += w[i]
        recent[cell, S2] += w[i] * w[i]
        recent[cell, R1] += v
        recent[cell, R2] += w[i] * v
        recent[cell, Q2] += v * v
        recent[cell, R] += r[i]
        recent[cell, RR] += r[i] * r[i]
        recent[cell, DD] += d * d
        rows[cell] += 1
        if rows[cell] & (BLOCK - 1) == 0:
            for j in range(8):
                cells[cell, j], lost[cell, j] = added(cells[cell, j], lost[cell, j], recent[cell, j])
                recent[cell, j] = 0.0


@kernel
def _by_propensity(thin: np.ndarray, bits: np.ndarray, w: np.ndarray) -> None:
    for i in range(w.shape[0]):
        cell = min(max(0, (bits[i] >> 49) - 8 * (1023 + THINNEST)), THIN_CELLS - 1)
        thin[cell, 0], thin[cell, 1] = added(thin[cell, 0], thin[cell, 1], w[i])


@kernel
def _by_slice(rows: np.ndarray, sums: np.ndarray, slices: np.ndarray, w: np.ndarray) -> None:
    for i in range(w.shape[0]):
        for s in range(slices.shape[1]):
            at = slices[i, s]
            if at >= 0:
                rows[at] += 1
                sums[at, 0, 0], sums[at, 0, 1] = added(sums[at, 0, 0], sums[at, 0, 1], w[i])
                sums[at, 1, 0], sums[at, 1, 1] = added(sums[at, 1, 0], sums[at, 1, 1], w[i] * w[i])


@kernel
def _by_reward(sums: np.ndarray, span: np.ndarray, w: np.ndarray, r: np.ndarray) -> None:
    low, scale = span[0], STEPS / (span[1] - span[0])
    for i in range(w.shape[0]):
        at = min(int((r[i] - low) * scale), STEPS - 1)
        sums[at, 0, 0], sums[at, 0, 1] = added(sums[at, 0, 0], sums[at, 0, 1], w[i])
        sums[at, 1, 0], sums[at, 1, 1] = added(sums[at, 1, 0], sums[at, 1, 1], w[i] * r[i])


@inlined
def _before(top: np.ndarray, at: int, w: float, v: float, p: float) -> bool:
    """Is the kept row less than another? By weight, then by w r, then by p: so it never matters which came first."""
    if top[at, TOP_W] != w:
        return top[at, TOP_W] < w
    if top[at, TOP_V] != v:
        return top[at, TOP_V] < v
    return top[at, TOP_P] < p


@kernel
def _largest(top: np.ndarray, used: np.ndarray, w: np.ndarray, r: np.ndarray, p: np.ndarray) -> None:
    for i in range(w.shape[0]):
        if used[0] < top.shape[0] or (w[i] >= top[0, TOP_W] and _before(top, 0, w[i], w[i] * r[i], p[i])):
            _keep_if_top(top, used, w[i], w[i] * r[i], p[i])


@kernel
def _keep_if_top(top: np.ndarray, used: np.ndarray, w: float, v: float, p: float) -> None:
    """Put a row into the heap of the largest weights, in place of the least of them where it is full."""
    size = top.shape[0]
    if w == 0.0 or (used[0] == size and not _before(top, 0, w, v, p)):
        return
    if used[0] == size:
        at = 0
        while 2 * at + 1 < size:
            child = 2 * at + 1
            if child + 1 < size and _before(top, child + 1, top[child, TOP_W], top[child, TOP_V], top[child, TOP_P]):
                child += 1
            if not _before(top, child, w, v, p):
                break
            _move(top, child, at)
            at = child
    else:
        at = used[0]
        used[0] += 1
        while at > 0 and not _before(top, (at - 1) // 2, w, v, p):
            _move(top, (at - 1) // 2, at)
            at = (at - 1) // 2
    top[at, TOP_W], top[at, TOP_V], top[at, TOP_P] = w, v, p


@inlined
def _move(top: np.ndarray, source: int, to: int) -> None:
    for j in range(3):
        top[to, j] = top[source, j]


# --- put together ----------------------------------------------------------------------------------------------------


def merge(a: Sums, b: Sums) -> Sums:
    """The sums of the rows of both, as one pass over them would give; neither is changed.

    ConfigError where they were not made by the same settings.
    """
    shapes = [[np.shape(x) for x in one if isinstance(x, np.ndarray)] for one in (a, b)]
    if shapes[0] != shapes[1] or not np.array_equal(a.span, b.span):
        raise ConfigError("sums of different settings cannot be merged: give both the same `Settings`.")
    out = copy(a)
    for name in ("rows", "bucket_rows", "buckets", "cell_rows", "slice_rows"):
        getattr(out, name)[...] += getattr(b, name)
    for x in (b.cells, b.lost, a.recent, b.recent):
        _add_exactly(out.cells, out.lost, x)
    out.recent[...] = 0.0
    for name in ("thin", "slices", "steps"):
        mine, theirs = getattr(out, name), getattr(b, name)
        for k in range(2):
            _add_exactly(mine[..., 0], mine[..., 1], theirs[..., k])
    merge_into(out.sample, b.sample)
    for w, v, p in b.top[: b.top_rows[0]]:
        _keep_if_top(out.top, out.top_rows, w, v, p)
    return out


def copy(sums: Sums) -> Sums:
    """Sums of their own memory."""
    arrays = {name: x.copy() for name, x in sums._asdict().items() if isinstance(x, np.ndarray)}
    return Sums(**arrays, sample=Sample(*(x.copy() for x in sums.sample)))


def _add_exactly(total: np.ndarray, lost: np.ndarray, x: np.ndarray) -> None:
    """`added` of arrays."""
    after = total + x
    lost += np.where(np.abs(total) >= np.abs(x), (total - after) + x, (x - after) + total)
    total[...] = after


# --- what they come to -----------------------------------------------------------------------------------------------


def by_cell(sums: Sums) -> np.ndarray:
    """The sums (C, 8) of all rows by cell of w: columns S1, S2, R1, R2, Q2, R, RR, DD."""
    return sums.cells + (sums.lost + sums.recent)


def six(sums: Sums) -> Six:
    """The sums that Cressie-Read and the errors by row need."""
    return _six(int(sums.rows[N]), by_cell(sums))


def _six(n: int, cells: np.ndarray) -> Six:
    return Six(n, *(math.fsum(cells[:, column]) for column in (S1, S2, R1, R2, Q2, R)))


def edge(cell: int) -> float:
    """The least w of a cell, 2 <= cell < CELLS; the cells before hold w = 0 and 0 < w < edge(2)."""
    octave, half = divmod(cell - 2, 2)
    return 2.0 ** (LEAST + octave) * (1.0 + half / 2)


def clipped(sums: Sums, cell: int) -> Six:
    """The six sums of min(w, M) in place of w, M = edge(cell), 2 <= cell < CELLS. Exact."""
    cells, m = by_cell(sums), edge(cell)
    cut, rows = cells[cell:], sums.cell_rows[cell:]
    kept = cells[:cell].copy()
    instead = np.zeros((len(cut), 8))
    instead[:, S1], instead[:, S2] = m * rows, m * m * rows
    instead[:, R1], instead[:, R2], instead[:, Q2] = m * cut[:, R], m * m * cut[:, R], m * m * cut[:, RR]
    instead[:, R] = cut[:, R]
    return _six(int(sums.rows[N]), np.concatenate([kept, instead]))


def weight_cut(sums: Sums, cell: int) -> float:
    """The share of all weight that clipping at edge(cell) takes away, 0..1; NaN where there is no weight."""
    s1 = six(sums).s1
    return (s1 - clipped(sums, cell).s1) / s1 if s1 > 0 else math.nan


def cell_of_quantile(sums: Sums, q: float) -> int:
    """The first cell >= 2 whose edge has at least the share `q` of the rows of w > 0 below it: a clip near a quantile.

    CELLS where no edge has: some weights lie above the last one.
    """
    below = np.cumsum(sums.cell_rows[1:])[:-1]  # rows of w > 0 below the edges of cells 2..CELLS - 1
    return 2 + int(np.searchsorted(below, q * (sums.rows[N] - sums.rows[ZERO])))


def influence(sums: Sums, kind: str, value: float) -> np.ndarray:
    """The influences of the rows summed by bucket (G,) for an estimate of this `kind` and `value` V.

    "ips": w r - V, "snips": w (r - V) / mean w, "dr": d - V of the row values d, "weight": w - V of the mean weight.
    `intervals.cluster_error` makes a standard error of them and of `bucket_rows`; differences of two contenders'
    influences over the same rows make that of their difference.
    """
    n, (w, v, d) = sums.bucket_rows, sums.buckets.T
    if kind == "snips":
        return (v - value * w) * (sums.rows[N] / w.sum()) if w.any() else np.full(len(w), math.nan)
    return {"ips": v, "dr": d, "weight": w}[kind] - value * n


def top_weights(sums: Sums) -> np.ndarray:
    """The largest weights, the largest first, with w r and the propensity of their rows: (m, 3)."""
    rows = sums.top[: sums.top_rows[0]]
    return rows[np.lexsort(rows.T[::-1])[::-1]]


def weight_below(sums: Sums, p: float) -> tuple[float, bool]:
    """The sum of w over rows of a propensity below `p`, and whether that is exact.

    It is where the log has at most some 190 to 380 distinct propensities, or where `p` is an edge of a cell. Else the
    cell that holds `p` counts by the part of it that lies below.
    """
    if is_whole(sums.sample):
        return math.fsum(sums.sample.weights[(sums.sample.p > 0) & (sums.sample.p < p)].ravel()), True
    inside = int(np.frombuffer(np.float64(p).tobytes(), np.int64)[0] >> 49) - 8 * (1023 + THINNEST)
    cell = min(max(0, inside), THIN_CELLS - 1)
    low, high = (2.0 ** (THINNEST + k // 8) * (1 + k % 8 / 8) for k in (cell, cell + 1))
    part = min(max(0.0, (p - low) / (high - low)), 1.0)
    return math.fsum([*sums.thin[:cell].ravel(), *(part * sums.thin[cell])]), part == 0.0


def spread(sums: Sums, value: float) -> tuple[float, float]:
    """The sums of w |r - V| and of its square, for V = `value`.

    The second is exact. The first is so where rewards are 0 or 1; else rewards in the one of 256 cells of the range
    that holds V count as one, which makes it too small by little. ConfigError where the rewards' range begins at 0 or
    above: `Settings.r_min` did not ask for it.
    """
    if not len(sums.steps):
        raise ConfigError("sums by cells of the reward are kept only where rewards can be below 0: see Settings.r_min.")
    s = six(sums)
    w, v = sums.steps.sum(axis=2).T
    return math.fsum(np.abs(v - value * w)), max(0.0, s.q2 - 2 * value * s.r2 + value**2 * s.s2)
