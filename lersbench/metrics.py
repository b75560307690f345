"""What is measured: running sums, read at checkpoints. Knows arrays, never policies or files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import inlined, kernel
from lersbench.offpolicy import weights

TOPS = tuple(range(10, 101, 10))  # the shares of a ranking, in percent, at which HR is read
FEW_LIKES = 64  # up to so many likes of a round are ranked one by one


@dataclass(frozen=True)
class Metric:
    """How a metric is called, shown and judged."""

    name: str
    title: str
    unit: str  # "%" (stored as a share, shown as percent), "share" (shown as it is) or "count"
    better: str  # "higher", "lower" or "neither"
    source: str  # what it is, in one sentence


def _registry() -> dict[str, Metric]:
    study = "livestream study, section 4.8"
    found = [
        Metric("ctr", "CTR", "%", "higher", "Clicks per revealed position."),
        Metric(
            "ctr_sum", "Cumulative CTR (CTR_sum)", "share", "higher", "Clicks per round, not divided by the slate size."
        ),
        Metric("ctr_set", "Set-CTR (CTR_set)", "%", "higher", "Share of rounds with at least one click."),
        Metric("misses", "Misses", "%", "lower", "1 - mean reward of the shown items."),
        Metric(
            "regret",
            "Cumulative regret",
            "count",
            "lower",
            "Reward of the best slate of each round less that of the shown one, summed; by expected rewards where the "
            "log knows them, else by the rewards that came out.",
        ),
        Metric(
            "regret_published",
            "Regret, as published",
            "%",
            "lower",
            f"Disliked first items per round, rounds in which the policy stays silent counted as right ({study}).",
        ),
        Metric(
            "coverage",
            "Coverage",
            "%",
            "higher",
            f"Distinct (user, item) likes shown so far, of all in the log ({study}).",
        ),
        Metric("diversity", "Diversity", "%", "neither", f"Distinct items shown so far, of all items ({study})."),
        Metric(
            "entropy",
            "Exposure entropy",
            "share",
            "neither",
            "Entropy of the exposure over items / log(items): 1 is even.",
        ),
        Metric(
            "gini",
            "Exposure Gini",
            "share",
            "neither",
            "Gini index of the exposure over items: 0 is even, 1 is one item.",
        ),
        Metric(
            "hr20_per_round",
            "HR@20 per round",
            "%",
            "higher",
            "Share of the top 20 % of the ranking that is liked, mean over rounds, ties in expectation.",
        ),
        Metric(
            "hr20_per_round_published",
            "HR@20 per round, as published",
            "%",
            "higher",
            f"The same with ties in the order of the published file ({study}).",
        ),
        Metric("matches", "Matched rounds", "count", "neither", "Rounds in which the policy chose what the log shows."),
        Metric(
            "expected_ctr_sum",
            "True CTR_sum",
            "share",
            "higher",
            "Expected clicks per round of the shown slates, by the world's own click model in closed form.",
        ),
        Metric(
            "expected_ctr_set",
            "True set-CTR",
            "%",
            "higher",
            "Probability of at least one click on the shown slate, by the world's own click model, mean over rounds.",
        ),
        Metric(
            "regret_set",
            "Cumulative set regret",
            "count",
            "lower",
            "Probability of a click on the best slate of each round less that on the shown one, summed.",
        ),
        Metric(
            "similarity",
            "Intra-list similarity",
            "share",
            "neither",
            "Mean cosine between the joint features of two items of a slate: low is diverse.",
        ),
    ]
    for name, title, rests in (
        ("pbm_ips", "PBM-IPS", "propensities under a fitted position-based model"),
        ("ubm_ips", "UBM-IPS", "propensities under a fitted user browsing model"),
        ("iips", "IIPS", "the propensities of items at positions (no click model; a click depends on both alone)"),
    ):
        found += [
            Metric(
                name,
                f"{title} of CTR_sum",
                "share",
                "higher",
                f"Clicks per round of the slates, by logged clicks and {rests}.",
            ),
            Metric(
                f"{name}_se",
                f"{title}, standard error",
                "share",
                "neither",
                f"Of {name}, over the records; undefined while all are worth the same.",
            ),
            Metric(
                f"{name}_ess",
                f"{title}, effective sample",
                "%",
                "neither",
                f"Effective sample size of {name}: (sum w)^2 / (n sum w^2) over the shown items.",
            ),
            Metric(
                f"{name}_unsupported",
                f"{title}, without support",
                "%",
                "neither",
                f"Shown items that the logging policy can never have had examined: {name} leaves out what they earn.",
            ),
        ]
    found += [
        Metric(
            "recommend_ratio",
            "Recommend ratio",
            "%",
            "neither",
            "Share of rounds in which a policy that may stay silent recommends its first item: the score of the item "
            f"reaches the policy's threshold ({study}).",
        ),
        Metric(
            "recommend_accuracy",
            "Recommend accuracy",
            "%",
            "higher",
            "Share of rounds in which a policy that may stay silent recommends a first item that is liked, or stays "
            f"silent on one that is not ({study}).",
        ),
        Metric(
            "recommend_precision",
            "Recommend precision",
            "%",
            "higher",
            "Share of liked first items among those that a policy that may stay silent recommends; undefined while it "
            f"has recommended none ({study}).",
        ),
        Metric(
            "recommend_recall",
            "Recommend recall",
            "%",
            "higher",
            "Share of recommended first items among those that are liked, of a policy that may stay silent; undefined "
            f"while none was liked ({study}).",
        ),
    ]
    found += [
        Metric(
            f"hr@{top}",
            f"HR@{top}",
            "%",
            "higher",
            f"Likes in the top {top} % of the ranking, of all likes so far, ties in expectation.",
        )
        for top in TOPS
    ]
    found += [
        Metric(
            f"hr_published@{top}",
            f"HR@{top}, as published",
            "%",
            "higher",
            f"Likes in the top {top} % of the ranking by score, of all likes so far, ties in the order of the "
            f"published file ({study}).",
        )
        for top in TOPS
    ]
    return {m.name: m for m in found}


METRICS = _registry()
NAMES = tuple(METRICS)

# Running sums.
ROUNDS, REVEALED, CLICKS, SETS, REGRET, FALSE, LIKES, TOP20, TOP20_PUBLISHED, DISTINCT, HITS = range(11)
EXPECTED, EXPECTED_SET, REGRET_SET, SIMILARITY = range(11, 15)
PBM, UBM, IIPS = (
    15,
    15 + weights.SUMS,
    15 + 2 * weights.SUMS,
)  # the sums of `offpolicy.weights` for each of the estimators
RECOMMENDED, TOP_LIKED = (
    15 + 3 * weights.SUMS,
    16 + 3 * weights.SUMS,
)  # rounds with a recommendation; with a liked first item
SUMS = 17 + 3 * weights.SUMS
# Columns of the curve, in the order of NAMES; the two HR families follow.
(CTR, CTR_SUM, CTR_SET, MISSES, REGRET_AT, REGRET_PUB, COVERAGE, DIVERSITY, ENTROPY, GINI, HR20, HR20_PUB, MATCHES) = (
    range(13)
)
EXPECTED_SUM_AT, EXPECTED_SET_AT, REGRET_SET_AT, SIMILARITY_AT, PBM_AT, UBM_AT, IIPS_AT = 13, 14, 15, 16, 17, 21, 25
RECOMMEND_AT = 29  # ratio, accuracy, precision, recall
HR, HR_PUB = 33, 33 + len(TOPS)


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


def new_meter(n_items: int, checkpoints: np.ndarray, likes: int, published: np.ndarray | None = None) -> Meter:
    """A meter at zero. `likes` are the numbers given to likes so far (see `likes.Likes`); 0 leaves coverage out.

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
    )


def with_room(meter: Meter, likes: int) -> Meter:
    """The meter, with a bit for each of so many likes; it grows by doubling."""
    need = (likes + 7) // 8
    if not meter.likes.shape[0] or need <= meter.likes.shape[0]:
        return meter
    wider = np.zeros(max(need, 2 * meter.likes.shape[0]), np.uint8)
    wider[: meter.likes.shape[0]] = meter.likes
    return meter._replace(likes=wider)


@inlined
def is_new(likes: np.ndarray, candidate: int, liked: np.ndarray, number: np.ndarray) -> bool:
    """Mark the like of a candidate as shown. True when it had not been.

    `liked` are the liked candidates of the round, ascending, `number` the numbers of these likes in the log.
    """
    which = number[_below(liked, candidate)]
    bit = 1 << (which & 7)
    if likes[which >> 3] & bit:
        return False
    likes[which >> 3] |= bit
    return True


@inlined
def count_slate(
    meter: Meter,
    candidates: np.ndarray,
    slate: np.ndarray,
    rewards: np.ndarray,
    liked: np.ndarray,
    number: np.ndarray,
) -> None:
    """Add one shown slate (K,) of indices into `candidates`, with its rewards (K,), to the sums.

    `liked` and `number` are as of `is_new`; without numbers (0,) the distinct likes are not counted.
    """
    total = 0.0
    for k in range(slate.shape[0]):
        item = candidates[slate[k]]
        if meter.shown[item] == 0:
            meter.sums[DISTINCT] += 1
        meter.shown[item] += 1
        total += rewards[k]
        if number.shape[0] > 0 and rewards[k] > 0 and is_new(meter.likes, slate[k], liked, number):
            meter.sums[HITS] += 1
    meter.sums[ROUNDS] += 1
    meter.sums[REVEALED] += slate.shape[0]
    meter.sums[CLICKS] += total
    meter.sums[SETS] += total > 0


@inlined
def count_recommendation(meter: Meter, score: float, silence: float, reward: float) -> None:
    """Add the verdict on the first item: it is recommended where its score reaches `silence`, liked where it paid."""
    recommended, liked = score >= silence, reward > 0
    meter.sums[RECOMMENDED] += recommended
    meter.sums[TOP_LIKED] += liked
    meter.sums[FALSE] += recommended and not liked


@inlined
def count_regret(meter: Meter, best: float, value: np.ndarray, slate: np.ndarray) -> None:
    """Add `best` less the worth of the slate, by the `value` (C,) of each candidate."""
    worth = 0.0
    for k in range(slate.shape[0]):
        worth += value[slate[k]]
    meter.sums[REGRET] += best - worth


@kernel
def count_similarity(meter: Meter, features: np.ndarray, slate: np.ndarray, total: np.ndarray) -> None:
    """Add the mean cosine between two items of the slate, K > 1, by their `features` (C, m); `total` (m,) is scratch.

    With unit vectors u the sum over all ordered pairs is |sum u|^2 - K, so the pairs need not be visited.
    """
    total[:] = 0.0
    ones = 0.0
    for k in range(slate.shape[0]):
        x = features[slate[k]]
        square = 0.0
        for i in range(x.shape[0]):
            square += x[i] * x[i]
        if square > 0.0:
            ones += 1.0
            scale = 1.0 / math.sqrt(square)
            for i in range(x.shape[0]):
                total[i] += scale * x[i]
    square = 0.0
    for i in range(total.shape[0]):
        square += total[i] * total[i]
    meter.sums[SIMILARITY] += (square - ones) / (slate.shape[0] * (slate.shape[0] - 1.0))


@kernel
def count_expected(meter: Meter, value: float, chance: float, best: float, best_chance: float) -> None:
    """Add a slate worth `value` clicks that is clicked with probability `chance`, and its distance to the best ones."""
    meter.sums[EXPECTED] += value
    meter.sums[EXPECTED_SET] += chance
    meter.sums[REGRET] += best - value
    meter.sums[REGRET_SET] += best_chance - chance


@kernel
def count_ips(
    meter: Meter,
    first: int,
    slate: np.ndarray,
    clicks: np.ndarray,
    examined: np.ndarray,
    exposure: np.ndarray,
    clip: float,
) -> None:
    """Add the inverse-propensity value of a slate to the sums from `first` on (PBM, UBM or IIPS); see `weights.add`."""
    weights.add(meter.sums[first : first + weights.SUMS], slate, examined, exposure, clicks, clip)


@kernel
def count_ranking(
    meter: Meter, candidates: np.ndarray, scores: np.ndarray, slate: np.ndarray, liked: np.ndarray
) -> None:
    """Add the ranks of the `liked` candidates (indices, ascending) of one round; `candidates` (C,) are their items.

    Sound ranking: the slate (K,) first, the others by `scores` (C,), a tied block contributing its
    expected share. Published ranking: by score alone, ties in the published order of the items.
    """
    n = scores.shape[0]
    meter.sums[LIKES] += liked.shape[0]
    if liked.shape[0] > FEW_LIKES:
        _count_many(meter, candidates, scores, slate, liked)
        return
    for i in range(liked.shape[0]):
        a = liked[i]
        score, above, equal, before = scores[a], 0, 0, 0
        for j in range(n):
            above += scores[j] > score
            equal += scores[j] == score
        if equal > 1 and meter.published.shape[0] == 0:
            for j in range(a):
                before += scores[j] == score
        elif equal > 1:
            rank = meter.published[candidates[a]]
            for j in range(n):
                before += scores[j] == score and meter.published[candidates[j]] < rank
        place = -1
        above_shown, equal_shown = 0, 0
        for k in range(slate.shape[0]):
            above_shown += scores[slate[k]] > score
            equal_shown += scores[slate[k]] == score
            if slate[k] == a:
                place = k
        _count_both(meter, above, equal, before, place, above_shown, equal_shown, slate.shape[0], n)


@kernel
def _count_many(meter: Meter, candidates: np.ndarray, scores: np.ndarray, slate: np.ndarray, liked: np.ndarray) -> None:
    """`count_ranking` for many likes, by sorted scores of the likes: n log(likes) steps in the place of n likes."""
    n, size = scores.shape[0], liked.shape[0]
    steps = np.sort(scores[liked])  # ascending, with repetitions: a step is known by the first of its place
    above, equal, before = np.zeros(size + 1, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    at, place, which = np.zeros(size, np.int64), np.full(n, -1), np.full(n, -1)
    for i in range(size):
        which[liked[i]] = i
    order = np.argsort(meter.published[candidates]) if meter.published.shape[0] > 0 else np.arange(n)
    for j in order:  # above[s]: candidates of just over steps[s - 1], those equal to it left out
        s = _below(steps, scores[j])
        same = s < size and steps[s] == scores[j]
        if which[j] >= 0:
            at[which[j]], before[which[j]] = s, equal[s]
        if same:
            equal[s] += 1
        else:
            above[s] += 1
    for k in range(slate.shape[0]):
        place[slate[k]] = k
    above_shown, equal_shown = np.zeros(size + 1, np.int64), np.zeros(size, np.int64)
    for k in range(slate.shape[0]):
        score = scores[slate[k]]
        s = _below(steps, score)
        if s < size and steps[s] == score:
            equal_shown[s] += 1
        else:
            above_shown[s] += 1
    over, over_shown = above[size], above_shown[size]
    for s in range(size - 1, -1, -1):  # from here on above[s] counts all candidates over steps[s]
        gap, gap_shown = above[s], above_shown[s]
        above[s], above_shown[s] = over, over_shown
        over += gap + equal[s]
        over_shown += gap_shown + equal_shown[s]
    for i in range(size):
        s = at[i]
        _count_both(
            meter, above[s], equal[s], before[i], place[liked[i]], above_shown[s], equal_shown[s], slate.shape[0], n
        )


@inlined
def _below(steps: np.ndarray, value: float) -> int:
    """How many of the ascending `steps` lie below `value`."""
    low, high = 0, steps.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if steps[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def _count_both(
    meter: Meter, above: int, equal: int, before: int, place: int, above_shown: int, equal_shown: int, size: int, n: int
) -> None:
    """Add one liked item by both rankings: its place in the slate (-1: none) of `size`, what scores above it and
    equally, of all and of the shown, and what scores equally and stands before it in the file."""
    _count_rank(meter, 1, above + before, 1, n)
    if place >= 0:
        _count_rank(meter, 0, place, 1, n)
    else:
        _count_rank(meter, 0, above - above_shown + size, equal - equal_shown, n)


@kernel
def _count_rank(meter: Meter, family: int, above: int, equal: int, n: int) -> None:
    """Add one liked item that stands in a block of `equal` candidates behind `above` others, of `n`."""
    for j in range(meter.hr.shape[1]):
        top = max(1, n * (j + 1) // 10)
        if above >= top:
            continue
        share = 1.0 if above + equal <= top else (top - above) / equal
        meter.hr[family, j] += share
        if j == 1:
            meter.sums[TOP20 if family == 0 else TOP20_PUBLISHED] += share / top


@inlined
def read_until(meter: Meter, row: int, ranked: bool, known: bool, replayed: bool, silent: bool) -> None:
    """Copy the sums to every checkpoint at or before `row` that has not been read yet.

    The flags say what was measured: ranks of likes, regret, matches, and recommendations, which mean something only of
    a policy that may stay `silent`.
    """
    while meter.done[0] < meter.checkpoints.shape[0] and meter.checkpoints[meter.done[0]] <= row:
        _read(meter, meter.curve[meter.done[0]], ranked, known, replayed, silent)
        meter.done[0] += 1


@kernel
def _read(meter: Meter, out: np.ndarray, ranked: bool, known: bool, replayed: bool, silent: bool) -> None:
    sums = meter.sums
    rounds = sums[ROUNDS]
    if replayed:
        out[MATCHES] = rounds
    if rounds == 0:
        return
    out[CTR] = sums[CLICKS] / sums[REVEALED]
    out[CTR_SUM] = sums[CLICKS] / rounds
    out[CTR_SET] = sums[SETS] / rounds
    out[MISSES] = 1.0 - out[CTR]
    out[REGRET_PUB] = sums[FALSE] / rounds
    if known:
        out[REGRET_AT] = sums[REGRET]
    if meter.likes.shape[0] > 0:
        out[COVERAGE] = sums[HITS]
    if sums[EXPECTED] > 0:
        out[EXPECTED_SUM_AT] = sums[EXPECTED] / rounds
        out[EXPECTED_SET_AT] = sums[EXPECTED_SET] / rounds
        out[REGRET_AT] = sums[REGRET]
        out[REGRET_SET_AT] = sums[REGRET_SET]
    if sums[SIMILARITY] != 0.0:
        out[SIMILARITY_AT] = sums[SIMILARITY] / rounds
    weights.summarise(sums[PBM : PBM + weights.SUMS], sums[REVEALED], out[PBM_AT : PBM_AT + 4])
    weights.summarise(sums[UBM : UBM + weights.SUMS], sums[REVEALED], out[UBM_AT : UBM_AT + 4])
    weights.summarise(sums[IIPS : IIPS + weights.SUMS], sums[REVEALED], out[IIPS_AT : IIPS_AT + 4])
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
    ordered = np.sort(shown)
    for i in range(n):
        weighted += (2.0 * (i + 1) - n - 1) * ordered[i]
    return weighted / (n * total)
