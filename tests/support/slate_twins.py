"""Estimators of lists as array forms, for tests: what another policy would have earned, by inverse propensity scoring.

Every estimator here is a mean over slates of v_i = sum_k r_ik * (a weight of logged position k of slate i), r_ik its
click. They differ in what the weight compares under the new (target) policy and under the logging policy:

    sips                 the whole list                             right under any behaviour of users
    rips                 the list down to position k                right where clicks depend on what is above
    iips                 the item at its position                   right where clicks depend on item and position alone
    pbm_ips, ubm_ips     how likely the item is to be examined      right under that click model
    pi                   all items at all positions, linearly       right where the slate's reward is a sum over both

From top to bottom the assumptions grow and the variance shrinks. All but sips and rips can only estimate the number
of clicks; for the share of slates with a click, use those two on `first_clicks`. Clipping weights at M trades variance
for a bias downward.

Logs from which slates without a click were removed: such a slate has v_i = 0, so the sum of v_i is what it was, and
only n is too small. The mean over kept slates is the value divided by the share kept; ratios of two policies (lifts)
are right as they are, but self-normalised values are not, since the removed slates belong in their controls.

They are twins of `lersbench.offpolicy.slates` and of the sums by which lists are evaluated, straight from the papers,
with all slates in memory. `ips_value` is what a replay adds up for a policy that learns, one slate at a time: given
the past v_i is unbiased for the slate shown, so the mean of v_i estimates the average value along this very path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.clicks.model import ClickModel, expected
from lersbench.distributions import LEVEL
from lersbench.errors import ConfigError, DataError
from lersbench.kernels.jit import kernel
from lersbench.offpolicy import weights as ips
from lersbench.offpolicy.intervals import Interval, cluster_error, normal
from lersbench.offpolicy.resampling import REPLICATES, add_replicates, bootstrap, ratios, user_keys


@kernel
def ips_value(
    slate: np.ndarray, examined: np.ndarray, exposure: np.ndarray, logged: np.ndarray, clicks: np.ndarray, clip: float
) -> tuple[float, float, float, int, int]:
    """The value of one slate from one logged slate: PBM-IPS or UBM-IPS, whichever model made the two exposures.

    v = sum over logged positions l of clicks[l] * w_l, where w_l = min(examined[k] / exposure[a], clip) if the logged
    item a = logged[l] is at position k of `slate`, else 0 (Li et al., KDD 2018; He et al., RecSys 2020). The arithmetic
    is that of `weights.add`, by which a replay counts.

    `slate` (K,) indices into the candidates; `examined` (K,) P(position k of it is examined), from
    `clickmodel.expected` with the shown (estimated) attraction: for the position-based model simply the examination of
    the first K positions; `exposure` (C,) of the logging policy, from `propensity.exposures`; `logged` (L,) indices,
    K <= L, and their `clicks` (L,); `clip` > 0, infinity for none. Nothing is changed.

    Returns v, the sum of w_l, the sum of w_l^2, the number of weights cut, and that of unsupported items: shown where
    they are examined, but of exposure 0, so without a weight. Add up over the rounds: their number n, v, v * v, and the
    others; `summarise` reads these sums.
    """
    of_candidate, sums = np.full(exposure.shape[0], np.nan), np.zeros(ips.SUMS)
    for position in range(logged.shape[0]):
        of_candidate[logged[position]] = clicks[position]
    ips.add(sums, slate, examined, exposure, of_candidate, clip)
    return sums[ips.VALUE], sums[ips.WEIGHTS], sums[ips.WEIGHTS2], int(sums[ips.CUT]), int(sums[ips.UNSUPPORTED])


class Summary(NamedTuple):
    value: float  # estimated clicks per slate; NaN where nothing had a weight
    error: float  # its standard error; NaN for fewer than two slates, and where all are worth the same
    ess_share: float  # effective sample size over the n K positions of the policy's slates, 0..1
    unsupported: float  # share of these positions whose item the logging policy can never have had examined


def summarise(
    n: int, sum_v: float, sum_v2: float, sum_w: float, sum_w2: float, positions: int, unsupported: int = 0
) -> Summary:
    """What the sums of `ips_value` over n slates of K = `positions` come to, by `weights.summarise`.

    ESS = (sum w)^2 / (sum w^2) counts equally weighted positions that would say as much; of the n K positions of the
    policy's slates it is at most all, where each item shown was logged and all weights are equal.
    """
    out = np.empty(4)
    ips.summarise(np.array([n, sum_v, sum_v2, sum_w, sum_w2, 0.0, unsupported]), float(n * positions), out)
    return Summary(*map(float, out))


@dataclass(frozen=True)
class Estimate:
    """An estimate for a fixed policy, with what its intervals need.

    A self-normalised estimate divides each column of `numerators` by the mean of its column of `controls`, whose
    expectation is 1 if the propensities are right: a little bias for less variance.
    """

    numerators: np.ndarray  # (n, G) weighted clicks of each slate, by group of equal normalisation
    controls: np.ndarray  # (n, G) with mean about 1
    weights: np.ndarray  # (n, L) or (n, 1), as used
    clipped: int  # weights cut
    unsupported: int = 0  # (slate, candidate) pairs that the target has examined and the logging policy never

    @property
    def values(self) -> np.ndarray:
        """v_i (n,): one number a slate, because the positions of one slate depend on each other."""
        return self.numerators.sum(axis=1)

    @property
    def ess(self) -> float:
        """Effective sample size (sum w)^2 / (sum w^2), in weights."""
        squares = float((self.weights**2).sum())
        return float(self.weights.sum()) ** 2 / squares if squares > 0 else 0.0

    def value(self, normalised: bool = False) -> float:
        """The estimate; NaN for a self-normalised one whose weights are all 0."""
        if not normalised:
            return float(self.values.mean())
        return float(ratios(self.numerators.mean(axis=0), self.controls.mean(axis=0)).sum())

    def influence(self, normalised: bool = False) -> np.ndarray:
        """(n,) what each slate adds to the error of n times the estimate, by the delta method where self-normalised."""
        if not normalised:
            return self.values - self.value()
        means = self.controls.mean(axis=0)
        centred = self.numerators - ratios(self.numerators.mean(axis=0), means) * self.controls
        return ratios(centred, np.broadcast_to(means, centred.shape)).sum(axis=1)

    def standard_error(self, normalised: bool = False) -> float:
        """sd / sqrt(n) of the influence over slates, taken as independent; `intervals.cluster_error` for users."""
        return float(cluster_error(self.influence(normalised), np.ones(len(self.numerators)))[0])

    def normal(self, level: float = LEVEL, normalised: bool = False) -> Interval:
        """The interval value -+ z * standard error."""
        return normal(self.value(normalised), self.standard_error(normalised), level=level)

    def bootstrap(
        self,
        level: float = LEVEL,
        normalised: bool = False,
        users: np.ndarray | None = None,
        replicates: int = REPLICATES,
    ) -> Interval:
        """The percentile interval of the Poisson bootstrap by `users` (n,), below 0 where unknown; None for slates.

        Numerators and controls are both recomputed in each replicate: without normalisation the control is n.
        """
        n, groups = self.numerators.shape
        keys = np.empty(n, dtype=np.int64)
        user_keys(np.full(n, -1) if users is None else np.asarray(users, dtype=np.int64), 0, keys)
        controls = self.controls if normalised else np.ones((n, groups))
        sums = np.zeros((2 * groups, replicates))
        add_replicates(sums, keys, np.hstack([self.numerators, controls]).astype(np.float64))
        return bootstrap(ratios(sums[:groups], sums[groups:]).sum(axis=0), level=level)


def sips(clicks: np.ndarray, target: np.ndarray, logging: np.ndarray, clip: float = math.inf) -> Estimate:
    """Standard IPS of whole lists: v = min(target(S) / logging(S), clip) * sum_k r_k.

    `clicks` (n, L); `target` and `logging` (n,), the probability of the logged list under either policy. No
    assumption on users; right for any reward of the slate: `first_clicks` for the share of slates with a click.
    """
    clicks = np.asarray(clicks, dtype=np.float64)
    weights, cut, _ = _weights(np.asarray(target)[:, None], np.asarray(logging)[:, None], clip, (len(clicks), 1))
    return Estimate(weights * clicks.sum(axis=1, keepdims=True), weights, weights, int(cut.sum()))


def iips(clicks: np.ndarray, target: np.ndarray, logging: np.ndarray, clip: float = math.inf) -> Estimate:
    """Item-position IPS (IPM of Li et al., KDD 2018): v = sum_k r_k min(target(a_k at k) / logging(a_k at k), clip).

    All (n, L): `clicks`, and the probability that either policy puts the logged item a_k at position k. Right where a
    click depends on the item and its position alone. Give the first K columns to evaluate shorter slates.
    """
    return _by_position(clicks, target, logging, clip)


def rips(clicks: np.ndarray, target: np.ndarray, logging: np.ndarray, clip: float = math.inf) -> Estimate:
    """Reward-interaction IPS (McInerney et al., KDD 2020): v = sum_k r_k min(target(a_1..k) / logging(a_1..k), clip).

    All (n, L): `clicks`, and the probability that either policy begins its list with the logged a_1..a_k. Right where
    a click depends on the items down to its own. Its self-normalised value is the form of the paper, which normalises
    position after position: as the factors of a position are common to all slates, both come to w_{1:k} / mean w_{1:k}.
    With `first_clicks` it estimates the share of slates with a click.
    """
    return _by_position(clicks, target, logging, clip)


def pbm_ips(
    clicks: np.ndarray,
    target: np.ndarray,
    logging: np.ndarray,
    examination: np.ndarray,
    clip: float = math.inf,
) -> Estimate:
    """IPS under the position-based model (Li et al., KDD 2018): v = sum_k r_k min(target(a_k) / logging(a_k), clip).

    All (n, C) by candidate are the exposures sum_l e_l P(a at l) of either policy and `clicks` on a candidate: those
    not shown have none. `examination` (n, C): e at the position where the candidate was logged, 0 where not shown; it
    makes the control, sum_a examination_a w_a / sum_a target_a, whose expectation is 1.
    """
    return _by_exposure(clicks, target, logging, examination, clip)


def ubm_ips(
    clicks: np.ndarray,
    target: np.ndarray,
    logging: np.ndarray,
    examination: np.ndarray,
    clip: float = math.inf,
) -> Estimate:
    """IPS under the user browsing model (He et al., RecSys 2020): v = sum_k r_k min(<W, H_h> / <W, H_0>, clip).

    All (n, C) by candidate: `target` and `logging` hold the exposures <W, H> = P(shown at an examined position) of
    either policy (`list_exposures`, `propensity.exposures`), `clicks` those on the candidate, `examination` P(its
    logged position is examined | the clicks above), `weights[k, last click]`, 0 where not shown. Right under any click
    model for which the exposures are computed, for the number of clicks only.
    """
    return _by_exposure(clicks, target, logging, examination, clip)


def pi(clicks: np.ndarray, slates: np.ndarray, target: np.ndarray) -> Estimate:
    """The pseudo-inverse estimator (Swaminathan et al., NeurIPS 2017) under uniform logging: v = V q' G^+ 1_S.

    `clicks` (n, K), V their sum; `slates` (n, K) logged, each of the ordered selections of K of the N candidates
    equally likely; `target` (K, N) or (n, K, N), q: P(candidate at position) under the new policy. G = E[1_S 1_S'].
    Right where the reward of a slate is a sum over its (position, item) pairs. Weights can be negative.
    """
    clicks, slates, target = np.asarray(clicks, dtype=np.float64), np.asarray(slates), np.asarray(target)
    n, positions = slates.shape
    candidates = target.shape[-1]
    solved = target.reshape(-1, positions * candidates) @ uniform_gamma_inverse(candidates, positions)
    columns = slates + candidates * np.arange(positions)
    weights = np.take_along_axis(np.broadcast_to(solved, (n, solved.shape[1])), columns, axis=1).sum(1, keepdims=True)
    return Estimate(weights * clicks.sum(axis=1, keepdims=True), weights, weights, 0)


def uniform_gamma_inverse(candidates: int, positions: int) -> np.ndarray:
    """The pseudo-inverse of G = E[1_S 1_S'] for uniform logging without repetition: (K N, K N), position-major.

    Blocks of G: I / N on the diagonal, (1 - I) / (N (N - 1)) off it.
    """
    if not 1 <= positions <= candidates:
        raise ConfigError(f"a slate of {positions} positions cannot be filled from {candidates} candidates.")
    same, item = np.eye(positions), np.eye(candidates)
    other = (1 - item) / (candidates * max(1, candidates - 1))
    gamma = np.kron(same, item / candidates) + np.kron(1 - same, other)
    return np.linalg.pinv(gamma, rcond=1e-10, hermitian=True)


def first_clicks(clicks: np.ndarray) -> np.ndarray:
    """Keep only the topmost click of each slate: (n, L) -> (n, L), whose sum is 1 where there is any click."""
    clicks = np.asarray(clicks, dtype=np.float64)
    return clicks * (np.cumsum(clicks, axis=1) <= 1)


def agreement(slates: np.ndarray, logged: np.ndarray) -> np.ndarray:
    """P(list begins with the logged a_1..a_k) of a policy that shows `slates` (n, K) for sure: (n, K) of 0 and 1."""
    return np.cumprod(np.asarray(slates) == np.asarray(logged)[:, : np.shape(slates)[1]], axis=1).astype(np.float64)


def list_exposures(
    model: ClickModel, lists: np.ndarray, attraction: np.ndarray, probability: np.ndarray | None = None
) -> np.ndarray:
    """P(candidate is shown at an examined position) (C,) of a policy that shows `lists` (m, K) with `probability` (m,).

    `attraction` (C,) in [0, 1]; K at most the positions of the model. Without `probability` lists are equally likely.
    """
    lists, attraction = np.asarray(lists), np.asarray(attraction, dtype=np.float64)
    if model.fade != 1.0:
        raise ConfigError(f"exposures need a click model whose items do not compete; this one has fade {model.fade}.")
    chance = np.full(len(lists), 1 / len(lists)) if probability is None else np.asarray(probability, dtype=np.float64)
    out, positions = np.zeros(len(attraction)), lists.shape[1]
    reached, examined = np.empty(positions + 1), np.empty(positions)
    for items, share in zip(lists, chance, strict=True):
        expected(model.weights, model.goes_on, attraction[items], reached, examined)
        out[items] += share * examined
    return out


def examination_above(model: ClickModel, clicks: np.ndarray) -> np.ndarray:
    """P(position k is examined | the clicks above it) for logged `clicks` (n, L), where nobody leaves: (n, L).

    After a click the user is still there with probability goes_on; a later click would prove it, no click makes it
    less likely, so for models in which somebody may leave a ConfigError is raised.
    """
    if not np.all(model.goes_on == 1):
        raise ConfigError("the examination given the clicks above is known where no user leaves (PBM, UBM).")
    clicks = np.asarray(clicks)
    last = np.zeros(clicks.shape, dtype=np.int64)
    position = np.arange(1, clicks.shape[1] + 1)
    last[:, 1:] = np.maximum.accumulate(np.where(clicks > 0, position, 0), axis=1)[:, :-1]
    return model.weights[np.arange(clicks.shape[1]), last]


def by_candidate(values: np.ndarray, logged: np.ndarray, candidates: int) -> np.ndarray:
    """Values (n, L) of logged positions, at the candidates `logged` (n, L) there: (n, C), 0 where not shown."""
    out = np.zeros((len(logged), candidates))
    np.put_along_axis(out, np.asarray(logged), np.asarray(values, dtype=np.float64), axis=1)
    return out


def _by_position(clicks: np.ndarray, target: np.ndarray, logging: np.ndarray, clip: float) -> Estimate:
    """A weight a position, normalised by the mean of its position."""
    clicks = np.asarray(clicks, dtype=np.float64)
    weights, cut, _ = _weights(target, logging, clip, clicks.shape)
    return Estimate(weights * clicks, weights, weights, int(cut.sum()))


def _by_exposure(
    clicks: np.ndarray, target: np.ndarray, logging: np.ndarray, examination: np.ndarray, clip: float
) -> Estimate:
    """A weight a candidate, normalised by how often the target's examined positions were met."""
    clicks, target = np.asarray(clicks, dtype=np.float64), np.asarray(target, dtype=np.float64)
    examination = np.broadcast_to(np.asarray(examination, dtype=np.float64), clicks.shape)
    shown = (examination > 0) | (clicks > 0)
    weights, cut, lost = _weights(target, logging, clip, clicks.shape, shown)
    weights = weights * shown
    goal = np.broadcast_to(target, clicks.shape).sum(axis=1).mean()
    controls = (examination * weights).sum(axis=1, keepdims=True) / goal
    return Estimate((weights * clicks).sum(axis=1, keepdims=True), controls, weights, int((cut & shown).sum()), lost)


def _weights(
    target: np.ndarray, logging: np.ndarray, clip: float, shape: tuple[int, ...], shown: np.ndarray | bool = True
) -> tuple[np.ndarray, np.ndarray, int]:
    """target / logging cut at `clip`, of the shape of the clicks, which were cut, and how many lack support.

    A probability of 0 under the logging policy is wrong data where the log shows the item (`shown`, of the same shape).
    Elsewhere the weight is 0, and lacks support where the target's probability is above 0: as in `weights`.
    """
    if not clip > 0:
        raise ConfigError(f"weights are clipped at {clip}, but must be clipped above 0 (infinity: not at all).")
    numerator, denominator = (np.broadcast_to(np.asarray(a, dtype=np.float64), shape) for a in (target, logging))
    never = (denominator == 0) & ~np.broadcast_to(np.asarray(shown), shape)
    bad = np.argwhere(~((denominator > 0) | never) | ~(numerator >= 0))
    if bad.size:
        row, column = map(int, bad[0])
        raise DataError(
            f"row {row}, column {column}: the logging policy has probability {denominator[row, column]} and the target "
            f"policy {numerator[row, column]}; the first must be above 0 for what was shown, and the second not "
            f"negative (cells affected: {len(bad)})."
        )
    ratio = np.divide(numerator, denominator, out=np.zeros(shape), where=~never)
    return np.minimum(ratio, clip), ratio > clip, int((never & (numerator > 0)).sum())
