"""What is known of how the users of a log click: the world's own model, and the models fitted before the replay."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from lersbench.clicks.facts import summary
from lersbench.clicks.fit import Counts, Fit, count, fit_counts, settled
from lersbench.clicks.model import parse
from lersbench.engine.rows import Background, Logger, background_of
from lersbench.log import Log
from lersbench.log.scales import standard
from lersbench.log.scaling import standard_items
from lersbench.offpolicy.propensity import MOST


class Fits:
    """The click models and the scales of one log, fitted to its first `rounds` rounds when they are first needed.

    `rounds` 0 fits none, and a log without shown lists has no click model. `clip` is the largest weight of a record in
    the estimates by inverse propensity. `scale` as in `[replay]`: "standard" or "none".
    """

    def __init__(self, log: Log, rounds: int, clip: float, scale: str = "none"):
        self.log, self.clip = log, clip
        self.rounds = rounds if {"slate", "clicks"} <= set(log.info.columns) else 0
        self.scaled = rounds if scale == "standard" else 0

    @cached_property
    def background(self) -> Background:
        """What `replay.rows_of` takes. Raises as `fit.count` and `fit.fit_counts` do."""
        table = self.log.item_table()
        family = table["family"].to_numpy(np.int64) if "family" in table else None
        items = standard_items(self.log.items) if self.scaled else self.log.items
        background = background_of(items, self.log.info.items, family)
        if self.scaled:
            background = background._replace(scales=standard(self.log, self.scaled))
        if self.log.info.click_model:
            background = background._replace(model=parse(self.log.info.click_model))
        info = self.log.info
        # where only a part of a ranking is displayed, scores do not give the order of the part
        ranks_all = info.C == info.L <= MOST and info.propensities in ("logged", "estimated")
        background = background._replace(uniform=info.propensities == "uniform", scored=ranks_all)
        background = background._replace(logger=background.logger._replace(clip=self.clip))
        if not self.rounds:
            return background
        by_position, after_clicks = self._fits
        return background._replace(
            logger=self._logger, examination=by_position.weights, examination_after=after_clicks.filled
        )

    @cached_property
    def _counts(self) -> Counts:
        return settled(count(self.log, 0, self.rounds))

    @cached_property
    def _fits(self) -> tuple[Fit, Fit]:
        return fit_counts(self._counts, "pbm"), fit_counts(self._counts, "ubm")

    @property
    def limit(self) -> str:
        """Why a log with scores gets no estimates by inverse propensity, in a sentence; "" where it gets them."""
        info = self.log.info
        if "scores" not in info.columns or info.propensities not in ("logged", "estimated"):
            return ""
        if info.C > info.L:
            why = f"its lists show {info.L} of {info.C} candidates, and scores tell only the order of all"
        elif info.C > MOST:
            why = f"exact propensities of a ranker by scores are limited to {MOST} candidates, and it ranks {info.C}"
        else:
            return ""
        return f"log '{info.name}' gets no PBM-IPS, UBM-IPS and IIPS: {why}. A uniformly random log has no such limit."

    @cached_property
    def _logger(self) -> Logger:
        by_position, after_clicks = self._fits
        attraction = after_clicks.attraction * after_clicks.scale
        nothing = np.zeros((2, 0, self.log.info.L))
        return background_of(self.log.items, self.log.info.items).logger._replace(
            examination=by_position.model.weights[:, 0].copy(),
            after=after_clicks.model.weights,
            attraction=attraction,
            exposure=nothing,
            clip=self.clip,
        )

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What run.json holds of the fits: under "click_models" the result of `clicks.facts.summary`; {} without any.

        Its `records` are `rounds`, the rounds before the replay, and so are all its shares.
        """
        if not self.rounds:
            return {}
        return {"click_models": summary(self.log.info, self._counts, list(self._fits))}
