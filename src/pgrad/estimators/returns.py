"""Returns and generalised advantages over a batch of trajectories.

A batch is flat: B samples in the order of time, where sample b belongs to `trajectory[b]`, one of N. A segment of a
trajectory ends (`segment_end[b]`) at a terminal state, a time limit or the end of the batch. `bootstrap_value[b]` is
read there alone, and stands for the rewards after it: V of the state that followed, or zero at a terminal state and
for an estimator without a value function.

Every function makes one pass over the batch. Arrays over samples are [B], float64 where they hold rewards or values,
both in units of reward.
"""

from typing import Any

import numpy as np

from pgrad.kernels.jit import strict

Array = Any


@strict
def rewards_to_go(
    reward: Array, segment_end: Array, trajectory: Array, bootstrap_value: Array, discount: float, num_trajectories: int
) -> Array:
    """Return G_t = Σ_{k ≥ t} γ^{k-t} r_k of every sample, [B].

    The sum runs over the T - t steps left in the segment, and adds γ^{T-t} · bootstrap_value of the last. It is
    computed backward, by G_t = r_t + γ G_{t+1} (Sutton and Barto 2018, equation 3.9).

    reward            [B] r_t
    segment_end       [B] boolean, true where a segment ends
    trajectory        [B] integers in 0 … N-1
    bootstrap_value   [B] V(s_{t+1}), read where segment_end is true
    discount          γ in [0, 1]
    num_trajectories  N

    G_t is an unbiased estimate of Q(s_t, a_t) if every segment is a whole episode; of a segment cut short, its error is
    that of the bootstrap value, times γ^{T-t}. Its variance grows with the number of steps to come.
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
    """Return G_0 = Σ_k γ^k r_k of each sample's whole trajectory, [B]: the reward-to-go of its first step.

    to_go [B] are `rewards_to_go`, time [B] is t, counted from the episode's start, trajectory [B] integers in 0 … N-1.
    Samples of a trajectory whose first step (t = 0) is not in the batch get 0.

    As a multiplier of the score it is unbiased and already holds γ^t. It has a larger variance than the reward-to-go,
    since rewards before an action, which the action cannot change, are part of it (Williams 1992, section 5).
    """
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
    """Return Â_t = Σ_{k ≥ 0} (γλ)^k δ_{t+k} of every sample, [B], with δ_t = r_t + γ V(s_{t+1}) - V(s_t).

    The sum runs to the segment's end, where V(s_{t+1}) is bootstrap_value. It is computed backward, by
    Â_t = δ_t + γλ Â_{t+1}. Schulman et al. (2016), equation 16.

    reward            [B] r_t
    value             [B] V(s_t)
    segment_end       [B] boolean, true where a segment ends
    trajectory        [B] integers in 0 … N-1
    bootstrap_value   [B] V(s_{t+1}), read where segment_end is true
    discount          γ in [0, 1]
    gae_lambda        λ in [0, 1]
    num_trajectories  N

    λ = 0 gives the TD error δ_t (equation 17), of low variance but biased by the error of V; λ = 1 gives G_t - V(s_t)
    (equation 18), unbiased if every segment is a whole episode, of high variance. With the true V no λ is biased.
    Adding V(s_t) gives the TD(λ) return, which serves as V's target.
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
