"""Devices, threads and random numbers of PyTorch; the only place that moves arrays to a device and back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import torch

from pgrad.errors import ConfigError

AUTO = "auto"
ONE_AT_A_TIME = threading.RLock()
SMALL = 100_000  # parameters; below, handing work to a second thread costs more than it saves


def device_of(name: str) -> torch.device:
    """Return the device of that name, for "auto" a GPU if there is one; raise ConfigError if there is none such."""
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ConfigError([f"unknown device {name!r}: use 'cpu', 'cuda', 'cuda:1' or 'auto'"])
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            [
                f"device '{name}' is not available: PyTorch {torch.__version__} sees {torch.cuda.device_count()} GPUs; "
                "use device='cpu', or 'auto', which takes a GPU if there is one"
            ]
        )
    return device


def to_device(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """Return an array as a tensor on the device; on a CPU they share memory."""
    return torch.from_numpy(array).to(device)


def beside(array: npt.NDArray[Any], tensor: torch.Tensor) -> torch.Tensor:
    """Return an array as a tensor of another's dtype, on its device."""
    return torch.from_numpy(array).to(tensor)


def to_numpy(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Return a tensor on any device as an array; bfloat16, which NumPy lacks, becomes float32."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()


@contextmanager
def threads_for(module: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """Run small modules on one CPU thread within the context; larger ones keep PyTorch's number."""
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
    """Seed PyTorch's global generator within the context, and restore it afterwards.

    All threads share that generator, so they take turns.
    """
    with ONE_AT_A_TIME, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
