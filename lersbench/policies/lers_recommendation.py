"""LERS with an uncertain recommendation: a code of the context, a Bayesian recommender."""

from __future__ import annotations

from dataclasses import dataclass

from lersbench.policies._lers import Uncertain


@dataclass(frozen=True)
class LERSRecommendation(Uncertain):
    """GRUs and static features -> autoencoder -> Bayesian network; explores by draws of its weights. `aebnn` there.

    Thirty independent draws of the weights score all products; the draw with the single highest score ranks them (the
    study's gamma trick; `shared_draw` is how its code came to do it).

    Source: the livestream study (2022, doi 10.6814/NCCU202201098), section 4.7; its settings are the defaults. What
    differs is said in `lersbench.policies._lers`, and the KL divergence of the weights is the mean over them, not
    their sum.
    """
