"""What is measured: a row a metric, with its name, its unit, its direction and its source."""

from __future__ import annotations

from dataclasses import dataclass, replace

AGES = (10, 100, 1000)  # an item that was offered less often before counts as one of the first so many offers
REWARD = "reward"  # the unit of what is paid; a run says which that is (EUR, s, points): see `in_reward`
OF_CLICKS = ("ctr", "ctr_sum", "ctr_set", "misses", "expected_ctr_sum", "expected_ctr_set", "regret_set")
OF_REWARDS = ("reward_sum", "reward")  # measured where [replay] reward is not clicks, in the place of those
TOPS = tuple(range(10, 101, 10))  # the shares of a ranking, in percent, at which HR is read


@dataclass(frozen=True)
class Metric:
    """How a metric is called, shown and judged."""

    name: str
    title: str
    unit: str  # "%" (stored as a share, shown as percent), "share" (shown as it is), "count" or "reward"
    better: str  # "higher", "lower" or "neither"
    source: str  # what it is, in one sentence
    named: str = ""  # the unit of the reward that it is in: EUR, s, points; "" where it is in none, or in clicks


def _registry() -> dict[str, Metric]:
    study = "livestream study, section 4.8"
    metrics = [
        Metric("ctr", "CTR", "%", "higher", "Clicks per revealed position."),
        Metric(
            "ctr_sum", "Cumulative CTR (CTR_sum)", "share", "higher", "Clicks per round, not divided by the slate size."
        ),
        Metric("ctr_set", "Set-CTR (CTR_set)", "%", "higher", "Share of rounds with at least one click."),
        Metric("misses", "Misses", "%", "lower", "1 - mean reward of the shown items."),
        Metric("reward_sum", "Reward per round", REWARD, "higher", "What the items shown in a round paid, together."),
        Metric("reward", "Reward per item", REWARD, "higher", "What an item shown paid."),
        Metric(
            "regret",
            "Cumulative regret",
            "count",
            "lower",
            "Reward of the best slate of each round less that of the shown one, summed; by expected rewards where the "
            "log knows them, else by the rewards that came out.",
        ),
        Metric(
            "regret_published",
            "Regret, as published",
            "%",
            "lower",
            f"Disliked first items per round, rounds in which the policy stays silent counted as right ({study}).",
        ),
        Metric(
            "coverage",
            "Coverage",
            "%",
            "higher",
            f"Distinct (user, item) likes shown so far, of all in the log ({study}).",
        ),
        Metric("diversity", "Diversity", "%", "neither", f"Distinct items shown so far, of all items ({study})."),
        Metric(
            "entropy",
            "Exposure entropy",
            "share",
            "neither",
            "Entropy of the exposure over items / log(items): 1 is even.",
        ),
        Metric(
            "gini",
            "Exposure Gini",
            "share",
            "neither",
            "Gini index of the exposure over items: 0 is even, 1 is one item.",
        ),
        Metric(
            "hr20_per_round",
            "HR@20 per round",
            "%",
            "higher",
            "Share of the top 20 % of the ranking that is liked, mean over rounds, ties in expectation.",
        ),
        Metric(
            "hr20_per_round_published",
            "HR@20 per round, as published",
            "%",
            "higher",
            f"The same with ties in the order of the published file ({study}).",
        ),
        Metric("matches", "Matched rounds", "count", "neither", "Rounds in which the policy chose what the log shows."),
        Metric(
            "expected_ctr_sum",
            "True CTR_sum",
            "share",
            "higher",
            "Expected clicks per round of the shown slates, by the world's own click model in closed form.",
        ),
        Metric(
            "expected_ctr_set",
            "True set-CTR",
            "%",
            "higher",
            "Probability of at least one click on the shown slate, by the world's own click model, mean over rounds.",
        ),
        Metric(
            "regret_set",
            "Cumulative set regret",
            "count",
            "lower",
            "Probability of a click on the best slate of each round less that on the shown one, summed.",
        ),
        Metric(
            "similarity",
            "Intra-list similarity",
            "share",
            "neither",
            "Mean cosine between the joint features of two items of a slate, in slates of two or more: low is diverse.",
        ),
    ]
    metrics.append(
        Metric(
            "undelivered",
            "Outcomes under way",
            "%",
            "neither",
            "Delayed feedback: share of the outcomes so far that had not reached the policy; in the end, never did.",
        )
    )
    metrics += [
        Metric(
            f"exposure_first{age}",
            f"Exposure, first {age:,} offers",
            "%",
            "neither",
            f"Share of the shown positions that went to items which had been on offer in fewer than {age:,} rounds.",
        )
        for age in AGES
    ]
    metrics += [
        Metric(
            f"reward_first{age}",
            f"Reward, first {age:,} offers",
            "share",
            "higher",
            f"Mean reward of the shown items that had been on offer in fewer than {age:,} rounds.",
        )
        for age in AGES
    ]
    for name, title, rests in (
        ("pbm_ips", "PBM-IPS", "propensities under a fitted position-based model"),
        ("ubm_ips", "UBM-IPS", "propensities under a fitted user browsing model"),
        ("iips", "IIPS", "the propensities of items at positions (no click model; a click depends on both alone)"),
    ):
        metrics += [
            Metric(
                name,
                f"{title} of CTR_sum",
                "share",
                "higher",
                f"Clicks per round of the slates, by logged clicks and {rests}.",
            ),
            Metric(
                f"{name}_se",
                f"{title}, standard error",
                "share",
                "neither",
                f"Of {name}, over the records; undefined while all are worth the same.",
            ),
            Metric(
                f"{name}_ess",
                f"{title}, effective sample",
                "%",
                "neither",
                f"Effective sample size of {name}: (sum w)^2 / (n sum w^2) over the shown items.",
            ),
            Metric(
                f"{name}_unsupported",
                f"{title}, without support",
                "%",
                "neither",
                f"Shown items that the logging policy can never have had examined: {name} leaves out what they earn.",
            ),
        ]
    metrics += _of_brackets()
    metrics += [
        Metric(
            "recommend_ratio",
            "Recommend ratio",
            "%",
            "neither",
            "Share of rounds in which a policy that may stay silent recommends its first item: the score of the item "
            f"reaches the policy's threshold ({study}).",
        ),
        Metric(
            "recommend_accuracy",
            "Recommend accuracy",
            "%",
            "higher",
            "Share of rounds in which a policy that may stay silent recommends a first item that is liked, or stays "
            f"silent on one that is not ({study}).",
        ),
        Metric(
            "recommend_precision",
            "Recommend precision",
            "%",
            "higher",
            "Share of liked first items among those that a policy that may stay silent recommends; undefined while it "
            f"has recommended none ({study}).",
        ),
        Metric(
            "recommend_recall",
            "Recommend recall",
            "%",
            "higher",
            "Share of recommended first items among those that are liked, of a policy that may stay silent; undefined "
            f"while none was liked ({study}).",
        ),
    ]
    metrics += [
        Metric(
            f"hr@{top}",
            f"HR@{top}",
            "%",
            "higher",
            f"Likes in the top {top} % of the ranking, of all likes so far, ties in expectation.",
        )
        for top in TOPS
    ]
    metrics += [
        Metric(
            f"hr_published@{top}",
            f"HR@{top}, as published",
            "%",
            "higher",
            f"Likes in the top {top} % of the ranking by score, of all likes so far, ties in the order of the "
            f"published file ({study}).",
        )
        for top in TOPS
    ]
    return {m.name: m for m in metrics}


def _of_brackets() -> list[Metric]:
    """What is measured where a log of lists tells nothing of how likely items were to be seen."""
    carried = "logged clicks times how often their new place is looked at over how often the logged one is"
    rows = [
        ("logged_order", "Logged order, CTR_sum", "share", "Clicks per round of the first K places of the log."),
        ("bracket_high", "High end of CTR_sum", "share", f"Clicks per round of the slates, by {carried}."),
        ("bracket_low_se", "Low end, standard error", "share", "Of ctr_sum by logged clicks, over users or rounds."),
        ("bracket_high_se", "High end, standard error", "share", "Of bracket_high, that of the weights included."),
        ("lift_low_se", "Lift of the low end, standard error", "share", "Of ctr_sum / logged_order - 1, paired."),
        (
            "lift_high_se",
            "Lift of the high end, standard error",
            "share",
            "Of bracket_high / logged_order - 1, paired.",
        ),
        ("bracket_groups", "Groups of the errors", "count", "Users, or rounds without one, hashed to at most 1,024."),
    ]
    return [Metric(name, title, unit, "neither", source) for name, title, unit, source in rows]


METRICS = _registry()
NAMES = tuple(METRICS)


def in_reward(metric: Metric, words: str, named: str) -> Metric:
    """The metric as a run has it that pays `words` ("revenue", "click + 10 purchase"), in the unit `named`."""
    paid = words if words.isidentifier() else f"reward ({words})"
    titles = {"reward_sum": f"{paid[0].upper()}{paid[1:]} per round", "reward": f"{paid[0].upper()}{paid[1:]} per item"}
    if metric.name not in (*titles, "regret", *ESTIMATED, *(f"reward_first{age}" for age in AGES)):
        return metric
    title = titles.get(metric.name, metric.title.replace("CTR_sum", f"{paid} per round"))
    source = metric.source.replace("Clicks per round of the slates, by logged clicks", f"{WORTH}, by what was logged")
    return replace(metric, title=title, source=source, unit=REWARD, named=named)


WORTH = "What the slates are worth a round"
ESTIMATED = [f"{name}{end}" for name in ("pbm_ips", "ubm_ips", "iips") for end in ("", "_se")]
