"""Networks as safetensors files: the policy, the value network, and the parameters of both along a run.

A file holds each layer's weight and bias, and in its header what they mean. Any safetensors reader gets the arrays;
pgrad gets the network back, bit for bit: a checksum of all that a file says refuses one in which a bit has changed.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.learner import Checkpoints
from pgrad.errors import PgradError, RunError
from pgrad.policies.distributions import BETA, GAUSSIAN
from pgrad.policies.mlp import MLPNetwork, MLPPolicy, MLPValue
from pgrad.runs.atomic import require_regular_file, write_atomically
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space

HEADER = "pgrad"
POLICY, VALUE, CHECKPOINTS = "pgrad-policy-4", "pgrad-value-2", "pgrad-checkpoints-2"
AS_MODULE = "pgrad-module-4"  # see runs.torch_file
LONGEST_DESCRIPTION = 2**20  # characters of JSON; a policy's own has a thousand

KINDS = {  # what the outputs describe of continuous actions
    GAUSSIAN: "Gaussian of u, the action being middle + half-width of its bounds times u,",
    BETA: "Beta(1 + softplus(a), 1 + softplus(b)) of x, the action being low + (high - low) x,",
}

CHECKPOINT_ARRAYS = (  # name, axes, kind
    ("iteration", 1, np.int64),
    ("policy", 2, np.float32),
    ("critic", 2, np.float32),
    ("shift", 2, np.float32),
    ("scale", 2, np.float32),
    ("reward_scale", 1, np.float64),
)
COUNTS = {"iterations", "max_episode_steps"}  # in a policy's metadata, as text
SPACES = {space.__name__: space for space in (Discrete, MultiDiscrete, Box)}

MALFORMED = (PgradError, OSError, ValueError, TypeError, AttributeError, IndexError, OverflowError, MemoryError)

Tensors = dict[str, npt.NDArray[Any]]


def save_policy(policy: MLPPolicy, path: Path) -> None:
    """Write the policy to `path`; raise RunError where that cannot be done."""
    density = KINDS[policy.action_distribution] if isinstance(policy.actions, Box) else "softmax"
    description = {
        "kind": f"{density} over a multilayer perceptron",
        **_shape(policy),
        "actions": {"space": type(policy.actions).__name__, **dataclasses.asdict(policy.actions)},
        "std": policy.std,
        "squash": policy.squash,
        "action_distribution": policy.action_distribution,
        "noise_steps": policy.noise_steps,
        "temperature": policy.temperature,
        "env": policy.env,
        "training": policy.metadata,
    }
    write(path, POLICY, _tensors(policy), description)


def load_policy(path: Path) -> MLPPolicy:
    """Read a policy that save_policy wrote; raise RunError for anything else, and for parameters that are not finite.

    The file is data: nothing that it names is imported or called.
    """
    with reading(path, POLICY, "policy") as (tensors, description):
        sizes, parameters, inputs = _network(path, tensors, description)
        return MLPPolicy(
            parameters,
            sizes,
            description["activation"],
            float(description["temperature"]),
            description["env"],
            training_of(description),
            space_of(description["actions"]),
            description["std"],
            bool(description["squash"]),
            description["action_distribution"],
            int(description["noise_steps"]),
            **inputs,
        )


def save_value(critic: MLPValue, path: Path) -> None:
    """Write the value network to `path`; raise RunError where that cannot be done."""
    write(path, VALUE, _tensors(critic), {"kind": "value, a multilayer perceptron", **_shape(critic)})


def load_value(path: Path) -> MLPValue:
    """Read a value network that save_value wrote; raise RunError for anything else, as load_policy does."""
    with reading(path, VALUE, "value network") as (tensors, description):
        sizes, parameters, inputs = _network(path, tensors, description)
        return MLPValue(parameters, sizes, description["activation"], **inputs)


def save_checkpoints(checkpoints: Checkpoints, path: Path) -> None:
    """Write the parameters kept along a run to `path`; raise RunError where that cannot be done."""
    tensors: Tensors = {name: getattr(checkpoints, name) for name, _, _ in CHECKPOINT_ARRAYS}
    write(path, CHECKPOINTS, tensors, {"every": int(checkpoints.every[0])})


def load_checkpoints(path: Path) -> Checkpoints:
    """Read what save_checkpoints wrote; raise RunError for anything else."""
    with reading(path, CHECKPOINTS, "file of checkpoints") as (tensors, description):
        require_no_others(path, tensors, {name for name, _, _ in CHECKPOINT_ARRAYS})
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
    """Return an action space from what dataclasses.asdict made of it."""
    members = dict(description)
    kind = members.pop("space")
    if kind not in SPACES:
        raise ValueError(f"its actions are a {kind}, which is none of {', '.join(SPACES)}")
    return SPACES[kind](**members)


def training_of(description: dict[str, Any]) -> dict[str, str]:
    """Return what a policy's file says of its training; raise ValueError where that is not text, or no count."""
    training = dict(description["training"])
    if not all(isinstance(value, str) for value in training.values()):
        raise ValueError("its training is not told in text")
    for name in COUNTS & training.keys():
        if not (training[name].isdecimal() and len(training[name]) <= 18):
            raise ValueError(f"its {name} are {training[name]!r:.40}, which is no number of them")
    if not isinstance(description["env"], str | None):
        raise ValueError("its environment is not named by text")
    return training


def _tensors(network: MLPNetwork) -> Tensors:
    """Return the layers' weights and biases, log σ, and what normalises the inputs, as far as the network has them."""
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
    """Return sizes, flat parameters, and what normalises the inputs; raise RunError where a tensor does not fit."""
    sizes = tuple(int(size) for size in description["sizes"])
    shapes: dict[str, tuple[int, ...]] = {}
    for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        shapes |= {f"layers.{k}.weight": (outputs, inputs), f"layers.{k}.bias": (outputs,)}
    if "log_std" in tensors:
        shapes["log_std"] = tensors["log_std"].shape[:1]
    normalization = {f"inputs.{name}": sizes[:1] for name in ("shift", "scale") if "inputs.shift" in tensors}
    require_no_others(path, tensors, shapes.keys() | normalization.keys())
    for name, shape in (shapes | normalization).items():
        array = tensors[name]
        if array.shape != shape or array.dtype != np.float32:
            raise RunError(f"{path}: {name} is {array.dtype} {array.shape}, not float32 {shape}")
        require_finite(path, name, array)
    parameters = np.concatenate([tensors[name].ravel() for name in shapes])
    return sizes, parameters, {name.removeprefix("inputs."): tensors[name] for name in normalization}


def require_no_others(path: Path, tensors: Tensors, known: Collection[str]) -> None:
    """Raise RunError where a file holds a tensor that belongs to nothing in it."""
    if others := sorted(tensors.keys() - set(known)):
        raise RunError(f"{path} holds '{others[0]}', which is no part of it: it is damaged, or not as pgrad wrote it")


def require_finite(path: Path, name: str, array: npt.NDArray[Any]) -> None:
    """Raise RunError where a tensor has a NaN or an infinity in it."""
    if not np.isfinite(array).all():
        raise RunError(f"{path}: {name} has values that are not finite, so that it is no policy or value function")


def write(
    path: Path, file_format: str, tensors: Tensors, description: dict[str, Any], previous: Path | None = None
) -> None:
    """Write arrays and what they mean to `path`, as write_atomically does; raise RunError where that cannot be done."""
    from safetensors.numpy import save

    # One entry: the library writes several in an order of its own, and equal networks shall be equal files.
    header = sealed(tensors, {"format": file_format, **description})
    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    write_atomically(path, save(contiguous, metadata={HEADER: json.dumps(header)}), previous)


def sealed(tensors: Tensors, description: dict[str, Any]) -> dict[str, Any]:
    """Return the description with a checksum: the SHA-256 of it, and of the tensors' names, kinds, shapes and bytes."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, array in sorted(tensors.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return {**description, "sha256": digest.hexdigest()}


@contextmanager
def reading(path: Path, file_format: str, what: str) -> Iterator[tuple[Tensors, dict[str, Any]]]:
    """Yield a file's arrays and header; whatever is wrong with them, here or in the caller's hands, is a RunError."""
    from safetensors import SafetensorError, safe_open

    try:
        require_regular_file(path)
        with safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {}).get(HEADER, "{}")
            if len(header) > LONGEST_DESCRIPTION:
                raise ValueError(
                    f"its description has {len(header):,} characters, at most {LONGEST_DESCRIPTION:,} are read"
                )
            description = json.loads(header)
            if description.get("format") == AS_MODULE != file_format:
                raise RunError(
                    f"{path} holds the numbers of a PyTorch module, a {description.get('class')}: give the module they "
                    "are for, as in pgrad.load(run, module=...), or --policy my_policy.py:Net"
                )
            if description.get("format") != file_format:
                raise RunError(f"{path} is not a {what} that pgrad wrote: its format is {description.get('format')!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
        checksum = description.pop("sha256")
        if checksum != sealed(tensors, description)["sha256"]:
            raise RunError(f"the {what} {path} is damaged: its checksum is another one")
        yield tensors, description
    except FileNotFoundError as error:
        raise RunError(f"there is no {what} {path}") from error
    except RunError:
        raise
    except RecursionError:
        raise RunError(f"cannot read the {what} {path}: its description is nested too deeply") from None
    except KeyError as error:
        raise RunError(f"cannot read the {what} {path}: it has no {error}") from error
    except (*MALFORMED, SafetensorError) as error:
        raise RunError(f"cannot read the {what} {path}: {error}") from error
