"""Training of LERS's context models on what is known before the stream: what pre-training and the experiments do.

Every experiment is a table: a row an epoch, with the losses on the training and the test part after it. Source: the
livestream study (2022, doi 10.6814/NCCU202201098), sections 4.4 and 4.6.

The seed alone splits the rows, so two settings with one seed are tested on the same customers: compare them in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lersbench.errors import ConfigError
from lersbench.neural.adapter import State, alone, cores_for, device, dtype, tensor
from lersbench.neural.autoencoders import AutoEncoder, VariationalAutoEncoder
from lersbench.neural.descent import Adam
from lersbench.neural.encoders import CELLS, BayesianCell, Encoder, NextBasket, NextStreamer, past_baskets, past_orders
from lersbench.neural.halves import halves
from lersbench.policy import Spec

CODES = {"ae": AutoEncoder, "vae": VariationalAutoEncoder}


def descend(
    module: nn.Module, loss: Callable[..., Tensor], data: tuple[Tensor, ...], n: int, batch: int, learning_rate: float
) -> Iterator[int]:
    """Train by Adam on shuffled batches of the rows of `data`; yields the number of each epoch after it, 1 to n."""
    optimizer = Adam(module.parameters(), learning_rate)
    rows = len(data[0])
    for epoch in range(1, n + 1):
        for chosen in torch.randperm(rows, device=data[0].device).split(batch):
            optimizer.zero_grad()
            loss(*(part[chosen] for part in data)).backward()
            optimizer.step()
        yield epoch


def train_streamer(
    history: Mapping[str, np.ndarray],
    cell: str = "gru",
    bidirectional: bool = False,
    bayesian: bool = False,
    length: int = 5,
    epochs: int = 51,
    batch: int = 32,
    split: float = 0.67,
    seed: int = 0,
    hidden: int = 128,
    learning_rate: float = 0.001,
) -> pd.DataFrame:
    """Learn to predict the streamer of the last order from the `length` orders before it.

    `history` is what `log.history.history_arrays` returns; customers with fewer than length + 1 orders are left out, a
    share `split` of the others is trained on. `cell`: "rnn", "lstm" or "gru". Columns: epoch (from 1), train_loss,
    test_loss (cross-entropy, for a Bayesian cell without the KL term), train_accuracy, test_accuracy (shares).
    """
    x, target = _orders_of(history, length)
    data = _tensors(x, target, length)
    with seeded(seed):
        made = NextStreamer(
            x.shape[2], hidden, int(target.max()) + 1, cell=_cell(cell), bidirectional=bidirectional, bayesian=bayesian
        )
        return _train(made, data, halves(len(x), split, seed), epochs, batch, learning_rate, _accuracy)


def train_basket(
    history: Mapping[str, np.ndarray],
    cell: str = "gru",
    bidirectional: bool = False,
    bayesian: bool = False,
    length: int = 10,
    epochs: int = 11,
    batch: int = 32,
    split: float = 0.67,
    seed: int = 0,
    hidden: int = 256,
    learning_rate: float = 0.001,
) -> pd.DataFrame:
    """Learn to predict the text vector of the last basket from the `length` baskets before it, likewise.

    Columns: epoch, train_loss, test_loss: mean squared errors.
    """
    x, target = _baskets_of(history, length)
    data = _tensors(x, target, length)
    with seeded(seed):
        width = x.shape[2]
        made = NextBasket(width, hidden, width, cell=_cell(cell), bidirectional=bidirectional, bayesian=bayesian)
        return _train(made, data, halves(len(x), split, seed), epochs, batch, learning_rate, None)


def train_code(
    context: np.ndarray,
    kind: str = "ae",
    size: int = 20,
    weight_eps: float = 1.0,
    epochs: int = 30,
    batch: int = 128,
    seed: int = 0,
    split: float = 0.67,
    learning_rate: float = 0.001,
    kl_weight: float = 1.0,
    tanh_output: bool = False,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Learn a code of contexts (n, width) by an autoencoder, plain ("ae") or variational ("vae").

    Returns a table, and the codes (n, size) of all contexts in the end. Columns: epoch; train_loss, test_loss; and
    their parts, train_mse, test_mse, the reconstruction, and train_kl, test_kl, which are 0 for the plain one.
    """
    if kind not in CODES:
        raise ConfigError(f"kind = '{kind}' must be one of {', '.join(CODES)}.")
    options = {"weight_eps": weight_eps, "kl_weight": kl_weight} if kind == "vae" else {}
    with seeded(seed):
        made = CODES[kind](context.shape[1], size, tanh_output=tanh_output, **options).to(device(), dtype())
        x = tensor(context)
        train, test = _on_device(halves(len(x), split, seed))
        rows = []
        for epoch in descend(
            made, lambda part: made.loss(part, made.encode(part)), (x[train],), epochs, batch, learning_rate
        ):
            row: dict[str, float] = {"epoch": epoch}
            with torch.no_grad():
                for name, part in (("train", x[train]), ("test", x[test])):
                    coded = made.encode(part)
                    row[f"{name}_loss"] = float(made.loss(part, coded))
                    row[f"{name}_mse"] = float((made.decoder(coded.code) - part).square().mean())
                    row[f"{name}_kl"] = float(coded.kl)
            rows.append(row)
        with torch.no_grad():
            codes = made.encode(x).code.cpu().numpy()
    return pd.DataFrame(rows), codes


def full_context(
    history: Mapping[str, np.ndarray],
    cell: str = "gru",
    orders: int = 5,
    baskets: int = 10,
    streamer_epochs: int = 51,
    basket_epochs: int = 11,
    batch: int = 32,
    seed: int = 0,
    learning_rate: float = 0.001,
) -> tuple[np.ndarray, np.ndarray]:
    """The context of each customer as of before the last order, and the streamer of that order.

    Returns (users, 256 + 128 + static) as (basket state, streamer state, static), from encoders trained on all
    customers, and the streamers (users,), -1 where unknown.
    """
    x, target = past_orders(history, orders)
    y, basket = past_baskets(history, baskets)
    with seeded(seed):
        streamer = NextStreamer(x.shape[2], 128, max(1, int(target.max()) + 1), cell=_cell(cell)).to(device(), dtype())
        product = NextBasket(y.shape[2], 256, y.shape[2], cell=cell).to(device(), dtype())
        inputs, labels = tensor(x[:, :-1]), torch.from_numpy(target).to(device())
        read = tensor(y[:, :-1])
        fit_encoder(streamer, inputs, labels, streamer_epochs, batch, learning_rate)
        fit_encoder(product, read, tensor(basket), basket_epochs, batch, learning_rate)
        with torch.no_grad():
            states = torch.cat([product(read), streamer(inputs), tensor(history["static"])], 1).cpu().numpy()
    return states, target


def fit_encoder(
    made: Encoder, x: Tensor, target: Tensor, epochs: int, batch: int = 32, learning_rate: float = 0.001
) -> None:
    """Train an encoder on the rows of `x` (n, length, width) that have a target (n, ...)."""
    known = target >= 0 if target.dim() == 1 else (target != 0).any(1)
    if known.any():
        for _ in descend(
            made, _loss_of(made, int(known.sum())), (x[known], target[known]), epochs, batch, learning_rate
        ):
            pass


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers begin at this seed, for this block alone."""
    with alone(State(Spec(1, 1, 1))), cores_for(0):  # batches are small
        torch.manual_seed(seed)
        yield


def _train(
    made: Encoder,
    data: tuple[Tensor, Tensor],
    parts: tuple[np.ndarray, np.ndarray],
    n: int,
    batch: int,
    learning_rate: float,
    measure: Callable[[Tensor, Tensor], float] | None,
) -> pd.DataFrame:
    """Train on the first of two parts of the rows, and report how it goes on both."""
    made.to(device(), dtype())
    x, target = data
    train, test = _on_device(parts)
    rows = []
    shown = {"train": (x[train], target[train]), "test": (x[test], target[test])}
    loss = _loss_of(made, len(train))
    for epoch in descend(made, loss, shown["train"], n, batch, learning_rate):
        row: dict[str, float] = {"epoch": epoch}
        with torch.no_grad():
            for name, (part, wanted) in shown.items():
                guess = made.head(made(part))
                row[f"{name}_loss"] = float(made.loss(guess, wanted))
                if measure:
                    row[f"{name}_accuracy"] = measure(guess, wanted)
        rows.append(row)
    return pd.DataFrame(rows)


def _loss_of(made: Encoder, rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a batch, with its share of the KL divergence of a Bayesian cell."""

    def loss(x: Tensor, target: Tensor) -> Tensor:
        error = made.loss(made.head(made(x)), target)
        return error + made.cell.kl() / rows if isinstance(made.cell, BayesianCell) else error

    return loss


def _accuracy(guess: Tensor, target: Tensor) -> float:
    return float((guess.argmax(1) == target).to(guess.dtype).mean())


def _tensors(x: np.ndarray, target: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
    if len(x) < 2:
        raise ConfigError(f"{len(x)} customers have the {length + 1} orders of a sequence; two or more are needed.")
    wanted = torch.from_numpy(target).to(device()) if target.ndim == 1 else tensor(target)
    return tensor(x), wanted


def _on_device(parts: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor]:
    train, test = (torch.from_numpy(part).to(device()) for part in parts)
    return train, test


def _orders_of(history: Mapping[str, np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, length, s) and (n,): the customers who have the orders of a sequence, and the streamer that follows."""
    x, target = past_orders(history, length, whole=True)
    known = target >= 0
    return x[known, :-1], target[known]


def _baskets_of(history: Mapping[str, np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, length, p) and (n, p), likewise."""
    x, target = past_baskets(history, length, whole=True)
    known = (target != 0).any(1)
    return x[known, :-1], target[known]


def _cell(name: str) -> str:
    if name not in CELLS:
        raise ConfigError(f"cell = '{name}' must be one of {', '.join(CELLS)}.")
    return name
