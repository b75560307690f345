"""What a logged list is worth under another policy: the weights and the row values of the estimators of lists.

A row is a list, position k of it has the reward r_k. W_k is the chance of its first k items under the target policy
over that under the logging policy, P_k the same of the item at position k alone.

    SIPS        W_K sum_k r_k                            right under any behaviour of users
    RIPS        sum_k W_k r_k                            right where r_k depends on the items at or above k
    cascade-DR  the same about a model of what follows   as RIPS, or where the model is right; see `cascade_dr`
    IIPS        sum_k P_k r_k                            right where r_k depends on item and position alone
    PBM, UBM    sum_k r_k (exposure ratio of the item)   right under that click model; see `exposed`
    PI          the slate's reward, by a linear weight   right where it is a sum over (position, item) pairs

From top to bottom the assumptions grow and the variance shrinks. All but SIPS and RIPS estimate the number of clicks
alone: for the share of lists with a click, use those two on `first_only`. SIPS, RIPS, IIPS and
cascade-DR come from `sums.Sums` of their weights, one a place; PI, whose weights may be negative, from `signed`.

Sources: RIPS McInerney et al., KDD 2020; IIPS and PBM-IPS Li et al., KDD 2018; UBM-IPS He et al., RecSys 2020;
cascade-DR Kiyohara et al., WSDM 2022; PI Swaminathan et al., NeurIPS 2017.
"""

from __future__ import annotations

import numpy as np

from lersbench.clicks.model import expected
from lersbench.errors import ConfigError
from lersbench.kernels.jit import kernel
from lersbench.offpolicy import weights as ips

VALUE, CONTROL, GOAL, WEIGHT, MATCHED, UNCUT, MOST = range(7)  # columns of `exposed`


def running_product(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The product of the values (S,) of each list down to each position (S,); `edges` (n + 1,) of the lists."""
    out, lengths = values.copy(), np.diff(edges)
    for k in range(1, int(lengths.max(initial=0))):
        at = edges[:-1][lengths > k] + k
        out[at] *= out[at - 1]
    return out


def first_only(rewards: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """1 at the first click of each list (S,), 0 elsewhere; `edges` (n + 1,) of the lists."""
    clicked = (rewards > 0).astype(np.float64)
    before = np.cumsum(clicked) - clicked
    return clicked * (before == np.repeat(before[np.minimum(edges[:-1], max(len(before) - 1, 0))], np.diff(edges)))


# Click models ---------------------------------------------------------------------------------------------------------
@kernel
def exposed(
    slates: np.ndarray,
    edges: np.ndarray,
    first: np.ndarray,
    logged: np.ndarray,
    rewards: np.ndarray,
    clicked: np.ndarray,
    exposure: np.ndarray,
    attraction: np.ndarray,
    part: np.ndarray,
    weights: np.ndarray,
    clip: float,
    out: np.ndarray,
) -> None:
    """Fill `out` (n, 7): what PBM-IPS or UBM-IPS adds up of n logged lists, by drawn lists of the target policy.

    v = sum of r_l w_l over the logged positions l, w_l = P(the item is examined in the target's list) over its
    exposure, P(it is examined) under the logging policy, or `clip` where that is less. The columns:

    VALUE    v, whose mean is the estimate
    CONTROL  sum_l e_l w_l, e_l = P(position l is examined | the clicks above): of mean GOAL if the model is right
    GOAL     sum_k P(position k of the target's list is examined)
    WEIGHT   sum_l w_l, UNCUT the same without `clip`
    MATCHED  how much the target has the logged items examined: MATCHED / UNCUT is their mean exposure
    MOST     what v can be at most for any logged list of these candidates, for rewards of 1 everywhere, without `clip`

    `slates` (D, S) lists of the target, means over the D draws; `edges` (n + 1,) of the lists, `first` (n + 1,) of the
    candidates; `logged` (S,), as `slates` indices into the candidates of their round; `rewards` (S,) and `clicked` (S,)
    0 or 1, by which users browse; `exposure` and `attraction` (N,) of the candidates; `part` (n,) which of the fitted
    models `weights` (M, L, L + 1) goes with a round: nobody leaves.
    """
    draws, most = slates.shape[0], weights.shape[1]
    reached, looks, stays = np.empty(most + 1), np.empty(most), np.ones(most)
    shown, sums = np.empty(most), np.zeros(ips.SUMS)
    out[:] = 0.0
    for i in range(out.shape[0]):
        low, size, wide = edges[i], edges[i + 1] - edges[i], first[i + 1] - first[i]
        model, chances = weights[part[i]], exposure[first[i] : first[i + 1]]
        attracts = attraction[first[i] : first[i + 1]]
        paid, seen = np.full(wide, np.nan), np.full(wide, np.nan)
        last = 0
        for k in range(size):
            paid[logged[low + k]] = rewards[low + k]
            seen[logged[low + k]] = model[k, last]
            if clicked[low + k] > 0.0:
                last = k + 1
        for d in range(draws):
            slate = slates[d, low : low + size]
            for k in range(size):
                shown[k] = attracts[slate[k]]
            expected(model, stays, shown[:size], reached, looks)
            sums[:] = 0.0
            ips.add(sums, slate, looks, chances, paid, clip)
            out[i, VALUE] += sums[ips.VALUE] / draws
            out[i, WEIGHT] += sums[ips.WEIGHTS] / draws
            sums[:] = 0.0
            ips.add(sums, slate, looks, chances, seen, clip)
            out[i, CONTROL] += sums[ips.VALUE] / draws
            bound = 0.0
            for k in range(size):
                out[i, GOAL] += looks[k] / draws
                if chances[slate[k]] > 0.0:
                    bound += looks[k] / chances[slate[k]]
                    if seen[slate[k]] == seen[slate[k]]:
                        out[i, MATCHED] += looks[k] / draws
                        out[i, UNCUT] += looks[k] / chances[slate[k]] / draws
            out[i, MOST] = max(out[i, MOST], bound)


# One reward for the whole slate ---------------------------------------------------------------------------------------
def pi_weights(placed: np.ndarray, shown: np.ndarray, candidates: int, positions: int) -> np.ndarray:
    """Weights (n,) of the pseudo-inverse estimator under uniform logging of K of N candidates in order: q' G^+ 1_S.

    `placed` (n,) sum over the logged items of P(the target puts it where it was logged), `shown` (n,) of P(the target
    shows it in any position). The closed form of the pseudo-inverse, whose blocks are those of exchangeable positions
    and items:

        1 + (N - 1) (placed - shown / K) + (N - 1) (N shown - K^2) / (K (N - K)),   the last only for K < N.

    Their mean is 1. Right where the reward of a slate is a sum over its (position, item) pairs; weights can be
    negative. The value is the mean of weight times the reward of the slate. ConfigError where K > N.
    """
    n, k = candidates, positions
    if not 1 <= k <= n:
        raise ConfigError(f"a slate of {k} positions cannot be filled from {n} candidates.")
    out = 1.0 + (n - 1) * (np.asarray(placed, np.float64) - np.asarray(shown, np.float64) / k)
    return out if k == n else out + (n - 1) * (n * np.asarray(shown, np.float64) - k * k) / (k * (n - k))


def slot_weights(ratios: np.ndarray) -> np.ndarray:
    """Weights (n,) of the pseudo-inverse estimator where slots are logged independently: 1 - K + sum_k P_k.

    `ratios` (n, K): target over logging probability of the logged item in each slot. As in VowpalWabbit's estimators.
    """
    ratios = np.asarray(ratios, np.float64)
    return np.asarray(1.0 - ratios.shape[1] + ratios.sum(axis=1))


# A model of what follows ----------------------------------------------------------------------------------------------
def cascade_dr(w: np.ndarray, r: np.ndarray, q: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The cascade doubly robust value (n,) of lists of K positions: sum_k [W_k (r_k - Q_k) + W_{k-1} E_pi Q_k].

    All (n, K): `w` the W_k (W_0 = 1), rewards `r`, `q` = Q_k of the logged item given those above it, `ahead` = E_pi
    Q_k = sum_a pi(a | x, items above) Q_k(a). Q_k predicts r_k + ... + r_K under the target. A list ends for it where
    W_k = 0. Unbiased for any Q fitted on other rows, where r_k depends on the items at or above k.
    """
    return cascade_dr_by_place(w, r, q, ahead).sum(axis=1)


def cascade_dr_by_place(w: np.ndarray, r: np.ndarray, q: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The part (n, K) of each position in `cascade_dr`, whose mean estimates what the target earns there: that of
    W_{k-1} E_pi Q_k - W_k Q_k is 0."""
    w = np.asarray(w, np.float64)
    before = np.concatenate([np.ones((len(w), 1)), w[:, :-1]], axis=1)
    return np.asarray(w * (np.asarray(r) - q) + before * np.asarray(ahead))
