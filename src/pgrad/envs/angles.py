"""Angles by the turn."""

import numpy as np

from pgrad.kernels.jit import both

PI = 3.141592653589793
TURN = 2.0 * PI  # rad


@both
def wrapped(angle: float) -> float:
    """The same direction in [-π, π), up to rounding. Without branches, so that a loop over lanes vectorises."""
    return angle - TURN * np.floor((angle + PI) / TURN)  # type: ignore[no-any-return]
