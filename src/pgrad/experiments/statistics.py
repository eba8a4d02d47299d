"""Point estimates and intervals over few seeds, as Agarwal et al. (2021) recommend them.

NumPy alone: for two quantiles, SciPy would add 140 MB to an installation, and its statistics take longer to import
(0.8 s) than a training run.
"""

import functools
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

LARGE, MOST_DECIMALS = 1e7, 6
NEGLIGIBLE = 1e-5  # width of an interval in units of its value, below which it says nothing of how many digits count
QUARTERS = 4  # fewer values have no middle half
FEW = 10  # fewer values say too little of their distribution to be resampled
LEVEL = 0.95
RESAMPLES = 2000
WINDOW = 50  # episodes in the running mean

Floats = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A statistic and its interval, of NaN where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.low):
            return shown(self.value)
        width, size = self.high - self.low, abs(self.value)
        scale = width if width > NEGLIGIBLE * size else size / 10
        return f"{shown(self.value, scale)} [{shown(self.low, scale)}, {shown(self.high, scale)}]"


def shown(value: float, scale: float | None = None) -> str:
    """Format a number with two digits of what is `scale` in size, a tenth of the number itself if not given.

    One decimal at least: 96.0, 0.768; and no more digits than one can read: 2.5e+301.
    """
    if abs(value) >= LARGE:
        return f"{value:.4g}"
    size = abs(value) / 10 if scale is None else scale
    digits = 1 - math.floor(math.log10(size)) if 0 < size < math.inf else 1
    return f"{value:.{min(max(digits, 1), MOST_DECIMALS)}f}"


UNKNOWN = Estimate(np.nan, np.nan, np.nan)


def running_mean(returns: Floats, window: int = WINDOW) -> Floats:
    """Return the mean of the last `window` returns at each episode, of fewer at the beginning."""
    sums = np.cumsum(np.concatenate([[0.0], returns]))
    ends = np.arange(1, returns.size + 1)
    begins = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins))


def mean(x: Floats) -> Floats:
    """Return the mean over the last axis."""
    return np.asarray(np.mean(x, axis=-1))


def interquartile_mean(x: Floats) -> Floats:
    """Return the mean of the middle half over the last axis, the 25 % trimmed mean.

        IQM(x) = mean of the sorted x without the ⌊n/4⌋ smallest and the ⌊n/4⌋ largest values

    A few lucky or failed seeds move it less than the mean, and it needs fewer seeds than the median for the same
    precision. With n < 4 it is the mean.

    x        values [..., n]
    returns  [...]

    Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice", §4.3. rliable leaves
    out scipy.stats.trim_mean's ⌊n/4⌋ as well.
    """
    ordered = np.sort(x, axis=-1)
    out = ordered.shape[-1] // QUARTERS
    return np.asarray(np.mean(ordered[..., out : ordered.shape[-1] - out], axis=-1))


def mean_interval(x: npt.ArrayLike, level: float = LEVEL, seed: int = 0) -> Estimate:
    """Return the mean of x [n] with an interval that holds for few values too.

        n < 10:  mean ± t · s / √n,  t the (1 + level) / 2 quantile of Student's t with n - 1 degrees of freedom
        n ≥ 10:  `bootstrap`

    The first is exact for normal values and may reach past the largest return there is; the second never does.
    docs/results.md has the coverage of both. No interval of either kind knows of failures that x has no example of:
    `unseen` says how common these may be.

    x        values [n], such as the mean return of each seed
    level    the probability that the interval covers the true mean
    seed     of the resamples
    returns  an Estimate; with n = 1 its interval is NaN

    Raises ValueError where x is no vector or empty. Student (1908), "The Probable Error of a Mean".
    """
    values = _vector(x)
    if values.size >= FEW or values.size == 1:
        return bootstrap(values, mean, level, seed=seed)
    half = student_t(level, values.size - 1) * float(values.std(ddof=1)) / math.sqrt(values.size)
    value = float(values.mean())
    return Estimate(value, value - half, value + half)


def interval_name(n: int, things: str) -> str:
    """Name the interval that `mean_interval` gives for n values, and say what it is worth."""
    if n == 1:
        return f"no interval over 1 {things.removesuffix('s')}: two or more would show how they differ"
    kind = f"Student's t over {n} {things}, exact for normal returns" if n < FEW else f"bootstrap over {n} {things}"
    return f"nominal 95 %, {kind}; may miss what {100 * unseen(n):.2g} % of {things} do"


def unseen(n: int) -> float:
    """Return how large a part of all there are n draws may have missed.

        u = 1 − (1 − level)^(1/n),  so that with probability 1 − level no draw is among a part of size u

    Of 3 seeds 63 %, of 30 seeds 10 %: if fewer fail, there may be no failure among the seeds, and then none is in
    their interval. Hanley and Lippman-Hand (1983), "If Nothing Goes Wrong, Is Everything All Right?", the rule of
    three: u ≈ 3 / n.
    """
    return float(1 - (1 - LEVEL) ** (1 / n))


def clopper_pearson(successes: int, n: int, level: float = LEVEL) -> Estimate:
    """Return the share of successes with its exact interval, which covers at least as often as it says.

        [p₁, p₂]  with  P(X ≥ successes | p₁) = P(X ≤ successes | p₂) = (1 − level) / 2,  X binomial of n and p

    p₁ is 0 without a success, p₂ is 1 without a failure. Quantiles of beta distributions; here by bisection. Clopper
    and Pearson (1934), "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial".
    """
    low = _least_share(successes, n, (1 - level) / 2)
    return Estimate(successes / n, low, 1 - _least_share(n - successes, n, (1 - level) / 2))


def _least_share(successes: int, n: int, tail: float) -> float:
    """Return the p with P(X ≥ successes | p) = tail; 0 without a success."""
    if successes == 0:
        return 0.0
    counts = range(successes, n + 1)
    ways = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in counts]
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        logs = (way + k * math.log(p) + (n - k) * math.log1p(-p) for way, k in zip(ways, counts, strict=True))
        low, high = (p, high) if sum(map(math.exp, logs)) < tail else (low, p)
    return low


def counted(successes: int, n: int) -> str:
    """Format a count with the Clopper–Pearson interval of its share: 29 of 30 [82.8 %, 99.9 %]."""
    low, high = (f"{100 * end:.3g} %" for end in clopper_pearson(successes, n)[1:])
    return f"{successes} of {n} [{low}, {high}]"


def bootstrap(
    x: npt.ArrayLike,
    statistic: Callable[[Floats], Floats] = mean,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return a statistic of x [n] with its expanded percentile bootstrap interval.

        [q(α), q(1 - α)],  q the quantiles of the statistic over resamples of x,  α = Φ(-√(n / (n - 1)) · t)

    with t as in `mean_interval`. The plain percentile interval (α = (1 - level) / 2; Efron 1979) is too narrow for few
    values: resamples vary by the biased variance, s² (n - 1) / n, and normal quantiles are taken for Student's.
    Expanded, the interval of a mean is as wide as Student's, but follows the skew of x and stays within its range.

    x          values [n]
    statistic  maps [..., n] to [...]
    level      the probability that the interval covers the true statistic
    resamples  how many, each of n values drawn from x with replacement
    seed       of the resamples: the same seed gives the same interval
    returns    an Estimate; with n < 10 its interval is NaN, as so few values cannot stand for their distribution

    A value may be -inf, which is below all others, such as a failed seed's.

    Raises ValueError where x is no vector or empty. Efron (1979), "Bootstrap Methods: Another Look at the Jackknife";
    Hesterberg (2015), "What Teachers Should Know About the Bootstrap", §3.3.
    """
    values = _vector(x)
    value = float(statistic(values))
    if values.size < FEW:
        return Estimate(value, np.nan, np.nan)
    picks = np.random.default_rng(seed).integers(0, values.size, (resamples, values.size))
    tail = expanded_tail(level, values.size)
    method: Any = "linear" if np.isfinite(values).all() else "inverted_cdf"  # nothing lies between -inf and a number
    low, high = np.quantile(statistic(values[picks]), [tail, 1 - tail], method=method)
    return Estimate(value, float(low), float(high))


def mean_interval_of_columns(x: npt.ArrayLike, level: float = LEVEL, seed: int = 0) -> Floats:
    """Return `mean_interval` of each column of x [n, columns] as [3, columns]; rows are resampled together.

    With n = 1 the interval is the point itself, as there is nothing to draw then.
    """
    rows = np.asarray(x, dtype=np.float64)
    n, value = rows.shape[0], rows.mean(axis=0)
    if n < FEW:
        half = student_t(level, n - 1) * rows.std(axis=0, ddof=1) / math.sqrt(n) if n > 1 else np.zeros_like(value)
        return np.stack([value, value - half, value + half])
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    tail = expanded_tail(level, n)
    return np.stack([value, *np.quantile(weights @ rows / n, [tail, 1 - tail], axis=0)])


def beyond_chance(x: npt.ArrayLike, y: npt.ArrayLike, level: float = LEVEL) -> bool:
    """Return whether the mean of x [n] is larger than that of y [m] by more than their standard errors explain.

        x̄ - ȳ > t √(s_x² / n + s_y² / m),  t the (1 + level) / 2 quantile of Student's t, min(n, m) - 1 degrees

    Welch (1938), with the fewest degrees of freedom that his may have: wrong at most as often as it says. False for
    fewer than two values.
    """
    one, other = _vector(x), _vector(y)
    fewest = min(one.size, other.size)
    if fewest < 2:
        return False
    error = math.sqrt(float(one.var(ddof=1)) / one.size + float(other.var(ddof=1)) / other.size)
    return float(one.mean() - other.mean()) > student_t(level, fewest - 1) * error


def expanded_tail(level: float, n: int) -> float:
    """Return the α of the expanded percentile interval of n values, see `bootstrap`."""
    return NormalDist().cdf(-math.sqrt(n / (n - 1)) * student_t(level, n - 1))


@functools.cache
def student_t(level: float, degrees: int) -> float:
    """Return t with P(|T| ≤ t) = level for Student's T with so many degrees of freedom.

        odd:   P = 2/π · (θ + sin θ · Σ_k c_k cos^{2k+1} θ),  c_k = Π_{j≤k} 2j / (2j + 1)
        even:  P = sin θ · Σ_k c_k cos^{2k} θ,                c_k = Π_{j≤k} (2j - 1) / 2j

    with θ = arctan(t / √degrees) and the sums over exponents up to degrees - 2; inverted by bisection. Abramowitz and
    Stegun (1964), 26.7.3 and 26.7.4. Above 10,000 degrees t is that of 10,000, which is 1 in 10,000 too large.
    """
    degrees = min(degrees, 10_000)
    odd = degrees % 2
    divisors = np.arange(2 + odd, degrees, 2)
    coefficients = np.cumprod(np.concatenate([[1.0], (divisors - 1) / divisors]))[: (degrees - odd) // 2]
    powers = 2 * np.arange(coefficients.size) + odd
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        theta = (low + high) / 2
        series = math.sin(theta) * float(coefficients @ math.cos(theta) ** powers)
        within = 2 / math.pi * (theta + series) if odd else series
        low, high = (theta, high) if within < level else (low, theta)
    return math.sqrt(degrees) * math.tan(low)


def _vector(x: npt.ArrayLike) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"the interval of a statistic needs a non-empty vector, not shape {values.shape}")
    return values
