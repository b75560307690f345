"""What must be true of a run, and what to say where it is not. Knows arrays, never files."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.results.statistics import paired

Z = 1.96  # half-width of an interval in standard errors, for the many records of a log
ESTIMATES = {  # by inverse propensity: what is wrong where they say of a random order that it is not the logger's
    "pbm_ips": "the position-based model that was fitted does not hold for these users",
    "ubm_ips": "the user browsing model that was fitted does not hold for these users",
    "iips": "the log is not uniformly random, or clicks depend on what stands above",
}


class Gap(NamedTuple):
    """How far apart two values are that must be equal, with the half-width of its interval."""

    mean: float
    half: float

    @property
    def sure(self) -> bool:
        return abs(self.mean) > self.half


def gap(
    random: np.ndarray, logger: np.ndarray, random_errors: np.ndarray, logger_errors: np.ndarray, replicates: str
) -> Gap:
    """The estimate of a random order less that of the logger, all arrays (seeds,), on a uniformly random log.

    Two errors are added: that of the seeds, paired, and that of the log's records, which all seeds share, as if both
    estimates had it independently (wider than it need be). An error that is not known counts as none.
    """
    found = paired(random, logger, replicates)
    seeds = float(found.high - found.low) / 2
    records = Z * math.hypot(*(float(np.nan_to_num(errors).mean()) for errors in (random_errors, logger_errors)))
    known = [part for part in (seeds, records) if math.isfinite(part)]
    return Gap(float(found.mean), math.hypot(*known))
