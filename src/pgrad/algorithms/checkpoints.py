"""Parameters kept along a run, for whoever wants to look back: evenly spread, in a room of fixed size."""

from typing import Any

from pgrad.algorithms.learner import Checkpoints
from pgrad.kernels.jit import strict
from pgrad.kernels.optimizers import copy


@strict
def keep(
    checkpoints: Checkpoints, iteration: int, policy: Any, critic: Any, shift: Any, scale: Any, reward_scale: float
) -> None:
    """Keep the parameters policy [P] and critic [P'], and how their inputs are normalised, if it is their turn.

    Where there is no more room, every second one is dropped and from then on they come half as often: what is kept is a
    function of the iterations done, never of how fast they were.
    """
    if checkpoints.every[0] == 0 or iteration % checkpoints.every[0] != 0:
        return
    if checkpoints.kept[0] == checkpoints.iteration.size:
        thin(checkpoints)
        if iteration % checkpoints.every[0] != 0:
            return
    at = checkpoints.kept[0]
    checkpoints.iteration[at], checkpoints.reward_scale[at] = iteration, reward_scale
    copy(policy, checkpoints.policy[at])
    copy(critic, checkpoints.critic[at])
    copy(shift, checkpoints.shift[at])
    copy(scale, checkpoints.scale[at])
    checkpoints.kept[0] += 1


@strict
def thin(checkpoints: Checkpoints) -> None:
    """Drop every second one."""
    count = (checkpoints.kept[0] + 1) // 2
    for k in range(1, count):
        checkpoints.iteration[k] = checkpoints.iteration[2 * k]
        checkpoints.reward_scale[k] = checkpoints.reward_scale[2 * k]
        copy(checkpoints.policy[2 * k], checkpoints.policy[k])
        copy(checkpoints.critic[2 * k], checkpoints.critic[k])
        copy(checkpoints.shift[2 * k], checkpoints.shift[k])
        copy(checkpoints.scale[2 * k], checkpoints.scale[k])
    checkpoints.kept[0] = count
    checkpoints.every[0] *= 2
