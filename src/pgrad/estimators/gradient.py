"""The estimate itself, Σ_b weight_b · ∇_θ log π_θ(a_b | s_b), and the gradient that fits a value network.

`weight` is the product of Ψ, γ^t and the normaliser (see estimators.advantages). Gradients are float32 [P], in the
order of the network's parameters, and point uphill.
"""

from typing import Any

import numpy as np

from pgrad.estimators.advantages import Advantages
from pgrad.estimators.ratio import ENTROPY, ON_POLICY, TOLD, clip_weights, count_ratios
from pgrad.kernels.crew import ALONE, Crew, run_blocks
from pgrad.kernels.dense import accumulate_sum
from pgrad.kernels.heads import Policy, first_row, load_actions, new_actions, num_extra, scores
from pgrad.kernels.jit import dense, strict
from pgrad.kernels.mlp import (
    BLOCK,
    MLP,
    backward_block,
    forward_block,
    load_block,
    new_block,
    new_scratch,
    normalise_inputs,
    num_blocks,
    transposed_weights,
)
from pgrad.kernels.softmax import forbid
from pgrad.rollouts.batch import Batch

f4 = np.float32

Array = Any

NO_VALUES = np.empty(0)


@dense
def policy_gradient(
    policy: Policy,
    batch: Batch,
    advantage: Advantages,
    entropy_coef: float,
    ratio: Any = ON_POLICY,
) -> tuple[Array, float]:
    """Return ∇_θ Σ_b [weight_b · log π(a_b | s_b) + bonus · H(π(· | s_b))], [P], and the mean entropy.

    policy        network and head, with P parameters together
    batch         B samples: s_b, a_b as it was sampled, the actions that were allowed, and who shares the work
    advantage     weight_b [B], what multiplies each score, the normaliser included
    entropy_coef  of the bonus: bonus = entropy_coef / normaliser, in units of reward a nat; 0 leaves the entropy out
    ratio         a ClippedRatio if an earlier policy drew the samples: weights become those of the clipped surrogate

    The weights are held constant; the mean entropy is in nats. Without a bonus the result is an estimate of ∇J whose
    bias is that of the weights (Williams 1992; Sutton et al. 2000, theorem 1); an entropy bonus adds its own gradient
    (Mnih et al. 2016). Blocks of samples are added in a fixed order: the same batch gives the same bits.
    """
    net, size = policy.network, advantage.weight.size
    blocks, scratch = num_blocks(size), new_scratch(net, size, batch.crew, 2)
    parts, told = np.zeros((blocks, net.parameters.size), f4), np.zeros((blocks, TOLD))
    arguments = (policy, batch, advantage.weight, entropy_coef * advantage.step_weight, ratio)
    run_blocks(batch.crew, add_block, (*arguments, transposed_weights(net), scratch, parts, told), blocks)
    count_ratios(ratio, told)
    entropy = 0.0
    for block in range(blocks):
        entropy += told[block, ENTROPY]
    return sum_of(parts), entropy / size


@dense
def add_block(
    policy: Policy,
    batch: Batch,
    weight: Array,
    entropy_weight: float,
    ratio: Any,
    transposed: Array,
    scratch: Array,
    parts: Array,
    told: Array,
    worker: int,
    block: int,
) -> None:
    """Add a block's share of the gradient to parts[block], and set told[block]: see `policy_gradient`."""
    net, head, start = policy.network, policy.head, block * BLOCK
    lanes, gradient = min(BLOCK, weight.size - start), parts[block]
    activations, deltas = scratch[worker, 0], scratch[worker, 1]
    zeros, multiplier, in_order = np.zeros(4, f4), np.empty(lanes, f4), np.empty(0, np.int64)
    extra, taken = np.empty((num_extra(head), lanes), f4), new_actions(batch.action, lanes)
    outputs, beside = first_row(head, net), gradient.size - num_extra(head)
    load_block(net, batch.obs, start, activations, lanes)
    load_actions(batch.action, in_order, taken, start, lanes)
    for n in range(lanes):
        multiplier[n] = weight[start + n]
    forward_block(net, activations, True, lanes)
    forbid(activations[outputs:], batch.mask, start, lanes)
    clip_weights(ratio, head, activations[outputs:], taken, multiplier, start, lanes, told[block])
    told[block, ENTROPY] = scores(
        head, activations[outputs:], deltas[outputs:], extra, taken, multiplier, entropy_weight, lanes
    )
    backward_block(net, transposed, zeros, activations, deltas, gradient, lanes)
    accumulate_sum(extra, 0, extra.shape[0], gradient, beside, lanes)


@dense
def sum_of(parts: Array) -> Array:
    """Return the sum of gradients [blocks, P], added in order."""
    total = parts[0]
    for block in range(1, parts.shape[0]):
        part = parts[block]
        for i in range(total.size):
            total[i] += part[i]
    return total


@dense
def trajectory_gradients(
    policy: Policy, obs: Array, action: Array, mask: Array, order: Array, first: Array, weight: Array
) -> Array:
    """Return Σ_{b of n} weight_kb · ∇_θ log π(a_b | s_b) for each of K weights and N trajectories n; [K, N, P].

    obs [O, ≥ B], action [B] or [D, ≥ B], mask [Σ counts or 0, ≥ B], weight [K, B]; `order` [B] and `first` [N + 1] come
    from `by_trajectory`. The scores at the outputs are computed once and serve all K weights.
    """
    net, head, num_weights = policy.network, policy.head, weight.shape[0]
    gradients = np.zeros((num_weights, first.size - 1, net.parameters.size), f4)
    activations, deltas = new_block(net, BLOCK), new_block(net, BLOCK)
    transposed, zeros, ones = transposed_weights(net), np.zeros(4, f4), np.ones(BLOCK, f4)
    width, num_beside, taken = net.sizes[-1], num_extra(head), new_actions(action, BLOCK)
    at_outputs, beside = np.empty((width, BLOCK), f4), np.empty((num_beside, BLOCK), f4)
    weighted, multiplier = np.empty((num_beside, BLOCK), f4), np.empty(BLOCK, f4)
    allowed = np.empty((mask.shape[0], BLOCK), np.bool_)
    seen, outputs = first_row(head, net), net.rows - width
    for trajectory in range(first.size - 1):
        for start in range(first[trajectory], first[trajectory + 1], BLOCK):
            lanes = min(BLOCK, first[trajectory + 1] - start)
            load_actions(action, order, taken, start, lanes)
            for n in range(lanes):
                b = order[start + n]
                for i in range(obs.shape[0]):
                    activations[i, n] = obs[i, b]
                for k in range(mask.shape[0]):
                    allowed[k, n] = mask[k, b]
            normalise_inputs(net, activations, lanes)
            forward_block(net, activations, True, lanes)
            forbid(activations[seen:], allowed, 0, lanes)
            scores(head, activations[seen:], at_outputs, beside, taken, ones, 0.0, lanes)
            for k in range(num_weights):
                gradient = gradients[k, trajectory]
                for n in range(lanes):
                    multiplier[n] = weight[k, order[start + n]]
                multiply_rows(at_outputs, multiplier, deltas[outputs:], lanes)
                backward_block(net, transposed, zeros, activations, deltas, gradient, lanes)
                multiply_rows(beside, multiplier, weighted, lanes)
                accumulate_sum(weighted, 0, num_beside, gradient, gradient.size - num_beside, lanes)
    return gradients


@dense
def multiply_rows(rows: Array, multiplier: Array, result: Array, lanes: int) -> None:
    """Set result[i, n] = rows[i, n] · multiplier[n]."""
    for i in range(rows.shape[0]):
        source, target = rows[i], result[i]
        for n in range(lanes):
            target[n] = source[n] * multiplier[n]


@strict
def by_trajectory(trajectory: Array, num_trajectories: int) -> tuple[Array, Array]:
    """Return the samples sorted by trajectory, then by time, [B], and where in that order each starts, [N + 1]."""
    first, order = np.zeros(num_trajectories + 1, np.int64), np.empty(trajectory.size, np.int64)
    for n in trajectory:
        first[n + 1] += 1
    for n in range(num_trajectories):
        first[n + 1] += first[n]
    following = first.copy()
    for b in range(trajectory.size):
        order[following[trajectory[b]]] = b
        following[trajectory[b]] += 1
    return order, first


@strict
def overlaps(g: Array, u: Array) -> Array:
    """Return g · u and ‖u‖² of each trajectory, [2, N], for baselines.optimal_baseline; g and u [N, P]."""
    result = np.zeros((2, g.shape[0]))
    for n in range(g.shape[0]):
        for i in range(g.shape[1]):
            g_i, u_i = np.float64(g[n, i]), np.float64(u[n, i])
            result[0, n] += g_i * u_i
            result[1, n] += u_i * u_i
    return result


@dense
def value_gradient(
    critic: MLP,
    obs: Array,
    target: Array,
    before: Array = NO_VALUES,
    epsilon: float = np.inf,
    crew: Crew = ALONE,
) -> tuple[Array, float]:
    """Return the gradient of -½ mean_b (target_b - V(s_b))², [P], and that mean squared error.

    obs [O, ≥ B], target [B] in units of reward. Targets are held constant, even if V is part of them: a semi-gradient
    (Sutton and Barto 2018, section 9.3). With a finite epsilon the gradient is that of -½ mean_b of the larger of
    (target - V)² and (target - clip(V, V_old ± ε))², with V_old `before` [B] (Engstrom et al. 2020, section 3).
    """
    blocks, scratch = num_blocks(target.size), new_scratch(critic, target.size, crew, 2)
    parts, squared, error = np.zeros((blocks, critic.parameters.size), f4), np.empty(blocks), 0.0
    arguments = (critic, obs, target, before, epsilon, transposed_weights(critic), scratch)
    run_blocks(crew, fit_block, (*arguments, parts, squared), blocks)
    for block in range(blocks):
        error += squared[block]
    return sum_of(parts), error / target.size


@dense
def fit_block(
    critic: MLP,
    obs: Array,
    target: Array,
    before: Array,
    epsilon: float,
    transposed: Array,
    scratch: Array,
    parts: Array,
    squared: Array,
    worker: int,
    block: int,
) -> None:
    """Add a block's share of the gradient to parts[block], and set squared[block]: see `value_gradient`."""
    start, batch = block * BLOCK, target.size
    lanes, total = min(BLOCK, batch - start), 0.0
    activations, deltas, zeros = scratch[worker, 0], scratch[worker, 1], np.zeros(4, f4)
    load_block(critic, obs, start, activations, lanes)
    forward_block(critic, activations, True, lanes)
    value, delta = activations[critic.rows - 1], deltas[critic.rows - 1]
    for n in range(lanes):
        error = target[start + n] - np.float64(value[n])
        total += error * error
        delta[n] = f4(error / batch)
    if epsilon < np.inf:
        for n in range(lanes):
            old, new = before[start + n], np.float64(value[n])
            clipped = min(max(new, old - epsilon), old + epsilon)
            worse = abs(target[start + n] - clipped) > abs(target[start + n] - new)
            delta[n] = f4(0) if worse else delta[n]
    squared[block] = total
    backward_block(critic, transposed, zeros, activations, deltas, parts[block], lanes)
