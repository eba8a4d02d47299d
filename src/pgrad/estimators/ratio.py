"""The probability ratio, for samples that an earlier policy drew: the clipped surrogate's weights, and how far π moved.

    ρ_b = π_θ(a_b | s_b) / π_old(a_b | s_b)

The clipped surrogate Σ_b min(ρ_b w_b, clip(ρ_b, 1 - ε, 1 + ε) w_b) has the gradient Σ_b ρ_b w_b ∇ log π_θ(a_b | s_b)
over the samples that are not clipped: its weights are ρ_b w_b, or 0 where w_b would carry ρ_b further beyond ε. At
θ = θ_old they are w_b. Schulman et al. (2017), equation 7.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.crew import run_blocks
from pgrad.kernels.fast_math import exp
from pgrad.kernels.heads import Policy, add_log_probs, first_row, load_actions, new_actions
from pgrad.kernels.jit import Omitted, compiled_as, dense, strict
from pgrad.kernels.mlp import BLOCK, forward_block, load_block, new_scratch, num_blocks
from pgrad.kernels.softmax import forbid
from pgrad.rollouts.batch import Batch

f4 = np.float32

Array = Any

KL, CLIPPED, COUNTED = range(3)
ENTROPY, TOLD = 3, 4  # what else a block of samples tells: Σ H(π) in nats


class ClippedRatio(NamedTuple):
    """The samples were drawn by an earlier policy."""

    log_prob: npt.NDArray[np.float32]  # [B] log π_old(a_b | s_b)
    epsilon: float  # ε
    sums: npt.NDArray[np.float64]  # [3] over the samples so far: ρ - 1 - log ρ, those clipped, all; added to in place


ON_POLICY = Omitted()  # the samples were drawn by the policy whose gradient is taken: every ratio is 1


def clip_weights(
    ratio: Any, head: Any, outputs: Array, action: Array, weight: Array, start: int, lanes: int, told: Array
) -> None:
    """Replace the weights [lanes] of samples start, start + 1, … by those of the surrogate; outputs stay."""
    if isinstance(ratio, ClippedRatio):
        clip_block(ratio, head, outputs, action, weight, start, lanes, told)


@compiled_as(clip_weights)
def _clip_weights_compiled(
    ratio: Any, head: Any, outputs: Any, action: Any, weight: Any, start: Any, lanes: Any, told: Any
) -> Any:
    if ratio.instance_class is Omitted:
        return lambda ratio, head, outputs, action, weight, start, lanes, told: None
    return lambda ratio, head, outputs, action, weight, start, lanes, told: clip_block(
        ratio, head, outputs, action, weight, start, lanes, told
    )


@dense
def clip_block(
    ratio: ClippedRatio, head: Any, outputs: Array, action: Array, weight: Array, start: int, lanes: int, told: Array
) -> None:
    """See `clip_weights`; tells what ρ - 1 - log ρ comes to, whose mean is KL(π_old ‖ π)."""
    log_prob, low, high = np.zeros(lanes, f4), f4(1.0 - ratio.epsilon), f4(1.0 + ratio.epsilon)
    add_log_probs(head, outputs, action, log_prob, lanes)
    divergence, clipped = f4(0), f4(0)
    for n in range(lanes):
        log_ratio = log_prob[n] - ratio.log_prob[start + n]
        rho = exp(log_ratio)
        outside = (rho > high) if weight[n] > f4(0) else (rho < low)
        weight[n] = f4(0) if outside else rho * weight[n]
        divergence += (rho - f4(1)) - log_ratio
        clipped += f4(1) if outside else f4(0)
    told[KL], told[CLIPPED], told[COUNTED] = divergence, clipped, lanes


def count_ratios(ratio: Any, told: Array) -> None:
    """Add what blocks of samples told, [blocks, TOLD], to the ratio's sums; on-policy samples have none."""
    if isinstance(ratio, ClippedRatio):
        add_told(ratio, told)


@compiled_as(count_ratios)
def _count_ratios_compiled(ratio: Any, told: Any) -> Any:
    if ratio.instance_class is Omitted:
        return lambda ratio, told: None
    return lambda ratio, told: add_told(ratio, told)


@strict
def add_told(ratio: ClippedRatio, told: Array) -> None:
    """See `count_ratios`."""
    for block in range(told.shape[0]):
        for k in range(ratio.sums.size):
            ratio.sums[k] += told[block, k]


@dense
def log_probs(policy: Policy, batch: Batch) -> Array:
    """Return log π(a_b | s_b) of a batch's samples in float32, [B]."""
    result, scratch = np.zeros(batch.reward.size, f4), new_scratch(policy.network, batch.reward.size, batch.crew, 1)
    run_blocks(batch.crew, log_probs_of_block, (policy, batch, scratch, result), num_blocks(result.size))
    return result


@dense
def log_probs_of_block(policy: Policy, batch: Batch, scratch: Array, result: Array, worker: int, block: int) -> None:
    """Add log π(a_b | s_b) of a block's samples to their places in `result` [B]."""
    net, start, activations = policy.network, block * BLOCK, scratch[worker, 0]
    lanes, outputs = min(BLOCK, result.size - start), first_row(policy.head, net)
    taken, in_order = new_actions(batch.action, lanes), np.empty(0, np.int64)
    load_block(net, batch.obs, start, activations, lanes)
    load_actions(batch.action, in_order, taken, start, lanes)
    forward_block(net, activations, False, lanes)
    forbid(activations[outputs:], batch.mask, start, lanes)
    add_log_probs(policy.head, activations[outputs:], taken, result[start:], lanes)
