"""REINFORCE with the reward-to-go: an action is credited with the rewards that follow it.

    ∇J(θ) ≈ 1/B Σ_n Σ_t G_t · ∇ log π(a_t | s_t)        G_t = Σ_{k ≥ t} γ^{k-t} r_k

The term that it adds to the total return is causality: rewards of the past have mean zero times the score, and are left
out. Williams (1992); Sutton et al. (2000).
"""

from typing import Any

ADDS = "only the rewards that follow an action"
PRESET: dict[str, Any] = {
    "estimator": "reward-to-go",
    "baseline": "none",
    "standardize": "none",
    "num_envs": 8,
    "episodes_per_iteration": 8,
    "num_steps": None,
    "learning_rate": 0.01,
}
