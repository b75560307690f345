"""Adding a round to the sums: clicks, regret, ranks, true values, values by propensity."""

from __future__ import annotations

import math

import numpy as np

from lersbench.clicks.model import draw_clicks, expected, shown_attraction
from lersbench.engine.blocks import EXPECTED_IN, EXPECTED_SET_IN, IN_ROUNDS, PAID_IN, SETS_IN, SHOWN, block_of
from lersbench.engine.brackets import bucket_of, count_bracket
from lersbench.engine.meter import (
    DISTINCT,
    EXPECTED,
    EXPECTED_SET,
    FALSE,
    HITS,
    IIPS,
    LIKES,
    PAID,
    PAIRED,
    PBM,
    RECOMMENDED,
    REGRET,
    REGRET_SET,
    REVEALED,
    ROUNDS,
    SETS,
    SIMILARITY,
    TOP20,
    TOP20_PUBLISHED,
    TOP_LIKED,
    UBM,
    YOUNG,
    Meter,
)
from lersbench.engine.rounds import Protocol, Scratch, Visit, positions_of
from lersbench.engine.rows import Logger, Rows, Users
from lersbench.kernels.jit import inlined, inner, kernel
from lersbench.kernels.sorting import ascending
from lersbench.kernels.ties import scramble
from lersbench.kernels.uncounted import part
from lersbench.metrics import AGES
from lersbench.offpolicy import weights

FEW_LIKES = 64  # up to so many likes of a round are ranked one by one


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
    block: int,
) -> None:
    """Add one shown slate (K,) of indices into `candidates`, with its rewards (K,), to the sums and to those of its
    `block`.

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
    meter.sums[PAID] += total
    meter.sums[SETS] += total > 0
    meter.blocks[block, IN_ROUNDS] += 1
    meter.blocks[block, SHOWN] += slate.shape[0]
    meter.blocks[block, PAID_IN] += total
    meter.blocks[block, SETS_IN] += total > 0


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


@inlined
def count_ages(meter: Meter, age: np.ndarray, slate: np.ndarray, rewards: np.ndarray) -> None:
    """Add what items that have not been offered often earn; `age` (C,) is how often each candidate was before."""
    for i in range(len(AGES)):
        for k in range(slate.shape[0]):
            if age[slate[k]] < AGES[i]:
                meter.sums[YOUNG + i] += 1
                meter.sums[YOUNG + len(AGES) + i] += rewards[k]


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
    meter.sums[PAIRED] += 1


@kernel
def count_expected(meter: Meter, value: float, chance: float, best: float, best_chance: float, block: int) -> None:
    """Add a slate worth `value` clicks that is clicked with probability `chance`, and its distance to the best ones."""
    meter.blocks[block, EXPECTED_IN] += value
    meter.blocks[block, EXPECTED_SET_IN] += chance
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
    chosen, order = np.empty(size), np.empty(n, np.int64)
    for i in range(size):
        chosen[i] = scores[liked[i]]
    steps = _sorted(chosen)  # ascending, with repetitions: a step is known by the first of its place
    above, equal, before = np.zeros(size + 1, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    at, place, which = np.zeros(size, np.int64), np.full(n, -1), np.full(n, -1)
    for i in range(size):
        which[liked[i]] = i
    places = np.empty(n)
    for j in range(n):
        places[j] = meter.published[candidates[j]] if meter.published.shape[0] > 0 else j
    ascending(places, order)
    for i in range(n):  # above[s]: candidates of just over steps[s - 1], those equal to it left out
        j = order[i]
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


@kernel
def _sorted(values: np.ndarray) -> np.ndarray:
    """The values (n,), ascending."""
    order, out = np.empty(values.shape[0], np.int64), np.empty(values.shape[0])
    ascending(values, order)
    for i in range(out.shape[0]):
        out[i] = values[order[i]]
    return out


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


@inner
def meet(
    meter: Meter,
    users: Users,
    row: int,
    attraction: np.ndarray,
    candidates: np.ndarray,
    slate: np.ndarray,
    visit: Visit,
    block: int,
) -> None:
    """What the users of the world make of a slate: the attraction of the shown, and the true values into the sums.

    `attraction` (C,) is P(click | examined) of the candidates of the round.
    """
    for c in range(candidates.shape[0]):
        visit.family[c] = users.family[candidates[c]]
    shown, examined = visit.shown[: slate.shape[0]], visit.examined[: slate.shape[0]]
    shown_attraction(attraction, visit.family[: candidates.shape[0]], slate, users.fade, shown)
    value, chance = expected(users.weights, users.goes_on, shown, visit.reached, examined)
    count_expected(meter, value, chance, users.best[row, 0], users.best[row, 1], block)


@inner
def weigh(
    meter: Meter,
    logger: Logger,
    start: int,
    stop: int,
    candidates: np.ndarray,
    clicks: np.ndarray,
    logged: np.ndarray,
    slate: np.ndarray,
    shows_the_log: bool,
    visit: Visit,
) -> None:
    """Add what the logged `clicks` (C,) and propensities say of a slate: by position, and by click models if fitted.

    `start` and `stop` are the edges of the round's candidates; `logged` (L,) is the candidate at each position of the
    log.

    Where the slate is the logged one (`shows_the_log`) it depends on what was logged, and only its clicks as they are
    can speak.
    """
    fitted, size = logger.exposure.shape[1] > 0, slate.shape[0]
    if shows_the_log:
        count_ips(meter, IIPS, slate, clicks, visit.ones, visit.ones, 1.0)
        if fitted:
            count_ips(meter, PBM, slate, clicks, visit.ones, visit.ones, 1.0)
            count_ips(meter, UBM, slate, clicks, visit.ones, visit.ones, 1.0)
        return
    for k in range(size):
        visit.examined[k] = 1.0 if slate[k] == logged[k] else 0.0
    count_ips(meter, IIPS, slate, clicks, visit.examined, logger.placed[start:stop], math.inf)
    if not fitted:
        return
    count_ips(meter, PBM, slate, clicks, logger.examination, logger.exposure[0, start:stop], logger.clip)
    for k in range(size):
        visit.shown[k] = logger.attraction[candidates[slate[k]]]
    always = visit.saw  # after a click the user of a browsing model goes on
    always[:] = 1.0
    expected(logger.after, always, visit.shown[:size], visit.reached, visit.examined)
    count_ips(meter, UBM, slate, clicks, visit.examined, logger.exposure[1, start:stop], logger.clip)


@inner
def bracket(meter: Meter, rows: Rows, row: int, slate: np.ndarray) -> None:
    """Add both ends of what a slate is worth where nobody knows what was seen, and the logged order: see `brackets`."""
    first, last = rows.top[row], rows.top[row + 1]
    start, stop = rows.first[row], rows.first[row + 1]
    bucket = bucket_of(rows.user[row], rows.start + row)
    paid, shown_at, logged = rows.rewards[start:stop], rows.shown_at[start:stop], rows.slate[first:last]
    count_bracket(meter.buckets, meter.turn, rows.carried.weights, bucket, paid, shown_at, logged, slate)


@inlined
def count(
    meter: Meter, rows: Rows, row: int, at: int, slot: int, protocol: Protocol, scratch: Scratch, visit: Visit
) -> None:
    """Look up or draw the rewards of the slate in place `slot` of the scratch memory, and add the round to the sums."""
    start, stop = rows.first[row], rows.first[row + 1]
    wide = stop - start
    size = positions_of(rows.top, row, wide, protocol)
    slate, rewards, scores = (
        part(scratch.slates[slot], 0, size),
        part(scratch.rewards[slot], 0, size),
        part(scratch.scores[slot], 0, wide),
    )
    offered = rows.own * start
    candidates = part(rows.candidates, offered, offered + wide)
    block = block_of(rows.user[row], rows.start + row, meter.blocks)
    if protocol.truth:
        meet(meter, rows.users, row, part(rows.users.attraction, start, stop), candidates, slate, visit, block)
    if protocol.simulated:
        key = scramble(protocol.draws, at)
        users = rows.users
        for k in range(size):
            visit.items[k] = candidates[slate[k]]
        shown, items, saw = visit.shown[:size], visit.items[:size], visit.saw[:size]
        draw_clicks(users.weights, users.goes_on, shown, items, key, rewards, saw)
    else:
        paid = (
            part(rows.rewards, rows.top[row], rows.top[row + 1]) if protocol.replay else part(rows.rewards, start, stop)
        )
        for k in range(size):
            rewards[k] = paid[k if protocol.replay else slate[k]]
    if protocol.weighed:
        clicks, logged = part(rows.rewards, start, stop), part(rows.slate, rows.top[row], rows.top[row + 1])
        weigh(meter, rows.logger, start, stop, candidates, clicks, logged, slate, protocol.shows_the_log, visit)
    if protocol.bracketed:
        bracket(meter, rows, row, slate)
    if protocol.similar and size > 1:
        features = scratch.features[:wide]
        if protocol.users < 0:
            features = part(rows.features, start, stop)
        count_similarity(meter, features, slate, visit.total)
    first, last = rows.liked_from[row], rows.liked_from[row + 1]
    count_slate(meter, candidates, slate, rewards, part(rows.liked, first, last), rows.number[first:last], block)
    count_recommendation(meter, scores[slate[0]], protocol.silence, rewards[0])
    if rows.age.shape[0] > 0:
        count_ages(meter, part(rows.age, start, stop), slate, rewards)
    if protocol.regret:
        count_regret(meter, rows.best[row], part(rows.value, start, stop), slate)
    if protocol.ranked:
        count_ranking(meter, candidates, scores, slate, part(rows.liked, first, last))
    if protocol.span > 0.0:
        for k in range(size):  # after all that is counted: what the policy will learn
            rewards[k] = min(1.0, max(0.0, (rewards[k] - protocol.low) / protocol.span))
