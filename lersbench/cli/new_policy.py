"""`lersbench new-policy`: writes a working policy file with a marked place for your formula."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from lersbench.errors import ConfigError
from lersbench.policy import names

TEMPLATE = '''"""{title}: say in one line what this policy does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.policy import FIRST, KernelPolicy, Round, Spec, kernel, require, top_k


class State(NamedTuple):
    """What is learned, and the hyper-parameters that the formula reads. Arrays are changed in place."""

    plays: np.ndarray  # (n_items,) how many rewards of each item were seen
    mean: np.ndarray  # (n_items,) the mean of these rewards
    alpha: float


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Give each candidate a score; the K best scores are the slate, with ties in random order."""
    for c in range(round.candidates.shape[0]):
        item = round.candidates[c]
        # ---- your formula; this example is the mean plus a width that shrinks with every reward seen ----
        # You can use round.context (d,), round.features[c] (m,), round.user, round.t, rng.random(), ...
        # Write loops over numbers: expressions on whole arrays compile slowly and run no faster.
        if state.plays[item] == 0:
            round.scores[c] = FIRST  # above all other scores; infinity is not allowed
        else:
            round.scores[c] = state.mean[item] + state.alpha / math.sqrt(state.plays[item])
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Learn from the rewards of the positions that were seen."""
    for k in range(slate.shape[0]):
        if seen[k]:
            item = round.candidates[slate[k]]
            # ---- your learning rule; this example keeps a running mean ----
            state.plays[item] += 1
            state.mean[item] += (rewards[k] - state.mean[item]) / state.plays[item]


@dataclass(frozen=True)
class {title}(KernelPolicy):
    """Say what it does and cite the source of the formula.

    Source: the context-free upper confidence bound of Li et al. 2010 (doi 10.1145/1772690.1772758).
    """

    # If the policy reads round.context or round.features, declare it: needs = ("context", "features")
    # `deterministic` says that select draws nothing and shows the order of its scores. Where that is not so, remove it,
    # or say the chances of any slate in a kernel: chance_kernel = chance (see `lersbench.policy.Policy`).

    alpha: float = 0.3  # width of the confidence bound, >= 0

    deterministic = True
    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")

    def init(self, spec: Spec) -> State:
        """Return the state before the first round; `spec` has the sizes of the log."""
        return State(np.zeros(spec.n_items), np.zeros(spec.n_items), self.alpha)
'''


def write(name: str, folder: Path) -> Path:
    """Write a working policy called `name` into `folder` (made if missing) and return the file's path.

    `name` is lower-case words joined by - or _, such as "my-policy", which gives my_policy.py with the class
    MyPolicy. Raises ConfigError for any other name, for the name of an existing policy, and if the file
    exists already.
    """
    stem = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", stem) or keyword.iskeyword(stem):
        raise ConfigError(
            f"'{name}' can't be the name of a policy: use lower-case words joined by '-', for example 'my-policy'."
        )
    if stem.replace("_", "-") in names():
        raise ConfigError(f"There is a policy '{stem.replace('_', '-')}' already; choose another name.")
    path = Path(folder) / f"{stem}.py"
    text = TEMPLATE.format(title="".join(word.capitalize() for word in stem.split("_")))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{error.filename} exists already and is left as it is; choose another name.") from error
    return path
