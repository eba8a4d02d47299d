"""Ranges that numbers are drawn from: `1e-4..1e-2` is log-uniform, as it spans a factor of ten, others uniform."""

import math
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from pgrad.config.settings import checked
from pgrad.errors import ConfigError

DECADE = 10.0  # a range as wide as this is log-uniform
DIGITS = 3  # of a drawn number: settings are for people to read


class Between(NamedTuple):
    """A number in low … high, uniform or log-uniform."""

    low: float
    high: float
    integer: bool

    @property
    def logarithmic(self) -> bool:
        """True if it is the logarithm that is uniform."""
        return self.low > 0 and self.high >= DECADE * self.low

    def draw(self, rng: np.random.Generator) -> float | int:
        """Return a number, rounded to DIGITS digits, or an integer."""
        if self.logarithmic:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = rng.uniform(self.low, self.high)
        rounded = round(value) if self.integer else float(f"{value:.{DIGITS}g}")
        return min(max(rounded, self.low), self.high)

    def to_json(self) -> Any:
        """Return what `domain` reads back."""
        return f"{self.low!r}..{self.high!r}"


def between(name: str, text: str) -> Between:
    """Return the range of a setting that text like 1e-4..1e-2 gives; raise ConfigError where it gives none."""
    low, high = (checked(name, end.strip()) for end in text.split(".."))
    if isinstance(low, bool) or not isinstance(low, int | float) or not isinstance(high, int | float):
        raise ConfigError([f"{name} has no range like {text}: give choices, such as a|b"])
    if not low < high:
        raise ConfigError([f"{name}: the range {text} must rise"])
    return Between(low, high, isinstance(low, int) and isinstance(high, int))


def random_of(seed: int, index: int, attempt: int, name: str) -> np.random.Generator:
    """Return the random numbers of one setting of a trial."""
    return np.random.default_rng([seed, index, attempt, crc32(name.encode())])
