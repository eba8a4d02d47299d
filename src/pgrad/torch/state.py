"""The numbers of modules and of torch.optim's optimisers as arrays, and back: what checkpoints hold of them."""

from typing import Any

import torch
from torch import Tensor, nn

from pgrad.arrays import Arrays
from pgrad.errors import RunError
from pgrad.torch.devices import to_numpy

PLAIN = (bool, int, float, str, type(None))  # what JSON gives back as it was


def module_arrays(module: nn.Module) -> Arrays | None:
    """Copy a module's parameters and buffers; None where its state_dict holds something else."""
    state = module.state_dict()
    if not all(isinstance(kept, Tensor) for kept in state.values()):
        return None
    return {name: to_numpy(tensor).copy() for name, tensor in state.items()}


def fill_module(module: nn.Module, arrays: Arrays) -> None:
    """Give a module the numbers that `module_arrays` copied; raise RunError where it is built otherwise."""
    try:
        module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise RunError(f"the checkpoint is of another {type(module).__name__}: {error}") from error


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[Arrays, dict[str, Any]] | None:
    """Copy what an optimiser remembers: its tensors, and its numbers; None where it keeps something else."""
    whole = optimizer.state_dict()
    kept = {f"{k}.{name}": value for k, entries in whole["state"].items() for name, value in entries.items()}
    groups = [{name: value for name, value in group.items() if name != "params"} for group in whole["param_groups"]]
    numbers = {name: value for name, value in kept.items() if not isinstance(value, Tensor)}
    if not all(map(_is_plain, [*numbers.values(), *(value for group in groups for value in group.values())])):
        return None
    tensors = {name: to_numpy(value).copy() for name, value in kept.items() if name not in numbers}
    return tensors, {"numbers": numbers, "groups": groups}


def fill_optimizer(optimizer: torch.optim.Optimizer, arrays: Arrays, about: dict[str, Any]) -> None:
    """Let an optimiser remember what `optimizer_state` copied; raise RunError where it has other parameters."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*((name, torch.tensor(array)) for name, array in arrays.items()), *about["numbers"].items()]:
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = [
        {**own, **kept} for own, kept in zip(optimizer.state_dict()["param_groups"], about["groups"], strict=True)
    ]
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except ValueError as error:
        raise RunError(f"the checkpoint is of another {type(optimizer).__name__}: {error}") from error


def _is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN) or (isinstance(value, list | tuple) and all(map(_is_plain, value)))
