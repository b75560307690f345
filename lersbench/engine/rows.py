"""A chunk of a log as the loop reads it, with what all contenders need computed once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lersbench.clicks.model import ClickModel, best_slate, expected, pbm, shown_attraction, ubm
from lersbench.feedback import REGIMES
from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import scramble
from lersbench.log.chunk import Chunk
from lersbench.log.scaling import PLAIN, Scales
from lersbench.offpolicy import propensity


class Users(NamedTuple):
    """How the users of a simulated world click; empty where that is not known."""

    attraction: np.ndarray  # (n, C) P(click | examined) of each candidate, or (0, C)
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
    exposure: (
        np.ndarray
    )  # (2, n, C) P(the candidate is examined) under the logging policy, by PBM and UBM; or (2, 0, C)
    clip: float  # the largest weight of a record by click model; weights by place alone are never cut
    placed: np.ndarray  # (n, C) P(the candidate is logged where it was) under the logging policy, or (0, C)


class Rows(NamedTuple):
    """A chunk of a log as the loop reads it; shared by all contenders, never written to."""

    user: np.ndarray  # (n,) int64
    context: np.ndarray  # (n, d)
    candidates: np.ndarray  # (n, C) int64, or (1, C)
    features: np.ndarray  # (n, C, m), or (1, C, 0)
    items: np.ndarray  # (n_items, p) static item features, for joint features that are composed
    rewards: np.ndarray  # (n, C) reward of every candidate; (n, K) of the logged slate under rejection replay
    slate: np.ndarray  # (n, K) logged slate, as indices into the candidates, or (0, 0)
    value: np.ndarray  # (n, C) expected rewards if known, else the rewards; (0, C) where neither is known
    best: np.ndarray  # (n,) value of the best slate of the round
    liked_from: np.ndarray  # (n + 1,) int64; row i likes the candidates liked[liked_from[i]:liked_from[i + 1]]
    liked: np.ndarray  # (likes,) int64
    number: np.ndarray  # (likes,) int32, of each like among the distinct ones of the log; (0,) where not counted
    users: Users
    logger: Logger


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


def background_of(items: np.ndarray, n_items: int, family: np.ndarray | None = None) -> Background:
    """A log of which nothing is known but its items, and perhaps the family of each."""
    none = np.zeros(0)
    alone = np.arange(n_items) if family is None else family
    model = ClickModel(np.zeros((0, 1)), none, 1.0)
    logger = Logger(none, np.zeros((0, 0)), none, np.zeros((2, 0, 0)), np.inf, np.zeros((0, 0)))
    return Background(items, alone, model, logger, none, np.zeros((0, 0)))


def rows_of(
    chunk: Chunk, items: np.ndarray | Background, feedback: str, slate: int, likes: bool = True, mix: int | None = None
) -> Rows:
    """A chunk as this feedback shows it, with what all contenders need computed once.

    Under "logged" and "simulated" the candidates of a round are the items of its logged slate. The reward of an item
    is its logged click wherever a policy places it, or a click drawn from the click model of the world. `slate` is K;
    without `likes` no liked items are looked up.

    `mix` is the key of the order in which the candidates of a round stand: a hash of it and of the place of the round
    in the log, so that no policy can profit from the order of the file or of a ranker. None leaves them as logged.
    """
    background = (
        items if isinstance(items, Background) else background_of(items, int(chunk.candidates.max(initial=0)) + 1)
    )
    n = chunk.user.shape[0]
    regime = REGIMES[feedback]
    replayed, listed = regime.replayed, regime.listed
    shown, order = chunk.slate, chunk.slate if listed else None
    if mix is not None:
        places = np.empty((n, (chunk.slate if listed else chunk.candidates).shape[1]), np.int64)
        random_places(mix, chunk.start, places)
        order = np.take_along_axis(chunk.slate, places, axis=1) if listed else places
        shown = np.argsort(places, axis=1)  # where each old place has gone
        shown = shown if listed else np.take_along_axis(shown, chunk.slate, axis=1) if chunk.slate.size else chunk.slate
    elif listed:
        shown = np.tile(np.arange(chunk.slate.shape[1]), (n, 1))
    candidates, features = _pick(chunk.candidates, order, n), _pick(chunk.features, order, n)
    value, attraction, scores = (_pick(a, order, n) for a in (chunk.expected, chunk.attraction, chunk.scores))
    if replayed:
        rewards, value = chunk.clicks, value[:0]
    elif listed:
        rewards = chunk.clicks if mix is None else _pick(chunk.clicks, places, n)
    else:
        rewards = _pick(chunk.rewards, order, n)
    if not value.shape[0] and not replayed:
        value = rewards
    likes = likes and regime.ranked
    rows = Rows(
        chunk.user,
        chunk.context,
        candidates,
        features,
        background.items,
        rewards,
        shown,
        value,
        _best(value, slate) if value.shape[0] else np.zeros(0),
        *_liked(rewards if likes else rewards[:0], n),
        np.empty(0, np.int32),
        _users(background, attraction, candidates, slate),
        _logger(background, feedback, scores, candidates, shown),
    )
    return _contiguous(rows)


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
    n, order = rows.user.shape[0], rows.slate
    rewards, exposure = _pick(rows.rewards, order, n), rows.logger.exposure
    if exposure.shape[1]:
        exposure = np.stack([_pick(one, order, n) for one in exposure])
    placed = _pick(rows.logger.placed, order, n)
    liked_from, liked = _liked(rewards if rows.liked.size else rewards[:0], n)
    return rows._replace(
        candidates=_pick(rows.candidates, order, n),
        features=_pick(rows.features, order, n),
        rewards=rewards,
        slate=np.tile(np.arange(order.shape[1]), (n, 1)),
        value=_pick(rows.value, order, n),
        users=rows.users._replace(attraction=_pick(rows.users.attraction, order, n)),
        liked_from=liked_from,
        liked=liked,
        logger=rows.logger._replace(exposure=exposure, placed=placed),
    )


def _liked(rewards: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the likes of each of n rounds begin among all likes (n + 1,), and their candidates."""
    row, liked = np.nonzero(rewards)
    # nonzero gives columns of one array, which would be one more signature
    return np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]), np.ascontiguousarray(liked)


@kernel
def random_places(key: int, first: int, out: np.ndarray) -> None:
    """Fill `out` (n, C) with a random order of 0..C-1 for each of the rounds from place `first` of the log on."""
    for row in range(out.shape[0]):
        stream = scramble(key, first + row)
        for c in range(out.shape[1]):
            out[row, c] = c
        for c in range(out.shape[1] - 1, 0, -1):
            j = scramble(stream, c) % (c + 1)
            out[row, c], out[row, j] = out[row, j], out[row, c]


def _pick(values: np.ndarray, order: np.ndarray | None, n: int) -> np.ndarray:
    """`values` (n, C) or (n, C, m), or one row for all, with the candidates `order` (n, k); what is empty stays so."""
    if order is None or not values.size:
        return values
    deep = values.reshape(*values.shape[:2], -1)
    out = np.empty((n, order.shape[1], deep.shape[2]), values.dtype)
    pick(deep, order, out)
    return out.reshape(n, order.shape[1], *values.shape[2:])


@kernel
def pick(values: np.ndarray, order: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n, k, m) with the rows `order` (n, k) of `values` (n, C, m) or (1, C, m)."""
    for row in range(out.shape[0]):
        source = values[0 if values.shape[0] == 1 else row]
        for c in range(out.shape[1]):
            for i in range(out.shape[2]):
                out[row, c, i] = source[order[row, c], i]


def _users(background: Background, attraction: np.ndarray, candidates: np.ndarray, slate: int) -> Users:
    weights, goes_on, fade = background.model
    best = np.zeros((attraction.shape[0] if weights.shape[0] else 0, 2))
    if best.shape[0]:
        best_values(attraction, candidates, background.family, weights, goes_on, fade, slate, best)
    return Users(attraction, background.family, weights, goes_on, fade, best)


@kernel
def best_values(
    attraction: np.ndarray,
    candidates: np.ndarray,
    family: np.ndarray,
    weights: np.ndarray,
    goes_on: np.ndarray,
    fade: float,
    size: int,
    out: np.ndarray,
) -> None:
    """Fill `out` (n, 2) with the expected CTR_sum and CTR_set of the best slate of `size` positions of each round."""
    slate, shown, examined = np.zeros(size, np.int64), np.zeros(size), np.zeros(size)
    reached, kin = np.zeros(size + 1), np.zeros(candidates.shape[1], np.int64)
    for row in range(out.shape[0]):
        offered = candidates[0 if candidates.shape[0] == 1 else row]
        for c in range(kin.shape[0]):
            kin[c] = family[offered[c]]
        best_slate(attraction[row], kin, fade, slate)
        shown_attraction(attraction[row], kin, slate, fade, shown)
        out[row, 0], out[row, 1] = expected(weights, goes_on, shown, reached, examined)


def _logger(
    background: Background, feedback: str, scores: np.ndarray, candidates: np.ndarray, logged: np.ndarray
) -> Logger:
    """The fitted click models with the propensities of a chunk, which only re-ranked logged lists are weighed by.

    `scores` (n, C) are the logging policy's; `logged` (n, L) is the candidate at each position of the log.
    """
    shape, fitted = (len(logged), candidates.shape[1]), background.logger
    logger = fitted._replace(exposure=np.zeros((2, 0, shape[1])), placed=np.zeros((0, shape[1])))
    if not REGIMES[feedback].weighed:
        return logger
    if background.uniform:
        logger = logger._replace(placed=np.full(shape, 1.0 / shape[1]))
    elif scores.shape[0] and background.scored:
        at = np.argsort(logged, axis=1)[:, :, None]  # the position of each candidate
        logger = logger._replace(placed=np.take_along_axis(propensity.placements(scores), at, axis=2)[:, :, 0])
    if not logger.placed.shape[0] or not fitted.examination.shape[0]:
        return logger
    models = pbm(fitted.examination), ubm(fitted.after)
    attraction = fitted.attraction[np.broadcast_to(candidates, shape)]
    if background.uniform:
        both = [propensity.uniform_exposures(model, attraction) for model in models]
    else:
        both = [propensity.exposures(model, scores, attraction) for model in models]
    return logger._replace(exposure=np.stack(both))


def _best(value: np.ndarray, slate: int) -> np.ndarray:
    """The worth (n,) of the best slate of each round."""
    if slate == 1:
        return value.max(axis=1)
    if slate >= value.shape[1]:
        return value.sum(axis=1)
    return np.partition(value, -slate, axis=1)[:, -slate:].sum(axis=1)
