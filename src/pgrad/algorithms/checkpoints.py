"""Parameters kept along a run, for whoever wants to look back: evenly spread, in a room of fixed size."""

from typing import Any

import numpy as np

from pgrad.algorithms.learner import Checkpoints
from pgrad.algorithms.normalization import Normalization
from pgrad.kernels.jit import strict
from pgrad.kernels.optimizers import copy

MAX_CHECKPOINTS = 128
CHECKPOINT_BYTES = 2**24  # of all of them, where large networks leave room for few


def new_checkpoints(every: int, policy_size: int, critic_size: int, inputs: int = 0) -> Checkpoints:
    """Make room for as many as fit, at least two; `inputs` observations are normalised."""
    fitting = CHECKPOINT_BYTES // (4 * (policy_size + critic_size + 2 * inputs))
    room = max(2, min(MAX_CHECKPOINTS, fitting)) if every else 0
    return Checkpoints(
        np.zeros(room, np.int64),
        np.zeros((room, policy_size), np.float32),
        np.zeros((room, critic_size), np.float32),
        np.zeros((room, inputs), np.float32),
        np.zeros((room, inputs), np.float32),
        np.zeros(room),
        np.zeros(1, np.int64),
        np.array([every]),
    )


@strict
def keep(room: Checkpoints, iteration: int, before: Any, normalization: Normalization) -> None:
    """Keep parameters, of policy [P] and critic [P'], and how their inputs are normalised, if it is their turn.

    Where there is no more room, every second one is dropped and from then on they come half as often: what is kept is a
    function of the iterations done, never of how fast they were.
    """
    if room.every[0] == 0 or iteration % room.every[0] != 0:
        return
    if room.kept[0] == room.iteration.size:
        thin(room)
        if iteration % room.every[0] != 0:
            return
    at = room.kept[0]
    room.iteration[at], room.reward_scale[at] = iteration, normalization.reward_scale[0]
    copy(before[0], room.policy[at])
    copy(before[1], room.critic[at])
    copy(normalization.shift, room.shift[at])
    copy(normalization.scale, room.scale[at])
    room.kept[0] += 1


@strict
def thin(room: Checkpoints) -> None:
    """Drop every second checkpoint."""
    count = (room.kept[0] + 1) // 2
    for k in range(1, count):
        room.iteration[k] = room.iteration[2 * k]
        room.reward_scale[k] = room.reward_scale[2 * k]
        copy(room.policy[2 * k], room.policy[k])
        copy(room.critic[2 * k], room.critic[k])
        copy(room.shift[2 * k], room.shift[k])
        copy(room.scale[2 * k], room.scale[k])
    room.kept[0] = count
    room.every[0] *= 2
