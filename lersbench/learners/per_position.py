"""One ridge regression a position of the slate, on the joint features of the items, shared by all items.

The learner of position k estimates theta_k = A_k^-1 b_k, A_k = ridge I + sum w^2 x x' and b_k = sum w r x, over what
was shown there: a regression of the reward on w x, where w is how likely that position is looked at (1 where that is
not modelled). Both are kept by recursive least squares: with y = w x and v = A_k^-1 y, A_k^-1 loses v v' / (1 + y'v)
(Sherman and Morrison 1950), and theta_k gains v (r - y'theta_k) / (1 + y'v).

To score, candidates are the vector lanes; to learn, eight positions are. So both work on whole vectors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.errors import LostDigits
from lersbench.kernels.digits import FADE, STEEP, TOLERANCE, check, new_probe
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.tie_chances import best_left
from lersbench.kernels.ties import best
from lersbench.kernels.uncounted import part
from lersbench.kernels.vectors import (
    LANES,
    add_dots,
    add_scaled,
    aligned,
    lane_products,
    lane_sums,
    padded,
    scale_lanes,
    take_dots,
    triangle_forms,
    triangle_size,
    triangle_take,
    triangle_times,
)
from lersbench.learners.shared import to_lanes


class Learners(NamedTuple):
    """Learned in place. "Lanes": column c of a (rows, columns) matrix is at [c // 8, 8 row + c % 8]."""

    triangle: np.ndarray  # lanes, a column a learner: A^-1 = T + T', T as in `vectors.triangle_forms`
    theta: np.ndarray  # (m) lanes, a column a learner
    weight: np.ndarray  # (learners,) what x is multiplied by before learning from it
    alpha: np.ndarray  # (1,) width of the confidence bound
    probes: np.ndarray  # (8 m,) lanes, all columns alike: see `digits`
    image: np.ndarray  # (m) lanes, a column a learner: A probe
    reach: np.ndarray  # (learners padded,)
    x: np.ndarray  # (m) lanes, a column a candidate: working memory, like all below
    bounds: np.ndarray  # (learners, C padded) theta'x + alpha sqrt(x'A^-1 x)
    forms: np.ndarray  # (learners, C padded) x'Tx, which is half x'A^-1 x
    column: np.ndarray  # (m,) theta of one learner
    y: np.ndarray  # (8 m,) lanes, a column a learner: w x
    v: np.ndarray  # (8 m,) lanes
    reward: np.ndarray  # (8,)
    scale: np.ndarray  # (8,)
    came: np.ndarray  # (8,) v'image
    seen: np.ndarray  # (8,) y'probe


def new_learners(weight: np.ndarray, candidates: int, m: int, alpha: float, ridge: float) -> Learners:
    """As many learners as there are weights, all without observations."""
    n, width = weight.shape[0], padded(candidates)
    groups, diagonal = padded(n) // LANES, np.cumsum([0, *range(m, 1, -1)])
    triangle = aligned((groups, LANES * triangle_size(m)))
    triangle.reshape(groups, triangle_size(m), LANES)[:, diagonal] = 0.5 / ridge
    probes, image = aligned((LANES * m,)), aligned((groups, LANES * m))
    probes[:] = np.repeat(new_probe(m), LANES)
    image[:] = ridge * probes
    return Learners(
        triangle,
        aligned((groups, LANES * m)),
        np.array(weight, np.float64),
        np.array([alpha]),
        probes,
        image,
        np.zeros(groups * LANES),
        aligned((width // LANES, LANES * m)),
        aligned((n, width)),
        aligned((n, width)),
        aligned((m,)),
        aligned((LANES * m,)),
        aligned((LANES * m,)),
        aligned((LANES,)),
        aligned((LANES,)),
        aligned((LANES,)),
        aligned((LANES,)),
    )


@inlined
def lay_out(learners: Learners, features: np.ndarray) -> None:
    """Put the candidates' `features` (C, at most m) into the first rows of the lanes."""
    to_lanes(features, 0, features.shape[0], learners.x)


@inlined
def score(learners: Learners, n: int, first: int, last: int, used: int) -> None:
    """Fill `bounds` of the learners first..last-1 for the n candidates laid out, features from `used` on being 0."""
    x = part(learners.x, 0, (n + LANES - 1) // LANES)
    if first == 0 and last == learners.weight.shape[0]:
        lane_products(learners.theta, last, x, learners.bounds)
    else:
        for k in range(first, last):
            for i in range(used):
                learners.column[i] = learners.theta[k // LANES, LANES * i + k % LANES]
            lane_sums(learners.column[:used], x, 0, x.shape[0], learners.bounds[k])
    triangle_forms(learners.triangle, first, last, x, used, learners.forms)
    for k in range(first, last):
        bounds, forms = learners.bounds[k], learners.forms[k]
        for c in range(LANES * x.shape[0]):
            bounds[c] += learners.alpha[0] * math.sqrt(max(0.0, 2.0 * forms[c]))


@inlined
def pick(learners: Learners, k: int, ties: int, scores: np.ndarray, slate: np.ndarray) -> None:
    """Fill position `k` of `slate` with the best by learner k's bound among the candidates not taken above it.

    The `scores` (C,), of which rankings are made, are the bounds of the last position.
    """
    n, bounds = scores.shape[0], learners.bounds[k]
    if k == slate.shape[0] - 1:
        for c in range(n):
            scores[c] = bounds[c]
    for j in range(k):
        bounds[slate[j]] = -math.inf
    slate[k] = best(bounds[:n], ties)


@inlined
def fill(learners: Learners, features: np.ndarray, ties: int, scores: np.ndarray, slate: np.ndarray) -> None:
    """Fill `slate` (K,) from the top: each position picks by its own learner; `features` (C, m), `scores` (C,)."""
    lay_out(learners, features)
    score(learners, features.shape[0], 0, slate.shape[0], features.shape[1])
    for k in range(slate.shape[0]):
        pick(learners, k, ties, scores, slate)


@inlined
def stand(learners: Learners, features: np.ndarray, slate: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (K,) with the chance of each of `slate` (K,) to be picked by its position's learner, as in `fill`."""
    n = features.shape[0]
    lay_out(learners, features)
    score(learners, n, 0, slate.shape[0], features.shape[1])
    for k in range(slate.shape[0]):
        out[k] = best_left(learners.bounds[k, :n], slate, k, 0)


@kernel
def learn(learners: Learners, features: np.ndarray, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each learner k observes `rewards[k]` of candidate `slate[k]` where `seen[k]`; those beyond the last none."""
    shown, m = min(slate.shape[0], learners.weight.shape[0]), features.shape[1]
    for block in range(learners.theta.shape[0]):
        for lane in range(LANES):
            k = LANES * block + lane
            if k < shown and seen[k]:
                observe(learners, lane, features[slate[k]], learners.weight[k], rewards[k])
            else:
                observe_nothing(learners, lane, m)
        regress(learners, block)


@inlined
def observe(learners: Learners, lane: int, x: np.ndarray, weight: float, reward: float) -> None:
    """Write an observation of `x` (at most m,) into a lane, for `regress`."""
    for i in range(x.shape[0]):
        learners.y[LANES * i + lane] = weight * x[i]
    learners.reward[lane] = reward


@inlined
def observe_nothing(learners: Learners, lane: int, m: int) -> None:
    """Write y = 0 and no reward into a lane, from which `regress` learns nothing."""
    for i in range(m):
        learners.y[LANES * i + lane] = 0.0
    learners.reward[lane] = 0.0


@inlined
def regress(learners: Learners, block: int) -> None:
    """Recursive least squares of the eight learners of a block at once, from `y` and `reward`, which is spent.

    Raises LostDigits, see `digits`.
    """
    y, v, theta = learners.y, learners.v, learners.theta[block]
    error, scale = learners.reward, learners.scale
    image, came, seen = learners.image[block], learners.came, learners.seen
    triangle_times(learners.triangle, block, y, v)
    for lane in range(LANES):
        scale[lane], came[lane], seen[lane] = 1.0, 0.0, 0.0
    add_dots(y, v, scale)
    take_dots(y, theta, error)
    add_dots(v, image, came)
    add_dots(y, learners.probes, seen)
    sound, steep, reach = 0, 0, learners.reach[LANES * block : LANES * (block + 1)]
    for lane in range(LANES):  # `check` and `check_scale` of all lanes, without branches
        reach[lane] = max(abs(seen[lane]), FADE * reach[lane])
        sound += abs(came[lane] - seen[lane]) <= TOLERANCE * reach[lane]
        sound += (scale[lane] > 1.0 - TOLERANCE) & (scale[lane] < math.inf)
        steep += scale[lane] > STEEP
    if sound < 2 * LANES:
        raise LostDigits("the inverse has lost its digits")
    for lane in range(LANES):
        error[lane] /= scale[lane]
        scale[lane] = 1.0 / math.sqrt(scale[lane])
    add_scaled(v, error, theta)
    scale_lanes(scale, v)
    add_scaled(y, seen, image)
    triangle_take(learners.triangle, block, v)
    if steep > 0:
        look_again(learners, block)


@kernel
def look_again(learners: Learners, block: int) -> None:
    """Raise LostDigits where the update with `y` itself has lost them."""
    triangle_times(learners.triangle, block, learners.y, learners.v)
    for lane in range(LANES):
        came = 0.0
        for i in range(learners.column.shape[0]):
            came += learners.v[LANES * i + lane] * learners.image[block, LANES * i + lane]
        check(came, learners.seen[lane], learners.reach, LANES * block + lane)


def inverses(learners: Learners) -> np.ndarray:
    """The matrices A^-1 of all learners, in full: (learners, m, m)."""
    n, m = learners.weight.shape[0], learners.column.shape[0]
    groups = learners.triangle.shape[0]
    full = np.zeros((groups * LANES, m, m))
    rows, columns = np.triu_indices(m)
    full[:, rows, columns] = learners.triangle.reshape(groups, -1, LANES).transpose(0, 2, 1).reshape(groups * LANES, -1)
    return (full + full.transpose(0, 2, 1))[:n]


def estimates(learners: Learners) -> np.ndarray:
    """theta of all learners, (learners, m)."""
    n, m = learners.weight.shape[0], learners.column.shape[0]
    return learners.theta.reshape(-1, m, LANES).transpose(0, 2, 1).reshape(-1, m)[:n].copy()
