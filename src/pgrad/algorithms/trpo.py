"""Trust region policy optimisation: the natural gradient's step, shortened until the policy stays near.

    max_θ Σ_b w_b ρ_b(θ)  subject to  1/B Σ_b KL(π_old(· | s_b) ‖ π_θ(· | s_b)) ≤ δ

The term that it adds to the natural policy gradient is the line search: the true divergence is at most δ = `max_kl` and
the surrogate does not fall, or the step is refused (algorithms.natural_step). Schulman et al. (2015), equation 14.
"""

from typing import Any

from pgrad.algorithms import natural

ADDS = "a trust region, kept by a line search"
PRESET: dict[str, Any] = {**natural.PRESET, "step": "trust-region", "max_kl": 0.03}
