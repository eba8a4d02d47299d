"""Advantage actor-critic with generalised advantages: the default.

    ∇J(θ) ≈ 1/B Σ_t Â_t · ∇ log π(a_t | s_t)        Â_t = Σ_k (γλ)^k δ_{t+k},  δ_t = r_t + γ V(s_{t+1}) - V(s_t)

A fixed number of steps an iteration, cut by the batch's end and bootstrapped from V, which is fitted by regression to
Â_t + V(s_t). Its settings are the defaults of config.Config. Mnih et al. (2016); GAE: Schulman et al. (2016).
"""

from typing import Any

ADDS = "advantages from V (GAE), so that a batch need not hold whole episodes"
PRESET: dict[str, Any] = {}
