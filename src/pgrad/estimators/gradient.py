"""The estimate itself: Σ_b weight_b · ∇_θ log π_θ(a_b | s_b), and the gradient that fits a value network.

`weight` holds Ψ, γ^t and the normaliser, multiplied (estimators.weights).
"""

from typing import Any

import numpy as np

from pgrad.kernels.jit import dense, strict
from pgrad.kernels.mlp import BLOCK, MLP, backward_block, forward_block, load_block, transposed_weights
from pgrad.kernels.softmax import logits_gradient

f4 = np.float32

Array = Any


@dense
def policy_gradient(
    policy: MLP, inverse_temperature: float, obs: Array, action: Array, weight: Array, entropy_weight: float
) -> tuple[Array, float]:
    """∇_θ Σ_b [weight_b · log π(a_b | s_b) + entropy_weight · H(π(· | s_b))], [P], and the mean entropy in nats.

    obs [O, ≥ B], action [B], weight [B]. Blocks are summed in a fixed order: the same bits every time.
    """
    batch, actions = action.size, policy.sizes[-1]
    gradient = np.zeros(policy.parameters.size, f4)
    activations, deltas = np.empty((policy.rows, BLOCK), f4), np.empty((policy.rows, BLOCK), f4)
    transposed, zeros, multiplier = transposed_weights(policy), np.zeros(4, f4), np.empty(BLOCK, f4)
    entropy = 0.0
    for start in range(0, batch, BLOCK):
        lanes = min(BLOCK, batch - start)
        load_block(obs, start, activations, lanes)
        for n in range(lanes):
            multiplier[n] = weight[start + n]
        forward_block(policy, activations, True, lanes)
        entropy += logits_gradient(
            activations[policy.rows - actions :],
            deltas[policy.rows - actions :],
            action[start : start + lanes],
            multiplier,
            inverse_temperature,
            entropy_weight,
            lanes,
        )
        backward_block(policy, transposed, zeros, activations, deltas, gradient, lanes)
    return gradient, entropy / batch


@dense
def trajectory_gradients(
    policy: MLP, inverse_temperature: float, obs: Array, action: Array, order: Array, first: Array, weight: Array
) -> Array:
    """Σ_{b of trajectory n} weight_kb · ∇_θ log π(a_b | s_b) for each of K weights and N trajectories; [K, N, P].

    obs [O, ≥ B], action [B], weight [K, B]; `order` [B] and `first` [N + 1] from `by_trajectory`. The scores at the
    logits are computed once and serve all K weights.
    """
    num_weights, actions = weight.shape[0], policy.sizes[-1]
    gradients = np.zeros((num_weights, first.size - 1, policy.parameters.size), f4)
    activations, deltas = np.empty((policy.rows, BLOCK), f4), np.empty((policy.rows, BLOCK), f4)
    transposed, zeros, ones = transposed_weights(policy), np.zeros(4, f4), np.ones(BLOCK, f4)
    scores, multiplier, taken = np.empty((actions, BLOCK), f4), np.empty(BLOCK, f4), np.empty(BLOCK, action.dtype)
    outputs = policy.rows - actions
    for trajectory in range(first.size - 1):
        for start in range(first[trajectory], first[trajectory + 1], BLOCK):
            lanes = min(BLOCK, first[trajectory + 1] - start)
            for n in range(lanes):
                b = order[start + n]
                taken[n] = action[b]
                for i in range(obs.shape[0]):
                    activations[i, n] = obs[i, b]
            forward_block(policy, activations, True, lanes)
            logits_gradient(activations[outputs:], scores, taken, ones, inverse_temperature, 0.0, lanes)
            for k in range(num_weights):
                for n in range(lanes):
                    multiplier[n] = weight[k, order[start + n]]
                for a in range(actions):
                    source, target = scores[a], deltas[outputs + a]
                    for n in range(lanes):
                        target[n] = source[n] * multiplier[n]
                backward_block(policy, transposed, zeros, activations, deltas, gradients[k, trajectory], lanes)
    return gradients


@strict
def by_trajectory(env: Array, num_envs: int) -> tuple[Array, Array]:
    """The samples of each trajectory in the order of time: `order` [B], and where in it each one starts, [N + 1]."""
    first, order = np.zeros(num_envs + 1, np.int64), np.empty(env.size, np.int64)
    for n in env:
        first[n + 1] += 1
    for n in range(num_envs):
        first[n + 1] += first[n]
    following = first.copy()
    for b in range(env.size):
        order[following[env[b]]] = b
        following[env[b]] += 1
    return order, first


@strict
def overlaps(g: Array, u: Array) -> Array:
    """g · u and ‖u‖² of each trajectory, [2, N], as baselines.optimal_baseline wants them; g and u [N, P]."""
    result = np.zeros((2, g.shape[0]))
    for n in range(g.shape[0]):
        for i in range(g.shape[1]):
            g_i, u_i = np.float64(g[n, i]), np.float64(u[n, i])
            result[0, n] += g_i * u_i
            result[1, n] += u_i * u_i
    return result


@dense
def value_gradient(critic: MLP, obs: Array, target: Array) -> tuple[Array, float]:
    """The gradient, to ascend, of -½ mean_b (V(s_b) - target_b)², [P], and that mean squared error.

    obs [O, ≥ B], target [B]. The targets are held constant (semi-gradient).
    """
    batch = target.size
    gradient = np.zeros(critic.parameters.size, f4)
    activations, deltas = np.empty((critic.rows, BLOCK), f4), np.empty((critic.rows, BLOCK), f4)
    transposed, zeros = transposed_weights(critic), np.zeros(4, f4)
    squared = 0.0
    for start in range(0, batch, BLOCK):
        lanes = min(BLOCK, batch - start)
        load_block(obs, start, activations, lanes)
        forward_block(critic, activations, True, lanes)
        value, delta = activations[critic.rows - 1], deltas[critic.rows - 1]
        for n in range(lanes):
            error = target[start + n] - np.float64(value[n])
            squared += error * error
            delta[n] = f4(error / batch)
        backward_block(critic, transposed, zeros, activations, deltas, gradient, lanes)
    return gradient, squared / batch
