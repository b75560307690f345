"""A contextual bandit of Vowpal Wabbit, played beside ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lersbench.errors import ConfigError
from lersbench.policies._columns import ONE_HOT, columns_of, declare, groups_of, item_ids
from lersbench.policies._packages import require_package
from lersbench.policy import Policy, Round, Spec
from lersbench.ranges import require

NAMESPACES = {"context": "c", "items": "i", "features": "f", ONE_HOT: "a"}
LEAST = 1e-6  # of the probability that a reward is told with


@dataclass
class State:
    """What was learned."""

    names: dict[str, list[str]]  # what the columns of each group are called, as VW takes it
    items: list[str]  # the words of each item itself, and of its static features
    vw: Any = None  # VW's workspace, made at the first question, which brings the seed

    def state_dict(self) -> dict[str, Any]:
        """What can differ between two runs: VW's weights. (Its counts have what was only asked in them.)"""
        return {} if self.vw is None else {"weights": self.vw.json_weights()}


@dataclass(frozen=True)
class VowpalWabbit(Policy):
    """VW's contextual bandit with action-dependent features (--cb_explore_adf), with the exploration `explore`.

    The first item is drawn by VW's own probabilities, the next ones of a list by the same among those that are left.
    Every reward that is seen is one call of learn, with the cost -reward and the probability that its place was drawn
    with. Names of features: the namespace c holds the context, a the item itself ("item=ID"), i its static features,
    f the joint ones; `inputs` says which are given. `args` are further words of VW's command line; "-q ca" crosses the
    context with the item, as a model for each item does. `model` is a file that VW has saved, to go on from (-i).

    Source: Bietti, Agarwal and Langford 2021, "A Contextual Bandit Bake-off", JMLR 22; Foster and Rakhlin 2020, arXiv
    2002.04926 (squarecb); Agarwal et al. 2014, arXiv 1402.0555 (cover).
    """

    explore: Literal["epsilon", "squarecb", "cover", "bag"] = "squarecb"
    epsilon: float = 0.05  # share of uniform choices of epsilon, cover and bag, in [0, 1]
    gamma_scale: float = 10.0  # of squarecb: the larger, the greedier, above 0
    size: int = 3  # policies of cover and bag, at least 1
    inputs: str = "context+one-hot"  # see `policies._columns`
    args: str = "-q ca"
    model: str = ""

    packages = ("vowpalwabbit",)

    def __post_init__(self) -> None:
        require_package("vw", "vowpalwabbit", "vw")
        require(0 <= self.epsilon <= 1, self, "epsilon", "in [0, 1]")
        require(self.gamma_scale > 0, self, "gamma_scale", "above 0")
        require(self.size >= 1, self, "size", "1 or more")
        declare(self, self.inputs)

    def init(self, spec: Spec) -> State:
        if self.model and not Path(self.model).is_file():
            raise ConfigError(f"vw: there is no file {self.model} (looked for in {Path.cwd()}).")
        groups = groups_of("VowpalWabbit", self.inputs)
        whole = columns_of("vw", spec, groups, None, learns=True)
        names = {g: _words(g, columns_of("vw", spec, [g], None).names) for g in whole.groups if g != ONE_HOT}
        items = [f"|a {word}" for word in _words(ONE_HOT, [f"item={one}" for one in item_ids(spec)])]
        if ONE_HOT not in whole.groups:
            items = ["" for _ in items]
        if "items" in names:
            items = [f"{text} {_said('items', names, row)}" for text, row in zip(items, spec.items, strict=True)]
        return State(names, items)

    def select(self, state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        chances = self._chances(state, rng, round)
        round.scores[:] = chances
        for k in range(len(slate)):
            left = _renewed(chances, slate[:k])
            slate[k] = rng.choice(len(left), p=left)
            round.propensities[k] = left[slate[k]]

    def chance(self, state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
        chances = self._chances(state, None, round)
        for k in range(len(slate)):
            out[k] = _renewed(chances, slate[:k])[slate[k]]

    def update(self, state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        vw = self._made(state, None)
        shared, actions = _lines(state, round)
        for k in np.flatnonzero(seen):
            chance = max(float(round.propensities[k]), LEAST)
            told = actions.copy()
            told[slate[k]] = f"0:{-rewards[k]:.9g}:{chance:.9g} {actions[slate[k]]}"
            vw.learn([*shared, *told])

    def _chances(self, state: State, rng: np.random.Generator | None, round: Round) -> np.ndarray:
        """VW's probability (C,) of each candidate."""
        shared, actions = _lines(state, round)
        given = np.array(self._made(state, rng).predict([*shared, *actions]), np.float64)
        return given / given.sum()

    def _made(self, state: State, rng: np.random.Generator | None) -> Any:
        if state.vw is None:
            import vowpalwabbit

            explores = {
                "epsilon": f"--epsilon {self.epsilon}",
                "squarecb": f"--squarecb --gamma_scale {self.gamma_scale}",
                "cover": f"--cover {self.size} --epsilon {self.epsilon}",
                "bag": f"--bag {self.size} --epsilon {self.epsilon}",
            }[self.explore]
            seed = 0 if rng is None else int(rng.integers(2**31))
            started = ["-i", self.model] if self.model else []
            words = f"--cb_explore_adf {explores} --random_seed {seed} --quiet {self.args}"
            try:
                state.vw = vowpalwabbit.Workspace(arg_list=[*words.split(), *started])
            except RuntimeError as error:
                raise ConfigError(f"vw: VW does not take '{words}': {str(error).splitlines()[0]}") from error
        return state.vw


def _renewed(chances: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """The chances (C,) of the next item, given those that stand above it; alike where no other has any."""
    left = chances.copy()
    left[taken] = 0.0
    if left.sum() <= 0.0:
        left[:] = 1.0
        left[taken] = 0.0
    return left / left.sum()


def _lines(state: State, round: Round) -> tuple[list[str], list[str]]:
    """A round in VW's words: the line that all candidates share, if there is one, and one for each of them."""
    shared, actions = [], [state.items[item] for item in round.candidates.tolist()]
    if "context" in state.names:
        shared = [f"shared {_said('context', state.names, round.context)}"]
    if "features" in state.names:
        told = (_said("features", state.names, row) for row in round.features)
        actions = [f"{action} {more}" for action, more in zip(actions, told, strict=True)]
    return shared, [action.strip() or "|" for action in actions]


def _said(group: str, names: dict[str, list[str]], values: np.ndarray) -> str:
    pairs = (f"{name}:{value:.9g}" for name, value in zip(names[group], values.tolist(), strict=True) if value)
    return f"|{NAMESPACES[group]} {' '.join(pairs)}"


def _words(group: str, names: Sequence[str]) -> list[str]:
    """Names as VW takes them: without spaces, colons and bars. Raises ConfigError where two become one."""
    words = [re.sub(r"[\s:|]", "_", name) for name in names]
    if len(set(words)) < len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise ConfigError(f"vw: two names of {group} are both '{twice}' without spaces, colons and bars; rename one.")
    return words
