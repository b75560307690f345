"""Features to a short code: a denoising auto-encoder, principal components, or the features as they are.

The auto-encoder has the layers m-25-10-10-25-m with ReLU on the hidden ones, sees 0.95 x + 0.05 n with n uniform on
[0, 1]^m, and learns to give back the clean x (mean squared error; Vincent et al. 2008). The code is what its second
hidden layer puts out, so it is not negative. The principal components are those about the mean, applied to the features
without taking the mean off: so their code still knows how much of everything there is, as an intercept would.

Either code is multiplied by one number that brings its mean squared length on the earlier days to 1, so the ridge and
the exploration of a bandit mean the same for both.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lersbench.datasets.reduce import signed
from lersbench.errors import ConfigError, RunError

WIDE, CODE = 25, 10
NOISE = 0.05
EPOCHS, BATCH, RATE = 12, 512, 2e-3
LISTS = 10_000  # of the earlier days, at most: more of them take longer and change nothing
SAMPLE = 20_000  # vectors from which the initial weights are made
HELD_OUT = 0.1  # share of the lists on which the loss is only looked at
ALIVE = 1e-6  # variance of a code unit below which it says nothing
TRIES = 5  # other initial weights, where a unit died

Layers = list[tuple[np.ndarray, np.ndarray]]  # weights (in, out) and biases (out,)


class Encoder(NamedTuple):
    """`encode(features (n, C, m)) -> (n, C, width)`, and facts about how it came about."""

    encode: Callable[[np.ndarray], np.ndarray]
    facts: dict[str, Any]


def train(features: np.ndarray, kind: str, seed: int, tick: Callable[[], object] = lambda: None) -> Encoder:
    """Learn to encode from lists (n, C, m) of earlier days; `kind` is "dae", "pca" or "none".

    `tick` is called after every epoch. The same seed gives the same code. Raises ConfigError where the auto-encoder is
    asked for and torch is not installed, RunError where units of the code stay dead whatever the initial weights.
    """
    if kind == "none":
        return Encoder(lambda features: features, {"encoder": "none"})
    if kind == "dae":
        _need_torch()
    features = features[:LISTS]
    x = features.reshape(-1, features.shape[2])
    split = max(int(len(features) * HELD_OUT), 1) * features.shape[1]
    held_out, x = x[:split], x[split:]
    mean, components = _components(x)
    centred = held_out - mean
    linear_loss = float(np.mean((centred - centred @ components @ components.T) ** 2))
    facts: dict[str, Any] = {"encoder": kind, "reconstruction_pca": linear_loss}
    if kind == "pca":
        return _scaled(lambda values: values @ components, held_out, facts)
    for attempt in range(TRIES):
        layers, losses = _train_dae(x, held_out, [seed, attempt], tick)
        variance = _code(layers, held_out).var(axis=0)
        if variance.min() > ALIVE:
            facts |= losses
            facts["reconstruction_dae"] = losses["loss_held_out_clean"][-1]
            facts["initial_weights_tried"] = attempt + 1
            facts["code_variance"] = variance.tolist()
            return _scaled(partial(_code, layers), held_out, facts)
    raise RunError(
        f"{int((variance <= ALIVE).sum())} of the {CODE} units of the auto-encoder's code say the same for every item, "
        f"after {TRIES} tries with different initial weights. Use another seed, or encoder = 'pca'."
    )


def _scaled(encode: Callable[[np.ndarray], np.ndarray], sample: np.ndarray, facts: dict[str, Any]) -> Encoder:
    scale = float(1 / np.sqrt((encode(sample) ** 2).sum(axis=1).mean()))

    def scaled(features: np.ndarray) -> np.ndarray:
        code = encode(features.reshape(-1, features.shape[-1])) * scale
        return code.reshape(*features.shape[:-1], -1)

    return Encoder(scaled, {**facts, "code_scale": scale})


def _components(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (m,) and the first CODE principal components (m, CODE), their signs fixed by `signed`."""
    mean = x.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
    return mean, signed(vectors[:, ::-1][:, :CODE])


def _code(layers: Layers, x: np.ndarray) -> np.ndarray:
    """The second hidden layer after ReLU, (n, CODE)."""
    for weights, bias in layers[:2]:
        x = np.maximum(x @ weights + bias, 0)
    return x


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            "encoder = 'dae' needs PyTorch, which is not installed: make install EXTRAS=neural,test,dev, or "
            "pip install 'lersbench[neural]'; encoder = 'pca' does without."
        )


def _train_dae(
    x: np.ndarray, held_out: np.ndarray, seed: list[int], tick: Callable[[], object]
) -> tuple[Layers, dict[str, list[float]]]:
    """The trained layers, and the loss after each epoch: of training and held out (noisy input), held out clean.

    One thread: the layers are so small that a second one costs more than it brings, and sums keep their order.
    """
    torch: Any = importlib.import_module("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _descend(torch, x, held_out, int(np.random.SeedSequence(seed).generate_state(1)[0]), tick)
    finally:
        torch.set_num_threads(threads)


def _descend(
    torch: Any, x: np.ndarray, held_out: np.ndarray, seed: int, tick: Callable[[], object]
) -> tuple[Layers, dict[str, list[float]]]:
    rng = torch.Generator().manual_seed(seed)
    initial = _start([x.shape[1], WIDE, CODE, CODE, WIDE, x.shape[1]], x[:SAMPLE], np.random.default_rng(seed))
    layers = [tuple(torch.tensor(part, dtype=torch.float32).requires_grad_() for part in layer) for layer in initial]
    clean, unseen = (torch.as_tensor(values, dtype=torch.float32) for values in (x, held_out))
    optimiser = torch.optim.Adam([tensor for layer in layers for tensor in layer], lr=RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    unseen_noisy = _corrupted(torch, unseen, rng)
    losses: dict[str, list[float]] = {"loss_train": [], "loss_held_out": [], "loss_held_out_clean": []}
    for _ in range(EPOCHS):
        total, order = 0.0, torch.randperm(len(clean), generator=rng)
        for start in range(0, len(clean), BATCH):
            batch = clean[order[start : start + BATCH]]
            loss = _loss(torch, layers, _corrupted(torch, batch, rng), batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(batch)
        decay.step()
        losses["loss_train"].append(total / len(clean))
        with torch.no_grad():
            losses["loss_held_out"].append(float(_loss(torch, layers, unseen_noisy, unseen)))
            losses["loss_held_out_clean"].append(float(_loss(torch, layers, unseen, unseen)))
        tick()
    return [(w.detach().numpy().astype(float), b.detach().numpy().astype(float)) for w, b in layers], losses


def _start(widths: list[int], x: np.ndarray, rng: np.random.Generator) -> Layers:
    """Initial layers, near the linear solution: all units at work, where most of random ones die and stay dead.

    A hidden layer takes the principal components of what it is given, as many as it has units, turned at random; a bias
    of one standard deviation lets each unit pass about five of six inputs. The output layer is the least squares fit.
    """
    layers: Layers = []
    wanted = x
    for width in widths[1:-1]:
        _, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
        turn, _ = np.linalg.qr(rng.standard_normal((width, width)))
        weights = vectors[:, ::-1][:, :width] @ turn[: min(width, x.shape[1])]
        out = x @ weights
        bias = out.std(axis=0) - out.mean(axis=0)
        layers.append((weights, bias))
        x = np.maximum(out + bias, 0)
    with_constant = np.column_stack([x, np.ones(len(x))])
    fit = np.linalg.lstsq(with_constant, wanted, rcond=None)[0]
    return [*layers, (fit[:-1], fit[-1])]


def _corrupted(torch: Any, x: Any, rng: Any) -> Any:
    return (1 - NOISE) * x + NOISE * torch.rand(x.shape, generator=rng)


def _loss(torch: Any, layers: Any, given: Any, wanted: Any) -> Any:
    for weights, bias in layers[:-1]:
        given = torch.relu(torch.addmm(bias, given, weights))
    weights, bias = layers[-1]
    return ((torch.addmm(bias, given, weights) - wanted) ** 2).mean()
