"""Running statistics of observations and rewards, for problems whose numbers are far from one.

Observations: the networks see (x - mean) / standard deviation of all that was observed before this iteration, so that
the policy that acted is the policy whose gradient is taken. Rewards: divided by the standard deviation of the
discounted return so far, G ← γ G + r within each episode; not centred, which would change the problem.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.jit import Omitted, compiled_as, strict
from pgrad.rollouts.batch import Batch, with_rewards

f4 = np.float32

Array = Any

EPSILON = 1e-8  # added to variances


class Normalization(NamedTuple):
    """The statistics, updated in place; O = 0 or N = 0 where something is not normalised."""

    seen: npt.NDArray[np.float64]  # [2] observations and rewards so far
    mean: npt.NDArray[np.float64]  # [O] of the observations
    squares: npt.NDArray[np.float64]  # [O] Σ (x - mean)²
    shift: npt.NDArray[np.float32]  # [O] the networks' own: kernels.mlp.MLP
    scale: npt.NDArray[np.float32]  # [O]
    running: npt.NDArray[np.float64]  # [N] each trajectory's discounted return so far
    returns: npt.NDArray[np.float64]  # [2] mean and Σ (G - mean)² of all of them
    reward_scale: npt.NDArray[np.float64]  # [1] what rewards are multiplied by


def new_normalization(obs_size: int, num_trajectories: int) -> Normalization:
    """Return statistics of nothing yet, which change no number; obs_size or num_trajectories 0 keeps it that way."""
    return Normalization(
        seen=np.zeros(2),
        mean=np.zeros(obs_size),
        squares=np.zeros(obs_size),
        shift=np.zeros(obs_size, f4),
        scale=np.ones(obs_size, f4),
        running=np.zeros(num_trajectories),
        returns=np.zeros(2),
        reward_scale=np.ones(1),
    )


@strict
def merged(count: float, mean: float, squares: float, n: float, batch_mean: float, batch_squares: float) -> Any:
    """Return mean and Σ (x - mean)² of two samples together (Chan, Golub and LeVeque 1983)."""
    total, apart = count + n, batch_mean - mean
    return mean + apart * n / total, squares + batch_squares + apart * apart * count * n / total


def observe(included: Any, normalization: Normalization, batch: Batch) -> None:
    """Take a batch's observations into the statistics, for the iterations to come, where statistics are needed."""
    if included.needed:
        observe_batch(normalization, batch)


def with_scaled_rewards(included: Any, normalization: Normalization, batch: Batch, discount: float) -> Batch:
    """Return the batch with its rewards scaled, unless statistics are omitted."""
    return with_rewards(batch, scaled_rewards(normalization, batch, discount)) if included.needed else batch


@compiled_as(observe)
def _observe_compiled(included: Any, normalization: Any, batch: Any) -> Any:
    if included.instance_class is Omitted:
        return lambda included, normalization, batch: None
    return lambda included, normalization, batch: observe_batch(normalization, batch)


@compiled_as(with_scaled_rewards)
def _with_scaled_rewards_compiled(included: Any, normalization: Any, batch: Any, discount: Any) -> Any:
    if included.instance_class is Omitted:
        return lambda included, normalization, batch, discount: batch
    return lambda included, normalization, batch, discount: with_rewards(
        batch, scaled_rewards(normalization, batch, discount)
    )


@strict
def observe_batch(normalization: Normalization, batch: Batch) -> None:
    """Take a batch's observations into the statistics, for the iterations to come."""
    n, before = batch.reward.size, normalization.seen[0]
    for i in range(normalization.mean.size):
        row, total, squares = batch.obs[i], 0.0, 0.0
        for b in range(n):
            total += row[b]
        mean = total / n
        for b in range(n):
            squares += (row[b] - mean) ** 2
        normalization.mean[i], normalization.squares[i] = merged(
            before, normalization.mean[i], normalization.squares[i], n, mean, squares
        )
        variance = normalization.squares[i] / (before + n)
        normalization.shift[i] = normalization.mean[i]
        normalization.scale[i] = 1.0 / np.sqrt(variance + EPSILON)
    normalization.seen[0] += n


@strict
def scaled_rewards(normalization: Normalization, batch: Batch, discount: float) -> Array:
    """Return the batch's rewards [B] scaled by statistics that include them, or unchanged if none are kept."""
    if normalization.running.size == 0:
        return batch.reward
    running, returns, seen = normalization.running, normalization.returns, normalization.seen
    for b in range(batch.reward.size):
        n = batch.trajectory[b]
        so_far = 0.0 if batch.time[b] == 0 else running[n]
        running[n] = discount * so_far + batch.reward[b]
        returns[0], returns[1] = merged(seen[1], returns[0], returns[1], 1.0, running[n], 0.0)
        seen[1] += 1.0
    normalization.reward_scale[0] = 1.0 / np.sqrt(returns[1] / seen[1] + EPSILON)
    scaled = np.empty(batch.reward.size)
    for b in range(batch.reward.size):
        scaled[b] = batch.reward[b] * normalization.reward_scale[0]
    return scaled
