"""Distributions over actions as Python sees them, made of a network's outputs, in float64.

Training samples and differentiates the float32 forms over lanes in kernels.heads; tests compare the two. Every method
works on a batch: outputs [N, ...] to N actions, log-probabilities and entropies.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pgrad.errors import InputError
from pgrad.kernels.gaussian import LOG_STD_HIGH, LOG_STD_LOW
from pgrad.policies import softmax
from pgrad.spaces import Box, Discrete, Space, actions_in_words

Floats = npt.NDArray[np.float64]

STATE_INDEPENDENT, STATE_DEPENDENT = "state-independent", "state-dependent"
STDS = (STATE_INDEPENDENT, STATE_DEPENDENT)

NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(64)  # E[f(z)], z standard normal, is Σ weight f(node)
NODE_WEIGHTS = NODE_WEIGHTS / math.sqrt(2 * math.pi)


def num_outputs(actions: Space, std: str) -> int:
    """Return how many outputs a network needs: a logit for each choice, or μ (and log σ) for each continuous number."""
    if isinstance(actions, Box):
        return actions.flat_size * (2 if std == STATE_DEPENDENT else 1)
    return sum(actions.counts)


def num_extra(actions: Space, std: str) -> int:
    """Return the number of parameters beside the network's layers: each log σ that does not depend on the state."""
    return actions.flat_size if isinstance(actions, Box) and std == STATE_INDEPENDENT else 0


def require_bounds(actions: Box) -> None:
    """Raise InputError if actions cannot be squashed to their bounds."""
    if not actions.bounded:
        raise InputError(f"only actions with finite bounds can be squashed to them, not {actions_in_words(actions)}")


class Distribution(Protocol):
    """π(· | s) for a batch of N states."""

    def sample(self, rng: np.random.Generator) -> npt.NDArray[Any]:
        """Draw an action for each state, as the environment takes it."""

    def mode(self) -> npt.NDArray[Any]:
        """Return the most probable actions; continuous ones at the mean."""

    def log_prob(self, action: npt.NDArray[Any]) -> Floats:
        """Return log π(action | s), [N]."""

    def entropy(self) -> Floats:
        """Return H(π(· | s)) in nats, [N]."""


@dataclass(frozen=True)
class CategoricalDistribution:
    """One discrete action: π(a) = softmax(logits / τ)."""

    logits: Floats  # [N, A]; -inf for a forbidden action
    temperature: float

    def probabilities(self) -> Floats:
        """Return π, [N, A]."""
        return softmax.softmax(self.logits, self.temperature)

    def sample(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw [N] integers."""
        return softmax.sample(self.probabilities(), rng)

    def mode(self) -> npt.NDArray[np.int64]:
        """Return [N] integers."""
        return np.asarray(self.logits.argmax(axis=-1), np.int64)

    def log_prob(self, action: npt.NDArray[Any]) -> Floats:
        """Return log π of action [N]."""
        log_probs = softmax.log_softmax(self.logits, self.temperature)
        return np.asarray(np.take_along_axis(log_probs, action[..., None], axis=-1)[..., 0])

    def entropy(self) -> Floats:
        """Return the exact entropy."""
        return softmax.entropy(self.logits, self.temperature)


@dataclass(frozen=True)
class MultiCategoricalDistribution:
    """A multi-discrete action: independent softmaxes side by side."""

    parts: tuple[CategoricalDistribution, ...]

    def sample(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw [N, D] integers."""
        return np.stack([part.sample(rng) for part in self.parts], axis=-1)

    def mode(self) -> npt.NDArray[np.int64]:
        """Return [N, D] integers."""
        return np.stack([part.mode() for part in self.parts], axis=-1)

    def log_prob(self, action: npt.NDArray[Any]) -> Floats:
        """Return log π of action [N, D], the sum over its parts."""
        return np.asarray(sum(part.log_prob(action[..., d]) for d, part in enumerate(self.parts)))

    def entropy(self) -> Floats:
        """Return the sum of the parts' entropies."""
        return np.asarray(sum(part.entropy() for part in self.parts))


@dataclass(frozen=True)
class GaussianDistribution:
    """A continuous action: u ~ N(μ, σ²) in each component, clipped to the bounds or squashed into them by tanh."""

    mean: Floats  # [N, D]
    log_std: Floats  # [N, D]
    bounds: Box
    squash: bool

    @property
    def half_range(self) -> Floats:
        """(high - low) / 2, [D]."""
        return np.asarray((np.array(self.bounds.high) - np.array(self.bounds.low)) / 2)

    def within(self, u: Floats) -> Floats:
        """Return the actions that the environment gets for samples u [N, D]."""
        if self.squash:
            return np.asarray(np.array(self.bounds.low) + self.half_range * (1 + np.tanh(u)))
        return np.asarray(np.clip(u, self.bounds.low, self.bounds.high))

    def sample(self, rng: np.random.Generator) -> Floats:
        """Draw [N, D] within the bounds."""
        return self.within(self.mean + np.exp(self.log_std) * rng.standard_normal(self.mean.shape))

    def mode(self) -> Floats:
        """Return the action at the mean, [N, D]."""
        return self.within(self.mean)

    def log_prob_drawn(self, u: npt.NDArray[Any]) -> Floats:
        """Return log N(u; μ, σ²), [N]: the density of u [N, D] before it is clipped or squashed."""
        z = (u - self.mean) * np.exp(-self.log_std)
        return np.asarray((-0.5 * z * z - self.log_std - 0.5 * math.log(2 * math.pi)).sum(axis=-1))

    def log_prob(self, action: npt.NDArray[Any]) -> Floats:
        """Return the log density of action [N, D].

        Squashed: log N(u) - Σ log |da/du|, and -inf at the bounds and outside. Clipped: log N(u) with u = action, which
        is the density inside the bounds only.
        """
        if not self.squash:
            return self.log_prob_drawn(action)
        centred = (np.asarray(action, np.float64) - np.array(self.bounds.low)) / self.half_range - 1
        inside = (np.abs(centred) < 1).all(axis=-1)
        u = np.arctanh(np.where(np.abs(centred) < 1, centred, 0.0))
        slope = np.log(self.half_range) + _log_slope(u)
        return np.asarray(np.where(inside, self.log_prob_drawn(u) - slope.sum(axis=-1), -np.inf))

    def entropy(self) -> Floats:
        """Return the entropy of u, exactly; squashed, of the action, by quadrature. Both are the mean of -log_prob.

        (In training it is that of tanh u, estimated by samples: without the constant Σ log half_range.)
        """
        entropy = self.log_std + 0.5 * math.log(2 * math.pi * math.e)
        if self.squash:
            u = self.mean[..., None] + np.exp(self.log_std)[..., None] * NODES
            entropy = entropy + _log_slope(u) @ NODE_WEIGHTS + np.log(self.half_range)
        return np.asarray(entropy.sum(axis=-1))


def _log_slope(u: Floats) -> Floats:
    """Return log (1 - tanh² u) for any u."""
    return np.asarray(2 * (math.log(2) - np.abs(u) - np.log1p(np.exp(-2 * np.abs(u)))))


def distribution_of(
    outputs: Floats,
    actions: Space,
    temperature: float = 1.0,
    log_std: npt.NDArray[Any] | None = None,
    squash: bool = False,
    mask: npt.ArrayLike | None = None,
) -> Distribution:
    """Return the distribution that outputs [N, ...] describe.

    log_std [D] is given if the outputs do not hold it; mask [N, Σ counts] is true for allowed actions.
    """
    if isinstance(actions, Box):
        if log_std is None:
            outputs, log_std = np.split(outputs, 2, axis=-1)
            log_std = np.clip(log_std, LOG_STD_LOW, LOG_STD_HIGH)
        log_std = np.broadcast_to(log_std, outputs.shape).astype(np.float64)
        return GaussianDistribution(outputs, log_std, actions, squash)
    if mask is not None:
        outputs = np.where(_checked_mask(mask, outputs.shape), outputs, -np.inf)
    if isinstance(actions, Discrete):
        return CategoricalDistribution(outputs, temperature)
    parts = np.split(outputs, np.cumsum(actions.counts)[:-1], axis=-1)
    return MultiCategoricalDistribution(tuple(CategoricalDistribution(part, temperature) for part in parts))


def _checked_mask(mask: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    allowed = np.asarray(mask, dtype=np.bool_)
    if allowed.shape not in (shape, shape[-1:]):
        raise InputError(f"a mask of the allowed actions must have shape {shape}, not {allowed.shape}")
    return np.broadcast_to(allowed, shape)


def checked_actions(action: npt.ArrayLike, actions: Space, batch: int) -> npt.NDArray[Any]:
    """Return actions as an array of `batch` of them; raise InputError if they are not in this space."""
    array = np.asarray(action)
    parts = actions.flat_size if isinstance(actions, Box) else len(actions.counts)
    wanted = (batch,) if isinstance(actions, Discrete) else (batch, parts)
    try:
        array = array.reshape(wanted)
    except ValueError:
        raise InputError(f"actions must have shape {wanted}, not {array.shape}") from None
    if not isinstance(actions, Box) and (
        array.dtype.kind not in "iu" or ((array < 0) | (array >= np.array(actions.counts))).any()
    ):
        counts = " × ".join(map(str, actions.counts))
        raise InputError(f"actions must be integers from 0 on, below {counts}, not {action!r}")
    return array
