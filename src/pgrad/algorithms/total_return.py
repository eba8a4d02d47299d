"""The likelihood-ratio estimate itself: every score of an episode times the episode's return.

    ∇J(θ) ≈ 1/B Σ_n Σ_t G(τ_n) · ∇ log π(a_t | s_t)        G(τ) = Σ_k γ^k r_k

The first rung: right, and very noisy, since each action is also credited with the rewards that came before it.
Williams (1992), theorem 1.
"""

from typing import Any

ADDS = "score times total return: the theorem"
PRESET: dict[str, Any] = {
    "estimator": "total-return",
    "baseline": "none",
    "standardize": "none",
    "num_envs": 8,
    "episodes_per_iteration": 8,
    "num_steps": None,
    "learning_rate": 0.01,
}
