"""LERS with an uncertain context: a sampled code of it, a plain recommender."""

from __future__ import annotations

from dataclasses import dataclass

from lersbench.policies._lers import Blurry


@dataclass(frozen=True)
class LERSContext(Blurry):
    """GRUs and static features -> variational autoencoder -> network; explores by the noise of the code. `vaenn` there.

    The code is drawn once a round, so all products are ranked for the same code.

    Source: the livestream study (2022, doi 10.6814/NCCU202201098), section 4.7; its settings are the defaults. What
    differs is said in `lersbench.policies._lers.Lers`.
    """
