"""Estimators of one action a row, with and without a reward model, as terms that can be added up.

Row i has the weight w = pi / p (`sums.importance_weights`), the reward r, the reward model's prediction q for the
logged action, and its direct part dm = sum_a pi(a | x) q(x, a) over the actions the target may take (`direct_part`).
The model must have been fitted on other rows than those it is used on: see `reward_models`.

    direct_method   mean dm                                  right where q is right; its error shows in no interval
    ips             mean w r                                 right where the propensities are
    ips_cv          mean (w r - b (w - 1))                   as ips, with the control variate w - 1
    snips           mean w r / mean w                        as ips, also where propensities are off by one factor
    dr              mean (dm + w (r - q))                    right where the propensities or q are
    sndr            mean dm + mean w (r - q) / mean w        as dr, steadier where propensities are off by a factor
    switch          mean (w r 1[w <= t] + the direct part of actions whose weight is above t)

`dr` with a shrunk weight in place of w is clipped DR (`clipped`), DRos (`optimistic`), SWITCH-DR (`switched`) or
sub-Gaussian DR (`sub_gaussian`); `ips` and `snips` take the same. Shrinking trades variance for the bias
-E[(w - shrunk) (r - q)]: small where q is good.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.jit import kernel


class Terms(NamedTuple):
    """What the rows add to an estimate: value = mean(direct) + mean(weighted) / mean(control).

    The sums of each over parts of the rows add up to those of all, so an estimate can be made in a stream, and the
    influences of the rows of a user or bucket from the sums of its terms alone.
    """

    direct: np.ndarray  # (n,) of the reward model
    weighted: np.ndarray  # (n,) of the weighted rewards, or of what the model leaves of them
    control: np.ndarray  # (n,) ones, or weights of mean about 1 where the estimate is self-normalised

    def value(self) -> float:
        """The estimate; NaN for no rows, and for a self-normalised one whose weights are all 0."""
        if not len(self.control):
            return math.nan
        return float(self.direct.mean()) + self._ratio()

    def influence(self) -> np.ndarray:
        """(n,) how much each row moves the estimate, by the delta method; its mean is 0.

        The standard error over independent rows is its standard deviation over sqrt(n); over users, sum it by user
        first. NaN where the estimate is.
        """
        if not len(self.control):
            return np.empty(0)
        ratio, mean = self._ratio(), float(self.control.mean())
        own = self.direct - self.direct.mean()
        return own + (self.weighted - ratio * self.control) / (mean if mean != 0 else math.nan)

    def error(self) -> float:
        """The standard error over independent rows, with n - 1; NaN for fewer than two."""
        n = len(self.control)
        return float(np.std(self.influence(), ddof=1)) / math.sqrt(n) if n > 1 else math.nan

    def _ratio(self) -> float:
        mean = float(self.control.mean())
        return float(self.weighted.mean()) / mean if mean != 0 else math.nan


@kernel
def direct_part(chances: np.ndarray, predicted: np.ndarray, first: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n,) with dm = sum_a pi(a | x) q(x, a) of each row.

    `chances` and `predicted` (N,) end to end for the actions that the target may take; those of row i stand at
    first[i]..first[i + 1] - 1, `first` (n + 1,). Actions of chance 0 may be left out.
    """
    for i in range(out.shape[0]):
        total = 0.0
        for j in range(first[i], first[i + 1]):
            total += chances[j] * predicted[j]
        out[i] = total


@kernel
def direct_above(
    chances: np.ndarray, propensities: np.ndarray, predicted: np.ndarray, first: np.ndarray, t: float, out: np.ndarray
) -> None:
    """Fill `out` (n,) with sum_a pi(a | x) q(x, a) 1[pi / p > t], the direct part of SWITCH.

    All (N,) as in `direct_part`, with the propensity of every action: SWITCH needs the whole logging distribution. An
    action of propensity 0 that the target takes has an infinite weight, so the model speaks for it.
    """
    for i in range(out.shape[0]):
        total = 0.0
        for j in range(first[i], first[i + 1]):
            if chances[j] > t * propensities[j]:
                total += chances[j] * predicted[j]
        out[i] = total


def clipped(w: np.ndarray, most: float) -> np.ndarray:
    """min(w, most), `most` > 0. In `dr`: DR(M), which is also the pessimistic shrinkage of Su et al. (ICML 2020)."""
    _above_zero("the largest weight", most)
    return np.minimum(w, most)


def optimistic(w: np.ndarray, l: float) -> np.ndarray:  # noqa: E741
    """l w / (w^2 + l), `l` >= 0: the optimistic shrinkage of DRos (Su et al., ICML 2020).

    It peaks at w = sqrt(l) with sqrt(l) / 2 and falls beyond. l = infinity: w itself, DR; l = 0: 0, DM.
    """
    if not l >= 0:
        raise ConfigError(f"the shrinkage of DRos must be at least 0, not {l}.")
    if l == 0 or math.isinf(l):
        return w * (l > 0)
    return l * w / (w * w + l)


def switched(w: np.ndarray, t: float) -> np.ndarray:
    """w where it is at most `t` > 0, else 0: in `dr` this is SWITCH-DR, in `ips` the weighted half of SWITCH."""
    _above_zero("the threshold of SWITCH", t)
    return np.where(w <= t, w, 0.0)


def sub_gaussian(w: np.ndarray, l: float) -> np.ndarray:  # noqa: E741
    """w / (1 - l + l w), `l` in [0, 1]: at most 1 / l (Metelli, Russo & Restelli, NeurIPS 2021).

    l = 0: w itself; l = 1: 1 for every row of w > 0, so the mean reward of these rows in `ips`.
    """
    if not 0 <= l <= 1:
        raise ConfigError(f"the shrinkage of sub-Gaussian weights must lie in [0, 1], not {l}.")
    below = 1 - l + l * w
    return np.where(w == 0, 0.0, w / np.where(below == 0, 1.0, below))


def direct_method(dm: np.ndarray) -> Terms:
    """The direct method: mean dm. As good as the reward model, and no interval says how good that is."""
    return Terms(dm, np.zeros(len(dm)), np.ones(len(dm)))


def ips(w: np.ndarray, r: np.ndarray) -> Terms:
    """Inverse propensity scoring: mean w r. Unbiased; adding a constant to all rewards changes its error."""
    return Terms(np.zeros(len(r)), w * r, np.ones(len(r)))


def ips_cv(w: np.ndarray, r: np.ndarray, b: float | None = None) -> Terms:
    """IPS with a control variate: mean (w r - b (w - 1)), by default b = cov(w r, w) / var(w).

    Fixed b: unbiased. Estimated b: a bias of order 1 / n, and no first-order effect on the influence, because the mean
    of w - 1 is 0 if the propensities are right. Equal weights control nothing: b is then 0.
    """
    v = w * r
    if b is None:
        spread = w - w.mean()
        square = float((spread * spread).sum())
        b = float((spread * v).sum()) / square if square > 0 else 0.0
    return Terms(np.zeros(len(r)), v - b * (w - 1), np.ones(len(r)))


def snips(w: np.ndarray, r: np.ndarray) -> Terms:
    """Self-normalised IPS: mean w r / mean w (Swaminathan & Joachims, NeurIPS 2015). Stays in the range of r."""
    return Terms(np.zeros(len(r)), w * r, w)


def dr(w: np.ndarray, r: np.ndarray, q: np.ndarray, dm: np.ndarray) -> Terms:
    """Doubly robust: mean (dm + w (r - q)) (Dudik, Langford & Li, ICML 2011). May leave the range of r."""
    return Terms(dm, w * (r - q), np.ones(len(r)))


def sndr(w: np.ndarray, r: np.ndarray, q: np.ndarray, dm: np.ndarray) -> Terms:
    """Self-normalised DR: mean dm + mean w (r - q) / mean w."""
    return Terms(dm, w * (r - q), w)


def switch(w: np.ndarray, r: np.ndarray, above: np.ndarray, t: float) -> Terms:
    """SWITCH (Wang, Agarwal & Dudik, ICML 2017): mean (w r 1[w <= t] + above), `above` (n,) by `direct_above`.

    The weight speaks where it is at most t, the model for the actions whose weight is above.
    """
    return Terms(above, switched(w, t) * r, np.ones(len(r)))


def mass_cut(w: np.ndarray, shrunk: np.ndarray) -> float:
    """The share of the weight that shrinking took away: 1 - sum shrunk / sum w; 0 where there is no weight."""
    total = float(w.sum())
    return 1.0 - float(shrunk.sum()) / total if total > 0 else 0.0


def _above_zero(what: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{what} must be above 0, not {value}.")
