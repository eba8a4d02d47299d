"""The actions that an environment allows, from `info["action_mask"]`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.vector.step import EnvFailure

KEY = "action_mask"

Mask = npt.NDArray[np.bool_]


def mask_of_one(info: Any, counts: Sequence[int]) -> Mask | None:
    """Return the mask [A] in the info of one environment (an array, or one for each part of an action), or None."""
    given = info.get(KEY) if isinstance(info, dict) and counts else None
    return None if given is None else _flat(given, sum(counts))


def masks_of_batch(info: Any, counts: Sequence[int], count: int) -> tuple[Mask, Mask] | None:
    """Return masks [N, A] and which environments have one [N] from a vector environment's info; None if none has."""
    given = info.get(KEY) if isinstance(info, dict) and counts else None
    if given is None:
        return None
    present = np.asarray(info.get(f"_{KEY}", np.ones(count, np.bool_)), np.bool_)
    if isinstance(given, tuple):  # one array [N, A_d] for each part
        given = np.concatenate([np.asarray(part).reshape(count, -1) for part in given], axis=1)
    masks = np.ones((count, sum(counts)), np.bool_)
    for n in np.flatnonzero(present):
        masks[n] = _flat(given[n], sum(counts), int(n))
    return masks, present


def merged(masks: Sequence[Mask | None], size: int) -> Mask | None:
    """Return the masks [N, A] of N environments, all True for one without a mask; None if all are without."""
    if all(mask is None for mask in masks):
        return None
    return np.stack([np.ones(size, np.bool_) if mask is None else mask for mask in masks])


def require_choices(mask: Mask | None, counts: Sequence[int], acting: Mask) -> None:
    """Raise EnvFailure if an environment that acts next has an action part without an allowed choice."""
    if mask is None:
        return
    first = 0
    for d, n in enumerate(counts):
        stuck = np.flatnonzero(acting & ~mask[:, first : first + n].any(axis=1))
        if stuck.size:
            raise EnvFailure(f"info['{KEY}'] allows none of the {n} choices of action part {d}", int(stuck[0]))
        first += n


def _flat(given: Any, size: int, env: int | None = None) -> Mask:
    if isinstance(given, np.ndarray) and given.size == size and given.dtype.kind in "bui":
        return given.astype(np.bool_).reshape(-1)
    parts = given if isinstance(given, tuple | list) else (given,)
    flat = np.concatenate([np.ravel(_flat(p, 0) if isinstance(p, tuple | list) else np.asarray(p)) for p in parts])
    if size and flat.size != size:
        raise EnvFailure(f"info['{KEY}'] has {flat.size} entries, expected {size}: one for each choice", env)
    return flat.astype(np.bool_)
