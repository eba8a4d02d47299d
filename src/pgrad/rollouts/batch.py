"""What a rollout leaves behind."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Batch(NamedTuple):
    """B samples in the order of time, from N trajectories. `obs` and `final_obs` may be wider than B and C."""

    obs: npt.NDArray[np.float32]  # [O, ≥ B] s_t
    action: npt.NDArray[np.int32]  # [B] a_t
    reward: npt.NDArray[np.float64]  # [B] the reward for a_t
    terminated: npt.NDArray[np.bool_]  # [B] a_t led to a terminal state
    truncated: npt.NDArray[np.bool_]  # [B] the trajectory was cut after a_t: by a time limit or by the batch's end
    env: npt.NDArray[np.int32]  # [B] which trajectory, 0 … N-1
    time: npt.NDArray[np.int32]  # [B] t, counted from the episode's start
    final_obs: npt.NDArray[np.float32]  # [O, ≥ C] what was observed after each truncated sample
    final_sample: npt.NDArray[np.int64]  # [C] which sample that was


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
