"""A scenario: which log, which protocol, which policies. Read from TOML, checked before anything runs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lersbench import bounds, durations
from lersbench.bench.policy_words import short, sweep, words_of
from lersbench.columns import DRAWS
from lersbench.errors import ConfigError, MissingPackage, did_you_mean
from lersbench.feedback import CLICK, NAMES, REGIMES, USUAL
from lersbench.files import read_toml
from lersbench.metrics import METRICS, OF_CLICKS, OF_REWARDS
from lersbench.policy import Policy, find, make
from lersbench.sources import PACKAGE

Replicates = Literal["shuffle", "subsample", "none"]
Scale = Literal["none", "standard"]
Charge = Literal["logged", "own"]
FOLDER = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # names that become folders, of at most LONGEST characters
LONGEST = 100
MOST_SEEDS, FEWEST_SEEDS = 100, 10  # of compiled policies, where a scenario names no number
ROUNDS_A_POLICY = 2_000_000  # that these come to, all seeds together
HALVES = 10  # random halves of a log, where replicates are "subsample"; each is run DRAWS times
if TYPE_CHECKING:
    Feedback = str
else:
    Feedback = Literal[NAMES]  # the names of the table, which a type checker cannot read


def microseconds(delay: str) -> int:
    """A delay such as "30 min" in microseconds. Raises a ValueError that says what is taken."""
    try:
        return durations.microseconds(delay)
    except ValueError as error:
        units = ", ".join(durations.UNITS)
        raise ValueError(f"delay is {delay!r}; it takes 'logged', or a time such as '30 min' ({units})") from error


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Data(BaseModel):
    """`dataset` with its options, or `log`, a path. Any other key is an option of the dataset; a list is a sweep."""

    model_config = ConfigDict(extra="allow", frozen=True)
    dataset: str | None = None
    log: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.dataset is None) == (self.log is None):
            raise ValueError("give either 'dataset' or 'log'")
        if self.log is not None and self.model_extra:
            raise ValueError(f"a 'log' has no options, but there is '{next(iter(self.model_extra))}'")
        return self


class Replay(_Strict):
    """The protocol of `[replay]`."""

    feedback: Feedback | list[Feedback] = USUAL
    slate: int | list[int] = 1
    batch: int = Field(1, ge=1)
    delay: str | None = None  # "logged", or a time such as "30 min": feedback comes by the clock of the log
    seeds: int | None = Field(None, ge=1)  # None: `seeds_for` the length of the log
    neural_seeds: int = Field(5, ge=1)  # of policies in PyTorch, at most `seeds`
    replicates: Replicates = "shuffle"
    checkpoints: int = Field(200, ge=2)
    ranking: bool = True
    interactions: tuple[int, int] | None = None
    allow_biased: bool = False
    charge: Charge = "logged"  # where policies that weigh by place learn a logged click: there, or as they placed it
    fit: int = Field(0, ge=0)
    clip: float = Field(10.0, gt=0)
    scale: Scale = "none"  # "standard": columns are standardised by the first `fit` rounds
    reward: str | dict[str, float] = CLICK  # an outcome of the log, or weights by outcome; what is learned and counted

    @model_validator(mode="before")
    @classmethod
    def _lists_as_tuples(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("interactions"), list):
            return {**values, "interactions": tuple(values["interactions"])}
        return values

    @field_validator("reward")
    @classmethod
    def _shortest(cls, reward: str | dict[str, float]) -> str | dict[str, float]:
        """One outcome of weight 1 by its name alone. Raises ValueError for weights that weigh nothing."""
        if isinstance(reward, str):
            return reward
        if not reward or not all(math.isfinite(weight) and weight for weight in reward.values()):
            raise ValueError(f"reward takes weights that are finite and not 0, for one outcome or more, not {reward}")
        return next(iter(reward)) if list(reward.values()) == [1.0] else reward

    @model_validator(mode="after")
    def _each_regime_once(self) -> Replay:
        if isinstance(self.feedback, list) and len(set(self.feedback)) != max(1, len(self.feedback)):
            raise ValueError("feedback is an empty list, or names a regime twice")
        sizes = self.slates
        if not sizes or min(sizes) < 1 or len(set(sizes)) != len(sizes):
            raise ValueError(f"slate takes a size of 1 or more, or a list of different ones, not {self.slate}")
        return self

    @model_validator(mode="after")
    def _scaled_by_the_past(self) -> Replay:
        if self.scale == "standard" and self.fit < 2:
            raise ValueError(
                "scale = 'standard' takes means and deviations from the first rounds, which are not replayed, but "
                f"fit = {self.fit}; set [replay] fit to a number of rounds, such as a tenth of the log's"
            )
        return self

    @model_validator(mode="after")
    def _delay_in_words(self) -> Replay:
        if self.delay is not None:
            if self.delay != "logged":
                microseconds(self.delay)
            if self.batch > 1:
                raise ValueError("feedback comes in batches or by the clock of the log: leave out 'batch' or 'delay'")
            if self.replicates == "shuffle":
                raise ValueError(
                    "with a delay rounds keep their order: set replicates = 'subsample' (each seed keeps half of the "
                    "rounds) or 'none'"
                )
        return self

    @property
    def slates(self) -> list[int]:
        return self.slate if isinstance(self.slate, list) else [self.slate]


class Expected(_Strict):
    """A result that a run must have, or end with exit code 1."""

    policy: str
    metric: str
    value: float
    tolerance: float = Field(ge=0)
    variant: str = ""


class PublishedPolicy(_Strict):
    """What a study published of one of the policies, which is called by its label here."""

    policy: str
    feedback: Feedback = USUAL  # that the study gave it
    values: dict[str, float]  # by metric, in the unit shown: percent
    seconds: float | None = Field(None, gt=0)  # of one run


class Published(_Strict):
    """`[published]`: final values of a study, which the report shows beside those of a run."""

    source: str
    policies: list[PublishedPolicy] = Field(min_length=1)


class Scenario(_Strict):
    """A scenario file."""

    name: str = Field(pattern=FOLDER, max_length=LONGEST)
    title: str
    description: str = ""
    seed: int = Field(0, ge=0)
    baseline: str = "random"
    leaderboard: str = "misses"
    data: Data
    alternatives: dict[str, dict[str, Any]] = {}
    """Options of other data sets in the place of `data`: `[alternatives.livestream]`, for --dataset livestream; with a
    `description` of their own if they like, a table `replay` in the place of [replay], and a list `without` of names or
    labels of policies that ask for what their logs do not have."""
    replay: Replay = Replay()
    policies: list[dict[str, Any]] = Field(min_length=1)
    expected: list[Expected] = []
    published: Published | None = None
    quick: dict[str, Any] = {}  # settings of the short version, as those of --set: `lersbench bench NAME --quick`
    large: bool = False  # may go beyond the limits of `bounds`
    left_out: list[str] = []
    """Policies whose package is not installed; `parse` moves them here from `policies`."""

    @model_validator(mode="before")
    @classmethod
    def _ranked_by_the_reward(cls, values: Any) -> Any:
        """Where rewards are not clicks there are no misses to rank by."""
        replay = values.get("replay") if isinstance(values, dict) else None
        reward = replay.get("reward", CLICK) if isinstance(replay, dict) else CLICK
        return values if reward in (CLICK, {CLICK: 1}) else {"leaderboard": OF_REWARDS[0], **values}

    @field_validator("policies", mode="before")
    @classmethod
    def _names_as_entries(cls, policies: Any) -> Any:
        return entries_in(policies)

    @model_validator(mode="after")
    def _known_metrics(self) -> Scenario:
        published = [name for row in (self.published.policies if self.published else ()) for name in row.values]
        for name in (self.leaderboard, *(e.metric for e in self.expected), *published):
            if name not in METRICS:
                raise ValueError(f"there is no metric '{name}'{did_you_mean(name, METRICS)}")
            if name in (OF_REWARDS if self.replay.reward == CLICK else OF_CLICKS):
                of, other = ("what is paid", OF_CLICKS[1]) if self.replay.reward == CLICK else ("clicks", OF_REWARDS[0])
                raise ValueError(
                    f"the metric '{name}' is one of {of}, and is not measured with [replay] reward = "
                    f"{self.replay.reward!r}; take '{other}', or leave 'leaderboard' out"
                )
        return self


def entries_in(policies: Any) -> Any:
    """`policies` of a file, each that is a text ("linucb", "linucb:alpha=0.1,0.3") as the table it stands for."""
    if not isinstance(policies, list):
        return policies
    return [words_of(one) if isinstance(one, str) else one for one in policies]


@dataclass(frozen=True)
class Entry:
    """One policy with one set of hyper-parameters."""

    label: str
    name: str
    policy: Policy
    feedback: tuple[Feedback, ...]  # the regimes it takes part in
    local: bool = False  # no other process can make it: it plays in this one, and its result is not stored

    @property
    def params(self) -> dict[str, Any]:
        """The hyper-parameters as JSON has them: a path is its text."""
        values = asdict(self.policy)  # type: ignore[call-overload]
        return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


@dataclass(frozen=True)
class Case:
    """What policies are compared in: a log, a regime, a slate size. `label` is "" where there is only one."""

    label: str
    log: str  # label of the log among the variants
    feedback: Feedback
    slate: int


def folders() -> list[Path]:
    """Where scenario files are looked for: ./scenarios, then those that come with the package."""
    stock = PACKAGE / "scenarios" if (PACKAGE / "scenarios").is_dir() else PACKAGE.parent / "scenarios"
    return list(dict.fromkeys([Path("scenarios").resolve(), stock]))


def available() -> dict[str, Path]:
    """The scenarios that can be named, with their files."""
    files: dict[str, Path] = {}
    for folder in reversed(folders()):
        files.update({p.stem: p for p in sorted(folder.glob("*.toml"))})
    return dict(sorted(files.items()))


def read(name: str, changes: dict[str, Any] | None = None, dataset: str | None = None, quick: bool = False) -> Scenario:
    """The scenario of this name or path. `changes` maps dotted keys ("replay.seeds") to values that replace the file's.

    `dataset` takes another of the data sets the scenario names; its results are kept apart, under "<name>-<dataset>".
    `quick` changes what [quick] says first, of the data only where they are the scenario's own.

    Raises ConfigError naming file, key, value and the fix.
    """
    path, file = load(name)
    content = on_dataset({"name": path.stem, **file}, dataset, str(path))
    if "scenarios" in content:
        raise ConfigError(f"{path} is a study of several scenarios: {', '.join(map(str, content['scenarios']))}.")
    short = table(content, str(path), "quick") if quick else {}
    if content.get("data") is not file.get("data"):
        short = {key: value for key, value in short.items() if not key.startswith("data.")}
    return parse(changed(content, {**short, **(changes or {})}), str(path))


def content_of(name: str, dataset: str | None = None) -> tuple[Path, dict[str, Any]]:
    """The file of this name or path, and its content with its name, on another data set where one is named."""
    path, content = load(name)
    return path, on_dataset({"name": path.stem, **content}, dataset, str(path))


def load(name: str) -> tuple[Path, dict[str, Any]]:
    """The file of this name or path, and its content as it stands. Raises ConfigError where there is none."""
    files = available()
    path = Path(name) if name.endswith(".toml") else files.get(name)
    if path is not None and not path.is_file():
        raise ConfigError(f"There is no scenario file {path}.")
    if path is None:
        where = ", ".join(str(f) for f in folders())
        raise ConfigError(
            f"There is no scenario '{name}'{did_you_mean(name, files)} It is looked for in {where}; "
            f"known: {', '.join(files)}."
        )
    return path, read_toml(path)


def on_dataset(content: dict[str, Any], dataset: str | None, where: str) -> dict[str, Any]:
    """The content of a file with another of the data sets it names; None: its own. Raises ConfigError for others."""
    if dataset is None or dataset == (usual := table(content, where, "data").get("dataset")):
        return content
    others = table(content, where, "alternatives")
    if dataset not in others:
        raise ConfigError(f"{where} names no data set '{dataset}', only {', '.join(map(str, [usual, *others]))}.")
    options = dict(table(content, where, "alternatives", dataset))
    own: dict[str, Any] = {key: options.pop(key) for key in ("description", "replay") if key in options}
    if left_out := options.pop("without", []):
        own["policies"] = _without(content.get("policies"), left_out, f"{where}: alternatives.{dataset}")
    return content | own | {"data": {"dataset": dataset, **options}, "name": f"{content['name']}-{dataset}"}


def _without(policies: Any, left_out: Any, where: str) -> Any:
    """The `policies` of a file but those `left_out` by name or label. Raises ConfigError for one that is not there."""
    if not isinstance(left_out, list) or not isinstance(policies, list):
        raise ConfigError(f"{where}: 'without' takes a list of the names or labels of [[policies]], not {left_out!r}.")
    policies = entries_in(policies)
    called = [{policy.get("name"), policy.get("label")} if isinstance(policy, dict) else set() for policy in policies]
    for name in left_out:
        if not any(name in names for names in called):
            known = [str(name) for names in called for name in names if name is not None]
            raise ConfigError(f"{where}: 'without' names '{name}'{did_you_mean(str(name), known)}")
    return [policy for policy, names in zip(policies, called, strict=True) if not names & set(left_out)]


def table(content: dict[str, Any], where: str, *keys: str) -> dict[str, Any]:
    """A table of a file by its keys, empty where it is missing. Raises ConfigError where it is something else."""
    for number, key in enumerate(keys, 1):
        content = content.get(key, {})
        if not isinstance(content, dict):
            raise ConfigError(f"{where}: '{'.'.join(keys[:number])}' takes a table of settings, not {content!r}.")
    return content


def changed(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`content` with the values at the dotted keys of `changes` replaced; it is changed in place."""
    for key, value in changes.items():
        *sections, last = key.split(".")
        target = content
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise ConfigError(f"'{key}' cannot be set: '{section}' is not a section.")
        target[last] = value
    return content


def parse(content: dict[str, Any], where: str) -> Scenario:
    """A scenario from the content of a file; `where` is what messages call it."""
    return resolved(validated(content, where), where)[0]


def resolved(scenario: Scenario, where: str, asked: Sequence[str] = ()) -> tuple[Scenario, list[Entry]]:
    """The scenario as it can be played, with its entries; a policy whose package is missing is left out, unless it was
    `asked` for by name. Raises ConfigError for a bad policy, and for a baseline or a published policy of no entry."""
    scenario = _playable(scenario, asked)
    bounds.check_numbers(where, contenders(scenario), _logs(scenario), scenario.large)
    made = entries(scenario)
    labels = {word for entry in made for word in (entry.label, entry.name)}
    if "baseline" in scenario.model_fields_set and scenario.baseline not in labels:
        hint = did_you_mean(scenario.baseline, labels)
        raise ConfigError(f"{where}: the baseline '{scenario.baseline}' is none of the policies{hint}")
    _check_published(scenario, [entry.label for entry in made], where)
    variants(scenario)
    return scenario, made


def validated(content: dict[str, Any], where: str) -> Scenario:
    """A scenario from a content whose keys, types and ranges are checked, and no more: not its policies."""
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        problems = dict.fromkeys(_explain(where, problem) for problem in error.errors())  # a union reports twice
        raise ConfigError("\n".join(problems)) from error


def contenders(scenario: Scenario) -> int:
    """How many contenders a scenario has at most, counted without making any."""
    n_entries = sum(
        bounds.combinations(value for key, value in policy.items() if key not in ("name", "label", "feedback"))
        * len(_regimes_of(scenario, policy))
        for policy in scenario.policies
    )
    return n_entries * _logs(scenario) * len(scenario.replay.slates) * (scenario.replay.seeds or MOST_SEEDS)


def seeds_of(scenario: Scenario, entry: Entry) -> int:
    """How many seeds a policy plays: those that take long may have fewer. Halves of a log have `DRAWS` seeds each."""
    replay = scenario.replay
    seeds = replay.seeds or MOST_SEEDS
    neural = replay.neural_seeds + (replay.neural_seeds % DRAWS if replay.replicates == "subsample" else 0)
    return min(seeds, neural) if entry.policy.apart else seeds


def with_seeds(scenario: Scenario, rounds: int) -> Scenario:
    """The scenario with a number of seeds, where it names none, for logs of up to so many `rounds`; of halves of a log,
    which are played `DRAWS` times each, a number of whole halves."""
    replay = scenario.replay
    halved = replay.replicates == "subsample"
    seeds = replay.seeds or (HALVES * DRAWS if halved else seeds_for(rounds))
    seeds += seeds % DRAWS if halved and seeds > 1 else 0
    if seeds == replay.seeds:
        return scenario
    return scenario.model_copy(update={"replay": replay.model_copy(update={"seeds": seeds})})


def seeds_for(rounds: int) -> int:
    """How many seeds a compiled policy plays on a log of so many rounds: as many as cost a few seconds, 10 to 100."""
    return max(FEWEST_SEEDS, min(MOST_SEEDS, ROUNDS_A_POLICY // max(1, rounds)))


def _logs(scenario: Scenario) -> int:
    return bounds.combinations((scenario.data.model_extra or {}).values())


def _playable(scenario: Scenario, asked: Sequence[str]) -> Scenario:
    """The scenario without policies whose package is missing, but those `asked` for, unless nothing would be left."""
    missing = [policy for policy in scenario.policies if policy.get("name") not in asked and not _installed(policy)]
    if not missing or len(missing) == len(scenario.policies):
        return scenario
    names = [str(policy.get("label", policy["name"])) for policy in missing]
    published = scenario.published
    if published:
        published = published.model_copy(
            update={"policies": [row for row in published.policies if row.policy not in names]}
        )
    policies = [policy for policy in scenario.policies if policy not in missing]
    return scenario.model_copy(update={"policies": policies, "published": published, "left_out": names})


def _installed(policy: dict[str, Any]) -> bool:
    try:
        find(str(policy.get("name")))
    except MissingPackage:
        return False
    except ConfigError:  # reported where entries are read
        pass
    return True


def _check_published(scenario: Scenario, labels: Sequence[str], where: str) -> None:
    """Raise ConfigError where a published policy is none of the scenario's, or is there twice."""
    seen = set()
    for row in scenario.published.policies if scenario.published else ():
        if row.policy not in labels:
            hint = did_you_mean(row.policy, labels)
            raise ConfigError(f"{where}: the published '{row.policy}' is the label of none of the policies{hint}")
        if row.policy in seen:
            raise ConfigError(f"{where}: [published] has '{row.policy}' twice; put all its values in one entry.")
        seen.add(row.policy)


def _explain(where: str, problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        sections: dict[str, type[BaseModel]] = {"replay": Replay, "expected": Expected, "published": Published}
        model = sections.get(str(problem["loc"][0]), Scenario)
        model = PublishedPolicy if problem["loc"][:2] == ("published", "policies") else model
        hint = did_you_mean(str(problem["loc"][-1]), model.model_fields, "it takes")
        return f"{where}: unknown key '{key}'{hint}"
    if problem["type"] == "missing":
        return f"{where}: '{key}' is missing."
    if problem["type"] == "value_error":
        return f"{where}: {problem['msg'].removeprefix('Value error, ').rstrip('.')}."
    if key.startswith("replay.feedback"):
        hint = did_you_mean(str(problem["input"]), NAMES)
        return f"{where}: there is no feedback {problem['input']!r}, only {', '.join(NAMES)}{hint}"
    if key == "replay.scale":
        hint = did_you_mean(str(problem["input"]), get_args(Scale))
        return f"{where}: there is no scale {problem['input']!r}, only {', '.join(get_args(Scale))}{hint}"
    if key == "replay.charge":
        hint = did_you_mean(str(problem["input"]), get_args(Charge))
        return f"{where}: there is no charge {problem['input']!r}, only {', '.join(get_args(Charge))}{hint}"
    if key.startswith("replay.reward"):
        takes = "an outcome, such as 'revenue', or weights, such as { click = 1, purchase = 10 }"
        return f"{where}: reward takes {takes}, not {problem['input']!r}."
    if key.startswith("replay.slate"):
        return f"{where}: slate takes a size of 1 or more, or a list of them, not {problem['input']!r}."
    if key == "name":
        takes = f"it names a folder: at most {LONGEST} letters, digits, '.', '_' and '-'"
        return f"{where}: 'name' is {str(problem['input'])[:60]!r}; {takes}."
    if key == "policies":
        return f"{where}: 'policies' takes at least one [[policies]] entry."
    return f"{where}: '{key}': {problem['msg']} (it is {problem['input']!r})."


def entries(scenario: Scenario) -> list[Entry]:
    """All policies of a scenario, sweeps taken apart. Raises ConfigError for a bad or repeated one."""
    by_label: dict[str, Entry] = {}
    for number, policy in enumerate(scenario.policies, 1):
        options = dict(policy)
        name, label = options.pop("name", None), options.pop("label", None)
        feedback = tuple(_regimes_of(scenario, policy))
        options.pop("feedback", None)
        if not isinstance(name, str):
            raise ConfigError(f"{scenario.name}: policies entry {number} has no 'name'; it has {policy!r}.")
        if not isinstance(label, str | None):
            raise ConfigError(f"{scenario.name}: policies entry {number} has label = {label!r}, which is no text.")
        kind = find(name)
        for params in sweep(options):
            values_in_words = " ".join(f"{key}={value}" for key, value in params.items())
            swept = " ".join(f"{key}={params[key]}" for key, value in options.items() if isinstance(value, list))
            full_label = " ".join(filter(None, [label, swept] if label else [short(name), values_in_words]))
            if full_label in by_label:
                raise ConfigError(f"{scenario.name}: two policies are called '{full_label}'; give one a 'label'.")
            by_label[full_label] = Entry(full_label, name, make(kind, params), feedback)
    return list(by_label.values())


def _regimes_of(scenario: Scenario, policy: dict[str, Any]) -> list[Feedback]:
    """The regimes a policy takes part in: its own `feedback`, or that of [replay]."""
    setting = policy.get("feedback", scenario.replay.feedback)
    names = setting if isinstance(setting, list) else [setting]
    for feedback in names:
        if feedback not in NAMES:
            valid = ", ".join(NAMES)
            raise ConfigError(
                f"{scenario.name}: policy {policy.get('name')!r} has feedback = {feedback!r}; there are {valid}."
            )
    return names


def variants(scenario: Scenario) -> list[tuple[str, Data]]:
    """The logs of a scenario, with the label of each: "" for one log, else "campaign=men position=1"."""
    options = scenario.data.model_extra or {}
    swept = [key for key, value in options.items() if isinstance(value, list)]
    logs = []
    for values in sweep(options):
        label = " ".join(f"{key}={values[key]}" for key in swept)
        logs.append((label, Data(dataset=scenario.data.dataset, log=scenario.data.log, **values)))
    return logs


def cases(scenario: Scenario) -> list[Case]:
    """Every comparison of a scenario. Regimes that differ in what a policy may learn from are ranked together;
    the protocols for ranked lists and the slate sizes are not."""
    replay, all_cases = scenario.replay, []
    protocols = len(regimes(scenario)) > 1 and any(REGIMES[feedback].listed for feedback in regimes(scenario))
    for label, _ in variants(scenario):
        for feedback in regimes(scenario):
            for slate in replay.slates:
                words = [label, feedback if protocols else "", f"K={slate}" if len(replay.slates) > 1 else ""]
                all_cases.append(Case(" ".join(filter(None, words)), label, feedback, slate))
    return all_cases


def regimes(scenario: Scenario) -> list[Feedback]:
    """The feedback regimes of a scenario: those of [replay], then those that only some policies name."""
    names = [scenario.replay.feedback] if isinstance(scenario.replay.feedback, str) else list(scenario.replay.feedback)
    for policy in scenario.policies:
        names += [feedback for feedback in _regimes_of(scenario, policy) if feedback not in names]
    return names


def as_json(scenario: Scenario) -> dict[str, Any]:
    """The resolved scenario, as it is stored with the results."""
    content: dict[str, Any] = json.loads(scenario.model_dump_json())
    return content
