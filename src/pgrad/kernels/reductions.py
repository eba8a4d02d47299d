"""Mean and variance as plain loops: NumPy's reductions take long to compile.

Their sums are reordered, and LLVM may take x - x for zero even if x is infinite or NaN: whether a result is finite is
for `strict` code to ask.
"""

from typing import Any

import numpy as np

from pgrad.kernels.jit import dense


@dense
def mean(x: Any) -> float:
    """Return the mean of x [B]; NaN if B = 0."""
    total = 0.0
    for item in x:
        total += item
    return total / x.size if x.size > 0 else np.nan


@dense
def row_sum(x: Any, row: int, count: int) -> float:
    """Return the sum in float64 of the first `count` numbers of a row of x [rows, ≥ count]."""
    total = 0.0
    for b in range(count):
        total += np.float64(x[row, b])
    return total


@dense
def variance(x: Any) -> float:
    """Return the mean squared deviation of x [B] from its mean; NaN if B = 0."""
    centre, total = mean(x), 0.0
    for item in x:
        total += (item - centre) * (item - centre)
    return total / x.size if x.size > 0 else np.nan


@dense
def variance_of_difference(x: Any, y: Any) -> float:
    """Return the variance of x - y; both [B]."""
    difference = np.empty(x.size)
    for b in range(x.size):
        difference[b] = x[b] - y[b]
    return variance(difference)
