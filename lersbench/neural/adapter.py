"""The adapter for policies written in PyTorch: seeds, device, batches and files are dealt with here, once.

A network of your own becomes a policy in about fifteen lines:

    @dataclass(frozen=True)
    class TwoLayers(TorchPolicy):
        \"\"\"Greedy on a small network of the joint features, 2024.\"\"\"

        needs: ClassVar[tuple[str, ...]] = ("features",)
        hidden: int = 64  # units

        def network(self, spec: Spec) -> nn.Module:
            return nn.Sequential(nn.Linear(self.width(spec), self.hidden), nn.ReLU(), nn.Linear(self.hidden, 1))

`scores`, `loss`, `inputs` and `optimizer` are the next to override; `rank` and `learn` where a policy works on
whole rounds in its own way. What else imports torch, and so needs `lersbench[neural]`: the
room `lersbench.neural` and the neural policies.

Device and number format. `LERSBENCH_DEVICE` is "auto" (the default: the GPU if there is one), "cpu" or another name
that torch knows; `LERSBENCH_DTYPE` is "float32" (the default) or "float64".

Random numbers. Everything torch draws (first weights, dropout, weight samples) comes from a generator of the run's
own, seeded from the run's `rng` at the first `select`. It is swapped into torch's global generator for the length of
a call and taken out again, so modules such as `nn.Dropout` need no special care. The global generator has no other
user meanwhile: calls of all torch policies go one at a time, under the lock in `alone`; torch itself uses all cores
where the work is worth it (`cores_for`).

What is promised. The same seed gives the same run up to rounding. Torch promises equal bits neither for another number
of rows, nor another number of cores (sums that are shared out among them; contenders that play at once share the cores,
so `--threads` counts as well), nor another processor or version. The first difference is of 1e-8 of a score or so; it
can grow, and turn a close choice. `restore` goes on with the same numbers; in the tests the scores of a run cut in two
are within 1e-4 of those of the whole run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lersbench.errors import ConfigError, DataError, RunError
from lersbench.kernels.ties import top_k
from lersbench.neural.descent import Adam, Optimizer
from lersbench.policy import Policy, Round, Spec
from lersbench.ranges import require

DTYPES = {"float32": torch.float32, "float64": torch.float64}

SMALL = 5_000_000_000
"""Multiplications of a call up to which it runs on one core, about 0.1 s. More cores could halve that on an
idle machine; on a busy one, where other contenders play, waiting for them was measured to cost up to fifty times
the work."""

_lock = threading.RLock()


def device() -> torch.device:
    """Where networks live: `LERSBENCH_DEVICE`, or the GPU if there is one. Raises ConfigError for one torch lacks."""
    return _device(os.environ.get("LERSBENCH_DEVICE", "auto"))


@cache
def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        choice = torch.device(name)
        torch.empty(0, device=choice)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"LERSBENCH_DEVICE = '{name}' cannot be used ({reason}); set it to 'cpu'.") from error
    return choice


def dtype() -> torch.dtype:
    """The number format of networks: `LERSBENCH_DTYPE`, or float32."""
    name = os.environ.get("LERSBENCH_DTYPE", "float32")
    if name not in DTYPES:
        raise ConfigError(f"LERSBENCH_DTYPE = '{name}' must be one of {', '.join(DTYPES)}.")
    return DTYPES[name]


def in_words() -> str:
    """What the results of a network depend on beside its sources and the data."""
    return f"torch {torch.__version__}, {device().type}, {dtype()}"


def tensor(values: Sequence[np.ndarray] | np.ndarray) -> Tensor:
    """A copy of the values on the device, in its number format; a list of arrays of one shape is stacked.

    The copy lies in torch's own memory, which begins at multiples of 64 bytes: products of an array that begins
    elsewhere, as NumPy's may, are computed by another routine and round otherwise.
    """
    kept = np.float32 if dtype() == torch.float32 else np.float64
    return torch.tensor(np.asarray(values, kept), device=device())


@dataclass
class State:
    """What a torch policy has learned. `net` and what follows are None before the first `select`."""

    spec: Spec
    rounds: int = 0  # rounds learned from
    net: nn.Module | None = None  # everything learned, buffers and memories included, is in its state_dict
    optimizer: Optimizer | None = None
    weights: int = 0  # parameters of `net`
    random: dict[str, Tensor] = field(default_factory=dict)  # states of torch's generators, by kind of device


@contextmanager
def alone(state: State) -> Iterator[None]:
    """Nobody else uses torch's global generators, and what they draw is this run's own."""
    with _lock:
        cuda = device().type == "cuda"
        outside = torch.get_rng_state(), torch.cuda.get_rng_state(device()) if cuda else None
        try:
            if state.random:
                torch.set_rng_state(state.random["cpu"])
                if cuda and "cuda" in state.random:
                    torch.cuda.set_rng_state(state.random["cuda"], device())
            yield
            state.random["cpu"] = torch.get_rng_state()
            if cuda:
                state.random["cuda"] = torch.cuda.get_rng_state(device())
        finally:
            torch.set_rng_state(outside[0])
            if outside[1] is not None:
                torch.cuda.set_rng_state(outside[1], device())


@contextmanager
def cores_for(work: int) -> Iterator[None]:
    """Torch's own choice of cores for about this many multiplications, or one core where they are few."""
    usual = torch.get_num_threads()
    if work < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


Scores = Sequence[np.ndarray] | Sequence[Tensor]  # an array (C,) for each of B rounds


@dataclass(frozen=True)
class TorchPolicy(Policy):
    """A policy that scores candidates with a network and shows the K best. See the head of this file.

    A round is scored with the network in evaluation mode. Each delivery of feedback is one step of the optimizer on
    all rewards it reveals: those of the shown candidates under bandit feedback, of all candidates under full
    feedback. Nothing here explores: a policy that wants to draws its scores, or adds a width to them.
    """

    learning_rate: float = 0.001  # of the optimizer, above 0

    unit_rewards = True  # the cross-entropy takes no others, and learning rates are made for numbers near 1
    apart = True  # torch's threads and generators are of the process

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, self, "learning_rate", "above 0")

    # What a subclass writes, or may

    def network(self, spec: Spec) -> nn.Module:
        """A new network; its weights may be drawn from torch's global generator."""
        raise NotImplementedError

    def scores(self, net: nn.Module, x: Tensor) -> Tensor:
        """The score (n,) of each row of `x` (n, width)."""
        return net(x).squeeze(-1)

    def loss(self, net: nn.Module, x: Tensor, rewards: Tensor) -> Tensor:
        """What a step of the optimizer lowers, for rows `x` (n, width) with `rewards` (n,) in [0, 1]: a number.

        Here the mean binary cross-entropy of sigmoid(scores); return a mean square to fit the rewards themselves.
        """
        return binary_cross_entropy_with_logits(self.scores(net, x), rewards)

    def optimizer(self, net: nn.Module) -> Optimizer | None:
        """Adam; any optimizer of torch.optim will do as well. None for a policy whose `learn` needs none."""
        return Adam(net.parameters(), self.learning_rate)

    def width(self, spec: Spec) -> int:
        """Columns of `inputs`."""
        return spec.m if "features" in self.needs else spec.d + (spec.items.shape[1] or spec.n_items)

    def inputs(self, spec: Spec, round: Round) -> np.ndarray:
        """What the network is given of each candidate (C, width).

        The joint features, for a policy that needs "features". Otherwise the context beside the static features of
        the item, or beside its one-hot code in a log without static features.
        """
        if "features" in self.needs:
            return round.features
        items = spec.items[round.candidates] if spec.items.shape[1] else np.eye(spec.n_items)[round.candidates]
        return np.hstack([np.broadcast_to(round.context, (len(items), spec.d)), items])

    def rank(self, state: State, rng: np.random.Generator, rounds: Sequence[Round]) -> Scores:
        """The scores of the candidates of B rounds, (C,) each; called without gradients."""
        assert state.net is not None
        x = tensor(np.concatenate([self.inputs(state.spec, round) for round in rounds]))
        return self.scores(state.net.eval(), x).cpu().split([len(round.candidates) for round in rounds])

    def learn(self, state: State, rounds: Sequence[Round], shown: Sequence[np.ndarray], rewards: Tensor) -> None:
        """Learn from the revealed rewards of a delivery, at least one. One step of the optimizer here.

        `shown[b]` are the candidates of round b whose reward is revealed; `rewards` (n,) theirs, round by round.
        """
        assert state.net is not None and state.optimizer is not None
        x = self.rows(state, rounds, shown)
        state.optimizer.zero_grad()
        self.loss(state.net.train(), x, rewards).backward()
        state.optimizer.step()

    # What the engine calls

    def rows(self, state: State, rounds: Sequence[Round], shown: Sequence[np.ndarray]) -> Tensor:
        """The inputs (n, width) of the shown candidates, round by round."""
        pairs = zip(rounds, shown, strict=True)
        return tensor(np.concatenate([self.inputs(state.spec, round)[chosen] for round, chosen in pairs]))

    def work(self, state: State, rows: int) -> int:
        """Multiplications that scoring so many rows takes, about."""
        return rows * state.weights

    def init(self, spec: Spec) -> State:
        """The state before the first round. The network is made at the first `select`, which brings the seed."""
        return State(spec)

    def select(self, state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        self.select_batch(state, rng, [round], [slate])

    def update(self, state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        self.update_batch(state, [round], [slate], [rewards], [seen])

    def select_batch(
        self, state: State, rng: np.random.Generator, rounds: Sequence[Round], slates: Sequence[np.ndarray]
    ) -> None:
        """Score all rounds with the network as it stands; fill their slates and scores."""
        with alone(state):
            if state.net is None:
                torch.manual_seed(int(rng.integers(2**63)))
                self._make(state)
            candidates = sum(len(round.candidates) for round in rounds)
            with torch.no_grad(), cores_for(self.work(state, candidates)):
                ranking = self.rank(state, rng, rounds)
        for round, slate, scores in zip(rounds, slates, ranking, strict=True):
            round.scores[:] = scores.cpu().numpy() if isinstance(scores, Tensor) else scores
            top_k(round.scores, round.ties, slate)

    def update_batch(
        self,
        state: State,
        rounds: Sequence[Round],
        slates: Sequence[np.ndarray],
        rewards: Sequence[np.ndarray],
        seen: Sequence[np.ndarray],
    ) -> None:
        """Learn from all rewards revealed in these rounds at once."""
        if state.net is None:
            raise RunError(f"{type(self).__name__} was given rewards before it was asked for a slate.")
        shown = [slate[here] for slate, here in zip(slates, seen, strict=True)]
        values = np.concatenate([r[here] for r, here in zip(rewards, seen, strict=True)])
        state.rounds += len(rounds)
        if values.size:
            with alone(state), cores_for(3 * self.work(state, values.size)):
                self.learn(state, rounds, shown, tensor(values))

    def _make(self, state: State) -> None:
        state.net = self.network(state.spec).to(device=device(), dtype=dtype())
        state.weights = sum(parameter.numel() for parameter in state.net.parameters())
        state.optimizer = self.optimizer(state.net)


def save(state: State, path: str | Path) -> None:
    """Write what was learned to one file, for `restore`. The run's own `rng` is not part of it."""
    if state.net is None:
        raise RunError("There is nothing to save before the first round.")
    learned = {
        "net": state.net.state_dict(),
        "optimizer": state.optimizer.state_dict() if state.optimizer else None,
        "random": state.random,
        "rounds": state.rounds,
    }
    torch.save(learned, path)


def restore(policy: TorchPolicy, spec: Spec, path: str | Path) -> State:
    """The state that `save` wrote, for the same policy and spec. Raises DataError where the file is of another.

    With the same `rng` as then, a run goes on as if it had never stopped, up to rounding (see the head of this file).
    """
    state = policy.init(spec)
    try:
        learned = torch.load(path, map_location=device(), weights_only=True)
        with alone(state):
            policy._make(state)
            assert state.net is not None
            state.net.load_state_dict(learned["net"])
            if state.optimizer:
                state.optimizer.load_state_dict(learned["optimizer"])
        state.rounds = learned["rounds"]
        state.random = {kind: random.cpu() for kind, random in learned["random"].items()}  # torch wants them there
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} holds no state of {policy!r} for this log: {reason}") from error
    return state
