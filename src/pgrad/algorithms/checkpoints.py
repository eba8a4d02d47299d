"""Parameters kept along a run, for whoever wants to look back: evenly spread, in a room of fixed size."""

from typing import Any

from pgrad.algorithms.settings import Checkpoints
from pgrad.kernels.jit import strict


@strict
def keep(checkpoints: Checkpoints, iteration: int, policy: Any, critic: Any) -> None:
    """Keep the parameters policy [P] and critic [P'] if it is their turn.

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
    checkpoints.iteration[at] = iteration
    for i in range(policy.size):  # loops: assignments to a slice take long to compile
        checkpoints.policy[at, i] = policy[i]
    for i in range(critic.size):
        checkpoints.critic[at, i] = critic[i]
    checkpoints.kept[0] += 1


@strict
def thin(checkpoints: Checkpoints) -> None:
    """Drop every second one."""
    count = (checkpoints.kept[0] + 1) // 2
    for k in range(count):
        checkpoints.iteration[k] = checkpoints.iteration[2 * k]
        for i in range(checkpoints.policy.shape[1]):
            checkpoints.policy[k, i] = checkpoints.policy[2 * k, i]
        for i in range(checkpoints.critic.shape[1]):
            checkpoints.critic[k, i] = checkpoints.critic[2 * k, i]
    checkpoints.kept[0] = count
    checkpoints.every[0] *= 2
