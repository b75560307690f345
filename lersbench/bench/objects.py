"""Policies given as objects: how they are called in a run, and whether another process can make them again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sized
from dataclasses import MISSING, Field, asdict, fields, replace
from inspect import isclass
from typing import Any

from lersbench.bench import scenario
from lersbench.bench.scenario import Entry, Feedback, Scenario
from lersbench.errors import ConfigError
from lersbench.policy import Policy, find, load, make, names

Given = str | Policy
OWN = "lersbench.policies."
FROZEN = "put @dataclass(frozen=True) above its class statement"


def entries_of(policies: Given | Iterable[Given] | Mapping[str, Given], feedback: tuple[Feedback, ...]) -> list[Entry]:
    """The entries of policies that take part in the regimes `feedback`: names as `policy.load` takes them, or objects.

    A mapping gives each its label; else a policy is called by its name and by the hyper-parameters that differ from
    their defaults: "linucb alpha=0.5". Raises ConfigError for what is no policy, and for two of one label.
    """
    if isinstance(policies, str | Policy) or not isinstance(policies, Iterable):
        policies = [policies]
    labelled = policies.items() if isinstance(policies, Mapping) else (("", one) for one in policies)
    found: dict[str, Entry] = {}
    for label, given in labelled:
        entry = _entry(str(label), given, feedback)
        if entry.label in found:
            raise ConfigError(f"Two policies are called '{entry.label}'; give a dict, {{label: policy}}, instead.")
        found[entry.label] = entry
    if not found:
        raise ConfigError("There is no policy to play; give one at least.")
    return list(found.values())


def _entry(label: str, given: Any, feedback: tuple[Feedback, ...]) -> Entry:
    if isinstance(given, str):
        return Entry(label or scenario.short(given), given, load(given), feedback)
    if isclass(given) and issubclass(given, Policy):
        raise ConfigError(f"{given.__name__} is a class, not a policy; give an object of it: {given.__name__}().")
    if not isinstance(given, Policy):
        raise ConfigError(f"{given!r} is no policy; give a name, such as 'random', or an object of a lersbench.Policy.")
    _check(given)
    name = name_of(type(given))
    entry = Entry(label, name or type(given).__name__, given, feedback, here=True)
    return replace(entry, label=label or _label(entry), here=not (name and _made_again(entry)))


def _label(entry: Entry) -> str:
    """The name of a policy, and the hyper-parameters that differ from their defaults."""
    kind = type(entry.policy)
    called = entry.name if kind.__module__.startswith(OWN) else kind.__name__
    changed = [f for f in fields(kind) if getattr(entry.policy, f.name) != _default(f)]  # type: ignore[arg-type]
    return " ".join([called, *(f"{f.name}={entry.params[f.name]}" for f in changed)])


def _check(policy: Policy) -> None:
    """Raise ConfigError where the hyper-parameters of a policy cannot be told: they are part of what its result is."""
    kind = type(policy).__name__
    if "__dataclass_fields__" not in vars(type(policy)):
        raise ConfigError(f"{kind} is no dataclass: {FROZEN}.")
    for name, value in asdict(policy).items():  # type: ignore[call-overload]
        try:
            json.dumps(value, default=lambda part: str(part) if hasattr(part, "__fspath__") else _refuse(part))
            hash(getattr(policy, name))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{kind}: '{name}' is a {type(value).__name__}; a hyper-parameter is a number, a text, a path or a "
                "tuple of these, and what is learned belongs into the state that init returns."
            ) from error
    try:
        hash(policy)
    except TypeError as error:
        raise ConfigError(f"{kind} can be changed after it was made: {FROZEN}.") from error


def _refuse(part: Any) -> str:
    raise TypeError(f"{part!r} cannot be written down")


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def name_of(kind: type[Policy]) -> str:
    """What `policy.find` takes to come to this class in any process; "" where nothing does, as of a notebook's."""
    module, name = kind.__module__, kind.__qualname__
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    if module == "__main__" or "." in name or not file.endswith(".py"):
        return ""
    if module.startswith(OWN):
        stem = module.removeprefix(OWN).replace("_", "-")
        return stem if stem in names() and find(stem) is kind else ""
    if getattr(sys.modules[module], name, None) is not kind:  # it was made anew since, or by hand
        return ""
    return f"{module}:{name}" if "." in module else f"{file}:{name}"


def _made_again(entry: Entry) -> bool:
    """Do the hyper-parameters, as a scenario holds them, make the same policy?"""
    try:
        return asdict(make(type(entry.policy), entry.params)) == asdict(entry.policy)  # type: ignore[call-overload]
    except ConfigError:  # of a type that no file could hold
        return False


def scenario_of(
    policies: Any, log: str, protocol: Mapping[str, Any], about: Mapping[str, Any], baseline: str | None
) -> tuple[Scenario, list[Entry]]:
    """A scenario that plays policies, as `entries_of` takes them, over the log in this folder; with its entries.

    `protocol` is what stands under `[replay]` of a file, `about` what stands above; tuples are lists there. Raises
    ConfigError naming key, value and the fix.
    """
    told = {key: list(value) if isinstance(value, tuple) else value for key, value in protocol.items()}
    content = {**about, "data": {"log": log}, "replay": told, "policies": [{"name": "given as objects"}]}
    chosen = scenario.validated(content, str(about["name"]))
    entries = entries_of(policies, _regimes(chosen))
    known = {word for entry in entries for word in (entry.label, entry.name)}
    if baseline is not None and baseline not in known:
        raise ConfigError(f"The baseline '{baseline}' is none of the policies: {', '.join(sorted(known))}.")
    usual = "random" if "random" in known else ""
    return _with(chosen.model_copy(update={"policies": [], "baseline": baseline or usual}), entries), entries


def extended(chosen: Scenario | Any, policies: Any) -> tuple[Scenario, list[Entry]]:
    """A scenario with policies added, which take part in the regimes of `[replay]`; with the entries of all.

    Raises ConfigError for an experiment, which has no policies, and for a label that is taken.
    """
    if not isinstance(chosen, Scenario):
        raise ConfigError(f"'{chosen.name}' is an experiment on context models, which has no policies to rank.")
    own = scenario.entries(chosen)
    added = entries_of(policies, _regimes(chosen)) if not _is_empty(policies) else []
    taken = {entry.label for entry in own}
    for entry in added:
        if entry.label in taken:
            raise ConfigError(f"{chosen.name} has a policy '{entry.label}' already; give a dict, {{label: policy}}.")
    return _with(chosen, added), [*own, *added]


def _is_empty(policies: Any) -> bool:
    return isinstance(policies, Sized) and not len(policies)


def _regimes(chosen: Scenario) -> tuple[Feedback, ...]:
    told = chosen.replay.feedback
    return (told,) if isinstance(told, str) else tuple(told)


def _with(chosen: Scenario, added: list[Entry]) -> Scenario:
    """The scenario with what is kept of these policies in run.json."""
    words = [{**entry.params, "name": entry.name, "label": entry.label} for entry in added]
    return chosen.model_copy(update={"policies": [*chosen.policies, *words]})
