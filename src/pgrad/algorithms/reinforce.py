"""REINFORCE with a baseline.

    ∇J(θ) ≈ 1/B Σ_n Σ_t (G_t - b_n) · ∇ log π(a_t | s_t)        b_n: the mean return of the other episodes

Several whole episodes an iteration, a leave-one-out baseline, then standardised over the batch of B steps.
Williams (1992); the baseline: Kool, van Hoof and Welling (2019).
"""

from typing import Any

from pgrad.algorithms import reward_to_go

ADDS = "a baseline, the mean return of the other episodes"
PRESET: dict[str, Any] = {
    **reward_to_go.PRESET,
    "baseline": "leave-one-out",
    "standardize": "batch",
    "total_steps": 500_000,
}
