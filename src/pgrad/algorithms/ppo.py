"""Proximal policy optimisation: several epochs on one batch, held near the policy that drew it.

    ∇ 1/M Σ_b min(ρ_b Â_b, clip(ρ_b, 1 - ε, 1 + ε) Â_b)        ρ_b = π_θ(a_b | s_b) / π_old(a_b | s_b)

The term that it adds to actor-critic is the clipped ratio (estimators.ratio), which lets a batch be used more than
once: `num_epochs` times, in `num_minibatches` shuffled parts of M samples (algorithms.epochs). The first step of all
is actor-critic's. Schulman et al. (2017), equation 7 and algorithm 1; the details that matter: Huang et al. (2022).
"""

from typing import Any

ADDS = "several epochs on one batch, by the clipped ratio"
PRESET: dict[str, Any] = {
    "num_envs": 8,
    "num_steps": 32,
    "num_epochs": 10,
    "num_minibatches": 4,
    "clip_epsilon": 0.2,
    "learning_rate": 0.001,
    "value_learning_rate": 0.002,
}
