"""The geometry of policies: products with the Fisher matrix, and KL divergences between policies.

    F(θ) = 1/B Σ_b E_{a ~ π(·|s_b)} [∇ log π(a | s_b) ∇ log π(a | s_b)ᵀ] = 1/B Σ_b J_bᵀ M_b J_b

M_b is the Fisher matrix at the network's outputs, known in closed form for every head, and J_b their derivative. F is
the curvature of the mean KL(π_θ ‖ π_θ+δ) at δ = 0, and the natural gradient is F⁻¹ ∇J (Amari 1998; Kakade 2001). F is
never formed: one forward pass gives J v, the head M J v, one backward pass Jᵀ M J v (Schraudolph 2002).
"""

from typing import Any

import numpy as np

from pgrad.estimators.gradient import sum_of
from pgrad.kernels.crew import run_blocks
from pgrad.kernels.dense import accumulate_sum
from pgrad.kernels.heads import Policy, divergence, first_row, fisher_product, num_extra
from pgrad.kernels.jit import dense, strict
from pgrad.kernels.mlp import (
    BLOCK,
    MLP,
    backward_block,
    forward_block,
    load_block,
    new_scratch,
    num_blocks,
    tangent_block,
    transposed_weights,
)
from pgrad.kernels.softmax import forbid
from pgrad.rollouts.batch import Batch

f4 = np.float32

Array = Any


@dense
def fisher_vector_product(policy: Policy, batch: Batch, vector: Array, damping: float) -> Array:
    """Return (F + damping · I) v in float64, [P], for v = `vector` [P]."""
    net, size, blocks = policy.network, batch.reward.size, num_blocks(batch.reward.size)
    along, parts = np.empty(vector.size, f4), np.zeros((blocks, vector.size), f4)
    for i in range(vector.size):
        along[i] = vector[i]
    scratch = new_scratch(net, size, batch.crew, 3)
    arguments = (policy, batch, along, transposed_weights(net), scratch, parts)
    run_blocks(batch.crew, fisher_product_of_block, arguments, blocks)
    product, result = sum_of(parts), np.empty(vector.size)
    for i in range(vector.size):
        result[i] = product[i] / size + damping * vector[i]
    return result


@dense
def fisher_product_of_block(
    policy: Policy,
    batch: Batch,
    along: Array,
    transposed: Array,
    scratch: Array,
    parts: Array,
    worker: int,
    block: int,
) -> None:
    """Add Σ_b J_bᵀ M_b J_b v over a block of samples to parts[block]."""
    net, head, start, product = policy.network, policy.head, block * BLOCK, parts[block]
    lanes, zeros = min(BLOCK, batch.reward.size - start), np.zeros(4, f4)
    activations, tangents, deltas = scratch[worker, 0], scratch[worker, 1], scratch[worker, 2]
    extra, outputs = np.empty((num_extra(head), lanes), f4), first_row(head, net)
    beside = product.size - num_extra(head)
    load_block(net, batch.obs, start, activations, lanes)
    forward_block(net, activations, True, lanes)
    tangent_block(net, along, activations, tangents, lanes)
    forbid(activations[outputs:], batch.mask, start, lanes)
    fisher_product(head, activations[outputs:], tangents[outputs:], along[beside:], deltas[outputs:], extra, lanes)
    backward_block(net, transposed, zeros, activations, deltas, product, lanes)
    accumulate_sum(extra, 0, extra.shape[0], product, beside, lanes)


@dense
def mean_divergence(old: Array, policy: Policy, batch: Batch) -> float:
    """Return 1/B Σ_b KL(π_old(· | s_b) ‖ π(· | s_b)) in nats; π_old has the parameters `old` [P]."""
    net, size, blocks = policy.network, batch.reward.size, num_blocks(batch.reward.size)
    old_net = MLP(old, net.sizes, net.offsets, net.activation, net.rows, net.shift, net.scale)
    parts, total = np.empty(blocks), 0.0
    arguments = (old_net, policy, batch, new_scratch(net, size, batch.crew, 2), parts)
    run_blocks(batch.crew, divergence_of_block, arguments, blocks)
    for block in range(blocks):
        total += parts[block]
    return total / size


@dense
def divergence_of_block(
    old_net: MLP, policy: Policy, batch: Batch, scratch: Array, parts: Array, worker: int, block: int
) -> None:
    """Set parts[block] to Σ_b KL over a block of samples: see `mean_divergence`."""
    net, old, start = policy.network, old_net.parameters, block * BLOCK
    lanes, before, now = min(BLOCK, batch.reward.size - start), scratch[worker, 0], scratch[worker, 1]
    outputs, beside = first_row(policy.head, net), old.size - num_extra(policy.head)
    load_block(old_net, batch.obs, start, before, lanes)
    load_block(net, batch.obs, start, now, lanes)
    forward_block(old_net, before, False, lanes)
    forward_block(net, now, False, lanes)
    forbid(before[outputs:], batch.mask, start, lanes)
    forbid(now[outputs:], batch.mask, start, lanes)
    parts[block] = divergence(policy.head, before[outputs:], old[beside:], now[outputs:], lanes)


@strict
def dot(a: Array, b: Array) -> float:
    """Return a · b in float64; both [P]."""
    total = 0.0
    for i in range(a.size):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@strict
def conjugate_gradient(policy: Policy, batch: Batch, gradient: Array, damping: float, steps: int) -> Array:
    """Return an approximation of (F + damping · I)⁻¹ g in float64, [P], after at most so many steps.

    The steps end early once the residual is 1e-10 of the gradient. Hestenes and Stiefel (1952); for policies: Schulman
    et al. (2015), appendix C.
    """
    size = gradient.size
    x, residual, direction = np.zeros(size), np.empty(size), np.empty(size)
    for i in range(size):
        residual[i] = direction[i] = np.float64(gradient[i])
    square = start = dot(residual, residual)
    for _ in range(steps):
        if square <= 1e-20 * start:
            break
        product = fisher_vector_product(policy, batch, direction, damping)
        curvature = dot(direction, product)
        if not curvature > 0.0:
            break
        alpha, before = square / curvature, square
        for i in range(size):
            x[i] += alpha * direction[i]
            residual[i] -= alpha * product[i]
        square = dot(residual, residual)
        for i in range(size):
            direction[i] = residual[i] + square / before * direction[i]
    return x
