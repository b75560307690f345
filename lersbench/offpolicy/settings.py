"""The settings of an off-policy evaluation: `[evaluate]` of a scenario, and the flags of `lersbench evaluate`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SINGLE = (
    "dr",
    "sndr",
    "snips",
    "ips",
    "ips-cv",
    "cr",
    "dm",
    "dros",
    "switch-dr",
    "mips",
    "bounds",
)  # of one item a row
SLATES = ("rips", "iips", "sips", "pbm-ips", "ubm-ips", "cascade-dr", "pi")  # of lists
ESTIMATORS = (*SINGLE, *SLATES)
FOLD_RULE = (
    "folds = 1 would fit the reward model to the rows it is used on: in a world of 1,000 rows the error that was "
    "reported came to .38 of the true one. Use 2 or more"
)


class Evaluate(BaseModel):
    """What is estimated of each policy, and how."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    estimators: list[str] = []  # of ESTIMATORS, the leading one first; none: what suits the log
    target: Literal["clicks", "any-click", "gains"] = "clicks"  # "gains": what [replay] reward names
    frozen: str | float | None = None  # a date, or the share of rows that policies learn from before they stay fixed
    folds: int = Field(3, ge=1)  # of the reward model, by user
    model: str = "auto"  # the reward model: "auto", "ridge", "logistic", "forest", "lightgbm"
    clip: float | Literal["none", "slope"] = "none"
    max_weight: float | None = Field(None, gt=1)  # M of rejection; None: from the floor of the log's propensities
    interval: Literal["cr", "normal", "gamma", "bootstrap", "anytime", "bernstein"] = "cr"
    cluster: Literal["user", "none"] = "user"
    level: float = Field(0.95, gt=0.5, lt=1)
    propensities: Literal["logged", "estimated"] = "logged"  # "estimated": by a model fitted to what was shown
    embedding: str | None = None  # the column of the items by which mips tells them apart
    draws: int = Field(1, ge=1)  # of a policy that cannot say its chances, a row

    @field_validator("estimators")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in ESTIMATORS:
                raise ValueError(f"there is no estimator '{name}'; there are {', '.join(ESTIMATORS)}")
        if len(set(names)) < len(names):
            raise ValueError("an estimator is named twice")
        return names

    @field_validator("folds")
    @classmethod
    def _cross_fitted(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError(FOLD_RULE)
        return folds

    @field_validator("clip")
    @classmethod
    def _above_zero(cls, clip: float | str) -> float | str:
        if not isinstance(clip, str) and not clip > 0:
            raise ValueError(f"clip takes a weight above 0, 'slope' or 'none', not {clip}")
        return clip

    @model_validator(mode="after")
    def _share(self) -> Evaluate:
        if isinstance(self.frozen, float) and not 0 < self.frozen < 1:
            raise ValueError(f"frozen takes a date, or a share of the rows between 0 and 1, not {self.frozen}")
        return self
