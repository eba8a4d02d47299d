"""What a rollout leaves behind."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.heads import NO_MASK
from pgrad.kernels.jit import strict


class Batch(NamedTuple):
    """B samples in the order of time, from N trajectories. Arrays of two axes may be wider than B and C."""

    obs: npt.NDArray[np.float32]  # [O, ≥ B] s_t, as the environment shows it
    action: npt.NDArray[Any]  # a_t as it was drawn, [B] or [D, ≥ B]: see kernels.heads
    reward: npt.NDArray[np.float64]  # [B] the reward for a_t
    terminated: npt.NDArray[np.bool_]  # [B] a_t led to a terminal state
    truncated: npt.NDArray[np.bool_]  # [B] the trajectory was cut after a_t: by a time limit or by the batch's end
    trajectory: npt.NDArray[np.int32]  # [B] which trajectory, 0 … N-1
    time: npt.NDArray[np.int32]  # [B] t, counted from the episode's start
    final_obs: npt.NDArray[np.float32]  # [O, ≥ C] what was observed after each truncated sample
    final_sample: npt.NDArray[np.int64]  # [C] which sample that was
    mask: npt.NDArray[np.bool_] = NO_MASK  # [Σ counts, ≥ B] the actions that were allowed; no rows: all of them


class Episodes(NamedTuple):
    """The episodes that ended, in the order of their ends."""

    episode_return: npt.NDArray[np.float64]  # [E] undiscounted
    length: npt.NDArray[np.int32]  # [E] steps
    total_steps: npt.NDArray[np.int64]  # [E] environment steps the run had taken by then


def concatenated(parts: Sequence[Episodes]) -> Episodes:
    """Several logs as one."""
    return Episodes(
        np.concatenate([np.empty(0), *(part.episode_return for part in parts)]),
        np.concatenate([np.empty(0, np.int32), *(part.length for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.total_steps for part in parts)]),
    )


@strict
def with_rewards(batch: Batch, reward: Any) -> Batch:
    """The same batch with other rewards [B]."""
    return Batch(
        batch.obs,
        batch.action,
        reward,
        batch.terminated,
        batch.truncated,
        batch.trajectory,
        batch.time,
        batch.final_obs,
        batch.final_sample,
        batch.mask,
    )
