"""Click models: position-based, user browsing, cascade and dependent click, all of one form.

A user looks down the slate. At position k, while he is still there, he examines the item with a probability that
depends on k and on the position of his last click above; an examined item is clicked with its attraction; after a
click at k he stays with probability goes_on[k]. The four models are this one with different numbers:

    position-based (PBM)     weights[k, j] = examination[k] whatever j, nobody leaves
    user browsing (UBM)      weights[k, j] free, nobody leaves
    cascade                  weights 1, everybody leaves at the first click
    dependent click (DCM)    weights 1, after a click at k a share of 1 - goes_on[k] leaves

Sources: PBM Richardson, Dominowska and Ragno, WWW 2007; UBM Dupret and Piwowarski, SIGIR 2008; cascade Craswell,
Zoeter, Taylor and Ramsey, WSDM 2008; DCM Guo, Liu and Wang, WSDM 2009.

Items of one family compete: the attraction of an item is multiplied by fade for each item of its family above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.ties import scramble

KEYS = 2.0**32  # scramble gives so many different values


class ClickModel(NamedTuple):
    """Probabilities of examining positions and of staying; made by `pbm`, `ubm`, `cascade`, `dcm` or `parse`."""

    weights: np.ndarray  # (L, L + 1) P(position k is examined | still there, last click above at column j); 0: none
    goes_on: np.ndarray  # (L,) P(the user stays | a click at k)
    fade: float  # in [0, 1], the share of attraction an item keeps for each item of its family above it; 1: all


def pbm(examination: Any, fade: float = 1.0) -> ClickModel:
    """The position-based model. `examination` (L,) in [0, 1]; raises a ConfigError for anything else."""
    e = np.array(examination, dtype=np.float64)
    if e.ndim != 1:
        raise ConfigError(f"the position-based model takes one examination probability a position, not shape {e.shape}")
    return _checked(np.tril(np.repeat(e[:, None], len(e) + 1, axis=1)), np.ones(len(e)), fade)


def ubm(weights: Any, fade: float = 1.0) -> ClickModel:
    """The user browsing model. `weights` (L, L + 1) in [0, 1], what stands in columns j > k is ignored."""
    w = np.array(weights, dtype=np.float64)
    if w.ndim != 2 or w.shape[1] != w.shape[0] + 1:
        layout = "a row a position, and a column for 'no click' and one for each position of the last click"
        raise ConfigError(f"the user browsing model takes weights of shape (L, L + 1), {layout}; not {w.shape}")
    return _checked(np.tril(w), np.ones(len(w)), fade)


def cascade(length: int, fade: float = 1.0) -> ClickModel:
    """The cascade model over `length` positions: everything is examined down to the first click, nothing after it."""
    return dcm(np.zeros(length), fade)


def dcm(goes_on: Any, fade: float = 1.0) -> ClickModel:
    """The dependent click model. `goes_on` (L,) in [0, 1]: P(the user looks further | a click at k)."""
    stays = np.array(goes_on, dtype=np.float64)
    if stays.ndim != 1:
        raise ConfigError(f"the dependent click model takes one probability a position, not shape {stays.shape}")
    return _checked(np.tril(np.ones((len(stays), len(stays) + 1))), stays, fade)


def parse(content: Mapping[str, Any]) -> ClickModel:
    """The click model that a log's `log.json` holds: {"weights": L rows of L + 1, "goes_on": L numbers, "fade"}."""
    missing = sorted({"weights", "goes_on", "fade"} - set(content))
    if missing:
        raise ConfigError(f"a click model is stated by weights, goes_on and fade; {missing[0]} is missing")
    weights, goes_on, fade = ubm(content["weights"]).weights, dcm(content["goes_on"]).goes_on, float(content["fade"])
    if len(goes_on) != len(weights):
        raise ConfigError(f"a click model has weights for {len(weights)} positions, but goes_on for {len(goes_on)}")
    return _checked(weights, goes_on, fade)


def content_of(model: ClickModel) -> dict[str, Any]:
    """The click model as `log.json` holds it; the opposite of `parse`."""
    return {"weights": model.weights.tolist(), "goes_on": model.goes_on.tolist(), "fade": model.fade}


def _checked(weights: np.ndarray, goes_on: np.ndarray, fade: float) -> ClickModel:
    if len(weights) == 0:
        raise ConfigError("a click model needs at least one position")
    for name, values in (("examination weight", weights), ("goes_on", goes_on), ("fade", np.array([fade]))):
        wrong = np.argwhere(~((values >= 0) & (values <= 1)))  # so written, NaN is wrong
        if len(wrong):
            place = tuple(int(i) for i in wrong[0])
            raise ConfigError(f"a click model's {name} is a probability in [0, 1], not {values[place]} at {place}")
    return ClickModel(np.ascontiguousarray(weights), np.ascontiguousarray(goes_on), float(fade))


@kernel
def shown_attraction(
    attraction: np.ndarray, family: np.ndarray, slate: np.ndarray, fade: float, out: np.ndarray
) -> None:
    """Fill `out` (K,) with the effective attraction down `slate` (K,), indices into `attraction` and `family` (C,).

    It is attraction * fade ** (items of the same family above). A negative family means none.
    """
    for k in range(slate.shape[0]):
        number = family[slate[k]]
        value = attraction[slate[k]]
        for above in range(k):
            if number >= 0 and family[slate[above]] == number:
                value *= fade
        out[k] = value


@kernel
def expected(
    weights: np.ndarray, goes_on: np.ndarray, shown: np.ndarray, reached: np.ndarray, examined: np.ndarray
) -> tuple[float, float]:
    """The expected number of clicks on a slate, and the probability of at least one.

    `shown` (K,) is the effective attraction down the slate, K <= L. `examined` (K,) is filled with P(position k is
    examined); `reached` (K + 1,) is scratch, left holding P(the user is still there, last click at column j).
    Set reward: 1 - prod(1 - weights[k, 0] shown[k]), because up to the first click the last click is none.
    """
    clicks = 0.0
    reached[0] = 1.0
    for k in range(shown.shape[0]):
        seen = 0.0
        for j in range(k + 1):
            looks = reached[j] * weights[k, j]
            seen += looks
            reached[j] -= looks * shown[k]
        examined[k] = seen
        clicks += seen * shown[k]
        reached[k + 1] = seen * shown[k] * goes_on[k]
    return clicks, 1.0 - reached[0]


@inlined
def _uniform(stream: int, index: int) -> float:
    """A number in (0, 1), the same for the same pair."""
    return (scramble(stream, index) + 0.5) / KEYS


@kernel
def draw_clicks(
    weights: np.ndarray,
    goes_on: np.ndarray,
    shown: np.ndarray,
    slate: np.ndarray,
    key: int,
    clicks: np.ndarray,
    examined: np.ndarray,
) -> None:
    """Simulate a user on `slate` (K,): fill `clicks` and `examined` (K,) with 0 or 1.

    `slate` names what is shown by numbers that stay the same whatever the order of the candidates, `shown` (K,) is
    their effective attraction, `key` a non-negative number of the round. Common random
    numbers: whether c attracts depends on (key, c) alone, whether position k is looked at and whether the
    user stays after it on (key, k), so two slates shown under one key meet the same user in the same mood.
    Different keys below 2**32 never share their numbers.
    """
    stream = scramble(scramble(key, 0), key >> 32)
    last, there = 0, True
    for k in range(slate.shape[0]):
        looks = there and _uniform(stream, 3 * k) < weights[k, last]
        clicked = looks and _uniform(stream, 3 * slate[k] + 1) < shown[k]
        examined[k] = 1 if looks else 0
        clicks[k] = 1 if clicked else 0
        if clicked:
            last = k + 1
            there = _uniform(stream, 3 * k + 2) < goes_on[k]


@kernel
def best_slate(attraction: np.ndarray, family: np.ndarray, fade: float, slate: np.ndarray) -> None:
    """Fill `slate` (K,) greedily: each position gets the candidate of highest effective attraction, ties by index.

    `attraction` and `family` (C,), C >= K. Where weights[:, 0] do not rise down the slate this list is optimal for
    the set reward under every model. For the number of clicks it is optimal under the position-based model with
    examination that does not rise, under the cascade, and under a DCM without families whose goes_on does not rise.
    Why: every prefix of it has the largest sum of effective attraction, and these rewards favour large values on top.

    Under the user browsing model no order by attraction is best for the number of clicks in general: a click high up
    can spoil, or a click low down revive, what stands below. Two neighbours a > b at k, k + 1 after a last click j
    stand right where (u - v) (1 + V(k) - V(j)) >= v (V(k + 1) - V(k)), with u = weights[k, j], v = weights[k + 1, j]
    and V(.) the expected clicks below k + 1 by the last click.
    """
    left = attraction.copy()
    for k in range(slate.shape[0]):
        top = -1
        for c in range(left.shape[0]):
            if left[c] >= 0.0 and (top < 0 or left[c] > left[top]):
                top = c
        slate[k] = top
        left[top] = -1.0
        for c in range(left.shape[0]):
            if family[c] >= 0 and family[c] == family[top] and left[c] > 0.0:
                left[c] *= fade
