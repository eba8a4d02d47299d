"""Optimisers: steps along an estimate of a gradient. All of them ascend: parameters ← parameters + step."""

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
    """Return ‖gradient‖₂ = √Σ_i gradient_i² of gradient [P], summed in float64.

    It is not finite exactly if an element is not, or the sum overflows. Clipping by the global norm takes a step along
    scale · gradient with scale = min(1, max_grad_norm / ‖gradient‖₂), which keeps the direction (Pascanu, Mikolov and
    Bengio 2013, algorithm 1).
    """
    total = 0.0
    for g in gradient:
        total += np.float64(g) * np.float64(g)
    return np.sqrt(total)  # type: ignore[no-any-return]


@strict
def ascend(
    optimizer: int, parameters: Array, gradient: Array, moments: Array, count: int, learning_rate: float, scale: float
) -> None:
    """Take one step along g = scale · gradient, in place.

        sgd:   θ ← θ + α g

        adam:  m ← β₁ m + (1 - β₁) g             m̂ = m / (1 - β₁^count)
               v ← β₂ v + (1 - β₂) g²            v̂ = v / (1 - β₂^count)
               θ ← θ + α m̂ / (√v̂ + ε)

    optimizer      SGD or ADAM
    parameters     [P] θ, changed
    gradient       [P] an estimate of the gradient
    moments        [2, P] m and v, changed; zeros before the first step; SGD leaves them alone
    count          the number of this step, 1 for the first: it undoes the bias of m and v, which start from zero
    learning_rate  α
    scale          multiplies the gradient before the moments are taken; below 1 where the global norm is clipped

    β₁ = 0.9, β₂ = 0.999, ε = 1e-8. Adam's step does not depend on the gradient's scale, except through ε: for each
    parameter it is usually at most α long. Kingma and Ba (2015), algorithm 1; ε stands outside the root, as there and
    in PyTorch and Optax (whose `eps_root` stands inside). Arithmetic is float32; powers and roots of β are float64.
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
    """Set target ← source (in a loop: assignment to a slice takes long to compile)."""
    for i in range(source.size):
        target[i] = source[i]
