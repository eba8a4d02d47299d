"""Point estimates and intervals over seeds, as Agarwal et al. (2021) recommend them. NumPy alone: SciPy's statistics
take longer to import than a training run."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LARGE, MOST_DECIMALS = 1e7, 6

Floats = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A statistic and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        width = self.high - self.low
        scale = width if width > 0 else abs(self.value) / 10
        return f"{shown(self.value, scale)} [{shown(self.low, scale)}, {shown(self.high, scale)}]"


def shown(value: float, scale: float | None = None) -> str:
    """A number with two digits of what is `scale` in size, a tenth of the number itself if not given.

    One decimal at least: 96.0, 0.768; and no more digits than one can read: 2.5e+301.
    """
    if abs(value) >= LARGE:
        return f"{value:.4g}"
    size = abs(value) / 10 if scale is None else scale
    digits = 1 - math.floor(math.log10(size)) if 0 < size < math.inf else 1
    return f"{value:.{min(max(digits, 1), MOST_DECIMALS)}f}"


UNKNOWN = Estimate(np.nan, np.nan, np.nan)


def mean(x: Floats) -> Floats:
    """The mean over the last axis."""
    return np.asarray(np.mean(x, axis=-1))


def interquartile_mean(x: Floats) -> Floats:
    """The mean of the middle half over the last axis: ⌊n/4⌋ values are left out at either end."""
    ordered = np.sort(x, axis=-1)
    out = ordered.shape[-1] // 4
    return np.asarray(np.mean(ordered[..., out : ordered.shape[-1] - out], axis=-1))


def bootstrap(
    x: npt.ArrayLike,
    statistic: Callable[[Floats], Floats] = mean,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """A statistic of x [n] with its percentile bootstrap interval (Efron 1979); with n = 1 the interval is NaN.

    statistic maps [..., n] to [...]. The same seed gives the same interval.
    """
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"bootstrap needs a non-empty vector, not shape {values.shape}")
    value = float(statistic(values))
    if values.size == 1:
        return Estimate(value, np.nan, np.nan)
    picks = np.random.default_rng(seed).integers(0, values.size, (resamples, values.size))
    low, high = np.quantile(statistic(values[picks]), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))


def bootstrap_columns(x: npt.ArrayLike, level: float = 0.95, resamples: int = 1000, seed: int = 0) -> Floats:
    """Each column's mean and interval over the rows of x [n, columns]; [3, columns]. Rows are resampled together."""
    rows = np.asarray(x, dtype=np.float64)
    weights = np.random.default_rng(seed).multinomial(
        rows.shape[0], np.full(rows.shape[0], 1 / rows.shape[0]), resamples
    )
    means = weights @ rows / rows.shape[0]
    return np.stack([rows.mean(axis=0), *np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)])
