"""What this machine has: processor cores, PyTorch."""

import importlib.util
import os

from pgrad.errors import ConfigError


def available_cores() -> int:
    """Return how many cores this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_torch() -> None:
    """Raise ConfigError if PyTorch, an optional dependency, is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(['PyTorch is not installed: pip install "pgrad[torch]"'])
