"""What protocol and policies require of a log: what is missing is a ConfigError before the first round."""

from __future__ import annotations

from collections.abc import Iterator

from lersbench.bench import scenario
from lersbench.errors import ConfigError
from lersbench.feedback import CLICK, REGIMES
from lersbench.log import Log, LogInfo
from lersbench.log.reward import reward_of
from lersbench.policy import Spec

FIX = {
    "weights": "set [replay] fit to the number of rounds, from the first on, that a click model is fitted on",
    "context": "import the log with one (--context, --category), or leave the policy out",
    "features": "set [replay] interactions = [U, I] to build them from U values of the context and I of the item",
}
NO_LISTS = "needs what was shown, but log '{}' has no 'slate' and 'clicks' columns; use feedback = 'bandit'."
MISSING_COLUMN = {  # by column: what a regime says that needs it, of a log without it; {} is the log's name
    "rewards": "needs the reward of every candidate, but log '{}' has no 'rewards' column; use feedback = 'logged' or "
    "'replay'.",
    "attraction": "draws the clicks of a world whose click model is known, but log '{}' is not of one (no click_model "
    "and attraction); use feedback = 'logged'.",
    "slate": NO_LISTS,
    "clicks": NO_LISTS,
}


def check(chosen: scenario.Scenario, log: Log, case: scenario.Case, spec: Spec, entries: list[scenario.Entry]) -> None:
    """Raise ConfigError where the protocol or a policy asks for what the log does not have; the first such thing."""
    for demand in (_reward, _feedback, _fit, _lists, _rejection, _interactions, _delay):
        for fault in demand(chosen.replay, log.info, case):
            raise ConfigError(f"{chosen.name}: {fault}")
    if case.slate > spec.n_candidates:
        raise ConfigError(
            f"{chosen.name}: slate = {case.slate}, but only {spec.n_candidates} candidates are on offer in a round."
        )
    for fault in _policies(chosen.replay, log.info, spec, entries):
        raise ConfigError(f"{chosen.name}: {fault}")


def _has_lists(info: LogInfo) -> bool:
    return {"slate", "clicks"} <= set(info.columns)


def _reward(replay: scenario.Replay, info: LogInfo, case: scenario.Case) -> Iterator[str]:
    regime = REGIMES[case.feedback]
    if replay.reward != CLICK and not regime.outcomes:
        why = "draws its clicks from the click model of the world, which has no other outcomes"
        if not regime.simulated:
            why = "takes the reward of every candidate from the column 'rewards', and outcomes are known of shown items"
        able = " or ".join(f"'{row.name}'" for row in REGIMES.values() if row.outcomes)
        fix = f"Leave 'reward' out, or use feedback = {able}."
        yield f"reward = {replay.reward!r}, but feedback = '{case.feedback}' {why}. {fix}"
        return
    try:
        reward_of(info, replay.reward)
    except ConfigError as error:
        yield str(error)


def _feedback(replay: scenario.Replay, info: LogInfo, case: scenario.Case) -> Iterator[str]:
    regime, setting = REGIMES[case.feedback], f"feedback = '{case.feedback}'"
    if regime.simulated and not info.click_model:
        yield f"{setting} {MISSING_COLUMN['attraction'].format(info.name)}"
    paid = reward_of(info, replay.reward).columns if regime.outcomes else ("clicks",)
    for column in regime.needs:
        if column not in info.columns and (column != "clicks" or column in paid):
            yield f"{setting} {MISSING_COLUMN[column].format(info.name)}"
    if replay.replicates == "shuffle" and info.order == "time":
        yield (
            f"the order of log '{info.name}' is time, so it cannot be shuffled; set replicates = 'subsample' (each "
            "seed keeps half of the rounds) or 'none'."
        )


def _fit(replay: scenario.Replay, info: LogInfo, case: scenario.Case) -> Iterator[str]:
    if replay.fit and not _has_lists(info) and replay.scale == "none":
        yield (
            f"fit = {replay.fit} rounds for a click model, but log '{info.name}' has no 'slate' and 'clicks' columns; "
            "leave 'fit' out."
        )
    if replay.fit >= info.rounds:
        yield (
            f"fit = {replay.fit}, but log '{info.name}' has only {info.rounds} rounds; fit the click model on a part "
            "of them, such as a tenth."
        )


def _lists(replay: scenario.Replay, info: LogInfo, case: scenario.Case) -> Iterator[str]:
    if REGIMES[case.feedback].listed and info.L == 1:
        yield (
            f"the lists of log '{info.name}' hold one item each. Under feedback = '{case.feedback}' the logged items "
            "are the candidates, so every policy would show that item and all would come to one value. Fix: give the "
            "log all items that were on offer (import impressions --candidates all) with the propensity of what was "
            "shown, and use feedback = 'replay'."
        )


def _rejection(replay: scenario.Replay, info: LogInfo, case: scenario.Case) -> Iterator[str]:
    if not REGIMES[case.feedback].replayed:
        return
    if case.slate != info.L:
        yield f"rejection replay compares whole slates: set slate = {info.L}, the length in the log."
    if replay.allow_biased:
        return
    if "propensities" not in info.columns:
        yield (
            f"log '{info.name}' holds no propensities, so nothing shows that it is uniformly random. Import it "
            "with a column of them (1 / candidates each) and --propensities uniform, or set allow_biased = true."
        )
    if info.propensities != "uniform":
        yield (
            f"rejection replay is unbiased only on a uniformly random log, but the propensities of '{info.name}' are "
            f"'{info.propensities}'. Judge policies by these: lersbench evaluate. Or set allow_biased = true to see "
            "the biased value all the same."
        )


def _delay(replay: scenario.Replay, info: LogInfo, case: scenario.Case) -> Iterator[str]:
    if replay.delay is None:
        return
    regime, setting = REGIMES[case.feedback], f"delay = '{replay.delay}'"
    if "time" not in info.columns:
        yield f"{setting} needs the time of each round, but log '{info.name}' has no 'time' column; leave it out."
    if replay.delay != "logged":
        return
    if regime.simulated:
        yield f"{setting}: clicks that are drawn are in no log; give a time instead, such as delay = '30 min'."
    elif regime.known not in info.columns:
        yield (
            f"{setting} needs the time at which each reward is known, but log '{info.name}' has no '{regime.known}' "
            "column; give a time instead, such as delay = '30 min'."
        )


def _interactions(replay: scenario.Replay, info: LogInfo, case: scenario.Case) -> Iterator[str]:
    if replay.interactions is None:
        return
    if info.m:
        yield f"log '{info.name}' brings joint features; leave 'interactions' out."
    if replay.interactions[0] > info.d or replay.interactions[1] > info.p:
        yield (
            f"interactions = {list(replay.interactions)}, but the context has {info.d} values and an item {info.p} "
            "static features."
        )


def _policies(replay: scenario.Replay, info: LogInfo, spec: Spec, entries: list[scenario.Entry]) -> Iterator[str]:
    """What users and items did before, "history" and "past", is not checked here: reading it from a log that lacks it
    raises the error."""
    reward = reward_of(info, replay.reward)
    span = reward.high - reward.low
    missing = {"context": spec.d == 0, "features": spec.m == 0, "weights": not (replay.fit > 0 and _has_lists(info))}
    for entry in entries:
        if replay.scale != "none" and {"past", "context"} <= set(entry.policy.needs):
            yield (
                f"policy '{entry.label}' starts from contexts of the past, which scale = '{replay.scale}' does not "
                "reach; set warm = 0, or leave 'scale' out."
            )
        if not reward.is_click and getattr(entry.policy, "warm", 0) > 0:
            yield (
                f"policy '{entry.label}' starts from how often items were bought before, and the reward is "
                f"{reward.words}; set warm = 0, or leave 'reward' out."
            )
        if entry.policy.unit_rewards and not reward.is_bounded:
            yield (
                f"policy '{entry.label}' needs rewards in [0, 1]. It is given them scaled by the range that a log "
                f"declares, and log '{info.name}' declares none for {reward.words}. Write the log with \"low\" and "
                '"high" of these outcomes (log.write(..., outcomes=...), import --outcome), or leave the policy out.'
            )
        elif entry.policy.unit_rewards and entry.policy.zero_is_nothing and reward.low != 0:
            yield (
                f"policy '{entry.label}' needs rewards in [0, 1] of which 0 is nothing, and {reward.words} of log "
                f"'{info.name}' lies in [{reward.low:g}, {reward.high:g}]: scaled, 0 would be {-reward.low / span:g}. "
                "Choose a reward that begins at 0, or leave the policy out."
            )
        for need in entry.policy.needs:
            if missing.get(need):
                yield f"policy '{entry.label}' needs {need}, which log '{info.name}' lacks: {FIX[need]}."
