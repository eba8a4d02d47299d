"""How far numbers are from having mean zero or being uniform, in standard errors; and whether any occur twice."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.exact.mdp import Floats

Array = npt.NDArray[Any]

CELLS = 64  # of a chi-squared test


def sum_z(numbers: Floats) -> float:
    """Return the largest |Σ_b x_b| / √Σ_b x_b² over rows of numbers [F, B] that should have mean zero."""
    return product_z(numbers, np.ones((1, numbers.shape[1])))


def product_z(x: Floats, y: Floats) -> float:
    """Return the largest |Σ_b x_ib y_jb| / √Σ_b (x_ib y_jb)² over rows i and j; columns with NaN are left out."""
    known = np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0)
    x, y = x[:, known], y[:, known]
    return float((np.abs(x @ y.T) / np.sqrt(x**2 @ (y**2).T + 1e-12)).max())


def chi_squared_z(number: Floats) -> float:
    """Return how far numbers are from uniform on [0, 1), by a chi-squared test.

    In standard errors of a normal number (Wilson and Hilferty 1931).
    """
    counts = np.histogram(number, CELLS, (0.0, 1.0))[0]
    expected, freedom = number.size / CELLS, CELLS - 1
    statistic = ((counts - expected) ** 2).sum() / expected
    spread = 2 / (9 * freedom)
    return float(((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def repeated(rows: Array) -> int:
    """Return how many rows [R, ...] equal an earlier one."""
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    return len(flat) - len({row.tobytes() for row in flat})
