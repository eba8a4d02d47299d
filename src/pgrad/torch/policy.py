"""A PyTorch module as a policy, or as V: the same methods as policies.mlp has for the compiled ones."""

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pgrad.envs.make import Env
from pgrad.errors import EnvError, InputError, PgradError, PolicyError
from pgrad.kernels.mlp import INPUT_LIMIT, NOT_NORMALISED
from pgrad.policies.distributions import Distribution, checked_actions, distribution_of, require_bounds
from pgrad.policies.mlp import as_numbers
from pgrad.rollouts.actions import OutputsNotFinite
from pgrad.spaces import Box, Discrete, Space, actions_in_words
from pgrad.torch.devices import seeded, to_device, to_numpy
from pgrad.torch.module_output import (
    NEEDS_LOGITS,
    CustomDistribution,
    Logits,
    ModuleOutput,
    checked_value,
    parse_output,
)

Floats = npt.NDArray[np.float64]
Parameters = npt.NDArray[np.float32]


class Inputs(NamedTuple):
    """How a flat observation becomes what a module sees."""

    shape: tuple[int, ...]  # of one observation
    shift: Parameters  # [O], and then
    scale: Parameters  # [O] of the normalisation (kernels.mlp.MLP); both empty for none
    device: torch.device

    def prepared(self, obs: npt.NDArray[np.float32]) -> Tensor:
        """Observations [N, O] as a tensor [N, *shape] on the device, normalised."""
        x = to_device(obs, self.device)
        if self.shift.size:
            shift, scale = to_device(self.shift, self.device), to_device(self.scale, self.device)
            x = ((x - shift) * scale).clamp(-INPUT_LIMIT, INPUT_LIMIT)
        return x if len(self.shape) == 1 else x.reshape(-1, *self.shape)

    def as_batch(self, obs: npt.ArrayLike) -> tuple[npt.NDArray[np.float32], bool]:
        """One observation or a batch, in its own shape or flat, as [N, O]; and whether it was one."""
        size = int(np.prod(self.shape))
        array = as_numbers(obs, size)
        for one in (self.shape, (size,)):
            if array.shape == one:
                return array.reshape(1, size), True
            if array.shape[1:] == one and array.ndim == len(one) + 1:
                return array.reshape(-1, size), False
        raise InputError(
            f"observations must have shape {self.shape} or (N, {', '.join(map(str, self.shape))}) for this policy, "
            f"not {array.shape}"
        )


INVALID = "but found invalid values"  # how torch.distributions begins to say so, having checked its parameters


def call(module: nn.Module, x: Tensor, role: str) -> Any:
    """module(x), with what it raises as a PolicyError that names the input; so is a change of x, which others read."""
    before = None if x.is_inference() else x._version
    try:
        output = module(x)
    except PgradError:
        raise
    except Exception as error:
        if INVALID in str(error):
            why = str(error).partition(f", {INVALID}")[0]
            raise OutputsNotFinite(f"{type(module).__name__} made a distribution of invalid values: {why}") from error
        raise PolicyError(
            f"the {role} module {type(module).__name__} failed on observations {tuple(x.shape)} of {x.dtype} on "
            f"'{x.device}': {type(error).__name__}: {error}"
        ) from error
    if before is not None and x._version != before:
        raise PolicyError(
            f"the {role} module {type(module).__name__} changed the observations that it was given, which are not its "
            "own: write x = x / 255, say, not x /= 255"
        )
    return output


def copied(*modules: nn.Module | None) -> Any:
    """A tuple of copies, made together, so that what they share stays shared; raises PolicyError."""
    try:
        return copy.deepcopy(modules)
    except Exception as error:
        names = " or ".join(type(module).__name__ for module in modules if module is not None)
        raise PolicyError(
            f"{names} cannot be copied: {type(error).__name__}: {error} (of a tensor that forward keeps for "
            "later, keep tensor.detach(); in place of nn.utils.weight_norm take nn.utils.parametrizations.weight_norm)"
        ) from error


@dataclass(frozen=True, eq=False, repr=False)
class TorchPolicy:
    """π(a | s) by a PyTorch module; see torch.outputs for what it returns.

    Methods take one observation or a batch, in the environment's own shape or flat, and return one result or N, in
    NumPy; `mask`, where a method takes one, has a truth value for each choice. The module itself is `module`.
    """

    module: nn.Module
    inputs: Inputs
    actions: Space
    temperature: float = 1.0
    squash: bool = False
    env: str | None = None  # what it was trained on
    metadata: dict[str, str] = field(default_factory=dict)  # how

    def __post_init__(self) -> None:
        if self.squash and isinstance(self.actions, Box):
            require_bounds(self.actions)

    def __repr__(self) -> str:
        return f"<TorchPolicy: {type(self.module).__name__}, {self.num_parameters} parameters, {self.env}>"

    @property
    def num_parameters(self) -> int:
        """Numbers in all of the module's parameters."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def class_name(self) -> str:
        """Where the module's code is, such as "pgrad.torch.modules.PolicyNetwork"."""
        return class_name(self.module)

    def forward(self, x: Tensor) -> ModuleOutput:
        """What the module says of prepared observations [N, *shape]; raises PolicyError."""
        output = call(self.module, x, "policy")
        name, batch = type(self.module).__name__, x.shape[0]
        return parse_output(output, name, self.actions, batch, self.temperature, self.squash, x.device)

    def distribution(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Distribution:
        """π(· | s) of every observation of a batch, or of one as a batch of one."""
        batch, _ = self.inputs.as_batch(obs)
        with torch.inference_mode():
            output = self.forward(self.inputs.prepared(batch)).distribution
        if isinstance(output, CustomDistribution):
            if mask is not None:
                raise InputError(NEEDS_LOGITS.format(kind=type(output.distribution).__name__))
            return TorchDistribution(output, self.actions, self.inputs.device)
        if isinstance(output, Logits):
            return distribution_of(_doubles(output.logits), self.actions, self.temperature, mask=mask)
        return distribution_of(
            _doubles(output.mean), self.actions, log_std=_doubles(output.log_std), squash=output.squash
        )

    def probabilities(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """π(· | s); [A] or [N, A]. Raises InputError where actions are not Discrete."""
        if not isinstance(self.actions, Discrete):
            raise InputError(f"the probabilities of {self.actions} are no one row of numbers: see `distribution`")
        distribution, one = self.distribution(obs, mask), self.inputs.as_batch(obs)[1]
        if isinstance(distribution, TorchDistribution):
            batch = self.inputs.as_batch(obs)[0].shape[0]
            every = np.tile(np.arange(self.actions.n), (batch, 1)).T
            probabilities = np.exp([distribution.log_prob(action) for action in every]).T
        else:
            probabilities = distribution.probabilities()  # type: ignore[attr-defined]
        return np.asarray(probabilities[0] if one else probabilities)

    def log_prob(self, obs: npt.ArrayLike, action: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """log π(action | s); a number or [N]. Continuous actions: the log density, see policies.distributions."""
        batch, one = self.inputs.as_batch(obs)
        actions = checked_actions(action, self.actions, len(batch))
        log_prob = self.distribution(obs, mask).log_prob(actions)
        return np.asarray(log_prob[0] if one else log_prob)

    def entropy(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """H(π(· | s)) in nats; a number or [N]."""
        entropy, one = self.distribution(obs, mask).entropy(), self.inputs.as_batch(obs)[1]
        return np.asarray(entropy[0] if one else entropy)

    def act(self, obs: npt.ArrayLike, rng: np.random.Generator | None = None, mask: npt.ArrayLike | None = None) -> Any:
        """An action sampled with `rng`, or without one the most probable action: a number, [D], [N] or [N, D]."""
        distribution, one = self.distribution(obs, mask), self.inputs.as_batch(obs)[1]
        actions = distribution.mode() if rng is None else distribution.sample(rng)
        if not one:
            return actions
        return int(actions[0]) if isinstance(self.actions, Discrete) else actions[0]

    def require_fit(self, env: Env) -> None:
        """Raise EnvError where an environment shows or takes something else than the policy was made for."""
        if (shape_of(env), env.actions) != (self.inputs.shape, self.actions):
            raise EnvError(
                f"'{env.id}' has observations {shape_of(env)} and {actions_in_words(env.actions)}; "
                f"this policy was made for {self.inputs.shape} and {actions_in_words(self.actions)}"
            )


@dataclass(frozen=True, eq=False, repr=False)
class TorchValue:
    """V(s) by a PyTorch module, in the environment's own rewards; without one it is what `policy` says beside."""

    policy: TorchPolicy
    module: nn.Module | None
    reward_scale: float = 1.0  # what rewards were multiplied by for it

    def __repr__(self) -> str:
        return f"<TorchValue: {type(self.module or self.policy.module).__name__}>"

    def value(self, obs: npt.ArrayLike) -> Floats:
        """V(s) of one observation or a batch; a number or [N]."""
        batch, one = self.policy.inputs.as_batch(obs)
        with torch.inference_mode():
            value = self.estimate(self.policy.inputs.prepared(batch))
        values = to_numpy(value).astype(np.float64) / self.reward_scale
        return np.asarray(values[0] if one else values)

    def estimate(self, x: Tensor) -> Tensor:
        """V(s) [N] of prepared observations [N, *shape], in the rewards it learns from; raises PolicyError."""
        if self.module is None:
            value = self.policy.forward(x).value
            if value is None:
                raise PolicyError(f"{type(self.policy.module).__name__} returned a value before, and now none")
            return value
        return checked_value(call(self.module, x, "value"), type(self.module).__name__, x.shape[0], x.device)


@dataclass(frozen=True)
class TorchDistribution:
    """A module's own torch distribution as NumPy sees it."""

    own: CustomDistribution
    actions: Space
    device: torch.device

    def sample(self, rng: np.random.Generator) -> npt.NDArray[Any]:
        """An action for each state, real ones within the bounds."""
        with seeded(int(rng.integers(2**63)), self.device):
            return self._within(self.own.call("sample"))

    def mode(self) -> npt.NDArray[Any]:
        """The most probable actions, or where the distribution knows none its means."""
        return self._within(self.own.mode())

    def log_prob(self, action: npt.NDArray[Any]) -> Floats:
        """log π(action), [N]."""
        return _doubles(self.own.log_prob_and_entropy(torch.as_tensor(action, device=self.device), None, False)[0])

    def entropy(self) -> Floats:
        """In nats, [N]; NaN where the distribution does not know it."""
        with seeded(0, self.device):
            sample = self.own.call("sample")
        return _doubles(self.own.log_prob_and_entropy(sample, None, False)[1])

    def _within(self, action: Tensor) -> npt.NDArray[Any]:
        array = to_numpy(action)
        if not isinstance(self.actions, Box):
            return np.asarray(array, np.int64)
        return np.asarray(np.clip(array, self.actions.low, self.actions.high))


def class_name(module: nn.Module) -> str:
    """Where a module's code is, such as "pgrad.torch.modules.PolicyNetwork"."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def shape_of(env: Env) -> tuple[int, ...]:
    """The shape in which modules see an environment's observations."""
    return env.obs_shape or (env.obs_size,)


def no_normalization(env: Env, device: torch.device) -> Inputs:
    """Observations as they are."""
    return Inputs(shape_of(env), NOT_NORMALISED, NOT_NORMALISED, device)


def _doubles(tensor: Tensor) -> Floats:
    return to_numpy(tensor).astype(np.float64)
