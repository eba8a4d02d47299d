"""Compile what evaluation needs while the training loop compiles: Numba compiles one function at a time."""

import subprocess
import sys
import threading
from typing import Any, cast

import numpy as np

from pgrad.evaluation import evaluate
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.actions import act


def compile_beside() -> "subprocess.Popen[bytes] | None":
    """Start a process on another core that compiles evaluation's functions into the cache, if they are not there yet.

    Only a thread waits for it: it ends by itself, and an evaluation that comes before compiles for itself.
    """
    if cast(Any, act).in_cache:
        return None
    command = [sys.executable, "-P", "-c", f"import {__name__} as w; w.compile_here()"]  # -P: nothing of this folder
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    threading.Thread(target=process.wait, daemon=True).start()  # else Python would warn of a process left running
    return process


def compile_here() -> None:
    """Compile what evaluation needs, into the cache."""
    evaluate(MLPPolicy(np.zeros(10, np.float32), (4, 2), env="CartPole-v1"), episodes=1)
