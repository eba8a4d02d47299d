"""The machine and what is installed on it: cores, versions, and where a result comes from."""

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from pgrad.errors import ConfigError

PACKAGES = ("pgrad", "numpy", "numba", "llvmlite", "gymnasium", "matplotlib", "safetensors", "rich")
EXTRAS = {"torch": "torch", "box2d": "box2d", "envpool": "envpool", "tensorboard": "tensorboard", "ray": "ray"}


def available_cores() -> int:
    """Return how many cores this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_torch() -> None:
    """Raise ConfigError if PyTorch, an optional dependency, is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(['PyTorch is not installed: pip install "pgrad[torch]"'])


def require_tensorboard() -> None:
    """Raise ConfigError if TensorBoard, an optional dependency, is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(['TensorBoard is not installed: pip install "pgrad[tensorboard]"'])


def version(package: str) -> str | None:
    """Return the installed version of a package, None where it is not installed, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def provenance() -> dict[str, Any]:
    """Describe where a result comes from: the moment (UTC), the command, versions and the processor."""
    installed = {package: version(package) for package in (*PACKAGES, *EXTRAS.values())}
    program, *arguments = sys.argv or [""]
    path = Path(program)
    command = ["python", "-m", path.parent.name] if path.name == "__main__.py" else [path.name or "python"]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join([*command, *arguments]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": available_cores(),
        "packages": {package: number for package, number in installed.items() if number is not None},
    }
