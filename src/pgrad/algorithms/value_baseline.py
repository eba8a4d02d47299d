"""REINFORCE with a learned state-value baseline.

    ∇J(θ) ≈ 1/B Σ_n Σ_t (G_t - V(s_t)) · ∇ log π(a_t | s_t)

The term that it adds to REINFORCE is V, fitted by regression to G_t: a baseline that depends on the state, and biases
nothing. Whole episodes, standardised over the batch of B steps. Sutton and Barto (2018), section 13.4.
"""

from typing import Any

ADDS = "a baseline for each state, V(s), learned"
PRESET: dict[str, Any] = {
    "estimator": "reward-to-go",
    "baseline": "value",
    "standardize": "batch",
    "num_envs": 8,
    "episodes_per_iteration": 8,
    "num_steps": None,
    "learning_rate": 0.01,
}
