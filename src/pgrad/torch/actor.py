"""Acts with a PyTorch module: one forward pass for all environments, then the very draw of compiled policies.

(A multilayer perceptron that is being trained acts in compiled code altogether: see `actor_of`.)

What is drawn depends on the keys and steps alone, never on who else uses PyTorch's random numbers: logits and Gaussians
are drawn from by compiled code, bit for bit as a compiled policy with these outputs would; a distribution of the
module's own samples under a seed made of them.
"""

from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pgrad.errors import PolicyError
from pgrad.kernels.heads import NO_MASK, Policy
from pgrad.kernels.mlp import network
from pgrad.policies.distributions import STATE_DEPENDENT, STATE_INDEPENDENT
from pgrad.policies.mlp import head_of
from pgrad.rollouts.actions import CompiledActor, OutputsNotFinite, as_env_actions, decide_all, mixed, room_for_actions
from pgrad.spaces import Box, Discrete
from pgrad.torch.conversion import from_module, in_order
from pgrad.torch.devices import seeded, to_numpy
from pgrad.torch.module_output import NEEDS_LOGITS, CustomDistribution, Logits
from pgrad.torch.optimizers import CompiledOptimizer, Optimizer
from pgrad.torch.policy import TorchPolicy

Array = Any

NOTHING = np.empty(0, np.float32)


def actor_of(policy: TorchPolicy, optimizer: Optimizer) -> "TorchActor | CompiledActor":
    """Return what acts with a policy that an optimiser trains.

    A multilayer perceptron that compiled code has, and whose parameters lie in memory as compiled code has them, acts
    compiled, from that very memory: for a few environments PyTorch takes longer to call its layers than to compute.
    """
    if isinstance(optimizer, CompiledOptimizer):
        with suppress(PolicyError):
            module, inputs = policy.module, policy.inputs
            if list(map(id, in_order(module))) == list(map(id, optimizer.parameters)):
                twin = from_module(policy)
                normalised = (inputs.shift, inputs.scale) if inputs.shift.size else (twin.shift, twin.scale)
                flat = optimizer.network.parameters
                head = head_of(flat, policy.actions, twin.std, policy.squash, policy.temperature)
                return CompiledActor(Policy(network(flat, twin.sizes, twin.activation, *normalised), head))
    return TorchActor(policy)


class TorchActor:
    """Acts as rollouts.actions.CompiledActor does."""

    def __init__(self, policy: TorchPolicy, greedy: bool = False) -> None:
        self.policy, self.greedy = policy, greedy
        self.head = self._head(NOTHING, STATE_DEPENDENT)

    def _head(self, log_std: npt.NDArray[np.float32], std: str) -> Any:
        return head_of(log_std, self.policy.actions, std, self.policy.squash, self.policy.temperature)

    def __call__(
        self, obs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None, keys: Array, steps: Array
    ) -> npt.NDArray[Any]:
        """What is drawn for obs [N, O] and mask [N, Σ counts], [N] or [D, N]; keys and steps [N]."""
        with torch.inference_mode():
            output = self.policy.forward(self.policy.inputs.prepared(obs)).distribution
            if isinstance(output, CustomDistribution):
                return self._sampled(output, mask, keys, steps)
        head = self.head
        if isinstance(output, Logits):
            outputs = to_numpy(output.logits).astype(np.float32, copy=False)
        elif output.log_std.dim() == 1:
            outputs = to_numpy(output.mean).astype(np.float32, copy=False)
            head = self._head(to_numpy(output.log_std).astype(np.float32), STATE_INDEPENDENT)
        else:
            outputs = to_numpy(torch.cat([output.mean, output.log_std], dim=-1)).astype(np.float32, copy=False)
        if not np.isfinite(outputs).all():
            raise OutputsNotFinite(f"{type(self.policy.module).__name__} returned numbers that are not finite")
        action = room_for_actions(head, obs.shape[0])
        allowed = NO_MASK if mask is None else np.ascontiguousarray(mask.T)
        decide_all(head, outputs.T.copy(), allowed, keys, steps, self.greedy, action)
        return action

    def _sampled(
        self, own: CustomDistribution, mask: npt.NDArray[np.bool_] | None, keys: Array, steps: Array
    ) -> npt.NDArray[Any]:
        """A distribution's sample, checked."""
        kind, actions = type(own.distribution).__name__, self.policy.actions
        how = f"{kind}.mode" if self.greedy else f"{kind}.sample()"
        if mask is not None:
            raise PolicyError(NEEDS_LOGITS.format(kind=kind))
        if self.greedy:
            sample = own.mode()
        else:
            with seeded(int(mixed(keys, steps)), self.policy.inputs.device):
                sample = own.call("sample")
        drawn, size = to_numpy(sample), len(keys)
        parts = actions.flat_size if isinstance(actions, Box) else len(actions.counts)
        wanted = (size,) if isinstance(actions, Discrete) else (size, parts)
        if drawn.shape != wanted:
            raise PolicyError(f"{how} has shape {drawn.shape} for {size} observations of {actions}, not {wanted}")
        if not np.isfinite(drawn).all():
            raise OutputsNotFinite(f"{how} is not finite")
        if not isinstance(actions, Box) and ((drawn < 0) | (drawn >= np.array(actions.counts))).any():
            raise PolicyError(f"{how} is {drawn.min()} … {drawn.max()}, outside of {actions}")
        return drawn.T.astype(np.float32 if isinstance(actions, Box) else np.int32)

    def env_actions(self, action: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What the environments get of what was drawn: [N], or [N, D] within the bounds."""
        return as_env_actions(self.head, action)
