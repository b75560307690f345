"""What a logged click is worth at another place: weights of places, with their error.

Under the position-based model P(click on item i at place k) = w_k a_i. A click logged at place j stands for w_k / w_j
clicks where its item is shown at place k (Joachims, Swaminathan and Schnabel 2017, Unbiased Learning-to-Rank with
Biased Feedback, arXiv 1608.04468). The w are found by EM; the attractions a, one an item, are by-products.

Error of the weights. A display of item i at place k tells p / (1 - p) about ln w_k, and as much about ln a_i, with
p = w_k a_i (the Fisher information of a Bernoulli variable by the logarithm of its probability). With m_ik the sum of
that over the displays, what remains of the information on ln w once every a_i is estimated too is the Schur complement

    diag(sum_i m_ik) - sum_i m_ik m_il / (sum_k m_ik),

a Laplacian: its rows sum to 0, since only ratios of weights can be told. The first place is the unit; the inverse of
the rest is the covariance of ln w. Clicks are taken as independent given what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lersbench.clicks.counts import Counts
from lersbench.clicks.fit import Fit, by_place, fit_counts

TOLERANCE = 1e-13  # of the likelihood in a cycle of EM: what is left of the weights' way is far below their error
STEPS = 50_000
SURE = 1.96  # half-width of a 95 % interval in standard errors
LEAST, NEVER = 1e-12, 1e-6  # of a weight: nothing is divided by 0; a place that was never clicked comes out below
FALLS = 0.97  # the last weight as a share of the second, above which the weights are said not to fall


@dataclass(frozen=True)
class Carry:
    """Weights of places, relative to the first, and how sure they are."""

    fit: Fit
    weights: np.ndarray  # (L,) next to 0 where the place was never clicked: from there nothing is to be carried
    covariance: np.ndarray  # (L, L) of ln weights; 0 for the first place, and for those never clicked

    @property
    def errors(self) -> np.ndarray:
        """Standard errors (L,) of ln weights."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def fault(self) -> str:
        """Why the weights cannot carry clicks from place to place, in a sentence; "" where they can."""
        if not self.fit.converged:
            return f"the position-based model did not converge in {self.fit.iterations:,} steps of EM"
        if len(self.fit.components) > 1 or (self.fit.displays == 0).any():
            return "places share no items, so nothing tells how much less one is looked at than another"
        return ""

    @property
    def doubts(self) -> list[str]:
        """What speaks against a fitted examination that falls with the place, a sentence each."""
        logs = np.log(np.where(self.weights > NEVER, self.weights, np.nan))  # of the others nothing can be said
        last = len(self.weights) - 1
        found = []
        rises = [
            (k, j)
            for k in range(last + 1)
            for j in range(k)
            if logs[k] - logs[j] > SURE * _spread(self.covariance, k, j) and self.weights[k] > self.weights[j] / FALLS
        ]
        if rises:
            k, j = max(rises, key=lambda pair: logs[pair[0]] - logs[pair[1]])
            found.append(
                f"place {k + 1} comes out as looked at {self.weights[k] / self.weights[j]:.2f} times as often as place "
                f"{j + 1} above it"
            )
        elif last > 1 and self.weights[last] > FALLS * self.weights[1]:
            found.append(
                f"place {last + 1} comes out as looked at {self.weights[last] / self.weights[1]:.2f} times as often as "
                "place 2"
            )
        return found


def _spread(covariance: np.ndarray, k: int, j: int) -> float:
    """The standard error of ln w_k - ln w_j."""
    return float(np.sqrt(max(covariance[k, k] + covariance[j, j] - 2 * covariance[k, j], 0.0)))


def carry(counts: Counts) -> Carry:
    """The weights that the counts of a log come to. Raises as `fit.fit_counts` does."""
    fit = fit_counts(counts, "pbm", TOLERANCE, STEPS, smoothing=0.0)
    clicked = by_place(counts.clicks).sum(axis=0) > 0
    told = covariance(by_place(counts.displays)[:, clicked], fit.weights[clicked], fit.attraction)
    whole = np.zeros((len(clicked), len(clicked)))
    whole[np.ix_(clicked, clicked)] = told
    return Carry(fit, np.maximum(fit.weights, LEAST), whole)


def covariance(displays: np.ndarray, weights: np.ndarray, attraction: np.ndarray) -> np.ndarray:
    """The covariance (L, L) of ln weights, by `displays` (n_items, L); infinite where nothing tells them."""
    length = len(weights)
    chance = np.clip(attraction[:, None] * weights, 0.0, 1.0 - 1e-9)
    told = displays * chance / (1.0 - chance)
    own = told.sum(axis=1)
    share = np.divide(told, own[:, None], out=np.zeros_like(told), where=own[:, None] > 0)
    rest = (np.diag(told.sum(axis=0)) - told.T @ share)[1:, 1:]
    out = np.zeros((length, length))
    try:
        out[1:, 1:] = np.linalg.inv(rest)
    except np.linalg.LinAlgError:
        out[1:, 1:] = np.inf
    return out
