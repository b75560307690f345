"""Random numbers for networks on a CPU, several times as fast as torch's own: normals, and the coins of dropout.

Torch draws one number after another from a Mersenne Twister, which takes most of the time of a Bayesian layer. Here a
call draws one 64-bit key from torch's generator, so that seeds and saved states stay torch's; the rest of its bits are
SplitMix64 from that key (Steele, Lea and Flood 2014, figure 16), whose numbers do not wait for each other. Normals come
of them by Box and Muller 1958, with NumPy's vectorised logarithm, sine and cosine: 32 bits a number, so at most 6.8
standard deviations from 0 (torch's own have 24 bits, and reach 5.8). Other devices and formats have torch's generator.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lersbench.kernels.jit import kernel

GOLDEN, FIRST, SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
LOW = np.uint64(0xFFFFFFFF)
UNIT = np.float32(2.0**-32)
TURN = np.float32(2.0**-31 * math.pi)


@kernel
def _split(key: int, bits: np.ndarray) -> None:
    """Fill `bits` (n,) uint64 with the n numbers of SplitMix64 that follow the state `key`."""
    state = np.uint64(key)
    for i in range(bits.size):
        z = state + np.uint64(i + 1) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * FIRST
        z = (z ^ (z >> np.uint64(27))) * SECOND
        bits[i] = z ^ (z >> np.uint64(31))


@kernel
def _polar(bits: np.ndarray, u: np.ndarray, angle: np.ndarray) -> None:
    """Of each of `bits` (n,) uint64: `u` (n,) in (0, 1] of its lower half, `angle` (n,) in [0, 2 pi] of its upper."""
    for i in range(bits.size):
        u[i] = (np.float32(np.uint32(bits[i] & LOW)) + np.float32(0.5)) * UNIT
        angle[i] = np.float32(np.uint32(bits[i] >> np.uint64(32))) * TURN


@kernel
def _coins(bits: np.ndarray, limit: int, value: float, out: np.ndarray) -> None:
    """`out` (n,), of which (n + 1) // 2 `bits` are the coins: 0 with probability limit / 2^32, else `value`."""
    kept, least, pairs = np.float32(value), np.uint64(limit), out.size // 2
    for i in range(pairs):
        out[i] = kept if (bits[i] & LOW) >= least else np.float32(0)
    for i in range(pairs, out.size):
        out[i] = kept if (bits[i - pairs] >> np.uint64(32)) >= least else np.float32(0)


def _bits(n: int) -> np.ndarray:
    """(n,) random 64-bit numbers that hang on the state of torch's generator."""
    bits = np.empty(n, np.uint64)
    _split(int(torch.randint(2**63 - 1, ())), bits)
    return bits


def _is_ours(like: Tensor) -> bool:
    return like.device.type == "cpu" and like.dtype == torch.float32


def normals(shape: tuple[int, ...] | torch.Size, like: Tensor) -> Tensor:
    """Independent standard normal numbers of this shape, of the device and number format of `like`."""
    if not _is_ours(like):
        return torch.randn(shape, device=like.device, dtype=like.dtype)
    n = math.prod(shape)
    half = (n + 1) // 2
    radius, angle, made = np.empty(half, np.float32), np.empty(half, np.float32), torch.empty(2 * half)
    _polar(_bits(half), radius, angle)
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    both = made.numpy()
    np.cos(angle, out=both[:half])
    np.sin(angle, out=both[half:])
    both[:half] *= radius
    both[half:] *= radius
    return made[:n].view(shape)


def kept(shape: tuple[int, ...] | torch.Size, rate: float, like: Tensor) -> Tensor:
    """What dropout multiplies by: 0 for a share `rate` of the units, 1 / (1 - rate) for the others."""
    if not _is_ours(like):
        return (torch.rand(shape, device=like.device, dtype=like.dtype) >= rate).to(like.dtype).div_(1 - rate)
    made = torch.empty(shape)
    flat = made.view(-1).numpy()
    _coins(_bits((flat.size + 1) // 2), round(rate * 2**32), 1 / (1 - rate), flat)
    return made
