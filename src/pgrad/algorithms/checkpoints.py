"""Parameters kept along a run, for whoever wants to look back: evenly spread, in a room of fixed size."""

from typing import Any

from pgrad.algorithms.learner import Checkpoints
from pgrad.algorithms.normalization import Normalization
from pgrad.kernels.jit import strict
from pgrad.kernels.optimizers import copy


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
