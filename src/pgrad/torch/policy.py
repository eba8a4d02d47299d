"""A PyTorch module as a policy or as V, with the methods of the compiled ones (policies.mlp)."""

import copy
import traceback
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pgrad.envs.make import Env
from pgrad.errors import EnvError, InputError, PgradError, PolicyError
from pgrad.kernels.mlp import INPUT_LIMIT, NOT_NORMALISED
from pgrad.policies.distributions import (
    BETA,
    GAUSSIAN,
    STATE_DEPENDENT,
    STATE_INDEPENDENT,
    Distribution,
    checked_actions,
    distribution_of,
    require_beta,
    require_bounds,
    require_noise_steps,
)
from pgrad.policies.mlp import as_numbers
from pgrad.rollouts.actions import OutputsNotFinite
from pgrad.spaces import Box, Discrete, Space, actions_in_words
from pgrad.torch.devices import seeded, to_device, to_numpy
from pgrad.torch.module_output import (
    NEEDS_LOGITS,
    Beta,
    CustomDistribution,
    LinearNoise,
    Logits,
    ModuleOutput,
    checked_value,
    parse_output,
)
from pgrad.user_code import readable

Floats = npt.NDArray[np.float64]
Parameters = npt.NDArray[np.float32]

SUMS_TO_ONE = 1e-4  # by how much the rounding of float32 may let a softmax's probabilities miss it


class Inputs(NamedTuple):
    """How flat observations become a module's input."""

    shape: tuple[int, ...]  # of one observation
    shift: Parameters  # [O], subtracted, then
    scale: Parameters  # [O], multiplied (kernels.mlp.MLP); both empty without normalisation
    device: torch.device

    def prepared(self, obs: npt.NDArray[np.float32]) -> Tensor:
        """Return observations [N, O] as a normalised tensor [N, *shape] on the device."""
        x = to_device(obs, self.device)
        if self.shift.size:
            shift, scale = to_device(self.shift, self.device), to_device(self.scale, self.device)
            x = ((x - shift) * scale).clamp(-INPUT_LIMIT, INPUT_LIMIT)
        return x if len(self.shape) == 1 else x.reshape(-1, *self.shape)

    def as_batch(self, obs: npt.ArrayLike) -> tuple[npt.NDArray[np.float32], bool]:
        """Return one observation or a batch, in its own shape or flat, as [N, O], and whether it was one."""
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


def call(module: nn.Module, x: Tensor, role: str) -> Any:
    """Return module(x); raise PolicyError, which names the input, if the module raises or changes x in place."""
    before = None if x.is_inference() else x._version
    try:
        output = module(x)
    except PgradError:
        raise
    except Exception as error:
        if _raised_in(error) is torch.distributions.Distribution.__init__.__code__:  # which validates parameters
            why = str(error).splitlines()[0].rstrip(":")
            raise OutputsNotFinite(f"{type(module).__name__} made an invalid distribution: {why}") from error
        raise PolicyError(
            f"the {role} module {type(module).__name__} failed on observations {tuple(x.shape)} of {x.dtype} on "
            f"'{x.device}': {type(error).__name__}: {error}"
        ) from error
    if before is not None and x._version != before:
        raise PolicyError(
            f"the {role} module {type(module).__name__} changed its input in place: write x = x / 255, not x /= 255"
        )
    return output


def copied(*modules: nn.Module | None) -> Any:
    """Return copies as a tuple, made together so that shared parameters stay shared; raises PolicyError."""
    try:
        return copy.deepcopy(modules)
    except Exception as error:
        names = " or ".join(type(module).__name__ for module in modules if module is not None)
        raise PolicyError(
            f"{names} cannot be copied: {type(error).__name__}: {error} (if forward stores a tensor, store "
            "tensor.detach(); use nn.utils.parametrizations.weight_norm, not nn.utils.weight_norm)"
        ) from error


@dataclass(frozen=True, eq=False, repr=False)
class TorchPolicy:
    """π(a | s) by a PyTorch module, as `train` and `load` return it.

    module       returns logits, (mean, log_std) or a distribution for observations [N, *shape]: see
                 torch.module_output
    inputs       shape of an observation, normalisation and device
    actions      the action space
    temperature  τ of softmax(logits / τ)
    squash       continuous actions are squashed to the bounds by tanh; else clipped
    action_distribution  "beta" if the two tensors that the module returns are a Beta's, not a Gaussian's
    std          "gsde" if the module's log_std are weights of the observation
    noise_steps  for which acting in an episode holds the noise of "gsde"
    env          id of the environment that it was trained on, or None
    metadata     how it was trained

    Methods take one observation or a batch of N, in the environment's own shape or flat, and return one result or N,
    as NumPy arrays. `mask` has a boolean for each choice, [Σ counts] or [N, Σ counts]: false forbids it. They raise
    InputError for arguments that do not fit and PolicyError where the module fails.
    """

    module: nn.Module
    inputs: Inputs
    actions: Space
    temperature: float = 1.0
    squash: bool = False
    env: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    action_distribution: str = GAUSSIAN
    std: str = STATE_INDEPENDENT
    noise_steps: int = 1

    def __post_init__(self) -> None:
        if self.action_distribution == BETA:
            require_beta(self.actions, STATE_DEPENDENT, self.squash)
        require_noise_steps(self.noise_steps)
        if self.squash and isinstance(self.actions, Box):
            require_bounds(self.actions)

    def __repr__(self) -> str:
        return f"<TorchPolicy: {type(self.module).__name__}, {self.num_parameters} parameters, {self.env}>"

    @property
    def num_parameters(self) -> int:
        """Size of all of the module's parameters."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def class_name(self) -> str:
        """Full name of the module's class, such as "pgrad.torch.modules.PolicyNetwork"."""
        return class_name(self.module)

    def forward(self, x: Tensor) -> ModuleOutput:
        """Return the module's parsed output for prepared observations [N, *shape]; raise PolicyError if it is unfit."""
        output = call(self.module, x, "policy")
        name = type(self.module).__name__
        return parse_output(
            output, name, self.actions, x, self.temperature, self.squash, self.std, self.action_distribution
        )

    def distribution(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Distribution:
        """Return π(· | s) for a batch of observations, or for one as a batch of one."""
        batch, _ = self.inputs.as_batch(obs)
        with torch.inference_mode():
            found = self.forward(self.inputs.prepared(batch)).distribution
        if isinstance(found, CustomDistribution):
            if mask is not None:
                raise InputError(NEEDS_LOGITS.format(kind=type(found.distribution).__name__))
            return TorchDistribution(found, self.actions, self.inputs.device)
        if isinstance(found, Logits):
            return distribution_of(_doubles(found.logits), self.actions, self.temperature, mask=mask)
        if isinstance(found, Beta):
            outputs = _doubles(torch.cat([found.a, found.b], dim=-1))
            return distribution_of(outputs, self.actions, action_distribution=BETA)
        gaussian = found.gaussian if isinstance(found, LinearNoise) else found
        mean, log_std = _doubles(gaussian.mean), _doubles(gaussian.log_std)
        return distribution_of(mean, self.actions, log_std=log_std, squash=gaussian.squash)

    def probabilities(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """Return π(· | s), [A] or [N, A]; raise InputError if actions are not Discrete."""
        if not isinstance(self.actions, Discrete):
            raise InputError(f"{self.actions} has no single row of probabilities: use `distribution`")
        distribution, one = self.distribution(obs, mask), self.inputs.as_batch(obs)[1]
        if isinstance(distribution, TorchDistribution):
            batch = self.inputs.as_batch(obs)[0].shape[0]
            every = np.tile(np.arange(self.actions.n), (batch, 1)).T
            probabilities = np.exp([distribution.log_prob(action) for action in every]).T
        else:
            probabilities = distribution.probabilities()  # type: ignore[attr-defined]
        return np.asarray(probabilities[0] if one else probabilities)

    def log_prob(self, obs: npt.ArrayLike, action: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """Return log π(action | s), a number or [N]; of continuous actions the density (distributions.Gaussian)."""
        batch, one = self.inputs.as_batch(obs)
        actions = checked_actions(action, self.actions, len(batch))
        log_prob = self.distribution(obs, mask).log_prob(actions)
        return np.asarray(log_prob[0] if one else log_prob)

    def entropy(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """Return H(π(· | s)) in nats, a number or [N]."""
        entropy, one = self.distribution(obs, mask).entropy(), self.inputs.as_batch(obs)[1]
        return np.asarray(entropy[0] if one else entropy)

    def act(self, obs: npt.ArrayLike, rng: np.random.Generator | None = None, mask: npt.ArrayLike | None = None) -> Any:
        """Return an action sampled with `rng`, or the most probable one without it: a number, [D], [N] or [N, D]."""
        distribution, one = self.distribution(obs, mask), self.inputs.as_batch(obs)[1]
        actions = distribution.mode() if rng is None else distribution.sample(rng)
        if not one:
            return actions
        return int(actions[0]) if isinstance(self.actions, Discrete) else actions[0]

    def require_fit(self, env: Env) -> None:
        """Raise EnvError if an environment's observations or actions are not those that the policy was made for."""
        if (shape_of(env), env.actions) != (self.inputs.shape, self.actions):
            raise EnvError(
                f"'{env.id}' has observations {shape_of(env)} and {actions_in_words(env.actions)}; "
                f"this policy was made for {self.inputs.shape} and {actions_in_words(self.actions)}"
            )


@dataclass(frozen=True, eq=False, repr=False)
class TorchValue:
    """V(s) in the environment's own rewards, by a PyTorch module or, without one, by the policy's module."""

    policy: TorchPolicy
    module: nn.Module | None
    reward_scale: float = 1.0  # multiplied the rewards it was trained on

    def __repr__(self) -> str:
        return f"<TorchValue: {type(self.module or self.policy.module).__name__}>"

    def value(self, obs: npt.ArrayLike) -> Floats:
        """Return V(s) of one observation or a batch, a number or [N]."""
        batch, one = self.policy.inputs.as_batch(obs)
        with torch.inference_mode():
            value = self.estimate(self.policy.inputs.prepared(batch))
        values = to_numpy(value).astype(np.float64) / self.reward_scale
        return np.asarray(values[0] if one else values)

    def estimate(self, x: Tensor) -> Tensor:
        """Return V(s) [N] of prepared observations [N, *shape], in scaled rewards; raises PolicyError."""
        if self.module is None:
            value = self.policy.forward(x).value
            if value is None:
                raise PolicyError(f"{type(self.policy.module).__name__} returned a value before, but not now")
            return value
        return checked_value(call(self.module, x, "value"), type(self.module).__name__, x.shape[0], x.device)


def require_logits(policy: TorchPolicy, x: Tensor) -> None:
    """Raise PolicyError if the module returns probabilities as logits: no number negative, every softmax sums to one.

    x  [N, *shape] prepared observations of a real batch: one state's logits may sum to one by chance, not all of them
    """
    with torch.no_grad():
        found = policy.forward(x).distribution
    if not isinstance(found, Logits) or bool((found.logits < 0).any()):
        return
    totals = torch.stack([part.sum(dim=-1) for part in torch.split(found.logits, list(found.counts), dim=-1)])
    if bool(((totals - 1).abs() < SUMS_TO_ONE).all()):
        raise PolicyError(
            f"{type(policy.module).__name__} returns probabilities where logits are expected: for all of {len(x)} "
            "observations they are never negative and sum to one. Return the logits, without a softmax, or "
            "torch.distributions.Categorical(probs=…)"
        )


@dataclass(frozen=True)
class TorchDistribution:
    """A CustomDistribution with the methods of policies.distributions.Distribution, in NumPy."""

    custom: CustomDistribution
    actions: Space
    device: torch.device

    def sample(self, rng: np.random.Generator) -> npt.NDArray[Any]:
        """Sample an action for each state, clipped to the bounds if continuous."""
        with seeded(int(rng.integers(2**63)), self.device):
            return self._within(self.custom.call("sample"))

    def mode(self) -> npt.NDArray[Any]:
        """Return the most probable actions, or the means where the mode is unknown."""
        return self._within(self.custom.mode())

    def log_prob(self, action: npt.NDArray[Any]) -> Floats:
        """Return log π(action), [N]."""
        return _doubles(self.custom.log_prob_and_entropy(torch.as_tensor(action, device=self.device), None, False)[0])

    def entropy(self) -> Floats:
        """Return the entropy in nats, [N]; NaN if the distribution does not implement it."""
        with seeded(0, self.device):
            sample = self.custom.call("sample")
        return _doubles(self.custom.log_prob_and_entropy(sample, None, False)[1])

    def _within(self, action: Tensor) -> npt.NDArray[Any]:
        array = to_numpy(action)
        if not isinstance(self.actions, Box):
            return np.asarray(array, np.int64)
        return np.asarray(np.clip(array, self.actions.low, self.actions.high))


def _raised_in(error: BaseException) -> CodeType | None:
    """Return the code that raised an error, the innermost of its traceback."""
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1] if frames else None


def class_name(module: nn.Module) -> str:
    """Return the full name of a module's class, such as "pgrad.torch.modules.PolicyNetwork"."""
    return f"{readable(type(module).__module__)}.{type(module).__qualname__}"


def shape_of(env: Env) -> tuple[int, ...]:
    """Return the shape in which modules get an environment's observations."""
    return env.obs_shape or (env.obs_size,)


def no_normalization(env: Env, device: torch.device) -> Inputs:
    """Return Inputs without normalisation."""
    return Inputs(shape_of(env), NOT_NORMALISED, NOT_NORMALISED, device)


def _doubles(tensor: Tensor) -> Floats:
    return to_numpy(tensor).astype(np.float64)
