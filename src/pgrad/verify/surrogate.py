"""What a surrogate multiplies each log-probability by: its derivative by each, by central differences.

A surrogate is Σ_i Σ_t w_it log π(a_it | s_it), whose gradient is the estimate of ∇J. The differences are taken over
steps as long as the log-probabilities themselves, so that float32 is exact enough: on a sum they are exact anyway, and
if the function is no sum, its second differences say so, by each log-probability and by all of them together.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pgrad.errors import EstimatorError
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import EstimatorFunction, Trajectory
from pgrad.verify.parts import Batch
from pgrad.verify.returns import total_return

Ragged = list[list[float]]

STEP = 1.0
STRAIGHT = 1e-4  # relative curvature of a weighted sum: room for float32


def from_surrogate(function: Callable[[Ragged, list[float]], Any]) -> EstimatorFunction:
    """Return the gradient of `function(log_probs, returns) -> number` as an estimator, for `diagnose_estimator`.

    log_probs  log π(a_t | s_t) of each step, a list for each episode; their lengths differ
    returns    each episode's discounted return

    The estimator raises EstimatorError if the function is no weighted sum of the log-probabilities.
    """
    name = getattr(function, "__name__", "the surrogate")

    def estimate(trajectories: list[Trajectory]) -> Floats:
        returns = [float(total_return(one)[0]) for one in trajectories]
        reading = read(lambda log_probs: float(function(log_probs, returns)), log_probs_of(trajectories))
        if reading.curvature > STRAIGHT * max(abs(reading.value), 1.0):
            raise EstimatorError(f"{name} is no weighted sum of the log-probabilities: a surrogate is Σ w log π")
        return gradient(reading, trajectories)

    estimate.__name__ = name
    return estimate


def log_probs_of(trajectories: Batch) -> Ragged:
    """Return log π(a_t | s_t) of each step."""
    return [np.log(one.probabilities[np.arange(len(one)), one.actions]).tolist() for one in trajectories]


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


def gradient(reading: Reading, trajectories: Batch) -> Floats:
    """Return Σ w ∇log π, [P]."""
    return np.asarray(np.concatenate(reading.weights) @ np.concatenate([one.scores for one in trajectories]))


def moved(log_probs: Ragged, i: int, t: int, step: float) -> Ragged:
    """Return the log-probabilities with one of them moved."""
    return [[x + step * (k == i and s == t) for s, x in enumerate(row)] for k, row in enumerate(log_probs)]
