"""The natural gradient's step, with or without the line search of a trust region, in place of the optimiser's.

    θ ← θ + β x        x = (F + c I)⁻¹ g,  β = √(2 δ / xᵀ (F + c I) x)

To second order the policy moves by δ = `max_kl`, whatever its parameters are (Kakade 2001; Rajeswaran et al. 2017,
equation 5). The line search halves β until the true mean KL(π_old ‖ π) is at most δ and the surrogate Σ_b w_b ρ_b has
not become less; if it never is, the step is refused (Schulman et al. 2015, appendix C).
"""

from typing import Any, NamedTuple

import numpy as np

from pgrad.estimators.fisher import conjugate_gradient, dot, fisher_vector_product, mean_divergence
from pgrad.estimators.ratio import log_probs
from pgrad.kernels import optimizers
from pgrad.kernels.heads import Policy
from pgrad.kernels.jit import strict
from pgrad.rollouts.batch import Batch

Array = Any

HALVINGS = 10  # of a line search before it gives up


class NaturalStep(NamedTuple):
    """Steps along the natural gradient."""

    max_kl: float  # δ, nats
    damping: float  # c
    iterations: int  # of the conjugate gradient method
    line_search: bool  # keep to the trust region


@strict
def natural_step(
    step: NaturalStep, policy: Policy, batch: Batch, weight: Array, gradient: Array
) -> tuple[float, float]:
    """Step along the natural gradient, in place; return β and the mean KL(π_old ‖ π), both 0 where it is refused.

    batch [B samples] and their weights [B] make up the surrogate, of which `gradient` [P] is the gradient.
    """
    parameters = policy.network.parameters
    before, old = parameters.copy(), log_probs(policy, batch)
    direction = conjugate_gradient(policy, batch, gradient, step.damping, step.iterations)
    curvature = dot(direction, fisher_vector_product(policy, batch, direction, step.damping))
    length = np.sqrt(2.0 * step.max_kl / curvature) if curvature > 0.0 else 0.0
    for _ in range(1 + HALVINGS * step.line_search):
        for i in range(parameters.size):
            parameters[i] = before[i] + length * direction[i]
        kl = mean_divergence(before, policy, batch)
        near = np.isfinite(kl) and (kl <= step.max_kl or not step.line_search)
        if near and (surrogate_gain(policy, batch, weight, old) >= 0.0 or not step.line_search):
            return length, kl
        length *= 0.5
    optimizers.copy(before, parameters)
    return 0.0, 0.0


@strict
def surrogate_gain(policy: Policy, batch: Batch, weight: Array, old: Array) -> float:
    """Return Σ_b w_b (ρ_b - 1), from log π_old(a_b | s_b) in `old` [B]."""
    new, total = log_probs(policy, batch), 0.0
    for b in range(weight.size):
        total += weight[b] * np.expm1(np.float64(new[b]) - np.float64(old[b]))
    return total
