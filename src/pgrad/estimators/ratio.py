"""The probability ratio, for samples that an earlier policy drew: the clipped surrogate's weights, and how far π moved.

    ρ_b = π_θ(a_b | s_b) / π_old(a_b | s_b)

The clipped surrogate Σ_b min(ρ_b w_b, clip(ρ_b, 1 - ε, 1 + ε) w_b) has the gradient Σ_b ρ_b w_b ∇ log π_θ(a_b | s_b)
over the samples that are not clipped: its weights are ρ_b w_b, or 0 where w_b would carry ρ_b further beyond ε. At
θ = θ_old they are w_b. Schulman et al. (2017), equation 7.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.fast_math import exp
from pgrad.kernels.heads import Policy, add_log_probs, load_actions, new_actions
from pgrad.kernels.jit import Omitted, compiled_as, dense
from pgrad.kernels.mlp import BLOCK, forward_block, load_block, new_block
from pgrad.kernels.softmax import forbid
from pgrad.rollouts.batch import Batch

f4 = np.float32

Array = Any

KL, CLIPPED, COUNTED = range(3)


class ClippedRatio(NamedTuple):
    """The samples were drawn by an earlier policy."""

    log_prob: npt.NDArray[np.float32]  # [B] log π_old(a_b | s_b)
    epsilon: float  # ε
    sums: npt.NDArray[np.float64]  # [3] over the samples so far: ρ - 1 - log ρ, those clipped, all; added to in place


ON_POLICY = Omitted()  # the samples were drawn by the policy whose gradient is taken: every ratio is 1


def clip_weights(ratio: Any, head: Any, outputs: Array, action: Array, weight: Array, start: int, lanes: int) -> None:
    """Replace the weights [lanes] of samples start, start + 1, … by those of the surrogate; outputs stay."""
    if isinstance(ratio, ClippedRatio):
        clip_block(ratio, head, outputs, action, weight, start, lanes)


@compiled_as(clip_weights)
def _clip_weights_compiled(
    ratio: Any, head: Any, outputs: Any, action: Any, weight: Any, start: Any, lanes: Any
) -> Any:
    if ratio.instance_class is Omitted:
        return lambda ratio, head, outputs, action, weight, start, lanes: None
    return lambda ratio, head, outputs, action, weight, start, lanes: clip_block(
        ratio, head, outputs, action, weight, start, lanes
    )


@dense
def clip_block(
    ratio: ClippedRatio, head: Any, outputs: Array, action: Array, weight: Array, start: int, lanes: int
) -> None:
    """See `clip_weights`; adds to `ratio.sums` what ρ - 1 - log ρ comes to, whose mean is KL(π_old ‖ π)."""
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
    ratio.sums[KL] += divergence
    ratio.sums[CLIPPED] += clipped
    ratio.sums[COUNTED] += lanes


@dense
def log_probs(policy: Policy, batch: Batch) -> Array:
    """Return log π(a_b | s_b) of a batch's samples in float32, [B]."""
    net, size = policy.network, batch.reward.size
    result, activations = np.zeros(size, f4), new_block(net, size)
    taken, in_order = new_actions(batch.action, BLOCK), np.empty(0, np.int64)
    outputs = net.rows - net.sizes[-1]
    for start in range(0, size, BLOCK):
        lanes = min(BLOCK, size - start)
        load_block(net, batch.obs, start, activations, lanes)
        load_actions(batch.action, in_order, taken, start, lanes)
        forward_block(net, activations, False, lanes)
        forbid(activations[outputs:], batch.mask, start, lanes)
        add_log_probs(policy.head, activations[outputs:], taken, result[start:], lanes)
    return result
