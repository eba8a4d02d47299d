"""What is said of a setting from its seeds, and of two settings from theirs; a failed seed counts as the worst."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.experiments.statistics import (
    FEW,
    LEVEL,
    UNKNOWN,
    Estimate,
    bootstrap,
    clopper_pearson,
    counted,
    interquartile_mean,
    mean_interval,
    shown,
    unseen,
)

FAILED = -math.inf  # below every return


class OverSeeds(NamedTuple):
    """The statistics of one setting's returns over its seeds.

    n                   seeds, the failed ones among them
    failures            seeds that crashed or whose numbers stopped being finite; none is left out anywhere
    mean                with its interval (`mean_interval`); -inf where a seed failed, as a failure has no return
    median              the middle value, of an even number the mean of the two
    interquartile_mean  with its bootstrap interval, NaN below ten seeds; -inf where over a quarter failed
    worst               the smallest return, -inf of a failure
    solved              seeds that reach the environment's reward threshold; None where it has none
    """

    n: int
    failures: int
    mean: Estimate
    median: float
    interquartile_mean: Estimate
    worst: float
    solved: int | None

    @property
    def order(self) -> tuple[float, ...]:
        """What settings are ranked by, the largest first."""
        return (self.interquartile_mean.value, self.mean.value, self.worst)

    @property
    def share_above(self) -> float:
        """The share of all seeds of which one can be sure, at 95 %, that they reach the worst one: `unseen`."""
        return 1 - unseen(self.n)

    @property
    def solved_share(self) -> Estimate:
        """The share of seeds that solve, with its Clopper–Pearson interval; NaN where there is no threshold."""
        return UNKNOWN if self.solved is None else clopper_pearson(self.solved, self.n)

    def tolerance(self) -> str:
        """Say what the worst seed tells of others."""
        share = f"{math.floor(100 * self.share_above)} % of future seeds"
        if self.failures:
            return f"worst seed failed: with {self.n} seeds, nothing is sure of {share}, at 95 % confidence"
        plural = "s" * (self.n > 1)
        return f"worst seed {shown(self.worst)}: with {self.n} seed{plural}, {share} reach this, at 95 % confidence"

    def cells(self) -> tuple[str, ...]:
        """Return the cells of a table: seeds, failures, interquartile mean, mean, median, worst seed, solved."""
        return (
            str(self.n),
            str(self.failures),
            *(in_table(value) for value in (self.interquartile_mean, self.mean, self.median, self.worst)),
            "" if self.solved is None else counted(self.solved, self.n),
        )


def in_table(value: Estimate | float) -> str:
    """Format a number or an estimate; failed, where it is that of failed seeds."""
    text = str(value) if isinstance(value, Estimate) else shown(value)
    return text.replace("-inf", "failed")


HEADINGS = ("seeds", "failed", "interquartile mean", "mean", "median", "worst", "solved")


def over_seeds(returns: npt.ArrayLike, threshold: float | None = None) -> OverSeeds:
    """Return the statistics of returns [S] over seeds, of which failed ones are -inf (FAILED).

    threshold  the return that counts as solved

    Raises ValueError where there is no seed.
    """
    values = np.asarray(returns, dtype=np.float64)
    failures = int(np.isneginf(values).sum())
    return OverSeeds(
        values.size,
        failures,
        Estimate(FAILED, np.nan, np.nan) if failures else mean_interval(values),
        float(np.median(values)),
        bootstrap(values, interquartile_mean),
        float(values.min()),
        None if threshold is None else int((values >= threshold).sum()),
    )


def probability_of_improvement(x: npt.ArrayLike, y: npt.ArrayLike, level: float = LEVEL) -> Estimate:
    """Return how probable it is that a seed of one setting is better than a seed of another, with its interval.

        θ = P(X > Y) + ½ P(X = Y),  estimated by the share of pairs (x_i, y_j), a tie as one half

        interval: the θ with  |θ̂ - θ| ≤ z √(θ (1 - θ) (1 + k (1 - θ) / (2 - θ) + k θ / (1 + θ)) / nm),
        k = (n + m) / 2 - 1,  z the (1 + level) / 2 quantile of the normal distribution

    0.5 says that neither is better. Where all of x are above all of y the interval is still one, where a bootstrap's
    would be the point 1. Ties make it wider than it need be.

    x, y     returns [n] and [m] of the two settings' seeds, -inf for failed ones
    returns  an Estimate

    Mann and Whitney (1947); Newcombe (2006), "Confidence Intervals for an Effect Size Measure Based on the Mann–Whitney
    Statistic", part 2, method 5. rliable gives the same θ̂, and a bootstrap's interval.
    """
    one, other = np.asarray(x, dtype=np.float64)[:, None], np.asarray(y, dtype=np.float64)[None, :]
    value = float(np.mean((one > other) + 0.5 * (one == other)))
    n, m = one.size, other.size
    k, z = (n + m) / 2 - 1, NormalDist().inv_cdf((1 + level) / 2)

    def excess(theta: float) -> float:
        spread = 1 + k * (1 - theta) / (2 - theta) + k * theta / (1 + theta)
        return (value - theta) ** 2 - z**2 * theta * (1 - theta) * spread / (n * m)

    return Estimate(value, _crossing(excess, 0.0, value), _crossing(excess, 1.0, value))


def _crossing(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Return where, between an end of [0, 1] and the estimate, `excess` is zero, by bisection."""
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if excess(middle) > 0 else (outside, middle)
    return inside


def trust(n: int) -> str | None:
    """Say that intervals over so few seeds cannot be trusted, if that is so."""
    if n >= FEW:
        return None
    plural = "s" * (n > 1)
    return (
        f"with {n} seed{plural} no interval can be trusted, and interquartile means have none: take {FEW} or more, "
        "better 30"
    )


def best_of(statistics: Sequence[OverSeeds]) -> int:
    """Return which has the largest interquartile mean; of equal ones the larger mean, the better worst, the first."""
    return max(range(len(statistics)), key=lambda k: (*statistics[k].order, -k))
