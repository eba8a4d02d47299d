"""REINFORCE with a learned state-value baseline.

    ∇J(θ) ≈ 1/B Σ_n Σ_t (G_t - V(s_t)) · ∇ log π(a_t | s_t)

The term that it adds to REINFORCE is V, fitted by regression to G_t: a baseline that depends on the state, and biases
nothing. Whole episodes, standardised over the batch of B steps. Sutton and Barto (2018), section 13.4.
"""

from typing import Any

from pgrad.algorithms import reward_to_go

ADDS = "a baseline for each state, V(s), learned"
PRESET: dict[str, Any] = {**reward_to_go.PRESET, "baseline": "value", "standardize": "batch"}
