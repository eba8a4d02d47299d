"""Conversion between compiled networks and PyTorch modules, both ways, bit for bit in float32."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pgrad.errors import PolicyError
from pgrad.policies.distributions import GAUSSIAN, STATE_INDEPENDENT
from pgrad.policies.mlp import MLPNetwork, MLPPolicy, MLPValue
from pgrad.spaces import Box, Space
from pgrad.torch.devices import seeded, to_numpy
from pgrad.torch.modules import ACTIVATIONS, MLPModule, PolicyNetwork
from pgrad.torch.policy import TorchPolicy


def to_module(network: MLPNetwork) -> MLPModule:
    """Return a compiled policy or value network as a module with the same parameters and outputs, in float32.

    network  an MLPPolicy or MLPValue, its normalisation of inputs included

    The module returns logits [N, Σ counts], (mean [N, D], log_std), a Beta's (a [N, D], b [N, D]), or V [N, 1]. A
    policy's temperature, squash and action_distribution are no part of these: give them to `train` again. Raises
    PolicyError for anything but an MLPPolicy or MLPValue.
    """
    if not isinstance(network, MLPPolicy | MLPValue):
        raise PolicyError(f"to_module takes an MLPPolicy or an MLPValue, not {network!r}")
    actions, std = (network.actions, network.std) if isinstance(network, MLPPolicy) else (None, STATE_INDEPENDENT)
    with seeded(0, torch.device("cpu")):  # the initial numbers are overwritten; the global generator must not advance
        module = MLPModule(network.sizes, network.activation, actions, std, network.shift, network.scale)
    with torch.no_grad():
        for layer, (weight, bias) in zip(linear_layers(module), network.layers, strict=True):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
        if module.log_std is not None:
            module.log_std.copy_(torch.tensor(network.parameters[-network.num_extra :]).view_as(module.log_std))
    return module


def from_module(
    module: nn.Module | TorchPolicy,
    actions: Space | None = None,
    temperature: float = 1.0,
    squash: bool = False,
    action_distribution: str = GAUSSIAN,
) -> MLPPolicy:
    """Return a multilayer perceptron as a compiled policy with the same parameters, in float32.

    module       an MLPModule, a PolicyNetwork, an nn.Linear, an nn.Sequential of nn.Linear with nn.Tanh or nn.ReLU
                 between them, or a trained TorchPolicy of one of these, whose settings replace the other arguments
    actions      the action space; by default the MLPModule's, or Discrete with one action for each output
    temperature  τ of softmax(logits / τ)
    squash       squash continuous actions to the bounds by tanh
    action_distribution  "gaussian" or "beta", of continuous actions

    Raises PolicyError for any other module: other layers, no bias, another precision, hooks, a value network.
    """
    if isinstance(module, TorchPolicy):
        return _from_policy(module)
    sizes, activation, parameters = perceptron(module)
    if not isinstance(module, MLPModule):
        return MLPPolicy(
            parameters,
            sizes,
            activation,
            temperature,
            actions=actions,  # type: ignore[arg-type]
            squash=squash,
            action_distribution=action_distribution,
        )
    if module.actions is None:
        raise PolicyError("this MLPModule is a value network: use value_from_module")
    shift, scale = to_numpy(module.shift).copy(), to_numpy(module.scale).copy()
    converted = MLPPolicy(parameters, sizes, activation, temperature, None, {}, actions or module.actions, module.std)
    return replace(converted, squash=squash, action_distribution=action_distribution, shift=shift, scale=scale)


def value_from_module(module: nn.Module) -> MLPValue:
    """Return a multilayer perceptron as a compiled value network; raise PolicyError for any other module."""
    sizes, activation, parameters = perceptron(module)
    inputs = {}
    if isinstance(module, MLPModule):
        inputs = {name: to_numpy(getattr(module, name)).copy() for name in ("shift", "scale")}
    return MLPValue(parameters, sizes, activation, **inputs)


def perceptron(module: nn.Module) -> tuple[tuple[int, ...], str, npt.NDArray[np.float32]]:
    """Return a perceptron's sizes, activation and flat parameters; raise PolicyError for any other module."""
    layers = linear_layers(module)
    sizes = (layers[0].in_features, *(layer.out_features for layer in layers))
    arrays = [to_numpy(parameter).ravel() for parameter in in_order(module)]
    return sizes, _activation(module), np.concatenate(arrays)


def in_order(module: nn.Module) -> list[nn.Parameter]:
    """Return a multilayer perceptron's parameters in compiled order; raise PolicyError for any other module."""
    parameters = [parameter for layer in linear_layers(module) for parameter in layer.parameters()]
    log_std = getattr(module, "log_std", None)
    return parameters if log_std is None else [*parameters, log_std]


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """Return a multilayer perceptron's linear layers; raise PolicyError for any other module."""
    layers = _layers(module)
    known = layers[1::2]
    plain = len(layers) % 2 == 1 and all(type(layer) is nn.Linear and layer.bias is not None for layer in layers[::2])
    alike = len({type(layer) for layer in known}) <= 1 and all(type(k) in ACTIVATIONS.values() for k in known)
    # Hooks may change what a layer computes, as those of nn.utils.spectral_norm, weight_norm and prune do.
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    if hooked or not (plain and alike and all(p.dtype == torch.float32 for p in module.parameters())):
        raise PolicyError(
            f"{type(module).__name__} is not a multilayer perceptron that can be compiled, that is nn.Linear layers "
            f"with bias, in float32, without hooks, with nn.Tanh or nn.ReLU between all of them: it is {module}"
        )
    return layers[::2]  # type: ignore[return-value]


def _layers(module: nn.Module) -> list[nn.Module]:
    """Return the layers that a module applies in sequence; a subclass may do anything, so it is one layer."""
    if type(module) in (MLPModule, PolicyNetwork):
        return list(module.layers)  # type: ignore[arg-type]
    return list(module) if type(module) is nn.Sequential else [module]


def _activation(module: nn.Module) -> str:
    between = [type(layer) for layer in _layers(module)][1::2]
    return next((name for name, kind in ACTIVATIONS.items() if kind in between), "tanh")


def _from_policy(policy: TorchPolicy) -> MLPPolicy:
    """Convert with the temperature, squash, normalisation of inputs and metadata of training."""
    squash = policy.squash and isinstance(policy.actions, Box)
    converted = from_module(policy.module, policy.actions, policy.temperature, squash, policy.action_distribution)
    converted = replace(converted, noise_steps=policy.noise_steps)
    inputs = policy.inputs
    if inputs.shift.size:
        if converted.shift.size:
            raise PolicyError(
                "both the module and training (normalize_obs) normalise its inputs: only one of them can be converted"
            )
        converted = replace(converted, shift=inputs.shift.copy(), scale=inputs.scale.copy())
    return replace(converted, env=policy.env, metadata=policy.metadata)
