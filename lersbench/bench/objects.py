"""Policies passed as objects: their names in a run, and whether another process can make equal ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sized
from dataclasses import MISSING, Field, asdict, fields, replace
from inspect import isclass
from typing import Any

from lersbench.bench import scenario
from lersbench.bench.policy_words import policies_in
from lersbench.bench.scenario import Entry, Feedback, Scenario
from lersbench.errors import ConfigError
from lersbench.policy import Policy, find, make, names

NameOrPolicy = str | Policy
PACKAGE_POLICIES = "lersbench.policies."
FROZEN_FIX = "put @dataclass(frozen=True) above its class statement"


def entries_of(
    policies: NameOrPolicy | Iterable[NameOrPolicy] | Mapping[str, NameOrPolicy], feedback: tuple[Feedback, ...]
) -> list[Entry]:
    """The entries of policies that take part in the regimes `feedback`: in words (see `policy_words`), or objects.

    A mapping gives each its label; else a policy is called by its name and by the hyper-parameters that differ from
    their defaults: "linucb alpha=0.5". Raises ConfigError for what is no policy, and for two of one label.
    """
    if isinstance(policies, str | Policy) or not isinstance(policies, Iterable):
        policies = [policies]
    labelled = policies.items() if isinstance(policies, Mapping) else (("", one) for one in policies)
    entries: dict[str, Entry] = {}
    for entry in (entry for label, policy in labelled for entry in _entries(str(label), policy, feedback)):
        if entry.label in entries:
            raise ConfigError(f"Two policies are called '{entry.label}'; give a dict, {{label: policy}}, instead.")
        entries[entry.label] = entry
    if not entries:
        raise ConfigError("There is no policy to play; give one at least.")
    return list(entries.values())


def _entries(label: str, policy: Any, feedback: tuple[Feedback, ...]) -> list[Entry]:
    """The entries that words mean, several where they are a sweep, or that of an object."""
    if not isinstance(policy, str):
        return [_entry(label, policy, feedback)]
    made = [Entry(label or called, name, one, feedback) for called, name, one in policies_in(policy)]
    if label and len(made) > 1:
        raise ConfigError(f"'{label}' is one label, and '{policy}' means {len(made)} policies; give each its own.")
    return made


def _entry(label: str, policy: Any, feedback: tuple[Feedback, ...]) -> Entry:
    if isclass(policy) and issubclass(policy, Policy):
        raise ConfigError(f"{policy.__name__} is a class, not a policy; give an object of it: {policy.__name__}().")
    if not isinstance(policy, Policy):
        raise ConfigError(
            f"{policy!r} is no policy; give a name, such as 'random', or an object of a lersbench.Policy."
        )
    _check(policy)
    name = name_of(type(policy))
    entry = Entry(label, name or type(policy).__name__, policy, feedback, local=True)
    return replace(entry, label=label or _label(entry), local=not (name and _is_reproducible(entry)))


def _label(entry: Entry) -> str:
    """The name of a policy, and the hyper-parameters that differ from their defaults."""
    kind = type(entry.policy)
    name = entry.name if kind.__module__.startswith(PACKAGE_POLICIES) else kind.__name__
    changed = [f for f in fields(kind) if getattr(entry.policy, f.name) != _default(f)]  # type: ignore[arg-type]
    return " ".join([name, *(f"{f.name}={entry.params[f.name]}" for f in changed)])


def _check(policy: Policy) -> None:
    """Raise ConfigError where the hyper-parameters of a policy cannot be written down, as they are with its result."""
    kind = type(policy).__name__
    if "__dataclass_fields__" not in vars(type(policy)):
        raise ConfigError(f"{kind} is no dataclass: {FROZEN_FIX}.")
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
        raise ConfigError(f"{kind} can be changed after it was made: {FROZEN_FIX}.") from error


def _refuse(part: Any) -> str:
    raise TypeError(f"{part!r} cannot be written down")


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def name_of(kind: type[Policy]) -> str:
    """The name by which `policy.find` finds this class in any process; "" where there is none, as in a notebook."""
    module, name = kind.__module__, kind.__qualname__
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    if module == "__main__" or "." in name or not file.endswith(".py"):
        return ""
    if module.startswith(PACKAGE_POLICIES):
        stem = module.removeprefix(PACKAGE_POLICIES).replace("_", "-")
        return stem if stem in names() and find(stem) is kind else ""
    if getattr(sys.modules[module], name, None) is not kind:  # it was made anew since, or by hand
        return ""
    return f"{module}:{name}" if "." in module else f"{file}:{name}"


def _is_reproducible(entry: Entry) -> bool:
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
    replay = {key: list(value) if isinstance(value, tuple) else value for key, value in protocol.items()}
    content = {**about, "data": {"log": log}, "replay": replay, "policies": [{"name": "given as objects"}]}
    chosen = scenario.validated(content, str(about["name"]))
    entries = entries_of(policies, _regimes(chosen))
    labels = {word for entry in entries for word in (entry.label, entry.name)}
    if baseline is not None and baseline not in labels:
        raise ConfigError(f"The baseline '{baseline}' is none of the policies: {', '.join(sorted(labels))}.")
    default = "random" if "random" in labels else ""
    return _with_policies(chosen.model_copy(update={"policies": [], "baseline": baseline or default}), entries), entries


def extended(chosen: Scenario | Any, policies: Any) -> tuple[Scenario, list[Entry]]:
    """A scenario with policies added, which take part in the regimes of `[replay]`; with the entries of all.

    Raises ConfigError for an experiment, which has no policies, and for a label that is taken.
    """
    if not isinstance(chosen, Scenario):
        raise ConfigError(f"'{chosen.name}' is an experiment on context models, which has no policies to rank.")
    entries = scenario.entries(chosen)
    added = entries_of(policies, _regimes(chosen)) if not _is_empty(policies) else []
    labels = {entry.label for entry in entries}
    for entry in added:
        if entry.label in labels:
            raise ConfigError(f"{chosen.name} has a policy '{entry.label}' already; give a dict, {{label: policy}}.")
    return _with_policies(chosen, added), [*entries, *added]


def _is_empty(policies: Any) -> bool:
    return isinstance(policies, Sized) and not len(policies)


def _regimes(chosen: Scenario) -> tuple[Feedback, ...]:
    feedback = chosen.replay.feedback
    return (feedback,) if isinstance(feedback, str) else tuple(feedback)


def _with_policies(chosen: Scenario, added: list[Entry]) -> Scenario:
    """The scenario with these policies as run.json has them."""
    words = [{**entry.params, "name": entry.name, "label": entry.label} for entry in added]
    return chosen.model_copy(update={"policies": [*chosen.policies, *words]})
