"""What is known of how the users of a log click: the world's own model, and the models fitted before the replay."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from lersbench.clicks.carry import Carry, carry
from lersbench.clicks.facts import summary
from lersbench.clicks.fit import Counts, Fit, count, fit_counts, settled
from lersbench.clicks.model import parse
from lersbench.engine.brackets import Carried
from lersbench.engine.rows import Background, Logger, background_of
from lersbench.errors import DataError
from lersbench.log import Log, random_order
from lersbench.log.scales import standard
from lersbench.log.scaling import standard_items
from lersbench.offpolicy.propensity import MOST

CELLS = 1 << 27  # counts of items by place and last click that a fit may hold, a gigabyte


class Fits:
    """The click models and the scales of one log, fitted to its first `rounds` rounds when they are first needed.

    `rounds` 0 fits none, and a log without shown lists has no click model. `clip` is the largest weight of a record in
    the estimates by inverse propensity. `scale` as in `[replay]`: "standard" or "none". With `bracketed` a log that
    tells nothing of how likely items were to be seen has its clicks carried from place to place, by weights from the
    first `rounds` rounds, or from all rounds where that is 0: no policy is told of these.
    """

    def __init__(self, log: Log, rounds: int, clip: float, scale: str = "none", bracketed: bool = False):
        self.log, self.clip = log, clip
        self.rounds = rounds if {"slate", "clicks"} <= set(log.info.columns) else 0
        self.scaled = rounds if scale == "standard" else 0
        self.bracketed = bracketed and log.info.L > 1 and not self.weighable

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
        uniform = self.log.info.propensities == "uniform"
        background = background._replace(uniform=uniform, scored=self._ranks_all)
        background = background._replace(logger=background.logger._replace(clip=self.clip))
        if self.carry and not self.carry.fault:
            background = background._replace(carried=Carried(self.carry.weights, self.carry.covariance))
        if not self.rounds:
            return background
        by_position, after_clicks = self._fits
        return background._replace(
            logger=self._logger, examination=by_position.weights, examination_after=after_clicks.filled
        )

    @property
    def _ranks_all(self) -> bool:
        """Do scores give the order of all that is displayed? Where that is a part of a ranking they do not."""
        info = self.log.info
        return info.C == info.L <= MOST and info.propensities in ("logged", "estimated")

    @property
    def weighable(self) -> bool:
        """Does the log tell how likely every item was to be seen?"""
        info = self.log.info
        return info.propensities == "uniform" or ("scores" in info.columns and self._ranks_all)

    @cached_property
    def carry(self) -> Carry | None:
        """What a click is worth at another place, where brackets are wanted and the log can tell (see `no_bracket`)."""
        return self._carried[0]

    @property
    def no_bracket(self) -> str:
        """Why a log whose brackets are wanted has none, in a sentence; "" where it has one, or none is wanted."""
        return self._carried[1]

    @cached_property
    def _carried(self) -> tuple[Carry | None, str]:
        if not self.bracketed:
            return None, ""
        info = self.log.info
        if "clicks" not in info.columns:
            return None, "it has no column of clicks to fit examination to"
        if info.items * info.L * (info.L + 1) > 2 * CELLS:
            return (
                None,
                f"{info.items:,} items at {info.L} places are more than can be counted; import it with --length",
            )
        try:
            found = carry(self._counts if self.rounds else settled(count(self.log)))
        except DataError as error:  # no click at all, or none at the first place
            return None, str(error)
        return found, found.fault

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
        models = {"click_models": summary(self.log.info, self._counts, list(self._fits))} if self.rounds else {}
        return models | self._bracket_facts

    @property
    def _bracket_facts(self) -> dict[str, Any]:
        """Under "bracket" what run.json holds of the weights that clicks are carried by: places, doubts, or what is
        wrong."""
        if not self.bracketed:
            return {}
        facts: dict[str, Any] = {"fault": self.no_bracket, "records": self.rounds or self.log.info.rounds}
        facts["replayed"] = not self.rounds  # the rounds that were fitted are replayed too
        if random_order.is_said(self.log.info.provenance, self.log.info.columns):
            facts["random_share"] = self.log.path  # a log that says more than any bracket, see `log.random_order`
        if self.carry and not self.carry.fault:
            facts |= {"weights": self.carry.weights.tolist(), "errors": self.carry.errors.tolist()}
            facts |= {"iterations": self.carry.fit.iterations, "doubts": self.carry.doubts}
        return {"bracket": facts}
