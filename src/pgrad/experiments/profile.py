"""Performance profiles: at each return, how many seeds are above it."""

import numpy as np
import numpy.typing as npt

from pgrad.experiments.statistics import Floats, clopper_pearson


def performance_profile(returns: npt.ArrayLike, thresholds: npt.ArrayLike) -> Floats:
    """Return the share of seeds whose return is above each threshold, with its interval at each one by itself.

        share(τ) = (number of returns > τ) / S,  with its Clopper–Pearson interval

    A setting is at least as good as another at every quantile where its profile is nowhere below; where profiles cross,
    which is better depends on what is asked for.

    returns     [S], -inf for failed seeds
    thresholds  τ [K]
    returns     [3, K]: share, low, high

    Agarwal et al. (2021), §4.2; rliable gives the same shares, and a bootstrap's interval, of no width at 0 and 1.
    """
    values = np.asarray(returns, dtype=np.float64)
    above = (values[:, None] > np.asarray(thresholds, dtype=np.float64)).sum(axis=0)
    of_count = np.array([clopper_pearson(k, values.size) for k in range(values.size + 1)])
    return np.asarray(of_count[above].T)
