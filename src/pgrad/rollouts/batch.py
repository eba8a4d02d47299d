"""What a rollout leaves behind: samples, and the episodes that ended while they were taken."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.crew import ALONE, Crew
from pgrad.kernels.heads import NO_MASK, load_actions, new_actions
from pgrad.kernels.jit import strict


class Episodes(NamedTuple):
    """The episodes that ended, in the order of their ends."""

    episode_return: npt.NDArray[np.float64]  # [E] undiscounted
    length: npt.NDArray[np.int32]  # [E] steps
    total_steps: npt.NDArray[np.int64]  # [E] environment steps the run had taken by then


NO_EPISODES = Episodes(np.empty(0), np.empty(0, np.int32), np.empty(0, np.int64))


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
    num_trajectories: int  # N
    mask: npt.NDArray[np.bool_] = NO_MASK  # [Σ counts, ≥ B] the actions that were allowed; no rows: all of them
    total_steps: int = 0  # environment steps the run had taken when the batch was complete
    episodes: Episodes = NO_EPISODES  # those that ended in this batch
    crew: Crew = ALONE  # the threads that share the work on it


def concatenated(parts: Sequence[Episodes]) -> Episodes:
    """Join several logs into one."""
    return Episodes(*(np.concatenate(column) for column in zip(NO_EPISODES, *parts, strict=True)))


def copied(episodes: Episodes, count: int | None = None) -> Episodes:
    """Copy the first `count` episodes of a log, or all of them."""
    returns, length, total_steps = episodes
    return Episodes(returns[:count].copy(), length[:count].copy(), total_steps[:count].copy())


@strict
def with_rewards(batch: Batch, reward: Any) -> Batch:
    """Return the batch with other rewards [B]."""
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
        batch.num_trajectories,
        batch.mask,
        batch.total_steps,
        batch.episodes,
        batch.crew,
    )


@strict
def chosen_samples(batch: Batch, chosen: Any) -> Batch:
    """Return copies of samples `chosen` [M]: their observations, actions, rewards and masks, and nothing else."""
    count = chosen.size
    obs, mask = np.empty((batch.obs.shape[0], count), np.float32), np.empty((batch.mask.shape[0], count), np.bool_)
    for i in range(obs.shape[0]):
        for m in range(count):
            obs[i, m] = batch.obs[i, chosen[m]]
    for k in range(mask.shape[0]):
        for m in range(count):
            mask[k, m] = batch.mask[k, chosen[m]]
    action, reward = new_actions(batch.action, count), np.empty(count)
    for m in range(count):
        reward[m] = batch.reward[chosen[m]]
    load_actions(batch.action, chosen, action, 0, count)
    return Batch(
        obs,
        action,
        reward,
        batch.terminated[:0],
        batch.truncated[:0],
        batch.trajectory[:0],
        batch.time[:0],
        np.empty((batch.final_obs.shape[0], 0), np.float32),
        batch.final_sample[:0],
        batch.num_trajectories,
        mask,
        batch.total_steps,
        batch.episodes,
        batch.crew,
    )
