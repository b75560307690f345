"""The logs of the stock scenarios on real purchases, which are kept once they are built."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest

from lersbench.datasets import build, transactions
from lersbench.datasets.purchases.text import TextVectors, text_vectors
from lersbench.log import Log

LIKE_DAYS = {"active": 7, "normal": 14, "repeat": 7}
_known: list[tuple[pd.DataFrame, np.ndarray, tuple, TextVectors]] = []


def journey(scenario: str) -> Log:
    """Most of the time goes into the texts of the products, which are those of all scenarios: made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "text_vectors", _made_once)
        return build("completejourney", scenario=scenario, like_days=LIKE_DAYS[scenario])


def _made_once(catalogue: pd.DataFrame, fit: np.ndarray, *more: object) -> TextVectors:
    """`text_vectors`; a copy of what it gave before for equal arguments."""
    for before, its_fit, its_more, found in _known:
        if its_more == more and np.array_equal(its_fit, fit) and before.equals(catalogue):
            return copy.deepcopy(found)
    found = text_vectors(catalogue, fit, *more)  # type: ignore[arg-type]
    _known.append((catalogue.copy(), fit.copy(), more, copy.deepcopy(found)))
    return found
