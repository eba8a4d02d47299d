"""Random numbers as a pure function of a key and an index: no hidden state, any order, any thread.

The function is SplitMix64 (Steele, Lea and Flood 2014) read by position instead of in sequence. Keys form a tree:
`fold_in(key, name)` is at once the `name`-th random number of `key` and a key of its own, so that every run, episode
and step has its own stream. Python's integers and compiled uint64 give the same bits (a test holds them together).
"""

import math
from typing import Any

import numpy as np

from pgrad.kernels.jit import both, compiled_as

u8 = np.uint64

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15  # 2⁶⁴ / golden ratio, made odd
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB

# Streams of an episode: children of its key.
RESET_KEY, ACTION_KEY, DYNAMICS_KEY = 0, 1, 2


def fold_in(key: int, index: int) -> int:
    """Return the random 64 bits that `key` holds at `index`, which also serve as a key of their own."""
    z = (int(key) + (int(index) + 1) * GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * MIX_1) & MASK
    z = ((z ^ (z >> 27)) * MIX_2) & MASK
    return z ^ (z >> 31)


@compiled_as(fold_in)
def _fold_in_compiled(key: Any, index: Any) -> Any:
    def compiled(key: Any, index: Any) -> Any:
        z = u8(key) + (u8(index) + u8(1)) * u8(GOLDEN)
        z = (z ^ (z >> u8(30))) * u8(MIX_1)
        z = (z ^ (z >> u8(27))) * u8(MIX_2)
        return z ^ (z >> u8(31))

    return compiled


def unit(bits: int) -> float:
    """Return a float64 in [0, 1) made of the upper 53 of 64 random bits."""
    return (int(bits) >> 11) * 2.0**-53


@compiled_as(unit)
def _unit_compiled(bits: Any) -> Any:
    def compiled(bits: Any) -> Any:
        return np.float64(bits >> u8(11)) * 2.0**-53

    return compiled


@both
def uniform(key: int, index: int, low: float = 0.0, high: float = 1.0) -> float:
    """Return the `index`-th number of `key`, uniform on [low, high)."""
    return low + (high - low) * unit(fold_in(key, index))


@both
def normal(key: int, index: int) -> float:
    """Return the `index`-th number of `key`, normal with mean 0 and variance 1 (Box and Muller 1958)."""
    bits = fold_in(key, index)
    radius = math.sqrt(-2.0 * math.log(1.0 - unit(bits)))
    return radius * math.cos(2.0 * math.pi * unit(fold_in(bits, 0)))
