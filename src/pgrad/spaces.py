"""Observation and action spaces in plain numbers: Gymnasium's, without importing Gymnasium."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from pgrad.errors import EnvError


@dataclass(frozen=True)
class Discrete:
    """An integer 0 … n - 1. As an observation, the policy sees it one-hot."""

    n: int

    def __post_init__(self) -> None:
        if not isinstance(self.n, int) or self.n < 1:
            raise EnvError(f"Discrete(n) needs a positive integer, not {self.n!r}")

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of choices of each component."""
        return (self.n,)

    @property
    def flat_size(self) -> int:
        """How many numbers the policy sees of an observation."""
        return self.n


@dataclass(frozen=True)
class MultiDiscrete:
    """Several integers at once, the d-th in 0 … counts[d] - 1. MultiBinary is counts of two."""

    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", tuple(self.counts))
        if not self.counts or not all(isinstance(count, int) and count >= 1 for count in self.counts):
            raise EnvError(f"MultiDiscrete(counts) needs positive integers, not {self.counts!r}")

    @property
    def flat_size(self) -> int:
        """How many numbers the policy sees of an observation: each component one-hot."""
        return sum(self.counts)


@dataclass(frozen=True, init=False)
class Box:
    """D real numbers, the d-th in low[d] … high[d]; bounds may be infinite."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __init__(self, low: float | Sequence[float], high: float | Sequence[float], size: int | None = None) -> None:
        """Take bounds as one number for all `size` components (default 1), or one for each."""
        sizes = {len(bound) for bound in (low, high) if isinstance(bound, Sequence)} | ({size} if size else set())
        if len(sizes) > 1:
            raise EnvError(f"Box(low, high, size) disagrees about its size: {sorted(sizes)}")
        count = sizes.pop() if sizes else 1
        lows, highs = (
            tuple(map(float, bound if isinstance(bound, Sequence) else repeat(bound, count))) for bound in (low, high)
        )
        if not lows or not all(a <= b for a, b in zip(lows, highs, strict=True)):
            raise EnvError(f"Box(low, high) needs at least one number and low ≤ high, not {lows} and {highs}")
        object.__setattr__(self, "low", lows)
        object.__setattr__(self, "high", highs)

    @property
    def flat_size(self) -> int:
        """D."""
        return len(self.low)

    @property
    def bounded(self) -> bool:
        """True if all bounds are finite."""
        return all(map(math.isfinite, (*self.low, *self.high)))

    def __str__(self) -> str:
        """Return a short form, with the outermost bounds if they differ."""
        numbers = "number" if self.flat_size == 1 else "numbers"
        return f"Box of {self.flat_size} {numbers} in [{min(self.low):g}, {max(self.high):g}]"


Space = Discrete | MultiDiscrete | Box


def actions_in_words(space: Space) -> str:
    """Return an action space in words: 2 actions, 3 × 2 actions, 1 continuous action in [-2, 2]."""
    if isinstance(space, Box):
        plural = "s" if space.flat_size > 1 else ""
        return f"{space.flat_size} continuous action{plural} in [{min(space.low):g}, {max(space.high):g}]"
    return f"{' × '.join(map(str, space.counts))} actions"
