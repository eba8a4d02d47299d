"""Steps along a gradient estimate. All of them ascend: parameters ← parameters + step."""

from typing import Any

import numpy as np

from pgrad.kernels.jit import strict

f4 = np.float32

Array = Any

SGD, ADAM = 0, 1
OPTIMIZERS = {"sgd": SGD, "adam": ADAM}

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@strict
def global_norm(gradient: Array) -> float:
    """‖gradient‖₂ in float64; not finite exactly where an element is not (or the norm overflows)."""
    total = 0.0
    for g in gradient:
        total += np.float64(g) * np.float64(g)
    return np.sqrt(total)  # type: ignore[no-any-return]


@strict
def ascend(
    optimizer: int, parameters: Array, gradient: Array, moments: Array, count: int, learning_rate: float, scale: float
) -> None:
    """One step in place along scale · gradient; parameters, gradient [P], moments [2, P], count = 1 for the first step.

    `adam` is algorithm 1 of Kingma and Ba (2015) with β = (0.9, 0.999) and ε = 1e-8 outside the root, as in PyTorch.
    """
    if optimizer == SGD:
        for i in range(parameters.size):
            parameters[i] += f4(learning_rate * scale) * gradient[i]
        return
    step_size = f4(learning_rate / (1.0 - BETA_1**count))
    correction = f4(1.0 / np.sqrt(1.0 - BETA_2**count))
    first, second = moments[0], moments[1]
    for i in range(parameters.size):
        g = gradient[i] * f4(scale)
        first[i] = f4(BETA_1) * first[i] + f4(1.0 - BETA_1) * g
        second[i] = f4(BETA_2) * second[i] + f4(1.0 - BETA_2) * g * g
        parameters[i] += step_size * first[i] / (np.sqrt(second[i]) * correction + f4(EPSILON))


@strict
def copy(source: Array, target: Array) -> None:
    """target ← source (a loop: assignments to a slice take long to compile)."""
    for i in range(source.size):
        target[i] = source[i]
