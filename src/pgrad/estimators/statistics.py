"""Mean and variance, as plain loops: NumPy's reductions take long to compile."""

from typing import Any

import numpy as np

from pgrad.kernels.jit import dense


@dense
def mean(x: Any) -> float:
    """The mean of x [B]; NaN where B = 0."""
    total = 0.0
    for item in x:
        total += item
    return total / x.size if x.size > 0 else np.nan


@dense
def variance(x: Any) -> float:
    """The mean squared deviation of x [B] from its mean."""
    centre, total = mean(x), 0.0
    for item in x:
        total += (item - centre) * (item - centre)
    return total / x.size if x.size > 0 else np.nan


@dense
def variance_of_difference(x: Any, y: Any) -> float:
    """The variance of x - y; both [B]."""
    difference = np.empty(x.size)
    for b in range(x.size):
        difference[b] = x[b] - y[b]
    return variance(difference)
