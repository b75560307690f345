"""What a policy is, what it is given, and how one is found by name.

Authors take all they need from here: `kernel`, `top_k`, `best`, `FIRST` and `require` are those of the package, brought
when they are asked for.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import math
import os
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import numpy as np

import lersbench.policies
from lersbench import neighbours
from lersbench.errors import ConfigError, MissingPackage, did_you_mean
from lersbench.options import Option, options_of

if TYPE_CHECKING:
    from lersbench.kernels.jit import kernel
    from lersbench.kernels.ties import FIRST, best, top_k
    from lersbench.ranges import require

__all__ = ["FIRST", "KernelPolicy", "Policy", "Round", "Spec", "best", "kernel", "load", "names", "require", "top_k"]
ENTRY_POINTS = "lersbench.policies"
_DOORS = {
    "kernel": "lersbench.kernels.jit",
    "top_k": "lersbench.kernels.ties",
    "best": "lersbench.kernels.ties",
    "FIRST": "lersbench.kernels.ties",
    "require": "lersbench.ranges",
}


def __getattr__(name: str) -> Any:
    """What authors need of the rest of the package, imported at its first use: compiling takes a second to load."""
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True)
class Spec:
    """What a policy knows before the first round."""

    n_items: int  # items that can ever be on offer
    n_candidates: int  # items on offer in a round (C); where rounds differ, the most
    slate: int  # positions to fill (K); a round with fewer candidates has as many
    d: int = 0  # length of the context
    m: int = 0  # joint features of a candidate
    rounds: int = 0  # length of the log, the horizon of policies that want one
    users: int = 0  # distinct users, 0 where unknown
    items: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))  # (n_items, p) static item features
    examination: np.ndarray = field(default_factory=lambda: np.empty(0))
    """(L,) P(position k is examined), 1 at the top; L >= K. Empty where no click model was fitted."""
    examination_after: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    """(L, L + 1) the same given the last click above: none (column 0) or at position j - 1 (column j)."""
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What the log knows of users and products beyond context and features, read-only: the arrays of
    `log.history.history_arrays` where the policy's `needs` names "history", those of `log.history.past_arrays` where it
    names "past"; else empty."""
    item_ids: Sequence[str] = ()
    """The id of each item in the user's own tables, (n_items,); read from the disk at its first use. Empty where the
    rounds come from no log."""
    request_ids: Sequence[str] = ()
    """The id of each request in the user's own tables, a text a round of the log, by `Round.request`; read at its first
    use. Empty where the log does not keep them."""
    feature_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What the numbers are called, where the log knows it: "context" (d,), "features" (m,) the joint ones, and "items"
    (p,) the static ones of an item."""


NOWHERE = np.empty(0, np.int64)


class Round(NamedTuple):
    """What a policy is given of one round. It may write `scores`, `propensities` and `notes`, nothing else.

    Read it by the names of its fields: it may grow.

    Rounds may differ in length: C is that of the round, and K, which is also the length of the slate, is at most C.
    """

    t: int  # rounds whose feedback was delivered before this one
    user: int  # index of the user, -1 where unknown
    context: np.ndarray  # (d,) what is known of user and moment
    candidates: np.ndarray  # (C,) the items on offer, in an order that tells nothing
    features: np.ndarray  # (C, m) joint features of each candidate
    ties: int  # key of the random order of equal scores, for `top_k`
    scores: np.ndarray  # (C,) out: the policy's score of each candidate; comes as zeros; ranking metrics read it
    propensities: np.ndarray  # (K,) out: probability with which each slot was chosen; `update` finds it here again
    notes: np.ndarray  # (K,) int64 out: whatever else `update` wants to find again; comes as zeros
    time: int = -1  # of the request, microseconds since 1970; -1 where unknown
    request: int = -1  # its number in the log, from 0: what `Spec.request_ids` and tables by request go by
    shown_at: np.ndarray = NOWHERE
    """(C,) int64 in `update` where rewards are logged clicks ([replay] charge = "logged"): the place at which the log
    showed each candidate, which is where it was clicked or not, wherever the policy placed it. Else (0,), as always in
    `select`: rewards come from where the policy placed the items. See `learners.position_model.place_of`."""


class Policy:
    """A rule that chooses slates and learns from what they bring. Subclass it as a frozen dataclass.

    The fields are the hyper-parameters. Whatever is learned lives in the state that `init` returns, so
    one object serves every seed and thread.

    Off-policy evaluation asks how likely the policy was to choose the slate that another one has shown. A policy that
    can say so has a further method

        chance(state, round, slate, out)

    which fills `out` (k,) with P(slate[j] stands at position j | slate[:j] stand above it), for any `slate` (k,) of
    distinct indices, whether or not `select` would choose it: the K positions of the round, K = len(round.notes), or
    the upper ones of them. It must be the distribution of `select` with this state, over `rng` and over the order of
    equal scores; so these chances sum to 1 over all candidates that do not stand above. It may use `round.scores` and
    `round.notes`, which come as zeros; it changes nothing else but working memory, and learns nothing.
    `round.propensities`, which `select` writes, are no substitute: they are the chances of its own choice.

    Without it the chances of a `deterministic` policy follow from its scores, and those of any other are the
    frequencies of draws of `select`: unbiased, but noisy.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """What must be on offer: any of "context" (d > 0), "features" (m > 0), "weights" (a fitted click model), "history"
    and "past" (Spec.history, see `log.history`).

    Joint features that a scenario composes are made only for policies that name "features" here.
    """

    silence: ClassVar[float] = -math.inf
    """A round whose top score is below this counts as "nothing recommended" in `regret_published` and the
    recommend metrics."""

    unit_rewards: ClassVar[bool] = False
    """Rewards must lie in [0, 1]. Where a replay pays something else (revenue, watch time), the policy learns
    (reward - low) / (high - low), the range being the one that the log declares; without such a range it is refused.
    What it is scored by stays unscaled."""

    zero_is_nothing: ClassVar[bool] = False
    """It tells what paid from what did not by rewards above 0, or counts what was not looked at as 0. So its rewards
    may not be moved: with `unit_rewards` only a range from 0 on is scaled, and another is refused."""

    files: ClassVar[tuple[str, ...]] = ()
    """Files (or folders) that the policy reads, by the names it opens them with or as they lie beside its module. Their
    content is part of what its result is known by, so a changed file is played anew. Files that a hyper-parameter
    names are found without being declared here; what else is read (an address, the environment) is not watched.
    """

    packages: ClassVar[tuple[str, ...]] = ()
    """Installed packages that the choices of a policy of lersbench hang on, as pip calls them: with another version of
    one its result is played anew. Those that a policy of your own imports are found without being declared here."""

    apart: ClassVar[bool] = False
    """Contenders of this policy play in processes of their own: their libraries share one badly. Those of policies from
    outside the package do so in any case."""

    shows_the_log: ClassVar[bool] = False
    """Its slate is the logged one. Under "logged" and "simulated" it alone finds the candidates in the order in which
    they were shown; everyone else finds them in a random one. Weights by propensities are for slates that do not depend
    on what was logged in the round; the value of this one is that of its logged clicks, at weight 1."""

    by_order: ClassVar[bool] = False
    """It goes by the order of candidates or items, and is meant to: a yardstick of what an order is worth, which
    must be nothing."""

    learns: ClassVar[bool] = True
    """False for a rule that stays as it is, whatever it is told."""

    deterministic: ClassVar[bool] = False
    """`select` draws nothing, and its slate is the order of the scores that it writes, highest first, equal ones by
    `round.ties` (as `top_k` has it). The chance of any slate then follows from these scores."""

    learns_from_log: ClassVar[bool] = True
    """False for one that can only learn from its own choices: `update` reads `round.notes`, which only `select` writes,
    or is made for the chances of its own choice alone. What another policy has shown cannot be taught to it."""

    def init(self, spec: Spec) -> Any:
        """The state before the first round."""
        raise NotImplementedError

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        """Fill `slate` (K,) with distinct indices into the candidates, best first."""
        raise NotImplementedError

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        """Learn, in place, from `rewards` (K,) of the positions k of `slate` with `seen[k]`.

        Where feedback is delayed this is called whenever something of a round becomes known, with its own notes, and
        `seen` tells what: a reward that is not seen is not a number.
        """
        raise NotImplementedError

    def select_batch(
        self, state: Any, rng: np.random.Generator, rounds: Sequence[Round], slates: Sequence[np.ndarray]
    ) -> None:
        """Fill one slate a round for rounds whose feedback comes only afterwards. Override to work on whole arrays."""
        for round, slate in zip(rounds, slates, strict=True):
            self.select(state, rng, round, slate)

    def update_batch(
        self,
        state: Any,
        rounds: Sequence[Round],
        slates: Sequence[np.ndarray],
        rewards: Sequence[np.ndarray],
        seen: Sequence[np.ndarray],
    ) -> None:
        """Learn from the feedback of the rounds of a batch, in their order. Override to work on whole arrays."""
        for arguments in zip(rounds, slates, rewards, seen, strict=True):
            self.update(state, *arguments)


class KernelPolicy(Policy):
    """A policy whose formulas are compiled: `kernels = (select, update)`, two functions marked `@kernel`.

    The whole loop over a log then runs in machine code. An optional third kernel
    `wins(state, rng, round, candidate) -> bool` answers "would `select` put this candidate on top?",
    with the same answer `select` gives but often far less work; rejection replay asks nothing else.
    It may not draw from `rng` unless `select` draws exactly the same.

    `chance_kernel` is what `Policy` describes as `chance`, marked `@kernel`. `offer_kernel(state, round, out)`, for
    policies that have the other, fills `out` (C,) with the chance of each candidate to stand on top: with the same
    numbers `chance_kernel` gives for slates of one, but for all candidates at once.
    """

    kernels: ClassVar[tuple[Any, ...]]
    chance_kernel: ClassVar[Any] = None
    offer_kernel: ClassVar[Any] = None

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        self.kernels[0](state, rng, round, slate)

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        self.kernels[1](state, round, slate, rewards, seen)


def names() -> list[str]:
    """The names of all policies that come with the package or through entry points, sorted."""
    return sorted({*(stem.replace("_", "-") for stem in _stems()), *(e.name for e in entry_points(group=ENTRY_POINTS))})


def load(name: str, **params: Any) -> Policy:
    """The policy of this name, with these hyper-parameters.

    `name` is a file in `lersbench/policies` ("linucb", "iba-linucb"), a module ("my_pkg.my_policy"), a
    class ("my_pkg.my_policy:MyPolicy"), a path ("./my_policy.py"), or an entry point of the group
    `lersbench.policies`. Raises ConfigError for an unknown name, an unknown hyper-parameter or a wrong type.
    """
    return make(find(name), params)


def find(name: str) -> type[Policy]:
    """The class `load` would make a policy of."""
    target, _, attribute = name.rpartition(":") if ":" in name else (name, "", "")
    if target.endswith(".py"):
        return _only_policy(_import_path(Path(target)), target, attribute)
    if os.sep in target:
        raise ConfigError(f"'{name}' is no policy: a path takes a Python file, such as ./my_policy.py.")
    stem = target.replace("-", "_")
    if stem in _stems():
        return _only_policy(_import_stem(stem, name), target, attribute)
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        plugin = entry.load()
        return cast(type[Policy], plugin) if inspect.isclass(plugin) else _only_policy(plugin, target, attribute)
    if "." in target:
        return _only_policy(_import_dotted(target), target, attribute)
    hint = did_you_mean(name, names())
    raise ConfigError(f"There is no policy '{name}'{hint} `lersbench ls policies` lists all of them.")


def _stems() -> list[str]:
    """The modules of policies that come with the package; those with an underscore are bases."""
    stems = (module.name for module in pkgutil.iter_modules(lersbench.policies.__path__))
    return [name for name in stems if not name.startswith("_")]


def _import_stem(stem: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(f"lersbench.policies.{stem}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingPackage(
            f"Policy '{name}' needs PyTorch, which is not installed: pip install 'lersbench[neural]'."
        ) from error


def _import_dotted(target: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: the command's own folder is first otherwise
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name and (target == error.name or target.startswith(error.name + ".")):
            raise ConfigError(
                f"There is no module '{target}' to take a policy from; is its folder on the path?"
            ) from error
        raise


def _import_path(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise ConfigError(f"There is no policy file {path}.")
    known_by = path.read_bytes() + str(path).encode() + neighbours.digest(path)
    name = f"{path.stem}_{hashlib.sha256(known_by).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _only_policy(module: ModuleType, target: str, attribute: str) -> type[Policy]:
    classes = [
        c
        for c in vars(module).values()
        if inspect.isclass(c) and issubclass(c, Policy) and c.__module__ == module.__name__
    ]
    if attribute:
        classes = [c for c in classes if c.__name__ == attribute]
    if len(classes) == 1:
        return classes[0]
    what = f"no policy class '{attribute}'" if attribute else f"{len(classes)} policy classes where one is wanted"
    raise ConfigError(f"{module.__file__} holds {what}; name one as '{target}:ClassName'.")


def make(policy: type[Policy], params: dict[str, Any]) -> Policy:
    """An instance of `policy` with `params`, whose names and types are checked."""
    if "__dataclass_fields__" not in vars(policy):
        raise ConfigError(f"{policy.__name__} is no dataclass: put @dataclass(frozen=True) above its class statement.")
    known = options_of(policy)
    for key in params:
        if key not in known:
            hint = did_you_mean(key, known, "it has")
            raise ConfigError(f"{policy.__name__} has no hyper-parameter '{key}'{hint}")
    return policy(**{key: _typed(policy.__name__, known[key], value) for key, value in params.items()})


def _typed(owner: str, option: Option, value: Any) -> Any:
    """`value` as `option` has it. Raises ConfigError for a wrong type, no finite number, or what the option refuses."""
    try:
        typed = option.typed(value)
        if isinstance(typed, float) and not math.isfinite(typed):
            raise TypeError("not finite")
    except TypeError as error:
        kinds = " or ".join(getattr(kind, "__name__", str(kind)) for kind in option.types)
        raise ConfigError(f"{owner}: '{option.name}' takes {kinds}, not {value!r}.") from error
    if wrong := option.refusal(typed):
        raise ConfigError(f"{owner}: {wrong}")
    return typed
