"""Records of arrays as one flat dictionary, and back: how what a training remembers gets into a file."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.errors import RunError

Arrays = dict[str, npt.NDArray[Any]]


def arrays_in(**parts: Any) -> Arrays:
    """Return the arrays in named records, by dotted names: the arrays themselves, which training updates in place."""
    found: Arrays = {}
    for name, part in parts.items():
        inner = {"": part} if isinstance(part, np.ndarray) else arrays_in(**part._asdict())
        found |= {f"{name}.{key}".removesuffix("."): array for key, array in inner.items()}
    return found


def copies(arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Copy every array."""
    return {name: array.copy() for name, array in arrays.items()}


def put_back(saved: Mapping[str, npt.NDArray[Any]], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Set every array of `arrays` to what was saved of it; raise RunError where another kind of array was."""
    for name, array in arrays.items():
        found = saved.get(name)
        if found is None:
            raise RunError(f"the checkpoint has no {name}: it is not as pgrad wrote it; begin a new run")
        if (found.dtype, found.shape) != (array.dtype, array.shape):
            raise RunError(
                f"the checkpoint's {name} is {found.dtype} {found.shape}, and this training's {array.dtype} "
                f"{array.shape}: the environment or the network has changed since; begin a new run"
            )
        array[...] = found


def under(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Put a prefix and a dot before every name."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Return the arrays whose names begin with the prefix and a dot, by what follows: the inverse of `under`."""
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
