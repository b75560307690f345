"""LERS without uncertainty: a code of the customer's context, a plain recommender."""

from __future__ import annotations

from dataclasses import dataclass

from lersbench.policies._lers import Lers


@dataclass(frozen=True)
class LERS(Lers):
    """GRUs and static features -> autoencoder -> network, all trained on line; greedy. `aenn` in the study.

    Source: the livestream study (2022, doi 10.6814/NCCU202201098), section 4.7; its settings are the defaults. What
    differs is said in `lersbench.policies._lers.Lers`.
    """

    deterministic = True
