"""Softmax policies on finite states, and families of them: from a parameter vector θ to logits and their Jacobian."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pgrad.errors import MDPError, nearest, require_integer
from pgrad.exact.mdp import Floats, as_floats, read_only, require_size
from pgrad.kernels.dense import ACTIVATIONS
from pgrad.kernels.mlp import num_parameters
from pgrad.policies.mlp import split
from pgrad.policies.softmax import log_softmax, softmax


@dataclass(frozen=True, eq=False)
class SoftmaxPolicy:
    """π(a | s) = softmax(logits[s])_a at one θ, with the derivative of its logits.

    logits    [|S|, A] in nats; -inf for probability zero
    jacobian  [|S|, A, P] ∂ logits / ∂θ

    Raises MDPError for other shapes, NaN, +inf, or a state whose actions all have probability zero.
    """

    logits: Floats
    jacobian: Floats

    def __post_init__(self) -> None:
        logits, jacobian = as_floats("logits", self.logits), as_floats("jacobian", self.jacobian)
        if logits.ndim != 2 or logits.size == 0:
            raise MDPError(f"logits must have shape [|S|, A], states by actions, not {logits.shape}")
        if jacobian.ndim != 3 or jacobian.shape[:2] != logits.shape:
            raise MDPError(f"jacobian must have shape [|S|, A, P] for logits {logits.shape}, not {jacobian.shape}")
        faulty = np.isnan(logits).any(axis=1) | (logits.max(axis=1) == np.inf) | (logits.max(axis=1) == -np.inf)
        if faulty.any():
            s = int(faulty.argmax())
            raise MDPError(
                f"logits of state {s} are {logits[s]}: they must be finite, or -inf for some but not for all actions"
            )
        if not np.isfinite(jacobian).all():
            s, a, k = np.argwhere(~np.isfinite(jacobian))[0]
            raise MDPError(f"jacobian must be finite: it is {jacobian[s, a, k]} at state {s}, action {a}, θ[{k}]")
        object.__setattr__(self, "logits", _frozen(logits))
        object.__setattr__(self, "jacobian", _frozen(jacobian))

    @property
    def num_parameters(self) -> int:
        """P."""
        return int(self.jacobian.shape[-1])

    @cached_property
    def probabilities(self) -> Floats:
        """π(a | s); [|S|, A]."""
        return read_only(softmax(self.logits))

    @cached_property
    def log_probabilities(self) -> Floats:
        """log π(a | s) in nats; [|S|, A]."""
        return read_only(log_softmax(self.logits))

    @cached_property
    def scores(self) -> Floats:
        """∇_θ log π(a | s) = ∂ logit_a / ∂θ − Σ_a' π(a' | s) ∂ logit_a' / ∂θ; [|S|, A, P]."""
        return read_only(np.moveaxis(less_mean(np.moveaxis(self.jacobian, -1, 0), self.probabilities), 0, -1))


def less_mean(x: Floats, probabilities: Floats) -> Floats:
    """Return x(s, a) − Σ_a' π(a' | s) x(s, a') of x [..., |S|, A].

    Measured from the likeliest action's: where that is almost certain, its x and the mean agree in most digits.
    """
    likeliest = probabilities.argmax(axis=1)
    relative = x - x[..., np.arange(likeliest.size), likeliest][..., None]
    return np.asarray(relative - np.einsum("sa,...sa->...s", probabilities, relative)[..., None])


class Family(Protocol):
    """A family of policies: a function from parameters θ [P] to a SoftmaxPolicy."""

    @property
    def num_parameters(self) -> int:
        """P."""

    def __call__(self, theta: npt.ArrayLike) -> SoftmaxPolicy:
        """Return the policy at θ [P]."""


@dataclass(frozen=True, eq=False)
class Tabular:
    """The tabular softmax family, logits[s, a] = θ[s, a]: one preference for each state and action.

    ∂ log π(a | s) / ∂θ[s', a'] = 1[s = s'] (1[a = a'] − π(a' | s))

    num_states   |S|, terminal states included (their preferences have no effect)
    num_actions  A

    Call it with θ, [|S| · A] in row-major order or [|S|, A], to get a SoftmaxPolicy. A preference of -inf makes a
    probability zero, so every policy of the MDP is a member. Raises InputError for sizes that are not positive integers
    and MDPError if the Jacobian would exceed 1 GiB. Agarwal et al. (2021), section 5.
    """

    num_states: int
    num_actions: int

    def __post_init__(self) -> None:
        require_integer("num_states", self.num_states, 1)
        require_integer("num_actions", self.num_actions, 1)
        require_size("the Jacobian of a tabular policy", (self.num_parameters, self.num_parameters))

    @property
    def num_parameters(self) -> int:
        """P = |S| · A."""
        return self.num_states * self.num_actions

    @cached_property
    def _jacobian(self) -> Floats:
        identity = np.eye(self.num_parameters).reshape(self.num_states, self.num_actions, -1)
        return _frozen(identity)

    def __call__(self, theta: npt.ArrayLike) -> SoftmaxPolicy:
        """Return the policy at θ [P]."""
        shape = (self.num_states, self.num_actions)
        table = as_floats("θ", theta)
        flat = table.ravel() if table.shape == shape else _vector(table, self.num_parameters)
        return SoftmaxPolicy(flat.reshape(shape), self._jacobian)


@dataclass(frozen=True, eq=False)
class Linear:
    """The log-linear family, logits[s, a] = x(s, a) · θ, with features x [|S|, A, P].

    Raises MDPError unless the features are finite and three-dimensional. Sutton and Barto (2018), equation 13.3.
    """

    features: Floats

    def __post_init__(self) -> None:
        features = as_floats("features", self.features)
        if features.ndim != 3 or features.size == 0 or not np.isfinite(features).all():
            raise MDPError(f"features must be finite and of shape [|S|, A, P], not {features.shape}")
        object.__setattr__(self, "features", _frozen(features))

    @property
    def num_parameters(self) -> int:
        """P, the features of a state and action."""
        return int(self.features.shape[-1])

    def __call__(self, theta: npt.ArrayLike) -> SoftmaxPolicy:
        """Return the policy at θ [P]."""
        return SoftmaxPolicy(self.features @ _finite(theta, self.num_parameters), self.features)


@dataclass(frozen=True, eq=False)
class Perceptron:
    """The multilayer perceptron of policies.mlp.MLPPolicy in float64, with parameters in the same order.

    obs          [|S|, O] the observation of each state
    hidden       units of each hidden layer; () is one linear layer with biases
    num_actions  A
    activation   `tanh` or `relu`, after each hidden layer
    """

    obs: Floats
    hidden: tuple[int, ...]
    num_actions: int
    activation: str = "tanh"

    def __post_init__(self) -> None:
        obs = as_floats("obs", self.obs)
        if obs.ndim != 2 or obs.size == 0 or not np.isfinite(obs).all():
            raise MDPError(f"obs must be finite and of shape [|S|, O], states by features, not {obs.shape}")
        if self.activation not in ACTIVATIONS:
            raise MDPError(f"unknown activation {self.activation!r}: {nearest(self.activation, ACTIVATIONS)}")
        if not isinstance(self.hidden, tuple | list):
            raise MDPError(f"hidden must be the units of each hidden layer, like (64,) or (), not {self.hidden!r}")
        for units in self.hidden:
            require_integer("units of a hidden layer", units, 1)
        require_integer("num_actions", self.num_actions, 1)
        object.__setattr__(self, "obs", _frozen(obs))
        object.__setattr__(self, "hidden", tuple(self.hidden))

    @property
    def sizes(self) -> tuple[int, ...]:
        """(O, hidden …, A)."""
        return (self.obs.shape[1], *self.hidden, self.num_actions)

    @property
    def num_parameters(self) -> int:
        """P, weights and biases."""
        return num_parameters(self.sizes)

    def __call__(self, theta: npt.ArrayLike) -> SoftmaxPolicy:
        """Return the policy at θ [P]."""
        parameters: Any = _finite(theta, self.num_parameters)  # `split` is typed for the float32 of training
        layers: Any = split(parameters, self.sizes)
        units = [self.obs]
        for k, (weight, bias) in enumerate(layers):
            z = units[-1] @ weight.T + bias
            units.append(z if k == len(layers) - 1 else self._activate(z))
        return SoftmaxPolicy(units[-1], self._backward(layers, units))

    def _activate(self, z: Floats) -> Floats:
        return np.maximum(z, 0.0) if self.activation == "relu" else np.tanh(z)

    def _slope(self, units: Floats) -> Floats:
        return (units > 0).astype(np.float64) if self.activation == "relu" else 1.0 - units * units

    def _backward(self, layers: Any, units: list[Floats]) -> Floats:
        """Return ∂ logits / ∂θ by backpropagation from all outputs at once; [|S|, A, P]."""
        states, outputs = units[-1].shape
        delta: Floats = np.broadcast_to(np.eye(outputs), (states, outputs, outputs))  # ∂ logit_a / ∂ unit_j
        parts: list[Floats] = []
        for k in reversed(range(len(layers))):
            weights = delta[..., None] * units[k][:, None, None, :]
            parts = [weights.reshape(states, outputs, -1), delta, *parts]
            if k > 0:
                delta = (delta @ layers[k][0]) * self._slope(units[k])[:, None, :]
        return np.concatenate(parts, axis=-1)


@dataclass(frozen=True, eq=False)
class Differentiable:
    """A family of your own: functions from θ [P] to logits [|S|, A] and to their Jacobian [|S|, A, P]."""

    logits: Callable[[Floats], Floats]
    jacobian: Callable[[Floats], Floats]
    num_parameters: int

    def __call__(self, theta: npt.ArrayLike) -> SoftmaxPolicy:
        """Return the policy at θ [P]."""
        vector = _finite(theta, self.num_parameters)
        policy = SoftmaxPolicy(self.logits(vector.copy()), self.jacobian(vector.copy()))
        if policy.num_parameters != self.num_parameters:
            raise MDPError(
                f"jacobian must have shape [|S|, A, {self.num_parameters}] for that many parameters, "
                f"not {policy.jacobian.shape}"
            )
        return policy


def _vector(theta: npt.ArrayLike, size: int) -> Floats:
    vector = as_floats("θ", theta)
    if vector.shape != (size,):
        raise MDPError(f"θ must have shape ({size},), the policy's parameters, not {vector.shape}")
    return vector


def _finite(theta: npt.ArrayLike, size: int) -> Floats:
    vector = _vector(theta, size)
    if not np.isfinite(vector).all():
        k = int((~np.isfinite(vector)).argmax())
        raise MDPError(f"θ must be finite: θ[{k}] is {vector[k]}")
    return vector


def _frozen(array: Floats) -> Floats:
    """Return the array if it is immutable, else a read-only copy."""
    return read_only(array.copy()) if array.flags.writeable or array.base is not None else array
