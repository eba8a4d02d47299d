"""PyTorch modules as safetensors files: their numbers and what they were trained for, never their code.

A file names the module's class, but loading takes the module itself: nothing in a file is ever run.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pgrad.errors import RunError
from pgrad.runs.mlp_file import AS_MODULE, reading, space_of, write

if TYPE_CHECKING:
    from torch import nn

    from pgrad.torch import TorchPolicy, TorchValue


def save_module(policy: "TorchPolicy", path: Path) -> None:
    """Write a module policy's state_dict to `path`; raises RunError."""
    inputs = policy.inputs
    description = {
        "kind": "a PyTorch module's state_dict",
        "class": policy.class_name,
        "obs_shape": inputs.shape,
        "actions": {"space": type(policy.actions).__name__, **dataclasses.asdict(policy.actions)},
        "squash": policy.squash,
        "temperature": policy.temperature,
        "env": policy.env,
        "training": policy.metadata,
    }
    tensors = state_of(policy.module)
    if inputs.shift.size:
        tensors |= {"inputs.shift": inputs.shift, "inputs.scale": inputs.scale}
    write(path, AS_MODULE, tensors, description)


def save_value_module(value: "TorchValue", path: Path) -> None:
    """Write a value module's state_dict to `path`, if V is not the policy's own; raises RunError."""
    if value.module is not None:
        from pgrad.torch.policy import class_name

        description = {"kind": "a PyTorch module's state_dict, of V", "class": class_name(value.module)}
        write(path, AS_MODULE, state_of(value.module), {**description, "reward_scale": value.reward_scale})


def load_module(path: Path, module: "nn.Module") -> "TorchPolicy":
    """Read a policy that save_module wrote into a copy of `module`, which must be built alike; raises RunError."""
    import torch

    from pgrad.torch.policy import Inputs, TorchPolicy, copied

    with reading(path, AS_MODULE, "PyTorch policy") as (tensors, description):
        if not isinstance(module, torch.nn.Module):
            raise RunError(f"module must be a torch.nn.Module built like the {description['class']}, not {module!r}")
        own = copied(module)[0].cpu().eval()
        state = {name.removeprefix("module."): torch.tensor(tensors[name]) for name in tensors if name[:7] == "module."}
        try:
            own.load_state_dict(state)
        except RuntimeError as error:
            raise RunError(f"{path} holds a {description['class']}, which does not fit this module: {error}") from error
        nothing = np.empty(0, np.float32)
        shift, scale = (tensors.get(f"inputs.{name}", nothing) for name in ("shift", "scale"))
        return TorchPolicy(
            own,
            Inputs(tuple(description["obs_shape"]), shift, scale, torch.device("cpu")),
            space_of(description["actions"]),
            float(description["temperature"]),
            bool(description["squash"]),
            description["env"],
            dict(description["training"]),
        )


def state_of(module: "nn.Module") -> dict[str, Any]:
    """Its parameters and buffers as arrays, named as in its state_dict behind "module."; bfloat16 as float32."""
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
