"""How much of a gradient estimate is signal, from iterations that follow each other.

    signal to noise = s / (p - s)        s ← mean of g_k · g_{k-1},  p ← mean of (‖g_k‖² + ‖g_{k-1}‖²) / 2

With g_k = ∇J + noise, and noise that is independent from one iteration to the next, E[s] = ‖∇J‖² and E[p] is that plus
the noise's variance, as long as the policy moves little between them. Means are exponential, over about the last
`MEMORY` iterations. McCandlish et al. (2018), "An Empirical Model of Large-Batch Training", section 2.2, measure the
inverse of it, from batches of two sizes.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.jit import strict
from pgrad.kernels.optimizers import copy

Array = Any

MEMORY = 20  # iterations
PRODUCT, SQUARE, WAITING = range(3)


class Signal(NamedTuple):
    """What is remembered from one iteration to the next; updated in place."""

    gradient: npt.NDArray[np.float32]  # [P] the estimate at the last iteration's first step; zeros before it
    sums: npt.NDArray[np.float64]  # [3] s, p, and 1.0 where this iteration's first step is still to come


def new_signal(size: int) -> Signal:
    """Return the memory before the first iteration, of gradients of `size` numbers."""
    return Signal(np.zeros(size, np.float32), np.zeros(3))


@strict
def watch(signal: Signal, gradient: Array) -> None:
    """Take in a gradient estimate [P]; the iteration's first alone, as later ones are of the same samples."""
    if signal.sums[WAITING] == 0.0:
        return
    signal.sums[WAITING] = 0.0
    product, now, before = 0.0, 0.0, 0.0
    for i in range(gradient.size):
        g, h = np.float64(gradient[i]), np.float64(signal.gradient[i])
        product += g * h
        now += g * g
        before += h * h
    if not np.isfinite(now):
        return
    if before > 0.0:
        signal.sums[PRODUCT] += (product - signal.sums[PRODUCT]) / MEMORY
        signal.sums[SQUARE] += (0.5 * (now + before) - signal.sums[SQUARE]) / MEMORY
    copy(gradient, signal.gradient)


@strict
def signal_to_noise(signal: Signal) -> float:
    """Return the ratio, negative where the noise drowns it; NaN before the second iteration."""
    noise = signal.sums[SQUARE] - signal.sums[PRODUCT]
    return float(signal.sums[PRODUCT] / noise) if noise > 0.0 else np.nan
