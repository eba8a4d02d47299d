"""The networks that pgrad trains, usable from Python: a softmax over the outputs of a multilayer perceptron, and V."""

import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.errors import ObservationError, nearest
from pgrad.kernels.dense import ACTIVATIONS
from pgrad.kernels.mlp import MLP, forward, network, num_parameters
from pgrad.policies import softmax

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class MLPNetwork:
    """A multilayer perceptron as Python sees it."""

    parameters: npt.NDArray[np.float32]  # [P], layer by layer: weight [outputs, inputs], then bias [outputs]
    sizes: tuple[int, ...]  # (inputs, hidden …, outputs)
    activation: str = "tanh"  # or "relu", between layers

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ObservationError(f"unknown activation {self.activation!r}: {nearest(self.activation, ACTIVATIONS)}")
        expected = num_parameters(self.sizes)
        if self.parameters.shape != (expected,):
            raise ObservationError(
                f"a network of sizes {self.sizes} has {expected} parameters, not an array {self.parameters.shape}"
            )

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.sizes))
        return f"<{type(self).__name__}: {sizes}, {self.activation}, {self.num_parameters} parameters>"

    @property
    def num_parameters(self) -> int:
        """P, weights and biases together."""
        return int(self.parameters.size)

    @property
    def layers(self) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Weight [outputs, inputs] and bias [outputs] of each layer, as views."""
        return split(self.parameters, self.sizes)

    @cached_property
    def network(self) -> MLP:
        """The record that compiled code works with."""
        return network(self.parameters, self.sizes, self.activation)

    def outputs(self, obs: npt.ArrayLike) -> Floats:
        """The last layer's units, in float64; [outputs] or [N, outputs]."""
        batch = as_batch(obs, self.sizes[0])
        outputs = forward(self.network, np.ascontiguousarray(batch.T), batch.shape[0]).T.astype(np.float64)
        return np.asarray(outputs[0] if np.ndim(obs) == 1 else outputs)


@dataclass(frozen=True, eq=False, repr=False)
class MLPValue(MLPNetwork):
    """V(s): what a policy's return is expected to be from s on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sizes[-1] != 1:
            raise ObservationError(f"a value network has one output, not {self.sizes[-1]} (sizes {self.sizes})")

    def value(self, obs: npt.ArrayLike) -> Floats:
        """V(s) of one observation [O] or a batch [N, O]; a number or [N]."""
        return np.asarray(self.outputs(obs)[..., 0])


@dataclass(frozen=True, eq=False, repr=False)
class MLPPolicy(MLPNetwork):
    """π(a | s) = softmax(logits(s) / τ).

    Methods take one observation [O] or a batch [N, O] and return one result or N.
    """

    temperature: float = 1.0
    env: str | None = None  # what it was trained on
    metadata: dict[str, str] = field(default_factory=dict)  # how

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ObservationError(f"temperature must be positive and finite, not {self.temperature}")

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {self.env}>"

    def logits(self, obs: npt.ArrayLike) -> Floats:
        """The action preferences, before the temperature; [A] or [N, A]."""
        return self.outputs(obs)

    def probabilities(self, obs: npt.ArrayLike) -> Floats:
        """π(· | s); [A] or [N, A]."""
        return softmax.softmax(self.logits(obs), self.temperature)

    def log_prob(self, obs: npt.ArrayLike, action: npt.ArrayLike) -> Floats:
        """log π(action | s); a number or [N]."""
        log_probs = softmax.log_softmax(self.logits(obs), self.temperature)
        return np.asarray(np.take_along_axis(log_probs, np.asarray(action)[..., None], axis=-1)[..., 0])

    def entropy(self, obs: npt.ArrayLike) -> Floats:
        """H(π(· | s)) in nats; a number or [N]."""
        return softmax.entropy(self.logits(obs), self.temperature)

    def act(self, obs: npt.ArrayLike, rng: np.random.Generator | None = None) -> Any:
        """An action sampled with `rng`, or without one the most probable action; a number or [N]."""
        actions = self.logits(obs).argmax(axis=-1) if rng is None else softmax.sample(self.probabilities(obs), rng)
        return int(actions) if np.ndim(obs) == 1 else actions


def as_batch(obs: npt.ArrayLike, obs_size: int) -> npt.NDArray[np.float32]:
    """One observation [O] or a batch [N, O] as float32 [N, O]."""
    array = np.asarray(obs, dtype=np.float32)
    if array.ndim not in (1, 2) or array.shape[-1] != obs_size:
        raise ObservationError(
            f"observations must have shape ({obs_size},) or (N, {obs_size}) for this policy, not {array.shape}"
        )
    return array.reshape(-1, obs_size)


def split(
    parameters: npt.NDArray[np.float32], sizes: tuple[int, ...]
) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Flat parameters [P] as the weight [outputs, inputs] and bias [outputs] of each layer; views, not copies."""
    layers, offset = [], 0
    for inputs, outputs in itertools.pairwise(sizes):
        bias = offset + outputs * inputs
        layers.append((parameters[offset:bias].reshape(outputs, inputs), parameters[bias : bias + outputs]))
        offset = bias + outputs
    return layers


def initial_parameters(
    sizes: tuple[int, ...], initialization: str, output_gain: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Random parameters [P].

    `uniform`: weights and biases uniform within ±1/√inputs, as `torch.nn.Linear` has them. `orthogonal`: orthogonal
    weights times √2, in the last layer times `output_gain`, and zero biases (Saxe et al. 2014).
    """
    parameters = np.zeros(num_parameters(sizes), np.float32)
    layers = split(parameters, sizes)
    for k, (weight, bias) in enumerate(layers):
        if initialization == "uniform":
            bound = 1.0 / np.sqrt(weight.shape[1])
            weight[:], bias[:] = rng.uniform(-bound, bound, weight.shape), rng.uniform(-bound, bound, bias.shape)
        else:
            weight[:] = orthogonal(weight.shape, rng) * (output_gain if k == len(layers) - 1 else np.sqrt(2.0))
    return parameters


def orthogonal(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A random matrix with orthonormal rows or columns, whichever are fewer, uniformly distributed (Haar)."""
    rows, columns = shape
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T
