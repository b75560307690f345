"""Published values beside a run's: hand-worked differences and orders, and the tables that come with the package."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lersbench.bench import replays, scenario
from lersbench.distributions import t_beyond
from lersbench.errors import ConfigError
from lersbench.report import published
from lersbench.report import run as run_report
from lersbench.report.blocks import Table
from lersbench.results.tables import Results, load
from tests.support import fake_results

LIKES = {"normal": (2602, 12265), "active": (1000, 6652)}  # rounds and likes of the study's scenarios


def row(policy: str, feedback: str = "bandit", seconds: float | None = None, **values: float) -> dict[str, Any]:
    return {"policy": policy, "feedback": feedback, "seconds": seconds, "values": values}


def results(policies: list[dict[str, Any]] | None, finals: dict[tuple[str, str, str], list[float]]) -> Results:
    """Results with the final values by (label as in the results, feedback, metric), a value a seed."""
    rows = [
        {"variant": "", "log": "", "feedback": feedback, "slate": 1, "policy": policy, "entry": policy.split(" ")[0]}
        | {"name": policy.split(" ")[0], "seed": seed, "metric": metric, "value": value}
        for (policy, feedback, metric), values in finals.items()
        for seed, value in enumerate(values)
    ]
    about: dict[str, Any] = {"name": "active", "leaderboard": "misses", "replicates": "shuffle"}
    if policies is not None:
        about["published"] = {"source": "A study, table 1", "policies": policies}
    logs = [{"variant": "", "name": "shop", "rounds": 500, "items": 10}]
    meta = {
        "scenario": about,
        "logs": logs,
        "seeds": [0, 1, 2],
        "policy_seconds": [["lers", "full", 20.0], ["lers", "bandit", 7.0]],
    }
    return Results(Path("run"), pd.DataFrame(rows), meta)


@pytest.fixture
def run() -> Results:
    """The study has lers below ucb1, which equals exp3. Here it is so by the flawed metric and under full feedback."""
    regret = "regret_published"
    policies = [
        row("lers", "full", seconds=9.0, **{regret: 80.0, "coverage": 3.0}),
        row("ucb1", **{regret: 97.0, "coverage": 1.0}),
        row("exp3", **{regret: 97.0}),
        row("neural-ucb", **{regret: 90.0}),
    ]
    return results(
        policies,
        {
            ("lers (full)", "full", regret): [0.50, 0.52, 0.54],
            ("lers (full)", "full", "misses"): [0.90, 0.94, 0.92],
            ("lers (full)", "full", "coverage"): [0.030, 0.031, 0.032],
            ("lers (bandit)", "bandit", "misses"): [0.979, 0.99, 0.981],
            ("lers (bandit)", "bandit", "coverage"): [0.010, 0.020, 0.030],
            ("ucb1", "bandit", regret): [0.95, 0.96, 0.97, 0.96],  # a fourth seed, which lers did not run
            ("ucb1", "bandit", "misses"): [0.95, 0.96, 0.95, 0.94],
            ("ucb1", "bandit", "coverage"): [0.020, 0.020, 0.020, 0.020],
            ("exp3", "bandit", regret): [0.95, 0.96, 0.97],
            ("exp3", "bandit", "misses"): [0.93, 0.96, 0.97],
        },
    )


def test_the_table_holds_each_policy_under_each_protocol_in_percent(run: Results) -> None:
    table = published.table(run).set_index(["metric", "policy", "protocol"]).sort_index()
    lers = table.loc["regret_published", "lers"]
    assert list(lers.index) == ["as published", "sound", "sound, bandit feedback"]
    assert list(lers["measured"]) == ["regret_published", "misses", "misses"]
    assert list(lers["feedback"]) == ["full", "full", "bandit"]
    assert list(lers["mean"]) == pytest.approx([52.0, 92.0, 98 + 1 / 3])
    assert set(lers["published"]) == {80.0}
    assert list(lers["seeds"]) == [3, 3, 3]
    assert ((lers["low"] < lers["mean"]) & (lers["mean"] < lers["high"])).all()
    ucb1 = table.loc["regret_published", "ucb1"]
    assert list(ucb1["mean"]) == pytest.approx([96.0, 95.0, 95.0])  # of bandits the last two are the same
    assert list(ucb1["seeds"]) == [4, 4, 4]


def test_a_policy_that_was_not_run_has_no_value(run: Results) -> None:
    table = published.table(run)
    absent = table[table["policy"] == "neural-ucb"]
    assert len(absent) == 3
    assert absent["mean"].isna().all()
    assert set(absent["seeds"]) == {0}
    assert "neural-ucb" not in set(published.pairs(run)[["first", "second"]].to_numpy().ravel())


def test_a_metric_without_a_flaw_is_not_shown_twice(run: Results) -> None:
    assert [protocol.title for protocol in published.protocols(run, "coverage")] == ["as published", "bandit feedback"]


def test_bandit_feedback_is_no_protocol_of_its_own_where_the_study_gave_nothing_else() -> None:
    only = results([row("ucb1", misses=90.0)], {("ucb1", "bandit", "misses"): [0.9]})
    assert [protocol.title for protocol in published.protocols(only, "misses")] == ["as published"]


def test_pairs_by_hand(run: Results) -> None:
    """The study has lers 17 below ucb1 and exp3, which are equal and so no pair. Differences of the means to ucb1:
    flawed 96 - 52 with the lower lers: same. Sound 95 - 92, of the variances (2/3)/4 and 4/3: t = 2.4 with 2.5 degrees
    of freedom, undecided. Sound, bandit feedback 95 - 98.3: reversed. Coverage 3.1 - 2: same; bandit feedback 2 - 2.
    """
    pairs = published.pairs(run).set_index(["metric", "protocol", "first", "second"]).sort_index()
    ucb1 = pairs.loc[("regret_published", slice(None), "ucb1", "lers")]
    assert list(ucb1["verdict"]) == ["same", "undecided", "reversed"]
    assert list(ucb1["here"]) == pytest.approx([44.0, 3.0, -10 / 3])
    assert set(ucb1["published"]) == {17.0}
    df = 1.5**2 / ((1 / 6) ** 2 / 3 + (4 / 3) ** 2 / 2)
    assert ucb1["p"].iloc[1] == pytest.approx(t_beyond(3 / math.sqrt(1.5), df))
    assert ("regret_published", "as published", "ucb1", "exp3") not in pairs.index
    assert list(pairs.loc["coverage"]["verdict"]) == ["same", "undecided"]
    assert pairs.loc["coverage"]["p"].iloc[1] == pytest.approx(1.0)


def test_orderings_count_the_pairs(run: Results) -> None:
    orders = published.orderings(run)
    verdicts = published.pairs(run)
    assert (orders["pairs"] == orders[["same", "reversed", "undecided"]].sum(axis=1)).all()
    assert orders["pairs"].sum() == len(verdicts)
    regret = orders[orders["metric"] == "regret_published"].set_index("protocol")
    assert list(regret.loc["as published", ["pairs", "same", "reversed", "undecided"]]) == [2, 2, 0, 0]
    assert regret.loc["sound, bandit feedback", "reversed"] >= 1
    assert regret.loc["sound", "same"] == 0


def test_one_seed_decides_nothing() -> None:
    policies = [row("ucb1", misses=90.0), row("exp3", misses=80.0)]
    once = results(policies, {("ucb1", "bandit", "misses"): [0.2], ("exp3", "bandit", "misses"): [0.9]})
    assert list(published.pairs(once)["verdict"]) == ["undecided"]


def test_a_policy_under_another_regime_than_published_is_not_taken_for_it() -> None:
    policies = [row("lers", "full", misses=90.0), row("ucb1", misses=95.0)]
    only = results(policies, {("lers", "bandit", "misses"): [0.9, 0.8], ("ucb1", "bandit", "misses"): [0.95, 0.9]})
    table = published.table(only).set_index(["policy", "protocol"])
    assert math.isnan(table.loc[("lers", "as published"), "mean"])
    assert table.loc[("lers", "bandit feedback"), "mean"] == pytest.approx(85.0)


def test_the_section_of_the_report(run: Results) -> None:
    blocks = published.sections(run)
    tables = [block for block in blocks if isinstance(block, Table)]
    words = " ".join(str(block) for block in blocks)
    orders, *values, seconds = tables
    assert len(values) == 2
    assert orders.head[3:] == ["pairs", "separated", "same", "reversed", "not separated"]
    assert orders.rows[0] == ["Regret, as published", "as published", "Regret, as published", "2", "2", "2", "0", "0"]
    assert values[0].head == ["policy", "published", "as published", "sound", "sound, bandit feedback", "seeds"]
    assert [line[0] for line in values[0].rows] == ["lers", "ucb1", "exp3", "neural-ucb"]
    assert values[0].rows[3] == ["neural-ucb", "90", "-", "-", "-", "-"]
    assert values[0].rows[1][-1] == "4"
    assert values[1].rows[1] == [
        "ucb1",
        "1",
        "2.00 \N{PLUS-MINUS SIGN} 0.32",
        "2.00 \N{PLUS-MINUS SIGN} 0.32",
        "4",
    ]  # floored: 3.18 / 500 / 2
    assert seconds.rows == [["lers", "9", "20.0"]]  # under full feedback, as in the study
    assert "levels are not comparable, the order of policies is" in words
    assert "Reversed, sound, bandit feedback: ucb1 minus lers (published +17, here -3.33)" in words
    assert "A study, table 1" in words


def test_the_verdict_sums_up_metrics_that_are_better_high_or_low(run: Results) -> None:
    """By hand: as published regret 2 of 2 and coverage 1 of 1; sound and with bandit feedback regret 0 of 2 (exp3 minus
    lers is -2.9, -3, -1.1 there, and so only ucb1 is separated: 0 of 1)."""
    (line,) = published.verdict(run)
    assert line.endswith("3 of 3 hold by its own protocol, 0 of 1 by sound metrics under bandit feedback.")
    run.scenario["published"]["policies"] = run.scenario["published"]["policies"][:1]
    assert published.verdict(run) == []


def test_reports_without_published_values_lack_the_section() -> None:
    old = results(None, {("ucb1", "bandit", "misses"): [0.9, 0.8]})
    assert published.sections(old) == []
    assert published.tables(old) == {}
    old.scenario["published"] = None
    assert published.sections(old) == []


def test_the_report_has_the_section_and_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_report, "draw_all", lambda *_: [])
    folder = fake_results.make(tmp_path, policies={k: fake_results.POLICIES[k] for k in ("random", "hybrid")}, points=3)
    run_report.write(load(folder))
    assert "Published and ours" not in (folder / "report.md").read_text()  # the run says nothing of it
    assert not (folder / "published.csv").exists()
    meta = json.loads((folder / "run.json").read_text())
    policies = [row("random", **{"hr_published@20": 20.0}), row("hybrid", **{"hr_published@20": 10.0})]
    meta["scenario"]["published"] = {"source": "A <study>", "policies": policies}
    (folder / "run.json").write_text(json.dumps(meta))
    run_report.write(load(folder))
    assert "## Published and ours" in (folder / "report.md").read_text()
    assert '<h2 id="published-and-ours">Published and ours' in (folder / "report.html").read_text()
    assert "A &lt;study&gt;" in (folder / "report.html").read_text()
    assert list(pd.read_csv(folder / "published.csv")["protocol"].unique()) == ["as published", "sound"]
    assert set(pd.read_csv(folder / "published-pairs.csv")["verdict"]) == {"reversed"}


# Scenario files -------------------------------------------------------------------------------------------------------
def content(*published_rows: dict[str, Any]) -> dict[str, Any]:
    data = {"dataset": "synthetic", "rounds": 50, "items": 5, "d": 2}
    policies = [{"name": "random"}, {"name": "linucb", "alpha": 0.3}]
    content = {"name": "small", "title": "Small", "data": data, "policies": policies}
    study = {"source": "A study", "policies": list(published_rows)}
    return content | ({"published": study} if published_rows else {})


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"policy": "linucb alpha=0.2", "values": {}}], "did you mean 'linucb alpha=0.3'?"),
        ([{"policy": "random", "values": {"hr20_published": 1.0}}], "there is no metric 'hr20_published'"),
        ([{"policy": "random", "feedbak": "full", "values": {}}], "did you mean 'feedback'?"),
        ([{"policy": "random", "values": {}}, {"policy": "random", "values": {}}], "has 'random' twice"),
        ([{"policy": "random", "values": {"misses": "many"}}], "published.policies.0.values.misses"),
    ],
)
def test_mistakes_in_the_file_are_explained(rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        scenario.parse(content(*rows), "small.toml")
    assert "small.toml" in str(error.value)
    assert words in str(error.value)


def test_contenders_do_not_depend_on_what_was_published(tmp_path: Path) -> None:
    only = {"policies": [{"name": "random"}], "replay": {"seeds": 2}}
    without = replays.bench(scenario.parse(content() | only, "test"), tmp_path, threads=1, say=lambda _: None)
    published_row = {"policy": "random", "values": {"misses": 50.0}}
    compared = scenario.parse(content(published_row) | only, "test")
    again = replays.bench(compared, tmp_path, threads=1, say=lambda _: None)
    assert (without.reused, again.played) == (0, 0)
    assert again.reused == without.played
    assert published.metrics(load(again.folder)) == ["misses"]


@pytest.mark.parametrize("name", ["normal", "active", "repeat"])
def test_the_study_is_whole_and_names_the_regimes_that_are_run(name: str) -> None:
    study = scenario.read(name)
    assert study.published is not None
    regimes = {entry.label: entry.feedback for entry in scenario.entries(study)}
    rows = study.published.policies
    assert len(rows) == 9
    assert sum(len(row.values) for row in rows) == 35  # four metrics of each, but for the HR@20 of random
    for row in rows:
        assert {row.feedback, "bandit"} <= set(regimes[row.policy])
        assert (row.feedback == "full") == row.policy.startswith("lers")


@pytest.mark.parametrize("name", LIKES)
def test_published_regret_and_coverage_tell_the_same_hits(name: str) -> None:
    """Every customer comes once, so hits are likes x coverage, and of policies that are never silent all others are
    misses. The LERS policies were silent in some rounds, which the published regret counts as right: it is lower."""
    rounds, likes = LIKES[name]
    study = scenario.read(name).published
    assert study is not None
    for row in study.policies:
        misses = 100 - row.values["coverage"] * likes / rounds
        if row.policy.startswith("lers"):
            assert row.values["regret_published"] < misses + 0.02
        else:
            assert row.values["regret_published"] == pytest.approx(misses, abs=0.02)
