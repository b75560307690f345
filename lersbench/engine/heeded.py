"""`select` of a policy in Python, asked for chances: is its slate one, and that of its scores where it says so?"""

from __future__ import annotations

from typing import Any

import numpy as np

from lersbench.errors import ConfigError, RunError
from lersbench.kernels.ties import top_k
from lersbench.policy import Policy, Round


class Heeded:
    """Asks the policy, and raises RunError for what is no slate.

    The chances of a `deterministic` policy follow from the scores that it writes, so its slate must be in their order.
    One that never writes any, and shows something else than chance would, has chances that nobody knows: see `end`.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.silent = policy.deterministic  # has it written no score?
        self.willed = False  # has it shown what the order of equal scores would not?

    def __call__(self, state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
        self.policy.select_batch(state, rng, [round], [slate])
        scores = round.scores
        if not ((slate >= 0) & (slate < len(scores))).all() or len(set(slate.tolist())) < len(slate):
            raise RunError(
                f"{self.policy!r} filled a slate with what is no candidate, or with one twice: {slate.tolist()} of "
                f"{len(scores)} candidates."
            )
        if self.policy.deterministic and np.isfinite(scores).all():
            self._compare(scores, round.ties, slate)

    def _compare(self, scores: np.ndarray, ties: int, slate: np.ndarray) -> None:
        chosen, left = scores[slate], np.delete(scores, slate)
        if (chosen[:-1] < chosen[1:]).any() or left.max(initial=chosen[-1]) > chosen[-1]:
            raise RunError(
                f"{self.policy!r} is `deterministic`, but its slate {slate.tolist()} is not the order of the scores "
                f"that it wrote, {scores.tolist()[:10]}. Write the scores it goes by, or set deterministic = False."
            )
        self.silent = self.silent and not scores.any()
        if self.silent and not self.willed:
            usual = np.empty(len(slate), np.int64)
            top_k(scores, ties, usual)
            self.willed = not np.array_equal(usual, slate)

    def end(self) -> None:
        """ConfigError where the policy has written no score so far, and does not go by chance either."""
        if self.silent and self.willed:
            raise ConfigError(
                f"{self.policy!r} is `deterministic`, but `select` has written no `round.scores`, from which its "
                "chances follow. Write the scores it goes by, or set deterministic = False."
            )
