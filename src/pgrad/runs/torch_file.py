"""PyTorch modules as safetensors files: their numbers and what they were trained for, never their code.

A file names the module's class, but loading takes the module itself: nothing in a file is ever run.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pgrad.errors import RunError
from pgrad.runs.mlp_file import (
    AS_MODULE,
    Tensors,
    reading,
    require_finite,
    require_no_others,
    space_of,
    training_of,
    write,
)

if TYPE_CHECKING:
    from torch import nn

    from pgrad.torch import TorchPolicy, TorchValue


def save_module(policy: "TorchPolicy", path: Path) -> None:
    """Write a module policy's state_dict to `path`; raise RunError where that cannot be done."""
    inputs = policy.inputs
    description = {
        "kind": "a PyTorch module's state_dict",
        "class": policy.class_name,
        "obs_shape": inputs.shape,
        "actions": {"space": type(policy.actions).__name__, **dataclasses.asdict(policy.actions)},
        "squash": policy.squash,
        "action_distribution": policy.action_distribution,
        "std": policy.std,
        "noise_steps": policy.noise_steps,
        "temperature": policy.temperature,
        "env": policy.env,
        "training": policy.metadata,
    }
    tensors = state_of(policy.module)
    if inputs.shift.size:
        tensors |= {"inputs.shift": inputs.shift, "inputs.scale": inputs.scale}
    write(path, AS_MODULE, tensors, description)


def save_value_module(value: "TorchValue", path: Path) -> None:
    """Write a value module's state_dict to `path`, empty where V is the policy module's own; raise RunError."""
    from pgrad.torch.policy import class_name

    own = value.module
    description = {"kind": "a PyTorch module's state_dict, of V", "class": None if own is None else class_name(own)}
    tensors = {} if own is None else state_of(own)
    write(path, AS_MODULE, tensors, {**description, "reward_scale": value.reward_scale})


def load_module(path: Path, module: "nn.Module") -> "TorchPolicy":
    """Read a policy that save_module wrote into a copy of `module`, which must be built alike.

    Raises RunError for anything else, and for parameters that are not finite.
    """
    with reading(path, AS_MODULE, "PyTorch policy") as (tensors, description):
        return _policy(path, _filled(path, module, tensors, description["class"]), tensors, description)


def load_value_module(path: Path, policy_path: Path, module: "nn.Module") -> "TorchValue":
    """Read V as save_value_module wrote it beside a policy into a copy of `module`; raise RunError as load_module."""
    from pgrad.torch.policy import TorchValue

    with reading(path, AS_MODULE, "value module") as (tensors, description):
        reward_scale = float(description["reward_scale"])
        if description["class"] is None:
            return TorchValue(load_module(policy_path, module), None, reward_scale)
        own = _filled(path, module, tensors, description["class"])
    with reading(policy_path, AS_MODULE, "PyTorch policy") as (tensors, description):
        # V reads no more of its policy than how observations are prepared.
        return TorchValue(_policy(policy_path, own, tensors, description), own, reward_scale)


def _policy(path: Path, module: "nn.Module", tensors: Tensors, description: dict[str, Any]) -> "TorchPolicy":
    import torch

    from pgrad.torch.policy import Inputs, TorchPolicy

    nothing = np.empty(0, np.float32)
    shift, scale = (tensors.get(f"inputs.{name}", nothing) for name in ("shift", "scale"))
    require_finite(path, "inputs.shift", shift)
    require_finite(path, "inputs.scale", scale)
    return TorchPolicy(
        module,
        Inputs(tuple(description["obs_shape"]), shift, scale, torch.device("cpu")),
        space_of(description["actions"]),
        float(description["temperature"]),
        bool(description["squash"]),
        description["env"],
        training_of(description),
        description["action_distribution"],
        description["std"],
        int(description["noise_steps"]),
    )


def _filled(path: Path, module: "nn.Module", tensors: Tensors, name: str) -> "nn.Module":
    """Return a copy of a module with a file's numbers in it; raise RunError where they do not fit or are not finite."""
    import torch

    from pgrad.torch.policy import copied

    if not isinstance(module, torch.nn.Module):
        raise RunError(f"module must be a torch.nn.Module built like the {name}, not {module!r}")
    state = {key.removeprefix("module."): torch.tensor(tensors[key]) for key in tensors if key.startswith("module.")}
    require_no_others(path, tensors, {f"module.{key}" for key in state} | {"inputs.shift", "inputs.scale"})
    own: nn.Module = copied(module)[0].cpu().eval()
    try:
        own.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(f"{path} holds a {name}, which does not fit this module: {error}") from error
    for key, parameter in own.named_parameters():  # not buffers: -∞ in a mask of attention is right
        require_finite(path, key, parameter.detach().float().numpy())
    return own


def state_of(module: "nn.Module") -> dict[str, Any]:
    """Return parameters and buffers as arrays, named as in the state_dict behind "module."; bfloat16 as float32."""
    import torch

    from pgrad.torch.devices import to_numpy

    state = module.state_dict()
    for name, kept in state.items():
        if not isinstance(kept, torch.Tensor):
            raise RunError(
                f"{type(module).__name__} cannot be saved: its state_dict holds {name}, a {type(kept).__name__}, and "
                "files keep tensors alone"
            )
    return {f"module.{name}": to_numpy(tensor) for name, tensor in state.items()}
