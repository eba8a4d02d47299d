"""Acting with a PyTorch module: one forward pass for all environments, then a sample from its output.

Samples depend only on the keys and steps, never on PyTorch's global generator: logits and Gaussians are sampled by
compiled code, bit for bit as for a compiled policy with the same outputs; a module's own distribution samples under a
seed derived from keys and steps. (Multilayer perceptrons in training act in compiled code altogether: see `actor_of`.)
"""

from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pgrad.errors import PolicyError
from pgrad.kernels.heads import NO_MASK, Policy
from pgrad.kernels.mlp import network, num_parameters
from pgrad.policies.distributions import GSDE, STATE_DEPENDENT
from pgrad.policies.mlp import head_of
from pgrad.rollouts.actions import (
    CompiledActor,
    OutputsNotFinite,
    as_env_actions,
    choose_all,
    combined_seed,
    room_for_actions,
)
from pgrad.spaces import Box, Discrete
from pgrad.torch.conversion import from_module, in_order
from pgrad.torch.devices import seeded, to_numpy
from pgrad.torch.module_output import NEEDS_LOGITS, ActionDistribution, Beta, CustomDistribution, LinearNoise, Logits
from pgrad.torch.optimizers import CompiledOptimizer, Optimizer
from pgrad.torch.policy import TorchPolicy

Array = Any

NOTHING = np.empty(0, np.float32)


def actor_of(policy: TorchPolicy, optimizer: Optimizer) -> "TorchActor | CompiledActor":
    """Return an actor that follows the parameters of a policy that `optimizer` trains.

    A multilayer perceptron whose parameters CompiledOptimizer holds in compiled order acts in compiled code from that
    memory: with few environments, PyTorch spends longer calling layers than computing.
    """
    if isinstance(optimizer, CompiledOptimizer):
        with suppress(PolicyError):
            if list(map(id, in_order(policy.module))) == list(map(id, optimizer.parameters)):
                start, inputs = from_module(policy), policy.inputs
                # The running statistics themselves where training normalises, not the copies of this moment.
                shift, scale = (inputs.shift, inputs.scale) if inputs.shift.size else (start.shift, start.scale)
                flat = optimizer.network.parameters
                head = head_of(
                    flat[num_parameters(start.sizes) :],
                    policy.actions,
                    start.std,
                    policy.squash,
                    policy.temperature,
                    policy.action_distribution,
                    policy.noise_steps,
                )
                return CompiledActor(Policy(network(flat, start.sizes, start.activation, shift, scale), head))
    return TorchActor(policy)


def head_for(policy: TorchPolicy, distribution: ActionDistribution | None = None) -> Any:
    """Return the head that makes actions of a module's outputs; of its own distribution, whose actions need no units.

    A Gaussian head takes log σ from the outputs; that of "gsde" is to be given the weights' own.
    """
    std = policy.std if policy.std == GSDE else STATE_DEPENDENT
    head = head_of(
        NOTHING,
        policy.actions,
        std,
        policy.squash,
        policy.temperature,
        policy.action_distribution,
        policy.noise_steps,
    )
    if isinstance(distribution, CustomDistribution) and isinstance(policy.actions, Box):
        return head._replace(bounds=tuple(bound._replace(middle=0.0, scale=1.0) for bound in head.bounds))
    return head


class TorchActor:
    """Sample actions from a module's output, with the interface of rollouts.actions.CompiledActor."""

    def __init__(self, policy: TorchPolicy, greedy: bool = False) -> None:
        self.policy, self.greedy = policy, greedy
        self.head = head_for(policy)

    def __call__(
        self, obs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None, keys: Array, steps: Array
    ) -> npt.NDArray[Any]:
        """Sample actions [N] or [D, N] for obs [N, O] and mask [N, Σ counts] with keys and steps [N]."""
        with torch.inference_mode():
            distribution = self.policy.forward(self.policy.inputs.prepared(obs)).distribution
            if isinstance(distribution, CustomDistribution):
                self.head = head_for(self.policy, distribution)
                return self._sample(distribution, mask, keys, steps)
        head = self.head
        if isinstance(distribution, Logits):
            tensor = distribution.logits
        elif isinstance(distribution, Beta):
            tensor = torch.cat([distribution.a, distribution.b], dim=-1)
        elif isinstance(distribution, LinearNoise):
            tensor = torch.cat([distribution.features, distribution.gaussian.mean], dim=-1)
            head = self.head._replace(log_std=to_numpy(distribution.log_weight_std).astype(np.float32).ravel())
        elif distribution.log_std.dim() == 1:
            tensor = distribution.mean
            head = self.head._replace(log_std=to_numpy(distribution.log_std).astype(np.float32))
        else:
            tensor = torch.cat([distribution.mean, distribution.log_std], dim=-1)
        outputs = to_numpy(tensor).astype(np.float32, copy=False)
        if not np.isfinite(outputs).all():
            raise OutputsNotFinite(f"{type(self.policy.module).__name__} returned NaN or infinity")
        action = room_for_actions(head, obs.shape[0])
        allowed = NO_MASK if mask is None else np.ascontiguousarray(mask.T)
        choose_all(head, outputs.T.copy(), allowed, keys, steps, self.greedy, action)
        return action

    def _sample(
        self, custom: CustomDistribution, mask: npt.NDArray[np.bool_] | None, keys: Array, steps: Array
    ) -> npt.NDArray[Any]:
        """Return a custom distribution's sample or mode, with its shape and range checked."""
        kind, actions = type(custom.distribution).__name__, self.policy.actions
        name = f"{kind}.mode" if self.greedy else f"{kind}.sample()"
        if mask is not None:
            raise PolicyError(NEEDS_LOGITS.format(kind=kind))
        if self.greedy:
            sample = custom.mode()
        else:
            with seeded(int(combined_seed(keys, steps)), self.policy.inputs.device):
                sample = custom.call("sample")
        drawn, size = to_numpy(sample), len(keys)
        parts = actions.flat_size if isinstance(actions, Box) else len(actions.counts)
        wanted = (size,) if isinstance(actions, Discrete) else (size, parts)
        if drawn.shape != wanted:
            raise PolicyError(f"{name} has shape {drawn.shape} for {size} observations of {actions}, not {wanted}")
        if not np.isfinite(drawn).all():
            raise OutputsNotFinite(f"{name} is not finite")
        if not isinstance(actions, Box) and ((drawn < 0) | (drawn >= np.array(actions.counts))).any():
            raise PolicyError(f"{name} is {drawn.min()} … {drawn.max()}, outside of {actions}")
        return drawn.T.astype(np.float32 if isinstance(actions, Box) else np.int32)

    def env_actions(self, action: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what the environments get of sampled actions: [N], or [N, D] within the bounds."""
        return as_env_actions(self.head, action)
