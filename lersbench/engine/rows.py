"""A chunk of a log as the loop reads it, with what all contenders need computed once.

Rounds may differ in length. What there is for each candidate of each round lies end to end, (N,) for N candidates in
all: those of row i are at first[i]..first[i + 1]. Likewise (S,) for the positions of the logged slates, at
top[i]..top[i + 1]. Nothing is padded, so nothing padded can be scored, ranked or counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lersbench.clicks.model import ClickModel, best_slate, expected, pbm, shown_attraction, ubm
from lersbench.engine.brackets import NOTHING, Carried
from lersbench.engine.layout import Layout, chosen, in_place, invert, layout_of
from lersbench.feedback import REGIMES
from lersbench.kernels.jit import kernel
from lersbench.log.chunk import Chunk
from lersbench.log.reward import CLICKS, Reward
from lersbench.log.scaling import PLAIN, Scales
from lersbench.offpolicy import propensity


class Users(NamedTuple):
    """How the users of a simulated world click; empty where that is not known."""

    attraction: np.ndarray  # (N,) P(click | examined) of each candidate, or (0,)
    family: np.ndarray  # (n_items,) int64
    weights: np.ndarray  # (L, L + 1) see clickmodel.ClickModel
    goes_on: np.ndarray  # (L,)
    fade: float
    best: np.ndarray  # (n, 2) expected CTR_sum and CTR_set of the best slate


class Logger(NamedTuple):
    """What the logging policy would have shown, and the click model fitted to it; empty where not known."""

    examination: np.ndarray  # (L,) of the position-based model, at most 1
    after: np.ndarray  # (L, L + 1) of the user browsing model, at most 1
    attraction: np.ndarray  # (n_items,) that goes with it
    exposure: np.ndarray  # (2, N) P(the candidate is examined) under the logging policy, by PBM and UBM; or (2, 0)
    clip: float  # the largest weight of a record by click model; weights by place alone are never cut
    placed: np.ndarray  # (N,) P(the candidate is logged where it was) under the logging policy, or (0,)


class Rows(NamedTuple):
    """A chunk of a log as the loop reads it; shared by all contenders, never written to."""

    user: np.ndarray  # (n,) int64
    context: np.ndarray  # (n, d)
    first: np.ndarray  # (n + 1,) int64 edges of what there is for each candidate
    own: int  # 1: the candidates of a round begin at its `first`; 0: all rounds share the candidates (C,)
    candidates: np.ndarray  # (N,) int64, or (C,)
    features: np.ndarray  # (N, m), m may be 0
    items: np.ndarray  # (n_items, p) static item features, for joint features that are composed
    rewards: np.ndarray  # (N,) reward of every candidate; (S,) of the logged slate under rejection replay
    top: np.ndarray  # (n + 1,) int64 edges of the logged slates, 0 where there are none
    slate: np.ndarray  # (S,) logged slates, as indices into the candidates of their round
    value: np.ndarray  # (N,) expected rewards if known, else the rewards; (0,) where neither is known
    best: np.ndarray  # (n,) value of the best slate of the round
    liked_from: np.ndarray  # (n + 1,) int64; row i likes the candidates liked[liked_from[i]:liked_from[i + 1]]
    liked: np.ndarray  # (likes,) int64
    number: np.ndarray  # (likes,) int32, of each like among the distinct ones of the log; (0,) where not counted
    age: np.ndarray  # (N,) int32 how often each candidate was on offer before in the log; (0,) where not counted
    time: np.ndarray  # (n,) int64 microseconds since 1970, or (0,)
    known: np.ndarray  # like `rewards`, int64, when each is known; or (0,)
    users: Users
    logger: Logger
    shown_at: np.ndarray  # (N,) int64 place at which the log showed each candidate whose logged reward counts; or (0,)
    carried: Carried
    start: int  # place of the first of these rounds in the log

    def wide(self, values: np.ndarray) -> np.ndarray:
        """What there is for each candidate as (n, C), or (n, C, m): for rounds of one length only."""
        n = len(self.user)
        return values.reshape(n, len(values) // max(n, 1), *values.shape[1:])


class Background(NamedTuple):
    """What is known of a log beside its rounds."""

    items: np.ndarray  # (n_items, p) static features
    family: np.ndarray  # (n_items,) int64
    model: ClickModel  # how users click; of length 0 where unknown
    logger: Logger  # the fitted click models; exposures are filled in chunk by chunk
    examination: np.ndarray  # (L,) what policies are told of them, see policy.Spec; or (0,)
    examination_after: np.ndarray  # (L, L + 1), or (0, 0)
    uniform: bool = False  # the logged list is a uniformly random order of its items
    scales: Scales = PLAIN  # what context and joint features are standardised by
    scored: bool = True  # scores, where the log has them, tell the probability of every order of the candidates
    carried: Carried = NOTHING  # what a click is worth at another place, where brackets are counted


def background_of(items: np.ndarray, n_items: int, family: np.ndarray | None = None) -> Background:
    """A log of which nothing is known but its items, and perhaps the family of each."""
    none = np.zeros(0)
    alone = np.arange(n_items) if family is None else family
    model = ClickModel(np.zeros((0, 1)), none, 1.0)
    logger = Logger(none, np.zeros((0, 0)), none, np.zeros((2, 0)), np.inf, none)
    return Background(items, alone, model, logger, none, np.zeros((0, 0)))


def rows_of(
    chunk: Chunk,
    items: np.ndarray | Background,
    feedback: str,
    slate: int,
    likes: bool = True,
    mix: int | None = None,
    reward: Reward = CLICKS,
) -> Rows:
    """A chunk as this feedback shows it, with what all contenders need computed once.

    Under "logged" and "simulated" the candidates of a round are the items of its logged slate. The reward of an item
    is its logged click wherever a policy places it, or a click drawn from the click model of the world. `slate` is K;
    without `likes` no liked items are looked up.

    `mix` is the key of the order in which the candidates of a round stand: a hash of it and of the place of the round
    in the log, so that no policy can profit from the order of the file or of a ranker. None leaves them as logged.

    `reward` is what the items of logged slates are paid by, where the regime looks that up. What the world knows of
    expected clicks is left out where it is something else.
    """
    background = (
        items if isinstance(items, Background) else background_of(items, int(chunk.candidates.max(initial=0)) + 1)
    )
    regime = REGIMES[feedback]
    layout, of_slate = layout_of(chunk, regime, mix), regime.listed or regime.replayed
    candidates = chosen(chunk.candidates.reshape(-1), layout.offered, layout.order, layout.edges)
    columns = (chunk.expected, chunk.attraction, chunk.scores, chunk.rewards, chunk.known)
    value, attraction, scores, rewards, known = (layout.of_candidates(values.reshape(-1)) for values in columns)
    if of_slate:
        rewards, known = (layout.of_slate(values.reshape(-1)) for values in (reward.of(chunk), chunk.clicks_known))
    if not reward.is_click:
        value, attraction = value[:0], attraction[:0]
    if regime.replayed:
        value = value[:0]
    elif not value.shape[0]:
        value = rewards
    likes = likes and regime.ranked
    rows = Rows(
        chunk.user,
        chunk.context,
        layout.edges,
        layout.own,
        candidates,
        layout.of_candidates(_features(chunk, layout)),
        background.items,
        rewards,
        layout.top,
        layout.shown,
        value,
        _best(value, layout.edges, slate),
        *_liked(rewards if likes else rewards[:0], layout.edges),
        np.empty(0, np.int32),
        np.empty(0, np.int32),
        chunk.time,
        known,
        _users(background, attraction, candidates, layout.own, layout.edges, slate),
        Logger(*background.logger),
        _places(layout) if regime.weighed else layout.shown[:0],
        Carried(*background.carried),
        int(chunk.start),
    )
    return _contiguous(rows._replace(logger=_logger(background, regime.weighed, scores, rows)))


def _places(layout: Layout) -> np.ndarray:
    """The place (N,) at which the log showed each candidate of its lists."""
    places = np.empty_like(layout.shown)
    invert(layout.shown, layout.top, places)
    return places


def _features(chunk: Chunk, layout: Layout) -> np.ndarray:
    """The joint features of a chunk end to end; where there are none, as many rows of nothing as candidates."""
    m = chunk.features.shape[-1]
    return chunk.features.reshape(-1, m) if chunk.features.size else np.empty((layout.edges[-1], 0))


def _contiguous(fields: Any) -> Any:
    """The tuple with all its arrays in C order, as compiled code expects them; most are already."""
    return type(fields)(
        *(
            np.ascontiguousarray(field)
            if isinstance(field, np.ndarray)
            else _contiguous(field)
            if isinstance(field, tuple)
            else field
            for field in fields
        )
    )


def as_logged(rows: Rows) -> Rows:
    """Rows of a ranked list with the candidates of each round as they were shown, from the top down."""

    def shown_by(values: np.ndarray) -> np.ndarray:
        return chosen(values, rows.first[:-1], rows.slate, rows.top)

    rewards, exposure, shown = shown_by(rows.rewards), rows.logger.exposure, np.empty_like(rows.slate)
    in_place(rows.top, shown)
    if exposure.shape[1]:
        exposure = np.stack([shown_by(one) for one in exposure])
    liked_from, liked = _liked(rewards if rows.liked.size else rewards[:0], rows.top)
    return rows._replace(
        candidates=shown_by(rows.candidates),
        features=shown_by(rows.features),
        rewards=rewards,
        slate=shown,
        value=shown_by(rows.value),
        known=shown_by(rows.known),
        age=shown_by(rows.age),
        users=rows.users._replace(attraction=shown_by(rows.users.attraction)),
        liked_from=liked_from,
        liked=liked,
        logger=rows.logger._replace(exposure=exposure, placed=shown_by(rows.logger.placed)),
        shown_at=shown_by(rows.shown_at),
    )


def _liked(rewards: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the likes of each round begin among all likes (n + 1,), and their candidates, by `rewards` (N,) or (0,).

    What is paid for is liked: a reward above 0.
    """
    if not rewards.size:
        return np.zeros(len(edges), np.int64), np.zeros(0, np.int64)
    liked = np.flatnonzero(rewards > 0)
    liked_from = np.searchsorted(liked, edges)
    return liked_from, liked - np.repeat(edges[:-1], np.diff(liked_from))


@kernel
def count_offers(candidates: np.ndarray, offers: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (N,) with how often each of the candidates (N,), round after round, was on offer before.

    `offers` (n_items,) int64 has those of the rounds before, and those of these rounds in the end.
    """
    for i in range(candidates.shape[0]):
        out[i] = offers[candidates[i]]
        offers[candidates[i]] += 1


def _users(
    background: Background,
    attraction: np.ndarray,
    candidates: np.ndarray,
    own: int,
    edges: np.ndarray,
    slate: int,
) -> Users:
    weights, goes_on, fade = background.model
    best = np.zeros((len(edges) - 1 if weights.shape[0] and attraction.shape[0] else 0, 2))
    if best.shape[0]:
        known = attraction, candidates, own, edges, background.family, weights, goes_on, fade
        best_values(*known, slate, best)
    return Users(attraction, background.family, weights, goes_on, fade, best)


@kernel
def best_values(
    attraction: np.ndarray,
    candidates: np.ndarray,
    own: int,
    edges: np.ndarray,
    family: np.ndarray,
    weights: np.ndarray,
    goes_on: np.ndarray,
    fade: float,
    most: int,
    out: np.ndarray,
) -> None:
    """Fill `out` (n, 2) with the expected CTR_sum and CTR_set of the best slate of each round, of `most` positions or,
    where there are fewer, of all candidates."""
    slate, shown, examined, reached = np.zeros(most, np.int64), np.zeros(most), np.zeros(most), np.zeros(most + 1)
    kin = np.zeros(np.max(np.diff(edges)), np.int64)
    for row in range(out.shape[0]):
        wide = edges[row + 1] - edges[row]
        size, attracts = min(most, wide), attraction[edges[row] : edges[row + 1]]
        for c in range(wide):
            kin[c] = family[candidates[own * edges[row] + c]]
        best_slate(attracts, kin[:wide], fade, slate[:size])
        shown_attraction(attracts, kin[:wide], slate[:size], fade, shown[:size])
        out[row, 0], out[row, 1] = expected(weights, goes_on, shown[:size], reached, examined[:size])


def _logger(background: Background, weighed: bool, scores: np.ndarray, rows: Rows) -> Logger:
    """The fitted click models with the propensities of a chunk, which only re-ranked logged lists are weighed by.

    `scores` (N,) are the logging policy's, or (0,).
    """
    logger = background.logger._replace(exposure=np.zeros((2, 0)), placed=np.zeros(0))
    if not weighed or not (background.uniform or (scores.size and background.scored)):
        return logger
    fitted, total = bool(logger.examination.shape[0]), int(rows.first[-1])
    placed, exposure = np.empty(total), np.empty((2, total if fitted else 0))
    for wide, index in _by_width(rows.first):
        at = rows.first[index][:, None] + np.arange(wide)
        some = scores[at] if scores.size else np.empty((0, wide))
        placed[at] = _placed(background.uniform, some, rows.slate[at])
        if fitted:
            attraction = logger.attraction[rows.candidates[at]]
            exposure[:, at] = _exposures(background.uniform, logger, some, attraction)
    return logger._replace(exposure=exposure, placed=placed)


def _by_width(edges: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each number of candidates that occurs, with the rounds that have so many."""
    lengths = np.diff(edges)
    for wide in np.unique(lengths):
        yield int(wide), np.flatnonzero(lengths == wide)


def _placed(uniform: bool, scores: np.ndarray, logged: np.ndarray) -> np.ndarray:
    """P(each candidate is logged where it was), (n, C); `logged` (n, C) is the candidate at each position."""
    if uniform:
        return np.full(logged.shape, 1.0 / logged.shape[1])
    at = np.argsort(logged, axis=1)[:, :, None]  # the position of each candidate
    return np.take_along_axis(propensity.placements(scores), at, axis=2)[:, :, 0]


def _exposures(uniform: bool, logger: Logger, scores: np.ndarray, attraction: np.ndarray) -> np.ndarray:
    """P(each candidate is examined) under the logging policy by both click models, (2, n, C)."""
    wide = attraction.shape[1]
    models = pbm(logger.examination[:wide]), ubm(logger.after[:wide, : wide + 1])
    if uniform:
        return np.stack([propensity.uniform_exposures(model, attraction) for model in models])
    return np.stack([propensity.exposures(model, scores, attraction) for model in models])


def _best(value: np.ndarray, edges: np.ndarray, slate: int) -> np.ndarray:
    """The worth (n,) of the best slate of each round, by the `value` (N,) of the candidates; (0,) where not known."""
    if not value.shape[0]:
        return np.zeros(0)
    best = np.empty(len(edges) - 1)
    if slate == 1:
        largest(value, edges, best)
        return best
    for wide, index in _by_width(edges):
        if len(index) == len(best):  # all rounds: no copy
            best[:] = _best_sums(value.reshape(-1, wide), slate)
        else:
            best[index] = _best_sums(value[edges[index][:, None] + np.arange(wide)], slate)
    return best


def _best_sums(value: np.ndarray, slate: int) -> np.ndarray:
    """The sum (n,) of the `slate` largest of each row, or of all."""
    if slate >= value.shape[1]:
        return value.sum(axis=1)
    return np.partition(value, -slate, axis=1)[:, -slate:].sum(axis=1)


@kernel
def largest(value: np.ndarray, edges: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n,) with the largest of the `value` (N,), no NaN, of each round, which has one or more."""
    for row in range(out.shape[0]):
        first, last = edges[row], edges[row + 1]
        p = q = r = s = value[first]  # four running maxima do not wait for each other
        for i in range(first, last - 3, 4):
            p = value[i] if value[i] > p else p
            q = value[i + 1] if value[i + 1] > q else q
            r = value[i + 2] if value[i + 2] > r else r
            s = value[i + 3] if value[i + 3] > s else s
        for i in range(last - (last - first) % 4, last):
            p = value[i] if value[i] > p else p
        out[row] = max(max(p, q), max(r, s))
