"""What a function multiplies each log-probability by: its derivative by each, by central differences.

An estimate of the gradient is Σ_i Σ_t w_it log π(a_it | s_it). The differences are taken over steps as long as the
log-probabilities themselves, so that float32 is exact enough: on a sum they are exact anyway, and if the function is no
sum, its second differences say so, by each log-probability and by all of them together.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats

Ragged = list[list[float]]

STEP = 1.0


class Reading(NamedTuple):
    """A function read at one batch of log-probabilities."""

    value: float
    weights: list[Floats]  # w_it for each step of each episode
    curvature: float  # the largest second difference, in units of the value: 0 if it is a weighted sum
    constant: float  # what is left of the value without the weighted sum


def read(function: Callable[[Ragged], float], log_probs: Ragged) -> Reading:
    """Return the function's weights at these log-probabilities."""
    value, weights = function(log_probs), list[Floats]()
    together = [function([[x + step for x in row] for row in log_probs]) for step in (STEP, -STEP)]
    curvature = abs(sum(together) - 2 * value)
    for i, row in enumerate(log_probs):
        up, down = (
            np.array([function(moved(log_probs, i, t, step)) for t in range(len(row))]) for step in (STEP, -STEP)
        )
        weights.append((up - down) / (2 * STEP))
        curvature = max(curvature, float(np.abs(up - 2 * value + down).max()))
    linear = sum(float(w @ row) for w, row in zip(weights, log_probs, strict=True))
    return Reading(value, weights, curvature, value - linear)


def moved(log_probs: Ragged, i: int, t: int, step: float) -> Ragged:
    """Return the log-probabilities with one of them moved."""
    return [[x + step * (k == i and s == t) for s, x in enumerate(row)] for k, row in enumerate(log_probs)]
