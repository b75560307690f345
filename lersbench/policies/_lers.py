"""What the four LERS policies share: context models, recommender and their training on line, a customer a round.

A customer's last orders and baskets go through two GRUs, whose last hidden states and the customer's static features
are the context (408 numbers in the study). An autoencoder makes a short code of it, and a recommender scores each
product from the code and the product side. One loss trains everything end to end: binary cross-entropy of the revealed
rewards + cross-entropy of the next streamer + mean squared error of the next basket + reconstruction.

What is learned of a customer's past is what was there before the stream: the GRUs guess the last order from those
before it, and the context is read from the last ones, that order included.

Source: the livestream study (2022, doi 10.6814/NCCU202201098), sections 4.4 to 4.8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lersbench.errors import ConfigError
from lersbench.neural.adapter import State, TorchPolicy
from lersbench.neural.autoencoders import AutoEncoder, VariationalAutoEncoder
from lersbench.neural.encoders import CELLS, Encoder, NextBasket, NextStreamer, past_baskets, past_orders
from lersbench.neural.recommenders import BayesianRecommender, PlainRecommender, Recommender
from lersbench.neural.training import descend, fit_encoder
from lersbench.policy import Round, Spec
from lersbench.ranges import require

CONTEXTS = {  # what goes into the context
    "full": ("basket", "streamer", "static"),
    "temporal": ("basket", "streamer"),
    "streamer": ("streamer",),
    "basket": ("basket",),
    "static": ("static",),
}
BATCHES = {"encoder": 32, "code": 128}  # of pre-training


class Part(nn.Module):
    """A part of the context that is taken as it is. Users are rows, the last of which, index -1, is nobody: zeros."""

    values: Tensor  # (users + 1, ...)

    def __init__(self, values: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("values", _with_nobody(values, 0), persistent=False)
        self.width = values.shape[-1]  # of this part of the context

    def today(self, users: Tensor) -> Tensor:
        """This part of the context (n, width) of users (n,)."""
        return self.values[users]

    def studied(self, users: Tensor) -> tuple[Tensor, Tensor | float]:
        """The same, and the loss of what is learned from these users beside it."""
        return self.today(users), 0.0


class Recurrent(Part):
    """A part that an encoder reads from sequences (users + 1, length + 1, w), trained to predict the last entry."""

    target: Tensor  # (users + 1, ...) what it should guess, see `Encoder.loss`

    def __init__(self, encoder: Encoder, values: np.ndarray, target: np.ndarray) -> None:
        super().__init__(values)
        self.encoder, self.width = encoder, encoder.width
        self.register_buffer("target", _with_nobody(target, -1 if target.ndim == 1 else 0), persistent=False)

    def today(self, users: Tensor) -> Tensor:
        return self.encoder(self.values[users, 1:])

    def studied(self, users: Tensor) -> tuple[Tensor, Tensor | float]:
        x = self.values[users]
        today, before = self.encoder(torch.cat([x[:, 1:], x[:, :-1]])).chunk(2)  # one pass
        return today, self.encoder.loss(self.encoder.head(before), self.target[users])


def _with_nobody(values: np.ndarray, nothing: int) -> Tensor:
    return torch.tensor(np.concatenate([values, np.full_like(values[:1], nothing)]))  # in memory of torch, see `tensor`


class Read(NamedTuple):
    """Of n users, all with the weights of the moment."""

    users: Tensor  # (n,)
    context: Tensor  # (n, width)
    loss: Tensor | float  # of the encoders' guesses
    moments: Tensor  # what their codes are made of, see `AutoEncoder.read`


class Learned(nn.Module):
    """Everything a run learns, and the past it learns from."""

    products: Tensor  # (n_items, q)
    pretrained: Tensor  # ()

    def __init__(
        self,
        parts: Sequence[Part],
        coder: AutoEncoder | VariationalAutoEncoder,
        recommender: Recommender,
        products: np.ndarray,
        patience: int,
    ) -> None:
        super().__init__()
        self.parts = cast(list[Part], nn.ModuleList(parts))
        self.coder, self.recommender = coder, recommender
        self.stopping, self.revealed = Stopping(patience), Revealed()
        self.register_buffer("products", torch.tensor(products), persistent=False)
        self.register_buffer("pretrained", torch.zeros((), dtype=torch.bool))
        self.last: Read | None = None

    def train(self, mode: bool = True) -> Learned:
        """Only the recommender does something else in training; to tell all modules takes longer than a step of it."""
        self.training = self.recommender.training = mode
        return self

    def read(self, users: Tensor) -> Read:
        """What there is to know of users (n,) before anything is drawn, with gradients where these are enabled.

        What a ranking has read serves the learning from it, as long as no weight was changed: a step forgets it.
        """
        last, self.last = self.last, None
        if last is None or last.context.requires_grad != torch.is_grad_enabled() or not torch.equal(last.users, users):
            context, loss = self.studied(users)
            last = Read(users, context, loss, self.coder.read(context))
        return last

    def context(self, users: Tensor) -> Tensor:
        """The context (n, width) of users (n,), as of today."""
        return torch.cat([part.today(users) for part in self.parts], 1)

    def studied(self, users: Tensor) -> tuple[Tensor, Tensor | float]:
        """The same, and the loss of the encoders' guesses about these users."""
        parts, losses = zip(*(part.studied(users) for part in self.parts), strict=True)
        return torch.cat(parts, 1), sum(losses)

    @property
    def users(self) -> Tensor:
        """Everyone that is known."""
        return torch.arange(len(self.parts[0].values) - 1, device=self.products.device)


class Stopping(nn.Module):
    """Early stopping inside the stream: which steps to skip.

    A step is skipped where its loss, and those of the `patience` - 1 steps before it, each exceeded the mean of the
    three losses before. Under bandit feedback such losses are often the surprises worth learning from: on a made-up
    log two of three greedy runs fell back to chance with a patience of 4, none of these two without.
    """

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience
        self.last: list[float] = []  # the last three losses
        self.worse = 0  # losses in a row that exceeded the mean of the three before

    def skip(self, loss: float) -> bool:
        """Take note of the loss of a step; should the step be skipped?"""
        exceeds = len(self.last) == 3 and loss > sum(self.last) / 3
        self.worse = self.worse + 1 if exceeds else 0
        self.last = [*self.last, loss][-3:]
        return 0 < self.patience <= self.worse

    def get_extra_state(self) -> dict[str, Any]:
        return {"last": self.last, "worse": self.worse}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.last, self.worse = [*state["last"]], state["worse"]


class Revealed(nn.Module):
    """Counts the rewards revealed so far."""

    def __init__(self) -> None:
        super().__init__()
        self.total, self.positives = 0, 0.0

    def add(self, rewards: Tensor) -> None:
        self.total += rewards.numel()
        self.positives += float(rewards.sum())

    def weight(self) -> float:
        """Of a positive, so that all of them weigh half of all rewards: total / (2 positives); 1 before the first."""
        return self.total / (2 * self.positives) if self.positives > 0 else 1.0

    def get_extra_state(self) -> dict[str, Any]:
        return {"total": self.total, "positives": self.positives}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.total, self.positives = state["total"], state["positives"]


@dataclass(frozen=True)
class Lers(TorchPolicy):
    """The policy with an autoencoder and a plain recommender. Its subclasses change `coder`, `recommender` or both.

    Each delivery of feedback is one step of Adam, on whatever it reveals: the whole reward row in the study ("full"
    feedback), the reward of what was shown under "bandit" feedback. Customers with too little history for a guess are
    left out of that part of the loss. A round counts as "nothing recommended" where sigmoid(top score) < 1/2.

    Deviations from the study: the class weight is counted from the rewards revealed so far (there, from the whole
    table beforehand: pass 108.5 for its scenario normal, 15.0 for active, 1 for repeat); products are read as they
    are, in the log's own width, not through an autoencoder of their own; the reconstruction has the context as a fixed
    goal, and only `tanh_output` ends it in tanh.
    """

    needs: ClassVar[tuple[str, ...]] = ("history",)
    silence: ClassVar[float] = 0.0

    code: int = 20  # length of the code of a context, 1 or more
    context: str = "full"  # what goes into it: "full", "static", "temporal" (both GRUs), "streamer" or "basket"
    cell: str = "gru"  # of the encoders: "gru", "lstm" or "rnn"
    bidirectional: bool = False  # encoders read sequences both ways
    orders: int = 5  # last orders that the streamer encoder reads, 1 to 15
    baskets: int = 10  # last baskets that the basket encoder reads, 1 to 15
    streamer_state: int = 128  # hidden units of the streamer encoder, 1 or more
    basket_state: int = 256  # hidden units of the basket encoder, 1 or more
    dropout: float = 0.5  # of the recommender's hidden units in training, 0 or above and below 1
    class_weight: float | str = "auto"  # of a positive: a number above 0, or total / (2 positives) of those revealed
    patience: int = 4  # losses in a row above the mean of their last three, from which steps are skipped; 0: none is
    pretrain: int = 0  # epochs of training of encoders and autoencoder on all customers before the stream, 0 or more
    train_context: bool = True  # train encoders and autoencoder on line too
    tanh_output: bool = False  # reconstruct contexts through tanh, which reaches no static feature beyond +-1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("code", "streamer_state", "basket_state"):
            require(getattr(self, name) >= 1, self, name, "1 or more")
        for name in ("orders", "baskets"):
            require(1 <= getattr(self, name) <= 15, self, name, "1 to 15")
        for name in ("patience", "pretrain"):
            require(getattr(self, name) >= 0, self, name, "0 or more")
        require(0 <= self.dropout < 1, self, "dropout", "0 or above and below 1")
        if isinstance(self.class_weight, str):
            self._one_of("class_weight", ("auto",), " or a number")
        else:
            require(self.class_weight > 0, self, "class_weight", "above 0")
        self._one_of("context", CONTEXTS)
        self._one_of("cell", CELLS)

    def _one_of(self, name: str, known: Mapping[str, Any] | Sequence[str], more: str = "") -> None:
        value = getattr(self, name)
        if value not in known:
            choices = ", ".join(f"'{one}'" for one in known)
            raise ConfigError(f"{type(self).__name__}: {name} = {value!r} must be {choices}{more}.")

    # The parts

    def coder(self, width: int) -> AutoEncoder | VariationalAutoEncoder:
        """What makes codes of contexts (n, width)."""
        return AutoEncoder(width, self.code, tanh_output=self.tanh_output)

    def recommender(self, products: int) -> Recommender:
        """What scores products of `products` features."""
        return PlainRecommender(self.code, products, self.dropout)

    def network(self, spec: Spec) -> Learned:
        history = spec.history
        if not history:
            raise ConfigError(f"{type(self).__name__} learns from Spec.history, which is empty here.")
        parts = [self._part(name, history) for name in CONTEXTS[self.context]]
        coder, products = self.coder(sum(part.width for part in parts)), history["products"]
        return Learned(parts, coder, self.recommender(products.shape[1]), products, self.patience)

    def _part(self, name: str, history: Mapping[str, np.ndarray]) -> Part:
        if name == "static":
            return Part(history["static"])
        options: dict[str, Any] = {"cell": self.cell, "bidirectional": self.bidirectional}
        if name == "streamer":
            x, streamer = past_orders(history, self.orders)
            classes = max(1, int(history["order_streamers"].max(initial=0)) + 1)
            return Recurrent(NextStreamer(x.shape[2], self.streamer_state, classes, **options), x, streamer)
        x, basket = past_baskets(history, self.baskets)
        return Recurrent(NextBasket(x.shape[2], self.basket_state, x.shape[2], **options), x, basket)

    # A round

    def rank(self, state: State, rng: np.random.Generator, rounds: Sequence[Round]) -> Sequence[Tensor]:
        learned = _learned(state).eval()
        if self.pretrain and not learned.pretrained:
            with torch.enable_grad():
                self._pretrain(learned)
        with torch.set_grad_enabled(self.train_context):
            learned.last = read = learned.read(_users(learned, rounds))
        codes = learned.coder.coded(read.moments.detach()).code
        offered = (learned.products[torch.tensor(round.candidates)] for round in rounds)
        return [learned.recommender.rank(code[None], products) for code, products in zip(codes, offered, strict=True)]

    def learn(self, state: State, rounds: Sequence[Round], shown: Sequence[np.ndarray], rewards: Tensor) -> None:
        assert state.optimizer is not None
        learned = _learned(state).train()
        learned.revealed.add(rewards)
        loss = self._loss(learned, rounds, shown, rewards)
        if not learned.stopping.skip(loss.item()):
            state.optimizer.zero_grad()
            loss.backward()
            state.optimizer.step()

    def _loss(self, learned: Learned, rounds: Sequence[Round], shown: Sequence[np.ndarray], rewards: Tensor) -> Tensor:
        """All parts of the loss of a delivery of feedback."""
        users = _users(learned, rounds)
        with torch.set_grad_enabled(self.train_context):
            read = learned.read(users)
            coded = learned.coder.coded(read.moments)
            loss = read.loss + learned.coder.loss(read.context, coded)
        of = None
        if len(rounds) > 1:
            of = torch.from_numpy(np.repeat(np.arange(len(rounds)), [len(slate) for slate in shown])).to(users.device)
        items = np.concatenate([round.candidates[slate] for round, slate in zip(rounds, shown, strict=True)])
        logits = learned.recommender(coded.code, learned.products[torch.tensor(items)], of)
        weight = learned.revealed.weight() if isinstance(self.class_weight, str) else self.class_weight
        error = binary_cross_entropy_with_logits(logits, rewards, pos_weight=logits.new_tensor(weight))
        return loss + error + self.cost(learned.recommender)

    def cost(self, recommender: Recommender) -> Tensor | float:
        """What the weights of the recommender add to the loss."""
        return 0.0

    def _pretrain(self, learned: Learned) -> None:
        """Train the encoders, then the autoencoder on their states, on what is known of all customers."""
        n, rate = self.pretrain, self.learning_rate
        learned.train()
        for part in learned.parts:
            if isinstance(part, Recurrent):
                x, target = part.values[:-1, :-1], part.target[:-1]
                fit_encoder(part.encoder, x, target, n, BATCHES["encoder"], rate)
        with torch.no_grad():
            context = learned.context(learned.users)
        coder = learned.coder
        for _ in descend(
            coder, lambda part: coder.loss(part, coder.encode(part)), (context,), n, BATCHES["code"], rate
        ):
            pass
        learned.pretrained.fill_(True)
        learned.eval()


@dataclass(frozen=True)
class Blurry(Lers):
    """With a variational autoencoder: codes are samples."""

    weight_eps: float = 1.0  # the noise of a code is multiplied by it, 0 or above
    code_kl: float = 1.0  # weight of the code's KL divergence beside the mean squared error, 0 or above

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("weight_eps", "code_kl"):
            require(getattr(self, name) >= 0, self, name, "0 or above")

    def coder(self, width: int) -> VariationalAutoEncoder:
        return VariationalAutoEncoder(
            width, self.code, weight_eps=self.weight_eps, kl_weight=self.code_kl, tanh_output=self.tanh_output
        )


@dataclass(frozen=True)
class Uncertain(Lers):
    """With a Bayesian recommender, whose scores are those of the most hopeful of `draws` draws of its weights."""

    draws: int = 30  # draws of all weights for a ranking (gamma), 1 or more
    prior: float = 0.1  # standard deviation of the prior of the weights, above 0
    initial_sd: float = 0.05  # standard deviation of the weights at first, above 0
    weights_kl: float = 0.01  # weight of the mean KL divergence of the weights from the prior, 0 or above
    shared_draw: bool = False  # all draws share their weights and differ in dropout alone

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.draws >= 1, self, "draws", "1 or more")
        require(self.prior > 0, self, "prior", "above 0")
        require(self.initial_sd > 0, self, "initial_sd", "above 0")
        require(self.weights_kl >= 0, self, "weights_kl", "0 or above")

    def recommender(self, products: int) -> BayesianRecommender:
        return BayesianRecommender(
            self.code,
            products,
            self.dropout,
            prior=self.prior,
            sd=self.initial_sd,
            draws=self.draws,
            shared_draw=self.shared_draw,
        )

    def cost(self, recommender: Recommender) -> Tensor:
        assert isinstance(recommender, BayesianRecommender)
        return self.weights_kl * recommender.kl()


def _users(learned: Learned, rounds: Sequence[Round]) -> Tensor:
    return torch.tensor([round.user for round in rounds], device=learned.products.device)


def _learned(state: State) -> Learned:
    assert isinstance(state.net, Learned)
    return state.net
