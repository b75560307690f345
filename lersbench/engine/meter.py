"""The running sums of one contender, and the curve that they are read to at checkpoints."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.engine import blocks, brackets
from lersbench.kernels.jit import kernel
from lersbench.kernels.sorting import ascending
from lersbench.metrics import AGES, NAMES, TOPS
from lersbench.offpolicy import weights

# Running sums.
ROUNDS, REVEALED, PAID, SETS, REGRET, FALSE, LIKES, TOP20, TOP20_PUBLISHED, DISTINCT, HITS = range(11)
EXPECTED, EXPECTED_SET, REGRET_SET, SIMILARITY = range(11, 15)
RECOMMENDED, TOP_LIKED = 15, 16  # rounds with a recommendation; with a liked first item
PBM, UBM, IIPS = (17 + i * weights.SUMS for i in range(3))  # the first of the sums of `weights` of each estimator
AWAITED = 17 + 3 * weights.SUMS  # outcomes of delayed feedback; and those that reached the policy
DELIVERED = AWAITED + 1
YOUNG = AWAITED + 2  # for each of `AGES`: shown items that were offered less often before; then what they earned
PAIRED = YOUNG + 2 * len(AGES)  # rounds with two items or more, whose similarity is counted
SUMS = PAIRED + 1

# Columns of the curve: where each metric of the table stands.
_AT = {name: place for place, name in enumerate(NAMES)}
CTR, CTR_SUM, CTR_SET, MISSES = (_AT[name] for name in ("ctr", "ctr_sum", "ctr_set", "misses"))
REWARD, REWARD_SUM = _AT["reward"], _AT["reward_sum"]
REGRET_AT, REGRET_PUB, REGRET_SET_AT = (_AT[name] for name in ("regret", "regret_published", "regret_set"))
COVERAGE, DIVERSITY, ENTROPY, GINI = (_AT[name] for name in ("coverage", "diversity", "entropy", "gini"))
HR20, HR20_PUB, MATCHES = (_AT[name] for name in ("hr20_per_round", "hr20_per_round_published", "matches"))
EXPECTED_SUM_AT, EXPECTED_SET_AT, SIMILARITY_AT = (
    _AT[name] for name in ("expected_ctr_sum", "expected_ctr_set", "similarity")
)
PBM_AT, UBM_AT, IIPS_AT = (_AT[name] for name in ("pbm_ips", "ubm_ips", "iips"))  # and the three that follow each
UNDELIVERED = _AT["undelivered"]
BRACKET_AT = _AT["logged_order"]  # and those that follow, as `brackets.read_bracket` fills them
YOUNG_AT = _AT[f"exposure_first{AGES[0]}"]  # for each of AGES; then the rewards
RECOMMEND_AT = _AT["recommend_ratio"]  # ratio, accuracy, precision, recall
HR, HR_PUB = _AT[f"hr@{TOPS[0]}"], _AT[f"hr_published@{TOPS[0]}"]  # the families follow


class Meter(NamedTuple):
    """The running sums of one contender, and the curve they are copied to. All changed in place."""

    sums: np.ndarray  # (SUMS,) float64
    hr: np.ndarray  # (2, len(TOPS)) liked items in the top shares; row 0 ties in expectation, row 1 as published
    shown: np.ndarray  # (n_items,) int64, times each item was shown
    likes: np.ndarray  # (bytes,) uint8, a bit for each distinct (user, item) like of the log: was it shown so far?
    checkpoints: np.ndarray  # (n,) int64, ascending: rows of the log after which the sums are read
    done: np.ndarray  # (1,) int64, checkpoints read so far
    curve: np.ndarray  # (n, len(NAMES)) float64, NaN where not measured
    fault: (
        np.ndarray
    )  # (2,) int64: kind of the first broken slate (0 none, 1 index, 2 repeated, 3 NaN score), and its row
    published: np.ndarray  # (n_items,) int64, place of each item in the file of a study; (0,) where there is none
    buckets: np.ndarray  # (brackets.BUCKETS, 4) sums of both ends of a bracket by user; (0, 4) where none is counted
    turn: np.ndarray  # (L,) slope of the high ends in the logarithms of the weights of places; or (0,)
    blocks: np.ndarray  # (B, len(blocks.NAMES)) the sums that rates are made of, by block of users; see `blocks`


def new_meter(
    n_items: int,
    checkpoints: np.ndarray,
    likes: int,
    published: np.ndarray | None = None,
    places: int = 0,
    users: int = 0,
) -> Meter:
    """A meter at zero. `likes` are the numbers given to likes so far (see `likes.Likes`); 0 leaves coverage out.
    `places` is the length of the longest logged list where brackets are counted, else 0; `users` how many the log has.

    `published` (n_items,) orders equal scores in the published metrics; left out, they stand as the candidates do.
    """
    return Meter(
        np.zeros(SUMS),
        np.zeros((2, len(TOPS))),
        np.zeros(n_items, np.int64),
        np.zeros((likes + 7) // 8, np.uint8),
        checkpoints.astype(np.int64),
        np.zeros(1, np.int64),
        np.full((checkpoints.size, len(NAMES)), np.nan),
        np.zeros(2, np.int64),
        np.empty(0, np.int64) if published is None else published.astype(np.int64),
        np.zeros((brackets.BUCKETS if places else 0, 4)),
        np.zeros(places),
        np.zeros((blocks.number_of(users), len(blocks.NAMES))),
    )


def with_room(meter: Meter, likes: int) -> Meter:
    """The meter, with a bit for each of so many likes; it grows by doubling."""
    need = (likes + 7) // 8
    if not meter.likes.shape[0] or need <= meter.likes.shape[0]:
        return meter
    wider = np.zeros(max(need, 2 * meter.likes.shape[0]), np.uint8)
    wider[: meter.likes.shape[0]] = meter.likes
    return meter._replace(likes=wider)


@kernel
def read_until(
    meter: Meter,
    row: int,
    ranked: bool,
    regret: bool,
    replayed: bool,
    silent: bool,
    aged: bool,
    clicked: bool,
    covariance: np.ndarray,
) -> None:
    """Copy the sums to every checkpoint at or before `row` that has not been read yet.

    The flags say what was measured: ranks of likes, regret, matches, recommendations, which mean something only of a
    policy that may stay `silent`, what items earn that have not been offered often (`aged`), and click rates, only
    where rewards are clicks. `covariance` (L, L) is that of the weights of places, where brackets are counted.
    """
    while meter.done[0] < meter.checkpoints.shape[0] and meter.checkpoints[meter.done[0]] <= row:
        _read(meter, meter.curve[meter.done[0]], ranked, regret, replayed, silent, aged, clicked)
        if meter.buckets.shape[0] > 0:
            out = meter.curve[meter.done[0], BRACKET_AT : BRACKET_AT + brackets.READ]
            brackets.read_bracket(meter.buckets, meter.turn, covariance, out)
        meter.done[0] += 1


@kernel
def _read(
    meter: Meter, out: np.ndarray, ranked: bool, regret: bool, replayed: bool, silent: bool, aged: bool, clicked: bool
) -> None:
    sums = meter.sums
    rounds = sums[ROUNDS]
    if replayed:
        out[MATCHES] = rounds
    if rounds == 0:
        return
    if clicked:
        out[CTR] = sums[PAID] / sums[REVEALED]
        out[CTR_SUM] = sums[PAID] / rounds
        out[CTR_SET] = sums[SETS] / rounds
        out[MISSES] = 1.0 - out[CTR]
    else:
        out[REWARD] = sums[PAID] / sums[REVEALED]
        out[REWARD_SUM] = sums[PAID] / rounds
    out[REGRET_PUB] = sums[FALSE] / rounds
    if regret:
        out[REGRET_AT] = sums[REGRET]
    if meter.likes.shape[0] > 0:
        out[COVERAGE] = sums[HITS]
    if sums[EXPECTED] > 0:
        out[EXPECTED_SUM_AT] = sums[EXPECTED] / rounds
        out[EXPECTED_SET_AT] = sums[EXPECTED_SET] / rounds
        out[REGRET_AT] = sums[REGRET]
        out[REGRET_SET_AT] = sums[REGRET_SET]
    if sums[PAIRED] > 0:
        out[SIMILARITY_AT] = sums[SIMILARITY] / sums[PAIRED]
    weights.summarise(sums[PBM : PBM + weights.SUMS], sums[REVEALED], out[PBM_AT : PBM_AT + 4])
    weights.summarise(sums[UBM : UBM + weights.SUMS], sums[REVEALED], out[UBM_AT : UBM_AT + 4])
    weights.summarise(sums[IIPS : IIPS + weights.SUMS], sums[REVEALED], out[IIPS_AT : IIPS_AT + 4])
    if sums[AWAITED] > 0:
        out[UNDELIVERED] = 1.0 - sums[DELIVERED] / sums[AWAITED]
    if aged:
        for i in range(len(AGES)):
            shown, earned = sums[YOUNG + i], sums[YOUNG + len(AGES) + i]
            out[YOUNG_AT + i] = shown / sums[REVEALED]
            if shown > 0:
                out[YOUNG_AT + len(AGES) + i] = earned / shown
    if silent:
        _read_recommendations(sums, out[RECOMMEND_AT : RECOMMEND_AT + 4])
    out[DIVERSITY] = sums[DISTINCT] / meter.shown.shape[0]
    out[ENTROPY] = _entropy(meter.shown, sums[REVEALED])
    out[GINI] = _gini(meter.shown, sums[REVEALED])
    if ranked:
        out[HR20] = sums[TOP20] / rounds
        out[HR20_PUB] = sums[TOP20_PUBLISHED] / rounds
        for j in range(meter.hr.shape[1]):
            if sums[LIKES] > 0:
                out[HR + j] = meter.hr[0, j] / sums[LIKES]
                out[HR_PUB + j] = meter.hr[1, j] / sums[LIKES]


@kernel
def _read_recommendations(sums: np.ndarray, out: np.ndarray) -> None:
    """Ratio, accuracy, precision and recall after one round or more; the last two stay NaN where they divide by 0."""
    right = sums[RECOMMENDED] - sums[FALSE]
    rightly_silent = sums[ROUNDS] - sums[TOP_LIKED] - sums[FALSE]
    out[0] = sums[RECOMMENDED] / sums[ROUNDS]
    out[1] = (right + rightly_silent) / sums[ROUNDS]
    if sums[RECOMMENDED] > 0:
        out[2] = right / sums[RECOMMENDED]
    if sums[TOP_LIKED] > 0:
        out[3] = right / sums[TOP_LIKED]


@kernel
def _entropy(shown: np.ndarray, total: float) -> float:
    n, entropy = shown.shape[0], 0.0
    for i in range(n):
        if shown[i] > 0:
            entropy -= shown[i] / total * math.log(shown[i] / total)
    return entropy / math.log(n) if n > 1 else 0.0


@kernel
def _gini(shown: np.ndarray, total: float) -> float:
    """Gini index, by the ordered sum: sum_i (2i - n - 1) x_(i) / (n sum x)."""
    n, weighted = shown.shape[0], 0.0
    times, order = np.empty(n), np.empty(n, np.int64)
    for i in range(n):
        times[i] = shown[i]
    ascending(times, order)
    for i in range(n):
        weighted += (2.0 * (i + 1) - n - 1) * times[order[i]]
    return weighted / (n * total)
