"""How likely a Plackett-Luce logging policy was to put an item somewhere, and to have it examined there. Exact.

Such a policy draws its list from the top down: the next item is a with probability worth_a / (sum of the worths not
yet shown), worth = exp(score). All sums here run over the sets of items that can stand above a position, 2^C of them,
which is far less than the C! lists. Where all worths are equal any order is as likely as another, and neither is
needed: `uniform_exposures` takes any number of candidates.

Sets are bit masks in increasing order. Once the sets up to S are done, and S ends in t ones, the 2^t sets up to S pass
their mass on to the 2^t sets after S, those with candidate t added: every inner loop is one over neighbouring memory.

12 candidates take 73 us for their placements, 36 us for the exposures of a position-based model and 165 us for those of
a user browsing model (one record on one core); each further candidate doubles that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lersbench.clicks.model import ClickModel, expected
from lersbench.errors import ConfigError, DataError
from lersbench.kernels.jit import kernel

MOST = 16  # candidates; 2**16 sets take milliseconds a record
SPREAD = 500.0  # largest difference of two log-weights: beyond it the smaller worth is next to nothing in a double
BLOCK = 512  # records a thread takes at a time


def working_memory(candidates: int) -> np.ndarray:
    """What the kernels of this file call `scratch`: (4, 2^C)."""
    return np.empty((4, 1 << candidates))


def path_memory(candidates: int, positions: int) -> np.ndarray:
    """What `exposure_ubm` calls `paths`: (2, 2^C * L), zero at first; one memory for one C and L."""
    return np.zeros((2, positions << candidates))


@kernel
def _sets(worth: np.ndarray, inverse: np.ndarray, size: np.ndarray) -> None:
    """For every set S of candidates, 1 / (worth outside S) into `inverse` and its count into `size`, (2^C,) each.

    Sums, never differences: a tiny worth stays exact beside a large one. The full set, with nothing outside, gets 0.
    """
    n = inverse.shape[0]
    inverse[n - 1] = size[0] = 0.0
    for c in range(worth.shape[0]):
        block = 1 << c
        without, having = size[:block], size[block : 2 * block]
        for i in range(block):
            having[i] = without[i] + 1.0
        without, having = inverse[n - 2 * block : n - block], inverse[n - block :]
        for i in range(block):
            without[i] = having[i] + worth[c]
    for s in range(n - 1):
        inverse[s] = 1.0 / inverse[s]


@kernel
def _ones_below(number: int) -> int:
    """How many ones the number ends in."""
    ones = 0
    while (number >> ones) & 1:
        ones += 1
    return ones


@kernel
def _reach(worth: np.ndarray, inverse: np.ndarray, mass: np.ndarray) -> None:
    """Fill `mass` (2^C,) with P(the first |S| shown are those of S) / (worth outside S), 0 for the full set."""
    last = mass.shape[0] - 1
    mass[:] = 0.0
    mass[0] = 1.0
    for s in range(last):
        mass[s] *= inverse[s]
        c = _ones_below(s)
        block, factor = 1 << c, worth[c]
        done, next_to_do = mass[s + 1 - block : s + 1], mass[s + 1 : s + 1 + block]
        for i in range(block):
            next_to_do[i] += factor * done[i]
    mass[last] = 0.0


@kernel
def _without(worth: np.ndarray, share: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (C,) with worth_c * (sum of `share` over the sets without c); `share` (2^C,) is destroyed.

    The upper half of the sets holds the last candidate; folded onto the lower half, it is out of the way.
    """
    for c in range(worth.shape[0] - 1, -1, -1):
        block = 1 << c
        whole = block // 8 * 8
        p, q, r, u = 0.0, 0.0, 0.0, 0.0  # four running sums do not wait for each other
        for s in range(0, whole, 8):
            p += share[s] + share[s + 1]
            q += share[s + 2] + share[s + 3]
            r += share[s + 4] + share[s + 5]
            u += share[s + 6] + share[s + 7]
        for s in range(whole, block):
            p += share[s]
        out[c] = worth[c] * ((p + q) + (r + u))
        for s in range(block):
            share[s] += share[block + s]


@kernel
def _equal(values: np.ndarray) -> bool:
    for i in range(values.shape[0]):
        if values[i] != values[0]:
            return False
    return True


@kernel
def placement(worth: np.ndarray, scratch: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (C, C) with P(candidate c is at position k) of a Plackett-Luce ranking of all candidates.

    `worth` (C,) above 0; equal ones give exactly 1/C. `scratch` (4, 2^C) is working memory.
    """
    n = worth.shape[0]
    if _equal(worth):
        out[:] = 1.0 / n
        return
    mass, inverse, size, share = scratch[0], scratch[1], scratch[2], scratch[3]
    _sets(worth, inverse, size)
    _reach(worth, inverse, mass)
    column = np.empty(n)
    for k in range(n):
        for s in range(mass.shape[0]):
            share[s] = mass[s] if size[s] == k else 0.0
        _without(worth, share, column)
        for c in range(n):
            out[c, k] = column[c]


@kernel
def exposure_pbm(worth: np.ndarray, examination: np.ndarray, scratch: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (C,) with P(candidate c is shown at an examined position), position-based model.

    That is sum_k examination_k P(c at k). `worth` (C,) above 0, `examination` (L,) with L <= C: what stands below
    position L is not shown. `scratch` (4, 2^C) is working memory.
    """
    n, positions = worth.shape[0], examination.shape[0]
    if _equal(worth):
        out[:] = examination.sum() / n
        return
    mass, inverse, size, share = scratch[0], scratch[1], scratch[2], scratch[3]
    _sets(worth, inverse, size)
    _reach(worth, inverse, mass)
    for s in range(mass.shape[0]):
        share[s] = mass[s] * examination[int(size[s])] if size[s] < positions else 0.0
    _without(worth, share, out)


@kernel
def exposure_ubm(
    worth: np.ndarray,
    weights: np.ndarray,
    goes_on: np.ndarray,
    attraction: np.ndarray,
    scratch: np.ndarray,
    paths: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` (C,) with P(candidate c is shown at an examined position), any click model without families.

    That is sum_{k,j} weights[k, j] P(c at k, user still there, last click above at column j), <W, H> of the UBM-IPS
    estimator. The sum over sets carries one mass for each column j. `worth` (C,) above 0, `weights` (L, L + 1) and
    `goes_on` (L,) of the click model, L <= C, `attraction` (C,) in [0, 1]; `scratch` (4, 2^C) and `paths`
    (2, 2^C * L) from `path_memory` are working memory.
    """
    positions = weights.shape[0]
    clicked, inverse, size, share = scratch[0], scratch[1], scratch[2], scratch[3]
    here, looks = paths[0], paths[1]  # P(S on top, last click at j) and the same with position |S| examined
    _sets(worth, inverse, size)
    clicked[:] = 0.0
    share[:] = 0.0
    here[:] = 0.0
    here[0] = 1.0
    for s in range(share.shape[0] - 1):
        k, row = int(size[s]), s * positions
        if k < positions:
            if k > 0:
                here[row + k] = clicked[s] * goes_on[k - 1]
            last_click, looked, factor = here[row : row + positions], looks[row : row + positions], weights[k]
            total = 0.0
            for j in range(k + 1):  # columns after k stay 0
                last_click[j] *= inverse[s]
                looked[j] = last_click[j] * factor[j]
                total += looked[j]
            share[s] = total
        c = _ones_below(s)
        block, passed, taken = 1 << c, worth[c], worth[c] * attraction[c]
        after, width = row + positions, block * positions
        done, looked, then = here[after - width : after], looks[after - width : after], here[after : after + width]
        for i in range(width):
            then[i] += passed * done[i] - taken * looked[i]
        done, then = share[s + 1 - block : s + 1], clicked[s + 1 : s + 1 + block]
        for i in range(block):
            then[i] += taken * done[i]
    _without(worth, share, out)


@kernel
def _placement_rows(worth: np.ndarray, scratch: np.ndarray, out: np.ndarray) -> None:
    for i in range(worth.shape[0]):
        placement(worth[i], scratch, out[i])


@kernel
def _pbm_rows(worth: np.ndarray, examination: np.ndarray, scratch: np.ndarray, out: np.ndarray) -> None:
    for i in range(worth.shape[0]):
        exposure_pbm(worth[i], examination, scratch, out[i])


@kernel
def _ubm_rows(
    worth: np.ndarray,
    weights: np.ndarray,
    goes_on: np.ndarray,
    attraction: np.ndarray,
    scratch: np.ndarray,
    paths: np.ndarray,
    out: np.ndarray,
) -> None:
    for i in range(worth.shape[0]):
        exposure_ubm(worth[i], weights, goes_on, attraction[i], scratch, paths, out[i])


def placements(scores: np.ndarray, threads: int | None = None) -> np.ndarray:
    """P(candidate c is at position k) in every record: (n, C, C) from the log-weights `scores` (n, C).

    DataError where a score is not finite or scores lie too far apart, ConfigError above 16 candidates. `threads`:
    None takes one a core.
    """
    worth = _limited(worth_of(scores))
    out = np.empty((*worth.shape, worth.shape[1]))

    def work(rows: slice) -> None:
        _placement_rows(worth[rows], working_memory(worth.shape[1]), out[rows])

    _in_threads(work, len(worth), threads)
    return out


def exposures(
    model: ClickModel, scores: np.ndarray, attraction: np.ndarray | None = None, threads: int | None = None
) -> np.ndarray:
    """P(candidate c is shown at an examined position) in every record, (n, C): the denominators of PBM- and UBM-IPS.

    `scores` (n, C) log-weights of the logging policy; `attraction` (n, C) or (1, C) in [0, 1], as estimated: needed
    unless the model is position-based, where examination depends on the position alone. Raises a DataError for scores
    or attraction out of range, a ConfigError above 16 candidates (see `sampled_exposures`), for lists longer than the
    candidates, and for a click model with families, whose exposures are not summed here.
    """
    worth = _limited(worth_of(scores))
    out = np.empty(worth.shape)
    _check_model(model, worth)
    if position_based(model):
        examination = np.ascontiguousarray(model.weights[:, 0])

        def work(rows: slice) -> None:
            _pbm_rows(worth[rows], examination, working_memory(worth.shape[1]), out[rows])
    else:
        known = _attraction(attraction, worth)

        def work(rows: slice) -> None:
            paths = path_memory(worth.shape[1], len(model.weights))
            scratch = working_memory(worth.shape[1])
            _ubm_rows(worth[rows], model.weights, model.goes_on, known[rows], scratch, paths, out[rows])

    _in_threads(work, len(worth), threads)
    return out


@kernel
def _among_attractive(weights: np.ndarray, goes_on: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (C,) with P(an item is shown at an examined position) where s of the C - 1 others attract, by s.

    All orders are equally likely. Above the item stand others, drawn without replacement: the next of them attracts
    with (s - met) / (left), and an attractive item that is examined is clicked. `reached[j, i]` is P(the user is still
    there, last click at column j, i attractive ones above).
    """
    n, positions = out.shape[0], weights.shape[0]
    reached = np.empty((positions + 1, positions + 1))
    for s in range(n):
        reached[:] = 0.0
        reached[0, 0] = 1.0
        total = 0.0
        for k in range(positions):
            for j in range(k + 1):
                for i in range(k + 1):
                    total += reached[j, i] * weights[k, j]
            if k == positions - 1:
                break
            for i in range(min(k, s), -1, -1):
                attracts = (s - i) / (n - 1.0 - k)
                clicked = 0.0
                for j in range(k + 1):
                    here = reached[j, i]
                    clicked += here * attracts * weights[k, j]
                    reached[j, i + 1] += here * attracts * (1.0 - weights[k, j])
                    reached[j, i] = here * (1.0 - attracts)
                reached[k + 1, i + 1] = clicked * goes_on[k]
        out[s] = total / n


@kernel
def _uniform_rows(attraction: np.ndarray, value: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n, C): the mean of `value` (C,) over how many of the others attract, each with its `attraction`."""
    C = value.shape[0]
    chance = np.empty(C)
    for row in range(attraction.shape[0]):
        for c in range(C):
            chance[:] = 0.0
            chance[0] = 1.0
            others = 0
            for d in range(C):
                if d != c:
                    others += 1
                    a = attraction[row, d]
                    for s in range(others, 0, -1):
                        chance[s] = chance[s] * (1.0 - a) + chance[s - 1] * a
                    chance[0] *= 1.0 - a
            total = 0.0
            for s in range(C):
                total += chance[s] * value[s]
            out[row, c] = total


def uniform_exposures(model: ClickModel, attraction: np.ndarray) -> np.ndarray:
    """P(candidate c is shown at an examined position) where every order is equally likely, exact: (n, C).

    `attraction` (n, C) in [0, 1]. Takes C^3 steps a record, whatever the number of candidates. Who stands above an item
    is given by how many of the others attract, each on its own: the user's way down depends on that alone.
    Raises as `exposures`.
    """
    known = _attraction(attraction, np.asarray(attraction))
    _check_model(model, known)
    if position_based(model):
        return np.full(known.shape, model.weights[:, 0].sum() / known.shape[1])
    value, out = np.empty(known.shape[1]), np.empty(known.shape)
    _among_attractive(model.weights, model.goes_on, value)

    def work(rows: slice) -> None:
        _uniform_rows(known[rows], value, out[rows])

    _in_threads(work, len(known), None)
    return out


def prefixes(scores: np.ndarray, slates: np.ndarray) -> np.ndarray:
    """P(the list begins with the logged a_1..a_k) for k = 1..L, (n, L): denominators of RIPS, the last that of SIPS.

    `scores` (n, C) log-weights of the logging policy, `slates` (n, L) logged candidates, distinct, top first.
    """
    return np.cumprod(choices(scores, slates), axis=1)


def choices(scores: np.ndarray, slates: np.ndarray) -> np.ndarray:
    """P(the item logged at k is chosen | those above it) for k = 1..L, (n, L); arguments as of `prefixes`."""
    left = worth_of(scores)
    steps = np.empty(slates.shape)
    for k in range(slates.shape[1]):
        shown = slates[:, k : k + 1]
        steps[:, k] = np.take_along_axis(left, shown, axis=1)[:, 0] / left.sum(axis=1)
        np.put_along_axis(left, shown, 0.0, axis=1)
    return steps


def position_based(model: ClickModel) -> bool:
    """Does examination depend on the position alone?"""
    same = all(np.all(row[: k + 1] == row[0]) for k, row in enumerate(model.weights))
    return bool(same and np.all(model.goes_on == 1))


@kernel
def draw_list(worth: np.ndarray, rng: np.random.Generator, arrival: np.ndarray, slate: np.ndarray) -> None:
    """Draw a Plackett-Luce list: fill `slate` (L,), L <= C, with distinct candidates, top first.

    Candidates arrive after exponential times of rate `worth` (C,), above 0; the order of arrival is the list.
    `arrival` (C,) is working memory.
    """
    for c in range(worth.shape[0]):
        arrival[c] = rng.standard_exponential() / worth[c]
    for k in range(slate.shape[0]):
        first = -1
        for c in range(worth.shape[0]):
            if arrival[c] >= 0.0 and (first < 0 or arrival[c] < arrival[first]):
                first = c
        slate[k] = first
        arrival[first] = -1.0


@kernel
def _sampled_rows(
    worth: np.ndarray,
    weights: np.ndarray,
    goes_on: np.ndarray,
    attraction: np.ndarray,
    lists: int,
    rng: np.random.Generator,
    out: np.ndarray,
) -> None:
    positions = weights.shape[0]
    arrival, slate = np.empty(worth.shape[1]), np.empty(positions, np.int64)
    shown, reached, examined = np.empty(positions), np.empty(positions + 1), np.empty(positions)
    out[:] = 0.0
    for i in range(worth.shape[0]):
        for _ in range(lists):
            draw_list(worth[i], rng, arrival, slate)
            for k in range(positions):
                shown[k] = attraction[i, slate[k]]
            expected(weights, goes_on, shown, reached, examined)
            for k in range(positions):
                out[i, slate[k]] += examined[k] / lists


def sampled_exposures(
    model: ClickModel,
    scores: np.ndarray,
    attraction: np.ndarray,
    lists: int,
    seed: int = 0,
    threads: int | None = None,
) -> np.ndarray:
    """A Monte-Carlo estimate of `exposures` from `lists` lists a record, for any number of candidates: (n, C).

    Its relative error in an exposure p is about sqrt((1 - p) / (p lists)), and an item that no list held gets 0, where
    the estimators must not divide; the error makes the estimators biased, which exact exposures are not. The result
    depends on `seed` alone, not on the threads.
    """
    if lists < 1:
        raise ConfigError(f"sampled exposures need at least one list a record, not {lists}.")
    worth = worth_of(scores)
    _check_model(model, worth)
    known, out = _attraction(attraction, worth), np.empty(worth.shape)

    def work(rows: slice) -> None:
        rng = np.random.default_rng([seed, rows.start])
        _sampled_rows(worth[rows], model.weights, model.goes_on, known[rows], lists, rng, out[rows])

    _in_threads(work, len(worth), threads)
    return out


def worth_of(scores: np.ndarray) -> np.ndarray:
    """Plackett-Luce worths (n, C) of the log-weights `scores` (n, C); the largest of each record is 1.

    DataError where a score is not finite, or two of a record lie more than 500 apart.
    """
    scores = np.ascontiguousarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ConfigError(f"scores hold one row a record and one column a candidate, not shape {scores.shape}.")
    low, high = scores.min(axis=1), scores.max(axis=1)
    with np.errstate(invalid="ignore"):  # infinity - infinity, which is reported below
        bad = np.flatnonzero(~(high - low <= SPREAD))  # so written, NaN is bad
    if bad.size:
        row = int(bad[0])
        raise DataError(
            f"scores of row {row} run from {low[row]} to {high[row]}; log-weights must be finite and lie within "
            f"{SPREAD:g} of each other (rows affected: {bad.size})."
        )
    return np.exp(scores - high[:, None])


def _limited(worth: np.ndarray) -> np.ndarray:
    if worth.shape[1] > MOST:
        raise ConfigError(
            f"exact propensities of {worth.shape[1]} candidates with different scores would run over "
            f"2^{worth.shape[1]} sets a record; at most {MOST} candidates are supported. Rank fewer candidates, use "
            "sampled_exposures, or, where all orders are equally likely, uniform_exposures."
        )
    return worth


def _check_model(model: ClickModel, worth: np.ndarray) -> None:
    if len(model.weights) > worth.shape[1]:
        raise ConfigError(f"the click model has {len(model.weights)} positions for {worth.shape[1]} candidates.")
    if model.fade != 1.0:
        raise ConfigError(
            f"exposures are computed for click models whose items do not compete; this one has fade {model.fade}. "
            "Fit the log with a click model of fade 1."
        )


def _attraction(attraction: np.ndarray | None, worth: np.ndarray) -> np.ndarray:
    """The attractions as (n, C), checked."""
    if attraction is None:
        raise ConfigError("exposures under a click model that is not position-based need the attraction of each item.")
    known = np.ascontiguousarray(np.broadcast_to(np.asarray(attraction, dtype=np.float64), worth.shape))
    bad = np.argwhere(~((known >= 0) & (known <= 1)))
    if bad.size:
        row, c = map(int, bad[0])
        raise DataError(f"attraction of row {row}, candidate {c} is {known[row, c]}, but must be in [0, 1].")
    return known


def _in_threads(work: Callable[[slice], None], n: int, threads: int | None) -> None:
    """Call `work` for slices of 0..n-1, several at a time: its kernels run without the GIL."""
    parts = [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for _ in pool.map(work, parts):  # asks for the results, which raises what a thread raised
            pass
