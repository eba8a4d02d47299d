"""Where tensors live, and with how many threads: the one place that moves arrays to a device and back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import torch

from pgrad.errors import ConfigError

AUTO = "auto"
ONE_AT_A_TIME = threading.RLock()
SMALL = 100_000  # parameters; below, the work of a step is less than what handing it to a second thread costs


def device_of(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU where there is one. Raises ConfigError where there is none such."""
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ConfigError([f"unknown device {name!r}: 'cpu', 'cuda', 'cuda:1' or 'auto'"])
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            [
                f"device '{name}' is not available: PyTorch {torch.__version__} sees {torch.cuda.device_count()} GPUs. "
                "Use device='cpu', or 'auto', which takes a GPU where there is one"
            ]
        )
    return device


def to_device(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """An array as a tensor on the device; on a CPU they share memory."""
    return torch.from_numpy(array).to(device)


def beside(array: npt.NDArray[Any], tensor: torch.Tensor) -> torch.Tensor:
    """An array as a tensor of another's type, on its device."""
    return torch.from_numpy(array).to(tensor)


def to_numpy(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """A tensor's numbers, wherever it is; bfloat16, which NumPy has not, as float32."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()


@contextmanager
def threads_for(module: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """One thread for a small module on a CPU, as long as the context lasts; larger ones keep PyTorch's own choice."""
    before = torch.get_num_threads()
    small = device.type == "cpu" and sum(parameter.numel() for parameter in module.parameters()) < SMALL
    if small and before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if small and before > 1:
            torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """PyTorch's random numbers from this seed on, as long as the context lasts; afterwards as if nothing had been.

    There is one generator for all threads, so they take turns.
    """
    with ONE_AT_A_TIME, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
