"""Natural policy gradient: steps whose length is measured in the policy, not in its parameters.

    θ ← θ + β F⁻¹ ĝ        β = √(2 δ / ĝᵀ F⁻¹ ĝ)

The term that it adds to actor-critic is the inverse of the Fisher matrix F, the curvature of the KL divergence, by
conjugate gradients (algorithms.natural_step, estimators.fisher); δ = `max_kl` replaces the learning rate.
Kakade (2001); the step's length: Rajeswaran et al. (2017), equation 5.
"""

from typing import Any

ADDS = "steps measured in the policy: F⁻¹ times the gradient"
PRESET: dict[str, Any] = {
    "num_envs": 16,
    "num_steps": 32,
    "step": "natural",
    "max_kl": 0.01,
    "learning_rate": None,
    "num_value_steps": 20,
}
