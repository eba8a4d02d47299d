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
from pgrad.kernels.gaussian import LOG_STD_HIGH, LOG_STD_LOW, Bound, bound_of
from pgrad.kernels.special import gamma_functions
from pgrad.policies import softmax
from pgrad.spaces import Box, Discrete, Space, actions_in_words

Floats = npt.NDArray[np.float64]

STATE_INDEPENDENT, STATE_DEPENDENT, GSDE = "state-independent", "state-dependent", "gsde"
STDS = (STATE_INDEPENDENT, STATE_DEPENDENT, GSDE)
GAUSSIAN, BETA = "gaussian", "beta"
ACTION_DISTRIBUTIONS = (GAUSSIAN, BETA)

NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(64)  # E[f(z)], z standard normal, is Σ weight f(node)
NODE_WEIGHTS = NODE_WEIGHTS / math.sqrt(2 * math.pi)


def num_outputs(actions: Space, std: str) -> int:
    """Return how many outputs a network needs: a logit for each choice, or μ (and log σ) for each continuous number."""
    if isinstance(actions, Box):
        return actions.flat_size * (2 if std == STATE_DEPENDENT else 1)
    return sum(actions.counts)


def num_extra(actions: Space, std: str, inputs: int) -> int:
    """Return the number of parameters beside the layers of a network with so many inputs: each log σ that is none's.

    That is one for each continuous number or, with "gsde", one for each pair of such a number and an input or 1.
    """
    if not isinstance(actions, Box) or std == STATE_DEPENDENT:
        return 0
    return actions.flat_size * (inputs + 1 if std == GSDE else 1)


def gsde_log_std(log_std: npt.NDArray[Any], features: Floats) -> Floats:
    """Return log σ [N, D] of noise Σ_i φ_i W_id with W_id ~ N(0, σ_id²), within its bounds.

    log_std [(O + 1) · D] are the log σ_id, the last D those of φ = 1; features [N, O] the observations.
    """
    variance = np.exp(2 * log_std.astype(np.float64)).reshape(features.shape[1] + 1, -1)
    log_std_of_sum = 0.5 * np.log(features**2 @ variance[:-1] + variance[-1])
    return np.asarray(np.clip(log_std_of_sum, LOG_STD_LOW, LOG_STD_HIGH))


def require_bounds(actions: Box, what: str = "can be squashed to them") -> None:
    """Raise InputError if actions have no finite bounds, and so cannot be squashed to them, for instance."""
    if not actions.bounded:
        raise InputError(f"only actions with finite bounds {what}, not {actions_in_words(actions)}")


def require_beta(actions: Space, std: str, squash: bool) -> None:
    """Raise InputError where a Beta distribution does not fit the actions, or what else is said of them."""
    if not isinstance(actions, Box):
        raise InputError(f"a Beta distribution is for continuous actions, not {actions_in_words(actions)}")
    require_bounds(actions, "have a Beta distribution")
    if squash or std != STATE_DEPENDENT:
        raise InputError(
            "a Beta distribution is within its bounds by itself, and both its parameters depend on the state"
        )


def require_noise_steps(noise_steps: int) -> None:
    """Raise InputError where noise cannot be held for so many steps."""
    if noise_steps < 1:
        raise InputError(f"noise_steps must be at least 1, not {noise_steps}")


def bounds_of(actions: Box) -> tuple[Bound, ...]:
    """Return bounds, middle and half-width of each component, [D]."""
    return tuple(map(bound_of, actions.low, actions.high))


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
    """A continuous action, middle + half-width · u with u ~ N(μ, σ²), clipped to the bounds; squashed, with tanh u.

    Where a component has no finite bounds, middle and half-width are 0 and 1. Densities and entropies are the action's:
    log π(a) = log N(u) - Σ log half-width, squashed less Σ log (1 - tanh² u).
    """

    mean: Floats  # [N, D] in units of the bounds
    log_std: Floats  # [N, D]
    bounds: Box
    squash: bool

    @property
    def middle(self) -> Floats:
        """The action at u = 0, [D]."""
        return np.array([bound.middle for bound in bounds_of(self.bounds)])

    @property
    def half_width(self) -> Floats:
        """What u is multiplied with, [D]."""
        return np.array([bound.scale for bound in bounds_of(self.bounds)])

    def within(self, u: Floats) -> Floats:
        """Return the actions that the environment gets for samples u [N, D]."""
        action = self.middle + self.half_width * (np.tanh(u) if self.squash else u)
        return np.asarray(np.clip(action, self.bounds.low, self.bounds.high))

    def sample(self, rng: np.random.Generator) -> Floats:
        """Draw [N, D] within the bounds."""
        return self.within(self.mean + np.exp(self.log_std) * rng.standard_normal(self.mean.shape))

    def mode(self) -> Floats:
        """Return the action at the mean, [N, D]."""
        return self.within(self.mean)

    def log_prob_drawn(self, u: npt.NDArray[Any]) -> Floats:
        """Return log N(u; μ, σ²), [N]: the density of u [N, D], which training takes the gradient of."""
        z = (u - self.mean) * np.exp(-self.log_std)
        return np.asarray((-0.5 * z * z - self.log_std - 0.5 * math.log(2 * math.pi)).sum(axis=-1))

    def log_prob(self, action: npt.NDArray[Any]) -> Floats:
        """Return the log density of action [N, D].

        Squashed, it is -inf at the bounds and outside. Clipped, it is the density of what is clipped, and the action's
        inside the bounds only.
        """
        centred = (np.asarray(action, np.float64) - self.middle) / self.half_width
        if not self.squash:
            return np.asarray(self.log_prob_drawn(centred) - np.log(self.half_width).sum())
        inside = (np.abs(centred) < 1).all(axis=-1)
        u = np.arctanh(np.where(np.abs(centred) < 1, centred, 0.0))
        slope = np.log(self.half_width) + _log_slope(u)
        return np.asarray(np.where(inside, self.log_prob_drawn(u) - slope.sum(axis=-1), -np.inf))

    def entropy(self) -> Floats:
        """Return the mean of -log_prob: exactly, or, squashed, by quadrature.

        (In training it is that of u or tanh u, the latter estimated by samples: without the constant Σ log half-width.)
        """
        entropy = self.log_std + 0.5 * math.log(2 * math.pi * math.e) + np.log(self.half_width)
        if self.squash:
            u = self.mean[..., None] + np.exp(self.log_std)[..., None] * NODES
            entropy = entropy + _log_slope(u) @ NODE_WEIGHTS
        return np.asarray(entropy.sum(axis=-1))


@dataclass(frozen=True)
class BetaDistribution:
    """A continuous action within finite bounds: low + (high - low) · x, each x ~ Beta(α, β), as kernels.beta has it.

    α = 1 + softplus(a), and β = 1 + softplus(b). Densities and entropies are the action's.
    """

    alpha: Floats  # [N, D]
    beta: Floats  # [N, D]
    bounds: Box

    @property
    def width(self) -> Floats:
        """high - low, [D]."""
        return np.asarray(np.array(self.bounds.high) - np.array(self.bounds.low))

    def sample(self, rng: np.random.Generator) -> Floats:
        """Draw [N, D] within the bounds."""
        return np.asarray(np.array(self.bounds.low) + self.width * rng.beta(self.alpha, self.beta))

    def mode(self) -> Floats:
        """Return the mean, [N, D]."""
        return np.asarray(np.array(self.bounds.low) + self.width * self.alpha / (self.alpha + self.beta))

    def log_prob_drawn(self, u: npt.NDArray[Any]) -> Floats:
        """Return the log density of tanh u = 2 x - 1, [N], for u [N, D], which training takes the gradient of."""
        u = np.asarray(u, np.float64)
        density = -(self.alpha - 1) * np.logaddexp(0, -2 * u) - (self.beta - 1) * np.logaddexp(0, 2 * u)
        return np.asarray((density - self._log_norm - math.log(2)).sum(axis=-1))

    def log_prob(self, action: npt.NDArray[Any]) -> Floats:
        """Return the log density of action [N, D]; -inf at the bounds and outside."""
        x = (np.asarray(action, np.float64) - np.array(self.bounds.low)) / self.width
        within = (x > 0) & (x < 1)
        x = np.where(within, x, 0.5)
        density = (self.alpha - 1) * np.log(x) + (self.beta - 1) * np.log1p(-x) - self._log_norm - np.log(self.width)
        return np.asarray(np.where(within.all(axis=-1), density.sum(axis=-1), -np.inf))

    def entropy(self) -> Floats:
        """Return it exactly. (In training it is that of 2 x - 1: without the constant Σ log half-width.)"""
        a, b = self.alpha, self.beta
        psi_a, psi_b, psi_sum = (_gamma_functions(each)[1] for each in (a, b, a + b))
        entropy = self._log_norm - (a - 1) * psi_a - (b - 1) * psi_b + (a + b - 2) * psi_sum + np.log(self.width)
        return np.asarray(entropy.sum(axis=-1))

    @property
    def _log_norm(self) -> Floats:
        """log B(α, β), [N, D]."""
        log_gamma = (_gamma_functions(each)[0] for each in (self.alpha, self.beta, self.alpha + self.beta))
        return np.asarray(next(log_gamma) + next(log_gamma) - next(log_gamma))


def _gamma_functions(x: Floats) -> tuple[Floats, Floats]:
    """Return log Γ and ψ of an array."""
    log_gamma, digamma, _ = np.vectorize(gamma_functions)(x)
    return log_gamma, digamma


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
    action_distribution: str = GAUSSIAN,
) -> Distribution:
    """Return the distribution that outputs [N, ...] describe.

    log_std [D] or [N, D] is given if the outputs do not hold it; mask [N, Σ counts] is true for allowed actions.
    """
    if isinstance(actions, Box):
        if action_distribution == BETA:
            alpha, beta = np.split(1 + np.logaddexp(0, outputs), 2, axis=-1)
            return BetaDistribution(alpha, beta, actions)
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
