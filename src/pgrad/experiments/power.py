"""How many seeds it takes to tell two settings apart."""

import math
from statistics import NormalDist

from pgrad.experiments.statistics import LEVEL

POWER = 0.8


def seeds_to_tell(improvement: float, level: float = LEVEL, power: float = POWER) -> float:
    """Return how many seeds each of two settings needs, so that the interval of P(X > Y) most likely leaves out ½.

        n = (z_α + z_β)² / (6 (θ − ½)²),  rounded up

    with θ the true probability of improvement, z_α and z_β the normal quantiles of (1 + level) / 2 and of power. If
    θ is what a few seeds have estimated it to be, n is as uncertain: it says how many seeds to begin with, and nothing
    of what has been found.

    improvement  θ in [0, 1]
    returns      n, infinite where θ = ½: equals are never told apart

    Noether (1987), "Sample Size Determination for Some Common Nonparametric Tests", equation 2.
    """
    if improvement == 0.5:
        return math.inf
    quantiles = NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(power)
    return math.ceil(quantiles**2 / (6 * (improvement - 0.5) ** 2))
