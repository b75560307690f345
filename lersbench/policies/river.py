"""A bandit of River, played beside ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lersbench.kernels.ties import top_k
from lersbench.policies._packages import require_package
from lersbench.policy import Policy, Round, Spec
from lersbench.ranges import require

CONTEXTUAL = ("LinUCBDisjoint",)
OF_CLICKS = ("ThompsonSampling", "BayesUCB")  # these count successes


@dataclass
class State:
    """What was learned."""

    bandit: Any = None  # River's object, made at the first question, which brings the seed

    def state_dict(self) -> dict[str, Any]:
        """What can differ between two runs."""
        return {"learner": self.bandit}


@dataclass(frozen=True)
class River(Policy):
    """A bandit of River, by its name there: LinUCBDisjoint, EpsilonGreedy, UCB, ThompsonSampling or BayesUCB.

    River says which arm it pulls, and nothing of the others. So a list of K are K pulls, each from the candidates that
    are left, and what a metric says of candidates below the list (hr@20) is chance. Candidates are offered in random
    order, as River takes the first of equals.

    LinUCBDisjoint is no LinUCB as published: its width is sqrt(1 / beta + x'Sx) with S^-1 = alpha I + beta X'X, so that
    alpha is the prior's precision and beta that of the noise, and nothing scales the width.

    Source: Montiel et al. 2021, "River: machine learning for streaming data in Python", JMLR 22.
    """

    rule: Literal["LinUCBDisjoint", "EpsilonGreedy", "UCB", "ThompsonSampling", "BayesUCB"] = "LinUCBDisjoint"
    alpha: float = 1.0  # of LinUCBDisjoint: precision of the prior, above 0
    beta: float = 1.0  # of LinUCBDisjoint: precision of the noise, above 0
    epsilon: float = 0.1  # of EpsilonGreedy, in [0, 1]
    decay: float = 0.0  # of EpsilonGreedy, 0 or above
    delta: float = 1.0  # of UCB: scales its width, above 0

    packages = ("river",)

    def __post_init__(self) -> None:
        require_package("river", "river", "river")
        require(self.alpha > 0, self, "alpha", "above 0")
        require(self.beta > 0, self, "beta", "above 0")
        require(0 <= self.epsilon <= 1, self, "epsilon", "in [0, 1]")
        require(self.decay >= 0, self, "decay", "0 or above")
        require(self.delta > 0, self, "delta", "above 0")
        if self.rule in CONTEXTUAL:
            object.__setattr__(self, "needs", ("context",))
        object.__setattr__(self, "unit_rewards", self.rule in OF_CLICKS)

    def init(self, spec: Spec) -> State:
        return State()

    def select(self, state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        bandit = self._made(state, rng)
        order = np.empty(len(round.candidates), np.int64)
        top_k(round.scores, round.ties, order)  # all equal so far, so in random order
        left = {int(round.candidates[c]): int(c) for c in order}
        for k in range(len(slate)):
            slate[k] = left.pop(bandit.pull(list(left), **self._context(round)))
            round.scores[slate[k]] = len(slate) - k

    def update(self, state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        bandit, context = self._made(state, None), self._context(round).values()
        for c, paid in zip(slate[seen].tolist(), rewards[seen].tolist(), strict=True):
            bandit.update(int(round.candidates[c]), *context, paid)

    def _context(self, round: Round) -> dict[str, dict[int, float]]:
        return {"context": dict(enumerate(round.context.tolist()))} if self.rule in CONTEXTUAL else {}

    def _made(self, state: State, rng: np.random.Generator | None) -> Any:
        if state.bandit is None:
            from river import bandit, proba

            options: dict[str, dict[str, Any]] = {
                "LinUCBDisjoint": {"alpha": self.alpha, "beta": self.beta},
                "EpsilonGreedy": {"epsilon": self.epsilon, "decay": self.decay},
                "UCB": {"delta": self.delta},
                "ThompsonSampling": {"reward_obj": proba.Beta()},
                "BayesUCB": {},
            }
            seed = 0 if rng is None else int(rng.integers(2**31))
            state.bandit = getattr(bandit, self.rule)(**options[self.rule], seed=seed)
        return state.bandit
