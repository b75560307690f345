"""A bandit of MABWiser, played beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lersbench.kernels.ties import top_k
from lersbench.policies._packages import require_package
from lersbench.policy import Policy, Round, Spec
from lersbench.ranges import require

CONTEXTUAL = ("LinUCB", "LinTS", "LinGreedy")
DRAWS_NOTHING = ("LinUCB",)


@dataclass
class State:
    """What was learned."""

    spec: Spec
    mab: Any = None  # MABWiser's object, made at the first question, which brings the seed
    fitted: bool = False  # has it been told anything? It answers nothing before

    def state_dict(self) -> dict[str, Any]:
        """What can differ between two runs."""
        return {"mab": self.mab, "fitted": self.fitted}


@dataclass(frozen=True)
class MABWiser(Policy):
    """A learning policy of MABWiser, by its name there: LinUCB, LinTS, LinGreedy or EpsilonGreedy.

    Arms are the items of the log, all of them; a list are the candidates with the highest of MABWiser's own
    expectations, equal ones at random. It learns what became known at once by one call of its partial_fit. Of the
    others, UCB1 never shows an arm that it has not been told of, and ThompsonSampling takes no fractions.

    MABWiser begins the inverse of an arm's matrix as l2_lambda times the identity, where its own formula has 1 /
    l2_lambda: arms that were never shown have widths of their own unless l2_lambda is 1.

    Source: Strong, Kleynhans and Kadioglu 2021, "MABWiser: Parallelizable Contextual Multi-Armed Bandits", IJAIT 30(4).
    """

    rule: Literal["LinUCB", "LinTS", "LinGreedy", "EpsilonGreedy"] = "LinUCB"
    alpha: float = 1.0  # width or spread of LinUCB and LinTS, above 0
    epsilon: float = 0.1  # of LinGreedy and EpsilonGreedy, in [0, 1]
    l2_lambda: float = 1.0  # of the ridge regressions, above 0

    packages = ("mabwiser",)

    def __post_init__(self) -> None:
        require_package("mabwiser", "mabwiser", "mabwiser")
        require(self.alpha > 0, self, "alpha", "above 0")
        require(0 <= self.epsilon <= 1, self, "epsilon", "in [0, 1]")
        require(self.l2_lambda > 0, self, "l2_lambda", "above 0")
        if self.rule in CONTEXTUAL:
            object.__setattr__(self, "needs", ("context",))
        object.__setattr__(self, "deterministic", self.rule in DRAWS_NOTHING)

    def init(self, spec: Spec) -> State:
        return State(spec)

    def select(self, state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        mab = self._made(state, rng)
        if state.fitted:
            expected = mab.predict_expectations(*self._contexts([round]))
            for c, item in enumerate(round.candidates.tolist()):
                round.scores[c] = expected[item]
        top_k(round.scores, round.ties, slate)

    def update(self, state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        self.update_batch(state, [round], [slate], [rewards], [seen])

    def update_batch(
        self,
        state: State,
        rounds: Sequence[Round],
        slates: Sequence[np.ndarray],
        rewards: Sequence[np.ndarray],
        seen: Sequence[np.ndarray],
    ) -> None:
        """One call of partial_fit for all that became known; the first is MABWiser's fit."""
        if not any(here.any() for here in seen):
            return
        told = [round.candidates[slate[here]] for round, slate, here in zip(rounds, slates, seen, strict=True)]
        paid = [given[here] for given, here in zip(rewards, seen, strict=True)]
        contexts = [np.repeat(rows, list(map(len, told)), axis=0) for rows in self._contexts(rounds)]
        mab = self._made(state, None)
        learn = mab.partial_fit if state.fitted else mab.fit
        learn(np.concatenate(told), np.concatenate(paid), *contexts)
        state.fitted = True

    def _contexts(self, rounds: Sequence[Round]) -> list[np.ndarray]:
        """The contexts (rounds, d), for rules that take them."""
        return [np.array([round.context for round in rounds])] if self.rule in CONTEXTUAL else []

    def _made(self, state: State, rng: np.random.Generator | None) -> Any:
        if state.mab is None:
            from mabwiser.mab import MAB, LearningPolicy

            ridge = {"l2_lambda": self.l2_lambda}
            options = {
                "LinUCB": {"alpha": self.alpha, **ridge},
                "LinTS": {"alpha": self.alpha, **ridge},
                "LinGreedy": {"epsilon": self.epsilon, **ridge},
                "EpsilonGreedy": {"epsilon": self.epsilon},
            }
            seed = 0 if rng is None else int(rng.integers(2**31))
            rule = getattr(LearningPolicy, self.rule)(**options[self.rule])
            state.mab = MAB(list(range(state.spec.n_items)), rule, seed=seed)
        return state.mab
