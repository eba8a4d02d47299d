"""A policy as one safetensors file: each layer's weight and bias, and in the header what they mean.

Any safetensors reader gets the arrays; `load` gets the policy back, bit for bit.
"""

import json
from pathlib import Path

import numpy as np

from pgrad.errors import PgradError, RunError
from pgrad.policies.mlp import MLPPolicy
from pgrad.runs.files import write_atomically

FORMAT, HEADER = "pgrad-policy-1", "pgrad"


def save_policy(policy: MLPPolicy, path: Path) -> None:
    """Write the policy to `path`; raises RunError."""
    from safetensors.numpy import save

    tensors = {}
    for k, (weight, bias) in enumerate(policy.layers):
        tensors[f"layers.{k}.weight"], tensors[f"layers.{k}.bias"] = weight, bias
    description = {
        "format": FORMAT,
        "kind": "softmax over a multilayer perceptron",
        "sizes": policy.sizes,
        "activation": policy.activation,
        "temperature": policy.temperature,
        "env": policy.env,
        "training": policy.metadata,
    }
    # One entry: the library writes several in an order of its own, and equal policies shall be equal files.
    write_atomically(path, save(tensors, metadata={HEADER: json.dumps(description)}))


def load_policy(path: Path) -> MLPPolicy:
    """Read a policy that save_policy wrote; raises RunError for anything else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            description = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            if description.get("format") != FORMAT:
                raise RunError(f"{path} is not a policy that pgrad wrote: its format is {description.get('format')!r}")
            sizes = tuple(int(size) for size in description["sizes"])
            arrays = []
            for k in range(len(sizes) - 1):
                for part, shape in (("weight", (sizes[k + 1], sizes[k])), ("bias", (sizes[k + 1],))):
                    array = file.get_tensor(f"layers.{k}.{part}")
                    if array.shape != shape or array.dtype != np.float32:
                        raise RunError(
                            f"{path}: layer {k}'s {part} is {array.dtype} {array.shape}, not float32 {shape}"
                        )
                    arrays.append(array.ravel())
            return MLPPolicy(
                np.concatenate(arrays),
                sizes,
                description["activation"],
                float(description["temperature"]),
                description["env"],
                dict(description["training"]),
            )
    except FileNotFoundError as error:
        raise RunError(f"there is no policy file {path}") from error
    except RunError:
        raise
    except (PgradError, OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"cannot read the policy {path}: {error}") from error
