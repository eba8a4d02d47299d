"""The softmax of action preferences, in float64, on plain lists as well: π(a) = exp(h_a / τ) / Σ_k exp(h_k / τ).

Training uses the float32 form over lanes in kernels.softmax; a test compares the two. Sutton and Barto (2018), section
13.1, equation 13.2. Every function raises InputError where its arguments are not real numbers, every preference of a
state is -inf, one is inf or NaN, or the temperature is not positive and finite.
"""

import math

import numpy as np
import numpy.typing as npt

from pgrad.errors import InputError, as_floats

Floats = npt.NDArray[np.float64]


def _scaled(preferences: npt.ArrayLike, temperature: float) -> Floats:
    """Return (h - max h) / τ: subtracting the largest changes no probability, and no exponential can overflow."""
    h = as_floats(preferences, "preferences")
    if h.ndim == 0 or h.shape[-1] == 0:
        raise InputError(f"preferences must have at least one action in their last axis, not shape {h.shape}")
    if np.isnan(h).any() or (h == np.inf).any():
        raise InputError(f"preferences must be finite (or -inf, for probability zero), not {preferences!r}")
    if not (math.isfinite(temperature) and temperature > 0):
        raise InputError(f"temperature must be positive and finite, not {temperature}")
    largest = h.max(axis=-1, keepdims=True)
    if (largest == -np.inf).any():
        raise InputError("at least one preference must be finite: all are -inf")
    return np.asarray((h - largest) / temperature)


def softmax(preferences: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    """Return π(a) = exp(h_a / τ) / Σ_k exp(h_k / τ) over the last axis; [..., A] to [..., A].

    A preference of -inf has probability zero. τ → 0 approaches the greedy choice, τ → ∞ the uniform one.
    Raises InputError for a temperature that is not positive and finite, or if all preferences are -inf.
    """
    weights = np.exp(_scaled(preferences, temperature))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def log_softmax(preferences: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    """Return log π(a), without taking the logarithm of a rounded probability; [..., A] to [..., A]."""
    scaled = _scaled(preferences, temperature)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True)))


def entropy(preferences: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    """Return H(π) = -Σ_a π(a) log π(a) in nats, in [0, log A]; [..., A] to [...]."""
    log_probs = log_softmax(preferences, temperature)
    probabilities = np.exp(log_probs)
    return np.asarray(-np.sum(probabilities * np.where(probabilities > 0, log_probs, 0.0), axis=-1))


def score(preferences: npt.ArrayLike, action: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    """Return ∂ log π(action) / ∂h = (onehot(action) - π) / τ; preferences [..., A] and action [...] to [..., A].

    Each row sums to zero, and so does the mean over actions under π. Sutton and Barto (2018), exercise 13.3.
    """
    probabilities = softmax(preferences, temperature)
    actions = np.asarray(action)
    count = probabilities.shape[-1]
    if actions.dtype.kind not in "iu" or ((actions < 0) | (actions >= count)).any():
        raise InputError(f"actions must be integers in 0 … {count - 1}, not {action!r}")
    return np.asarray((np.eye(count)[actions] - probabilities) / temperature)


def sample(probabilities: npt.ArrayLike, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw one action a row with the given probabilities; [..., A] to [...]."""
    cumulative = np.cumsum(as_floats(probabilities, "probabilities"), axis=-1)
    threshold = rng.random(cumulative.shape[:-1])[..., None] * cumulative[..., -1:]
    return np.asarray((threshold >= cumulative[..., :-1]).sum(axis=-1), dtype=np.int64)
