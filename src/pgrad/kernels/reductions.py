"""Mean and variance, as plain loops: NumPy's reductions take long to compile.

They reorder their sums, and may let x - x be zero, infinite or not: whether a result is finite is for `strict` code.
"""

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
def row_sum(x: Any, row: int, count: int) -> float:
    """The sum in float64 of the first `count` numbers of a row of x [rows, ≥ count]."""
    total = 0.0
    for b in range(count):
        total += np.float64(x[row, b])
    return total


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
