"""How many processor cores there are to use."""

import os


def available_cores() -> int:
    """Those that this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
