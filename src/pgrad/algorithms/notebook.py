"""The teaching notebook's REINFORCE, to the letter.

    ∇J(θ) ≈ Σ_t G_t · ∇ log π(a_t | s_t)        G_t = Σ_{k ≥ t} γ^{k-t} r_k

One whole episode an iteration, no baseline, no clipping, Adam with a constant learning rate. Without a baseline the
estimate is so noisy that most runs never reach the goal, and of those that do, few stay (docs/results.md).
Williams (1992).
"""

from typing import Any

ADDS = "one episode an iteration, as in the teaching notebook"
PRESET: dict[str, Any] = {
    "hidden": (128,),
    "activation": "relu",
    "initialization": "uniform",
    "estimator": "reward-to-go",
    "baseline": "none",
    "standardize": "none",
    "discounting": "dropped",
    "normalizer": "episode",
    "num_envs": 1,
    "episodes_per_iteration": 1,
    "num_steps": None,
    "learning_rate": 0.01,
    "max_grad_norm": None,
    "learning_rate_schedule": "constant",
    "num_iterations": 300,
    "total_steps": None,
}
