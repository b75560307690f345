"""Two real logs of one shop, each of which has seen what the other estimates: the small Open Bandit Dataset."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.audit.judging import Known, Rows, diagnoses, sums_of
from lersbench.audit.world import LEVEL, Check, Fixed, Group
from lersbench.datasets import build
from lersbench.evaluation import answers
from lersbench.evaluation.answers import Range
from lersbench.evaluation.run import evaluate
from lersbench.log import Log, read_all
from lersbench.offpolicy.verdict import BELIEVE, DO_NOT_BELIEVE, verdict

CAMPAIGNS = ("all", "men", "women")
PLACES = 3
LIMIT = 1 << 28
KNOWN = {  # IPS and SNIPS of the uniform target on the bts log, derived apart from this package
    "all": (0.00236, 0.00233),
    "men": (0.00301, 0.00319),
    "women": (0.00744, 0.00237),
}


class Line(NamedTuple):
    campaign: str
    asked: str  # which log is asked about which policy
    estimator: str
    value: float
    error: float
    low: float
    high: float
    events: float
    verdict: str
    other: float  # what the log of that policy says itself
    other_error: float


def on_policy(log: Log) -> tuple[float, float]:
    """The click rate of a log and its standard error."""
    clicks = read_all(log, LIMIT, columns=("clicks",)).clicks.astype(np.float64)
    return float(clicks.mean()), float(clicks.std(ddof=1)) / math.sqrt(len(clicks))


def to_uniform(campaign: str, bts: Log, uniform: Log) -> list[Line]:
    """The bts log about a uniform policy, by `evaluate` as it is."""
    table = evaluate(bts, ["random"], {"estimators": ["snips", "ips"]}).estimates
    other = on_policy(uniform)
    out = []
    for row in table.to_dict("records"):
        value, error, low, high, events = (float(row[name]) for name in ("value", "se", "low", "high", "events"))
        numbers = (value, error, low, high, events)
        out.append(Line(campaign, "bts about uniform", str(row["estimator"]), *numbers, str(row["verdict"]), *other))
    return out


def to_shares(campaign: str, bts: Log, uniform: Log) -> list[Line]:
    """The uniform log about a policy that takes items as often as the bts log did, place by place."""
    chunk, target = read_all(uniform, LIMIT), read_all(bts, LIMIT)
    shares = np.zeros((PLACES, uniform.info.items))
    np.add.at(shares, (_place(target.context), target.slate[:, 0]), 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    p = chunk.propensities[:, 0]
    w = shares[_place(chunk.context), chunk.slate[:, 0]] / p
    sums = sums_of(Rows(w, chunk.clicks[:, 0].astype(np.float64), p))
    known, out, other = Known("uniform", support=0.0), [], on_policy(bts)
    for name in ("snips", "ips"):
        one = answers.estimate_of(name, sums, sums.bucket_rows, Range(0.0, 1.0, float(uniform.info.items)))
        (found,) = diagnoses(one, known)
        level = verdict(found, name)
        interval, _ = answers.shown(one, "cr", LEVEL, level.level == BELIEVE)
        numbers = (one.value, one.error, *interval, found.events)
        out.append(Line(campaign, "uniform about item shares of bts", name, *numbers, level.level, *other))
    return out


def _place(context: np.ndarray) -> np.ndarray:
    """The last three columns of the context are the place."""
    return context[:, -PLACES:].argmax(axis=1)


def fixed() -> Fixed:
    """Both questions for each campaign."""
    lines: list[Line] = []
    for campaign in CAMPAIGNS:
        bts, uniform = (build("open-bandit", behaviour=one, campaign=campaign) for one in ("bts", "random"))
        lines += to_uniform(campaign, bts, uniform) + to_shares(campaign, bts, uniform)
    return Fixed([("W13, clicks per shown item", _table(lines))], checks_of(lines))


def checks_of(lines: list[Line]) -> list[Check]:
    """No estimate from a bts log may be believed; the numbers are those derived apart."""
    out = []
    for campaign, (ips, snips) in KNOWN.items():
        mine = {one.estimator: one for one in lines if one.campaign == campaign and one.asked == "bts about uniform"}
        same = abs(mine["ips"].value - ips) < 6e-6 and abs(mine["snips"].value - snips) < 6e-6
        values = f"{mine['ips'].value:.5f}, {mine['snips'].value:.5f}"
        out.append(Check(f"bts, {campaign}: IPS and SNIPS as derived apart", same, values))
        doubted = all(one.verdict == DO_NOT_BELIEVE for one in mine.values())
        out.append(Check(f"bts, {campaign}: not to be believed", doubted, mine["snips"].verdict))
    return out


def _table(lines: list[Line]) -> str:
    head = (
        "| campaign | which log about which policy | estimator | value (error) | interval shown | events | verdict | "
    )
    rows = [head + "that policy's own log (error) |", "|" + " --- |" * 8]
    for one in lines:
        rows.append(
            f"| {one.campaign} | {one.asked} | {one.estimator} | {one.value:.5f} ({one.error:.5f}) | {one.low:.5f} to "
            f"{one.high:.5f} | {one.events:.1f} | {one.verdict} | {one.other:.5f} ({one.other_error:.5f}) |"
        )
    return "\n".join(rows)


GROUP = Group(
    "W13",
    "Two real logs of one shop",
    """The small Open Bandit Dataset: 10,000 shown items for each campaign and logger, one uniform, one that learned
(bts, Thompson sampling). Each log estimates what the other saw. There is no truth here: a rate of some 40 clicks in
10,000 rows is itself known to about 15 %, so the last column has an error as large as what one would like to tell
apart, and estimators cannot be ranked by it. What can be checked are verdicts. The bts logs hold 3 to 15 effective
clicks for a uniform policy, most of which lies on items that are to have less than one, and one row of the women's has
69 % of all weight: no verdict may be better than "do not believe". The uniform logs answer for the items that bts
showed, and still with few clicks.""",
    fixed=fixed,
)
