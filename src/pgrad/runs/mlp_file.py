"""Networks as safetensors files: the policy, the value network, and the parameters of both along a run.

A file holds each layer's weight and bias, and in its header what they mean. Any safetensors reader gets the arrays;
pgrad gets the network back, bit for bit.
"""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.learner import Checkpoints
from pgrad.errors import PgradError, RunError
from pgrad.policies.mlp import MLPNetwork, MLPPolicy, MLPValue
from pgrad.runs.atomic import write_atomically
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space

HEADER = "pgrad"
POLICY, VALUE, CHECKPOINTS = "pgrad-policy-1", "pgrad-value-1", "pgrad-checkpoints-1"
AS_MODULE = "pgrad-module-1"  # see runs.module_file

CHECKPOINT_ARRAYS = (  # name, axes, kind
    ("iteration", 1, np.int64),
    ("policy", 2, np.float32),
    ("critic", 2, np.float32),
    ("shift", 2, np.float32),
    ("scale", 2, np.float32),
    ("reward_scale", 1, np.float64),
)
SPACES = {space.__name__: space for space in (Discrete, MultiDiscrete, Box)}

Tensors = dict[str, npt.NDArray[Any]]


def save_policy(policy: MLPPolicy, path: Path) -> None:
    """Write the policy to `path`; raises RunError."""
    description = {
        "kind": f"{'Gaussian' if isinstance(policy.actions, Box) else 'softmax'} over a multilayer perceptron",
        **_shape(policy),
        "actions": {"space": type(policy.actions).__name__, **dataclasses.asdict(policy.actions)},
        "std": policy.std,
        "squash": policy.squash,
        "temperature": policy.temperature,
        "env": policy.env,
        "training": policy.metadata,
    }
    write(path, POLICY, _tensors(policy), description)


def load_policy(path: Path) -> MLPPolicy:
    """Read a policy that save_policy wrote; raises RunError for anything else."""
    with reading(path, POLICY, "policy") as (tensors, description):
        sizes, parameters, inputs = _network(path, tensors, description)
        return MLPPolicy(
            parameters,
            sizes,
            description["activation"],
            float(description["temperature"]),
            description["env"],
            dict(description["training"]),
            space_of(description["actions"]),
            description["std"],
            bool(description["squash"]),
            **inputs,
        )


def save_value(critic: MLPValue, path: Path) -> None:
    """Write the value network to `path`; raises RunError."""
    write(path, VALUE, _tensors(critic), {"kind": "value, a multilayer perceptron", **_shape(critic)})


def load_value(path: Path) -> MLPValue:
    """Read a value network that save_value wrote; raises RunError for anything else."""
    with reading(path, VALUE, "value network") as (tensors, description):
        sizes, parameters, inputs = _network(path, tensors, description)
        return MLPValue(parameters, sizes, description["activation"], **inputs)


def save_checkpoints(checkpoints: Checkpoints, path: Path) -> None:
    """Write the parameters kept along a run to `path`; raises RunError."""
    tensors: Tensors = {name: getattr(checkpoints, name) for name, _, _ in CHECKPOINT_ARRAYS}
    write(path, CHECKPOINTS, tensors, {"every": int(checkpoints.every[0])})


def load_checkpoints(path: Path) -> Checkpoints:
    """Read what save_checkpoints wrote; raises RunError for anything else."""
    with reading(path, CHECKPOINTS, "file of checkpoints") as (tensors, description):
        count = tensors["iteration"].size
        for name, axes, kind in CHECKPOINT_ARRAYS:
            array = tensors[name]
            if array.ndim != axes or array.dtype != kind or array.shape[0] != count:
                shape = ("K", "P")[:axes]
                raise RunError(
                    f"{path}: {name} is {array.dtype} {array.shape}, not {np.dtype(kind)} [{', '.join(shape)}]"
                )
        arrays = {name: tensors[name] for name, _, _ in CHECKPOINT_ARRAYS}
        return Checkpoints(**arrays, kept=np.array([count]), every=np.array([int(description["every"])]))


def _shape(network: MLPNetwork) -> dict[str, Any]:
    return {"sizes": network.sizes, "activation": network.activation}


def space_of(description: dict[str, Any]) -> Space:
    """An action space from what dataclasses.asdict made of it."""
    members = dict(description)
    kind = members.pop("space")
    if kind not in SPACES:
        raise ValueError(f"its actions are a {kind}, which is none of {', '.join(SPACES)}")
    return SPACES[kind](**members)


def _tensors(network: MLPNetwork) -> Tensors:
    """The layers' weights and biases, log σ, and what normalises the inputs, where there are such."""
    tensors: Tensors = {}
    for k, (weight, bias) in enumerate(network.layers):
        tensors[f"layers.{k}.weight"], tensors[f"layers.{k}.bias"] = weight, bias
    if network.num_extra:
        tensors["log_std"] = network.parameters[-network.num_extra :]
    if network.shift.size:
        tensors["inputs.shift"], tensors["inputs.scale"] = network.shift, network.scale
    return tensors


def _network(
    path: Path, tensors: Tensors, description: dict[str, Any]
) -> tuple[tuple[int, ...], npt.NDArray[np.float32], Tensors]:
    """Sizes, flat parameters, and what normalises the inputs."""
    sizes, arrays = tuple(int(size) for size in description["sizes"]), []
    for k in range(len(sizes) - 1):
        for part, shape in (("weight", (sizes[k + 1], sizes[k])), ("bias", (sizes[k + 1],))):
            arrays.append(_array(path, tensors, f"layers.{k}.{part}", shape).ravel())
    if "log_std" in tensors:
        arrays.append(_array(path, tensors, "log_std", tensors["log_std"].shape[:1]))
    inputs = {}
    if "inputs.shift" in tensors:
        inputs = {name: _array(path, tensors, f"inputs.{name}", sizes[:1]) for name in ("shift", "scale")}
    return sizes, np.concatenate(arrays), inputs


def _array(path: Path, tensors: Tensors, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """A float32 array of that shape; raises RunError where it is another."""
    array = tensors[name]
    if array.shape != shape or array.dtype != np.float32:
        raise RunError(f"{path}: {name} is {array.dtype} {array.shape}, not float32 {shape}")
    return array


def write(path: Path, file_format: str, tensors: Tensors, description: dict[str, Any]) -> None:
    """Write arrays and what they mean to `path`; raises RunError."""
    from safetensors.numpy import save

    # One entry: the library writes several in an order of its own, and equal networks shall be equal files.
    header = json.dumps({"format": file_format, **description})
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_atomically(path, save(contiguous, metadata={HEADER: header}))


@contextmanager
def reading(path: Path, file_format: str, what: str) -> Iterator[tuple[Tensors, dict[str, Any]]]:
    """A file's arrays and header; whatever is wrong with them, here or in the caller's hands, becomes a RunError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            description = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            if description.get("format") == AS_MODULE != file_format:
                raise RunError(
                    f"{path} holds the numbers of a PyTorch module, a {description.get('class')}: give the module they "
                    "are for, as in pgrad.load(run, module=...)"
                )
            if description.get("format") != file_format:
                raise RunError(f"{path} is not a {what} that pgrad wrote: its format is {description.get('format')!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
        yield tensors, description
    except FileNotFoundError as error:
        raise RunError(f"there is no {what} {path}") from error
    except RunError:
        raise
    except (PgradError, OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise RunError(f"cannot read the {what} {path}: {error}") from error
