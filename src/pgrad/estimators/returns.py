"""Returns and generalised advantages over a batch of trajectories.

A batch is flat: B samples in the order of time, `trajectory[b]` saying which of N trajectories sample b belongs to. A
segment of a trajectory ends (`segment_end[b]`) at a terminal state, a time limit or the batch's end, and there
`bootstrap_value[b]` is the value of what would have come after it: zero at a terminal state, and for an estimator
without a value function.
"""

from typing import Any

import numpy as np

from pgrad.kernels.jit import strict

Array = Any


@strict
def rewards_to_go(
    reward: Array, segment_end: Array, trajectory: Array, bootstrap_value: Array, discount: float, num_trajectories: int
) -> Array:
    """G_t = Σ_{k ≥ t} γ^{k-t} r_k up to the segment's end, plus γ^{T-t} · bootstrap_value there; [B].

    Williams (1992); without bias for whole episodes. The recursion is G_t = r_t + γ G_{t+1}.
    """
    result = np.empty(reward.size)
    following = np.zeros(num_trajectories)
    for b in range(reward.size - 1, -1, -1):
        after = bootstrap_value[b] if segment_end[b] else following[trajectory[b]]
        following[trajectory[b]] = reward[b] + discount * after
        result[b] = following[trajectory[b]]
    return result


@strict
def total_returns(to_go: Array, time: Array, trajectory: Array, num_trajectories: int) -> Array:
    """G(τ) = Σ_k γ^k r_k of each sample's whole episode, [B]: the reward-to-go of its first step (time 0)."""
    whole = np.zeros(num_trajectories)
    for b in range(to_go.size):
        if time[b] == 0:
            whole[trajectory[b]] = to_go[b]
    result = np.empty(to_go.size)
    for b in range(to_go.size):
        result[b] = whole[trajectory[b]]
    return result


@strict
def generalized_advantages(
    reward: Array,
    value: Array,
    segment_end: Array,
    trajectory: Array,
    bootstrap_value: Array,
    discount: float,
    gae_lambda: float,
    num_trajectories: int,
) -> Array:
    """Â_t = Σ_k (γλ)^k δ_{t+k} up to the segment's end, with the TD error δ_t = r_t + γ V(s_{t+1}) - V(s_t); [B].

    λ = 0 gives the TD error, λ = 1 the reward-to-go less V(s_t). Biased by an imperfect V unless λ = 1 and no
    trajectory is cut short. Schulman et al. (2016), equation 16.
    """
    result = np.empty(reward.size)
    next_value, next_advantage = np.zeros(num_trajectories), np.zeros(num_trajectories)
    for b in range(reward.size - 1, -1, -1):
        n = trajectory[b]
        if segment_end[b]:
            next_value[n], next_advantage[n] = bootstrap_value[b], 0.0
        td_error = reward[b] + discount * next_value[n] - value[b]
        next_advantage[n] = td_error + discount * gae_lambda * next_advantage[n]
        next_value[n] = value[b]
        result[b] = next_advantage[n]
    return result
