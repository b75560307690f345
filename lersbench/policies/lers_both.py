"""LERS with an uncertain context and an uncertain recommendation: a sampled code, a Bayesian recommender."""

from __future__ import annotations

from dataclasses import dataclass

from lersbench.policies._lers import Blurry, Uncertain


@dataclass(frozen=True)
class LERSBoth(Blurry, Uncertain):
    """GRUs and static features -> variational autoencoder -> Bayesian network; explores by both. `vaebnn` there.

    See `lers-context` and `lers-recommendation`.

    Source: the livestream study (2022, doi 10.6814/NCCU202201098), section 4.7; its settings are the defaults. What
    differs is said in `lersbench.policies._lers`, and the KL divergence of the weights is the mean over them, not
    their sum.
    """
