"""REINFORCE with the reward-to-go: an action is credited with the rewards that follow it.

    ∇J(θ) ≈ 1/B Σ_n Σ_t G_t · ∇ log π(a_t | s_t)        G_t = Σ_{k ≥ t} γ^{k-t} r_k

The term that it adds to the total return is causality: rewards of the past have mean zero times the score, and are left
out. Williams (1992); Sutton et al. (2000).
"""

from typing import Any

from pgrad.algorithms import total_return

ADDS = "only the rewards that follow an action"
PRESET: dict[str, Any] = {**total_return.PRESET, "estimator": "reward-to-go"}
