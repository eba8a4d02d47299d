"""The estimate itself: Σ_b weight_b · ∇_θ log π_θ(a_b | s_b), and the gradient that fits a value network.

`weight` holds Ψ, γ^t and the normaliser, multiplied; which ones is the caller's choice (algorithms.update).
"""

from typing import Any

import numpy as np

from pgrad.kernels.jit import dense
from pgrad.kernels.mlp import BLOCK, MLP, backward_block, forward_block, load_block, transposed_weights
from pgrad.kernels.softmax import logits_gradient

f4 = np.float32

Array = Any


@dense
def policy_gradient(
    policy: MLP, inverse_temperature: float, obs: Array, action: Array, weight: Array, entropy_weight: float
) -> tuple[Array, float]:
    """∇_θ Σ_b [weight_b · log π(a_b | s_b) + entropy_weight · H(π(· | s_b))], [P], and the mean entropy in nats.

    obs [O, ≥ B], action [B], weight [B] float32. Blocks are summed in a fixed order: the same bits every time.
    """
    batch, actions = action.size, policy.sizes[-1]
    gradient = np.zeros(policy.parameters.size, f4)
    activations, deltas = np.empty((policy.rows, BLOCK), f4), np.empty((policy.rows, BLOCK), f4)
    transposed, zeros = transposed_weights(policy), np.zeros(4, f4)
    entropy = 0.0
    for start in range(0, batch, BLOCK):
        lanes = min(BLOCK, batch - start)
        load_block(obs, start, activations, lanes)
        forward_block(policy, activations, True, lanes)
        entropy += logits_gradient(
            activations[policy.rows - actions :],
            deltas[policy.rows - actions :],
            action[start : start + lanes],
            weight[start : start + lanes],
            inverse_temperature,
            entropy_weight,
            lanes,
        )
        backward_block(policy, transposed, zeros, activations, deltas, gradient, lanes)
    return gradient, entropy / batch


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
