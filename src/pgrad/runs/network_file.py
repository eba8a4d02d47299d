"""Networks as safetensors files: the policy, the value network, and the parameters of both along a run.

A file holds each layer's weight and bias, and in its header what they mean. Any safetensors reader gets the arrays;
pgrad gets the network back, bit for bit.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.settings import Checkpoints
from pgrad.errors import PgradError, RunError
from pgrad.policies.mlp import MLPNetwork, MLPPolicy, MLPValue
from pgrad.runs.files import write_atomically

HEADER = "pgrad"
POLICY, VALUE, CHECKPOINTS = "pgrad-policy-1", "pgrad-value-1", "pgrad-checkpoints-1"

Tensors = dict[str, npt.NDArray[Any]]


def save_policy(policy: MLPPolicy, path: Path) -> None:
    """Write the policy to `path`; raises RunError."""
    description = {
        "kind": "softmax over a multilayer perceptron",
        **_shape(policy),
        "temperature": policy.temperature,
        "env": policy.env,
        "training": policy.metadata,
    }
    _write(path, POLICY, _layers(policy), description)


def load_policy(path: Path) -> MLPPolicy:
    """Read a policy that save_policy wrote; raises RunError for anything else."""
    with _reading(path, POLICY, "policy") as (tensors, description):
        sizes, parameters = _network(path, tensors, description)
        return MLPPolicy(
            parameters,
            sizes,
            description["activation"],
            float(description["temperature"]),
            description["env"],
            dict(description["training"]),
        )


def save_value(critic: MLPValue, path: Path) -> None:
    """Write the value network to `path`; raises RunError."""
    _write(path, VALUE, _layers(critic), {"kind": "value, a multilayer perceptron", **_shape(critic)})


def load_value(path: Path) -> MLPValue:
    """Read a value network that save_value wrote; raises RunError for anything else."""
    with _reading(path, VALUE, "value network") as (tensors, description):
        sizes, parameters = _network(path, tensors, description)
        return MLPValue(parameters, sizes, description["activation"])


def save_checkpoints(checkpoints: Checkpoints, path: Path) -> None:
    """Write the parameters kept along a run to `path`; raises RunError."""
    tensors: Tensors = {"iteration": checkpoints.iteration, "policy": checkpoints.policy, "critic": checkpoints.critic}
    _write(path, CHECKPOINTS, tensors, {"every": int(checkpoints.every[0])})


def load_checkpoints(path: Path) -> Checkpoints:
    """Read what save_checkpoints wrote; raises RunError for anything else."""
    with _reading(path, CHECKPOINTS, "file of checkpoints") as (tensors, description):
        iteration, policy, critic = tensors["iteration"], tensors["policy"], tensors["critic"]
        for name, array, axes, kind in (
            ("iteration", iteration, 1, np.int64),
            ("policy", policy, 2, np.float32),
            ("critic", critic, 2, np.float32),
        ):
            if array.ndim != axes or array.dtype != kind or len(array) != len(iteration):
                shape = ("K", "P")[:axes]
                raise RunError(
                    f"{path}: {name} is {array.dtype} {array.shape}, not {np.dtype(kind)} [{', '.join(shape)}]"
                )
        every = np.array([int(description["every"])])
        return Checkpoints(iteration, policy, critic, np.array([iteration.shape[0]]), every)


def _shape(network: MLPNetwork) -> dict[str, Any]:
    return {"sizes": network.sizes, "activation": network.activation}


def _layers(network: MLPNetwork) -> Tensors:
    tensors: Tensors = {}
    for k, (weight, bias) in enumerate(network.layers):
        tensors[f"layers.{k}.weight"], tensors[f"layers.{k}.bias"] = weight, bias
    return tensors


def _network(
    path: Path, tensors: Tensors, description: dict[str, Any]
) -> tuple[tuple[int, ...], npt.NDArray[np.float32]]:
    """Sizes and flat parameters."""
    sizes, arrays = tuple(int(size) for size in description["sizes"]), []
    for k in range(len(sizes) - 1):
        for part, shape in (("weight", (sizes[k + 1], sizes[k])), ("bias", (sizes[k + 1],))):
            array = tensors[f"layers.{k}.{part}"]
            if array.shape != shape or array.dtype != np.float32:
                raise RunError(f"{path}: layer {k}'s {part} is {array.dtype} {array.shape}, not float32 {shape}")
            arrays.append(array.ravel())
    return sizes, np.concatenate(arrays)


def _write(path: Path, file_format: str, tensors: Tensors, description: dict[str, Any]) -> None:
    from safetensors.numpy import save

    # One entry: the library writes several in an order of its own, and equal networks shall be equal files.
    header = json.dumps({"format": file_format, **description})
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_atomically(path, save(contiguous, metadata={HEADER: header}))


@contextmanager
def _reading(path: Path, file_format: str, what: str) -> Iterator[tuple[Tensors, dict[str, Any]]]:
    """A file's arrays and header; whatever is wrong with them, here or in the caller's hands, becomes a RunError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            description = json.loads((file.metadata() or {}).get(HEADER, "{}"))
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
