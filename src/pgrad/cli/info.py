"""`pgrad info`: what somebody else needs to understand a figure or reproduce a fault."""

import os
import platform
import subprocess

from pgrad.cli.parser import Parser
from pgrad.kernels.jit import CACHE_FOLDER
from pgrad.system import EXTRAS, PACKAGES, available_cores, processor, version


def command(argv: list[str]) -> int:
    """Run `pgrad info`."""
    Parser("info", "", "Show versions, processor, GPU and installed extras.").checked(argv)
    print(describe_system())
    return 0


def describe_system() -> str:
    """Return versions, processor, GPU and its memory, and which extras are installed."""
    rows = [(name, version(name) or "not installed") for name in PACKAGES]
    rows.insert(1, ("python", f"{platform.python_version()} on {platform.platform()}"))
    rows += [
        ("processor", f"{processor()}, {available_cores()} of {os.cpu_count()} cores"),
        ("memory", memory()),
        ("GPU", gpu()),
        ("cache", CACHE_FOLDER or "none: no folder can be written, so every process compiles again"),
    ]
    rows += [(f"extra {extra}", version(package) or "not installed") for extra, package in EXTRAS.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def memory() -> str:
    """Return the size of physical memory."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return f"{size / 2**30:.1f} GiB"
    except (OSError, ValueError):
        return "unknown"


def gpu() -> str:
    """Return name, memory and driver of each NVIDIA GPU, as nvidia-smi reports them."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "none found"
    return "; ".join(output.splitlines()) or "none found"
