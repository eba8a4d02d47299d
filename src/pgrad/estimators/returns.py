"""Returns and generalised advantages over a batch of trajectories.

A batch is flat: B samples in the order of time, `env[b]` saying which of N trajectories sample b belongs to. A cut, at
a terminal state, a time limit or the batch's end, closes a trajectory; `tail[b]` is the value of what would have come
after it (zero at a terminal state, and for an estimator without a value function).
"""

from typing import Any

import numpy as np

from pgrad.kernels.jit import strict

Array = Any


@strict
def rewards_to_go(reward: Array, cut: Array, env: Array, tail: Array, discount: float, num_envs: int) -> Array:
    """G_t = Σ_{k ≥ t} γ^{k-t} r_k up to the cut, plus γ^{T-t} · tail there; [B].

    Williams (1992); without bias for whole episodes. The recursion is G_t = r_t + γ G_{t+1}.
    """
    result = np.empty(reward.size)
    following = np.zeros(num_envs)
    for b in range(reward.size - 1, -1, -1):
        after = tail[b] if cut[b] else following[env[b]]
        following[env[b]] = reward[b] + discount * after
        result[b] = following[env[b]]
    return result


@strict
def total_returns(to_go: Array, time: Array, env: Array, num_envs: int) -> Array:
    """G(τ) = Σ_k γ^k r_k of each sample's whole episode, [B]: the reward-to-go of its first step (time 0)."""
    whole = np.zeros(num_envs)
    for b in range(to_go.size):
        if time[b] == 0:
            whole[env[b]] = to_go[b]
    result = np.empty(to_go.size)
    for b in range(to_go.size):
        result[b] = whole[env[b]]
    return result


@strict
def generalized_advantages(
    reward: Array,
    value: Array,
    cut: Array,
    env: Array,
    tail: Array,
    discount: float,
    gae_lambda: float,
    num_envs: int,
) -> Array:
    """Â_t = Σ_k (γλ)^k δ_{t+k} up to the cut, with the TD error δ_t = r_t + γ V(s_{t+1}) - V(s_t); [B].

    λ = 0 gives the TD error, λ = 1 the reward-to-go less V(s_t). Biased by an imperfect V unless λ = 1 and no
    trajectory is cut short. Schulman et al. (2016), equation 16.
    """
    result = np.empty(reward.size)
    next_value, next_advantage = np.zeros(num_envs), np.zeros(num_envs)
    for b in range(reward.size - 1, -1, -1):
        n = env[b]
        if cut[b]:
            next_value[n], next_advantage[n] = tail[b], 0.0
        td_error = reward[b] + discount * next_value[n] - value[b]
        next_advantage[n] = td_error + discount * gae_lambda * next_advantage[n]
        next_value[n] = value[b]
        result[b] = next_advantage[n]
    return result
