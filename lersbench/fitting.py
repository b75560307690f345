"""What is known of how the users of a log click: the world's own model, and the models fitted before the replay."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from lersbench.clickfit import Fit, fit_both
from lersbench.clickmodel import parse
from lersbench.log import Log
from lersbench.replay import Known, Logger, known_of


class Fitted:
    """The click models of one log; fitted, on its first `rounds` rounds, when they are first asked for."""

    def __init__(self, log: Log, rounds: int, clip: float):
        self.log, self.rounds, self.clip = log, rounds, clip

    @cached_property
    def known(self) -> Known:
        """What `replay.rows_of` takes."""
        table = self.log.item_table()
        family = table["family"].to_numpy(np.int64) if "family" in table else None
        found = known_of(self.log.items, self.log.info.items, family)
        if self.log.info.click_model:
            found = found._replace(model=parse(self.log.info.click_model))
        if not self.rounds:
            return found
        by_position, after_clicks = self._fits
        return found._replace(
            logger=self._logger, examination=by_position.weights, examination_after=after_clicks.weights
        )

    @cached_property
    def _fits(self) -> tuple[Fit, Fit]:
        return fit_both(self.log, 0, self.rounds)

    @cached_property
    def _logger(self) -> Logger:
        by_position, after_clicks = self._fits
        attraction = after_clicks.attraction * after_clicks.scale
        nothing = np.zeros((2, 0, self.log.info.L))
        return Logger(
            by_position.model.weights[:, 0].copy(), after_clicks.model.weights, attraction, nothing, self.clip
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json tells of the fits."""
        if not self.rounds:
            return {}
        by_position, after_clicks = self._fits
        return {
            "click_models": {
                "rounds": self.rounds,
                "filtered": by_position.filtered,
                "examination": by_position.weights.tolist(),
                "examination_after": after_clicks.weights.tolist(),
                "converged": [by_position.converged, after_clicks.converged],
            }
        }
