"""Sums by block of users: what a recount from the log comes to, under every regime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lersbench.bench import objects, replays, scenario, session
from lersbench.clicks import model as click_model
from lersbench.engine import blocks
from lersbench.kernels.ties import scramble
from lersbench.log import write
from lersbench.policy import Policy

ITEMS, ROUNDS = 5, 600


def fixed() -> Policy:
    """A policy that shows the items of least number first, whatever comes of it; it plays in this process."""

    @dataclass(frozen=True)
    class Fixed(Policy):
        def init(self, spec: Any) -> None:
            return None

        def select(self, state: Any, rng: np.random.Generator, round: Any, slate: np.ndarray) -> None:
            round.scores[:] = -round.candidates
            slate[:] = np.argsort(round.candidates)[: len(slate)]

        def update(self, state: Any, round: Any, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
            pass

    return Fixed()


def log_of(folder: Path, users: int, kind: str) -> tuple[str, dict[str, np.ndarray]]:
    """A log of rewards or of slates, and its columns; `users` 0: it names none."""
    rng = np.random.default_rng(users)
    data: dict[str, np.ndarray] = {"user": rng.integers(0, users, ROUNDS)} if users else {}
    more: dict[str, Any] = {}
    if kind == "rewards":
        data["rewards"] = (rng.random((ROUNDS, ITEMS)) < 0.3).astype(float)
        data["expected"] = rng.random((ROUNDS, ITEMS))
    else:
        data["slate"] = np.argsort(rng.random((ROUNDS, ITEMS)), axis=1)[:, :3]
        data["clicks"] = (rng.random((ROUNDS, 3)) < 0.4).astype(float)
        if kind == "uniform":
            data["slate"], data["clicks"] = data["slate"][:, :1], data["clicks"][:, :1]
            data["propensities"] = np.full((ROUNDS, 1), 1 / ITEMS)
            more["propensities"] = "uniform"
        else:
            data["attraction"] = rng.uniform(0.1, 0.9, (ROUNDS, ITEMS))
            data["candidates"] = np.tile(np.arange(ITEMS), (ROUNDS, 1))
            more["click_model"] = click_model.content_of(click_model.pbm(np.array([1.0, 0.5, 0.2])))
    log = write(folder, [data], name="made", items=ITEMS, users=users, **more)
    return log.path, data


def block_by_hand(data: dict[str, np.ndarray], users: int) -> tuple[np.ndarray, int]:
    """The block of each round, and how many there are, as the head of `blocks` says it."""
    rows = np.arange(ROUNDS)
    if not users:
        return np.array([scramble(blocks.ROUNDS_ALONE, row) % 256 for row in rows.tolist()]), 256
    if users > 1024 or users == 256:
        return np.array([scramble(blocks.USERS, user) % 256 for user in data["user"].tolist()]), 256
    return data["user"], users


def sums_of(log: str, folder: Path, **replay: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sums of a run of the fixed policy, and its last values."""
    content = {
        "name": "blocks",
        "title": "Blocks",
        "data": {"log": log},
        "replay": {"seeds": 2, "checkpoints": 3, "ranking": False, **replay},
        "policies": [{"name": "random"}],
    }
    chosen = scenario.parse(content, "test")
    entries = objects.entries_of({"fixed": fixed(), "ucb1": "ucb1"}, (replay.get("feedback", "bandit"),))
    run = replays.bench(chosen, folder / "results", 1, say=lambda _: None, entries=entries)
    assert not run.failures
    customers, summary = (pd.read_parquet(run.folder / f"{name}.parquet") for name in ("customers", "summary"))
    return customers, summary


def recount(block: np.ndarray, number: int, *values: np.ndarray) -> list[np.ndarray]:
    return [np.bincount(block, value, minlength=number) for value in values]


@pytest.mark.parametrize(
    ("users", "feedback"), [(40, "full"), (256, "bandit"), (1024, "bandit"), (1500, "bandit"), (0, "bandit")]
)
def test_sums_of_a_known_reward_row(tmp_path: Path, users: int, feedback: str) -> None:
    """Shuffled, two items a round: the fixed policy shows items 0 and 1 in all rounds of the log."""
    log, data = log_of(tmp_path / "log", users, "rewards")
    found, _ = sums_of(log, tmp_path, slate=2, feedback=feedback)
    block, number = block_by_hand(data, users)
    paid = data["rewards"][:, :2].sum(axis=1)
    wanted = recount(block, number, np.ones(ROUNDS), np.full(ROUNDS, 2.0), paid, paid > 0)
    for _, row in found[found.policy == "fixed"].iterrows():
        for name, sums in zip(("rounds", "revealed", "paid", "sets"), wanted, strict=True):
            np.testing.assert_array_equal(row[name], sums, err_msg=name)
    assert len(found) == 4 and found.expected.isna().all()


def test_sums_of_logged_slates_and_their_true_values(tmp_path: Path) -> None:
    """All seeds in order; of the slate of a round the two items of least number count, by their logged clicks."""
    log, data = log_of(tmp_path / "log", 40, "slates")
    found, summary = sums_of(log, tmp_path, slate=2, feedback="logged", replicates="none")
    block, number = block_by_hand(data, 40)
    order = np.argsort(data["slate"], axis=1)[:, :2]
    paid = np.take_along_axis(data["clicks"], order, axis=1).sum(axis=1)
    attraction = np.take_along_axis(data["attraction"], np.take_along_axis(data["slate"], order, axis=1), axis=1)
    chances = attraction * [1.0, 0.5]
    wanted = recount(block, number, paid, paid > 0, chances.sum(axis=1), 1 - np.prod(1 - chances, axis=1))
    rows = found[found.policy == "fixed"]
    for _, row in rows.iterrows():
        for name, sums in zip(("paid", "sets", "expected", "expected_set"), wanted, strict=True):
            np.testing.assert_allclose(row[name], sums, err_msg=name)
    check_rates(found, summary, 2)


@pytest.mark.parametrize(
    ("feedback", "kind", "replicates"),
    [("simulated", "slates", "none"), ("replay", "uniform", "none"), ("replay", "uniform", "subsample")],
)
def test_sums_over_all_blocks_are_the_rates_of_the_summary(
    tmp_path: Path, feedback: str, kind: str, replicates: str
) -> None:
    slate = 1 if feedback == "replay" else 2
    log, data = log_of(tmp_path / "log", 40, kind)
    found, summary = sums_of(log, tmp_path, slate=slate, feedback=feedback, replicates=replicates)
    check_rates(found, summary, slate)
    rounds = np.bincount(data["user"], minlength=40)
    assert all((np.array(row) <= rounds).all() for row in found.rounds)
    if feedback == "replay":
        matched = np.bincount(data["user"], data["slate"][:, 0] == 0, minlength=40)
        fixed = found[found.policy == "fixed"].rounds
        assert all((np.array(row) <= matched).all() for row in fixed)
        assert replicates != "none" or all((np.array(row) == matched).all() for row in fixed)


def check_rates(found: pd.DataFrame, summary: pd.DataFrame, slate: int) -> None:
    values = summary.set_index(["policy", "seed", "metric"])["value"].sort_index()
    for _, row in found.iterrows():
        own = values[row.policy, row.seed]
        total = {name: np.sum(row[name]) if row[name] is not None else None for name in blocks.NAMES}
        assert total["revealed"] == slate * total["rounds"] > 0
        assert total["paid"] / total["rounds"] == pytest.approx(own["ctr_sum"])
        assert total["sets"] / total["rounds"] == pytest.approx(own["ctr_set"])
        assert (total["expected"] is None) == ("expected_ctr_sum" not in own)
        if total["expected"] is not None:
            assert total["expected"] / total["rounds"] == pytest.approx(own["expected_ctr_sum"])
            assert total["expected_set"] / total["rounds"] == pytest.approx(own["expected_ctr_set"])


@pytest.mark.parametrize("users", [0, 1500])
def test_a_streamed_log_has_the_sums_of_one_in_memory(
    tmp_path: Path, users: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = log_of(tmp_path / "log", users, "rewards")
    found = []
    for name, changes in {"held": {"WAVE": 0}, "streamed": {"CHUNK_BYTES": 4096}}.items():
        (tmp_path / name).mkdir()
        with monkeypatch.context() as patch:
            for what, value in changes.items():
                patch.setattr(session, what, value)
            found.append(sums_of(log, tmp_path / name, replicates="none")[0])
    pd.testing.assert_frame_equal(*(each[each.policy == "ucb1"] for each in found))


def test_hashed_users_are_spread_over_all_blocks() -> None:
    counts = np.bincount([scramble(blocks.USERS, user) % blocks.NUMBER for user in range(256 * 200)], minlength=256)
    assert len(counts) == blocks.NUMBER and counts.min() > 120 and counts.max() < 280
    assert [blocks.number_of(users) for users in (0, 1, 1024, 1025)] == [256, 1, 1024, 256]
