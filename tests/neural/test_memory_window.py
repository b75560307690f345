"""What a network remembers of rewards that come at once, and where its numbers lie after a restore."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lersbench.neural import adapter  # noqa: E402
from lersbench.neural.one_hidden import Memory  # noqa: E402
from lersbench.policy import load  # noqa: E402
from lersbench.testing import agreement, worlds  # noqa: E402
from tests.neural.test_adapter import play, rounds_of  # noqa: E402


def test_of_more_rewards_than_fit_as_many_are_drawn() -> None:
    torch.manual_seed(0)
    kept = np.zeros(200)
    for _ in range(400):
        memory = Memory(1, 100)
        memory.add(torch.arange(200.0)[:, None], torch.arange(200.0))
        assert len(memory) == 100 and bool((memory.y.diff() > 0).all())
        kept[memory.y.long().numpy()] += 1
    assert kept.sum() == 40_000 and kept.min() > 140 and kept.max() < 260  # 200 expected, 6 standard deviations


def test_rewards_that_fit_are_the_last_ones() -> None:
    memory = Memory(1, 5)
    for first in (0, 3, 6):
        memory.add(torch.arange(first, first + 3.0)[:, None], torch.arange(first, first + 3.0))
    assert memory.y.tolist() == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("name", ["neural-ucb", "neural-ts"])
@pytest.mark.parametrize("cut", [3, 17, 25, 40])
def test_a_restored_network_goes_on_as_it_was(tmp_path: Path, name: str, cut: int) -> None:
    """The places of its numbers in memory are the same as before: torch rounds otherwise for others."""
    policy, world = load(name), worlds.make_world(50, 5, 2)
    rewards = world.chunk.rewards
    assert isinstance(policy, adapter.TorchPolicy)
    whole, rng = policy.init(world.spec), np.random.default_rng(3)
    expected = play(policy, whole, rounds_of(world), rewards, rng)
    first, rng = policy.init(world.spec), np.random.default_rng(3)
    told = play(policy, first, rounds_of(world)[:cut], rewards, rng)
    adapter.save(first, tmp_path / "state.pt")
    second = adapter.restore(policy, world.spec, tmp_path / "state.pt")
    told += play(policy, second, rounds_of(world)[cut:], rewards[cut:], rng)
    for (slate, scores), (other, others) in zip(expected, told, strict=True):
        assert agreement.close(scores, others, agreement.TORCH).all()
        assert agreement.close(scores[slate], others[other], agreement.TORCH).all()
