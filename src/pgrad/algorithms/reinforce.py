"""REINFORCE with a baseline.

    ∇J(θ) ≈ 1/B Σ_n Σ_t (G_t - b_n) · ∇ log π(a_t | s_t)        b_n: the mean return of the other episodes

Several whole episodes an iteration, a leave-one-out baseline, then standardised over the batch of B steps.
Williams (1992); the baseline: Kool, van Hoof and Welling (2019).
"""

from typing import Any

ADDS = "a baseline, the mean return of the other episodes"
PRESET: dict[str, Any] = {
    "estimator": "reward-to-go",
    "baseline": "leave-one-out",
    "standardize": "batch",
    "num_envs": 8,
    "episodes_per_iteration": 8,
    "num_steps": None,
    "learning_rate": 0.01,
    "total_steps": 500_000,
}
