"""The methods of an environment compiled one by one, and a loop that times them: what `pgrad check-env` compiles.

Compiled code is cached under a hash of this room's sources; env_check itself can change without a recompilation.
"""

from typing import Any

import numba

from pgrad.envs.dynamics import mask, mask_into, observe, reset, step
from pgrad.kernels.jit import compiled_as, strict
from pgrad.kernels.lanes import read_lane, write_lane
from pgrad.kernels.random import fold_in


@strict
def compiled_reset(env: Any, key: Any) -> Any:
    """Call `reset`."""
    return reset(env, key)


@strict
def compiled_step(env: Any, state: Any, action: Any, key: Any) -> Any:
    """Call `step`."""
    return step(env, state, action, key)


@strict
def compiled_observe(env: Any, state: Any) -> Any:
    """Call `observe`."""
    return observe(env, state)


@strict
def compiled_mask(env: Any, state: Any) -> Any:
    """Call `mask`."""
    return mask(env, state)


def action_at(actions: Any, index: int, like: Any) -> Any:
    """Return the action in a column of `actions`: as many numbers as `like` has, or one integer."""
    return read_lane(actions, index, like) if isinstance(like, tuple) else int(actions[0, index])


@compiled_as(action_at)
def _action_at_compiled(actions: Any, index: Any, like: Any) -> Any:
    if isinstance(like, numba.types.BaseTuple):
        return lambda actions, index, like: read_lane(actions, index, like)
    return lambda actions, index, like: actions[0, index]


@strict
def timed_steps(
    env: Any, like: Any, like_action: Any, actions: Any, state: Any, allowed: Any, limit: int, count: int
) -> float:
    """Take `count` steps with the given actions in turn, and return the sum of rewards.

    state [S, 1] and allowed [A, 1] are buffers for a state and its mask; `allowed` is empty if there are no masks.
    """
    total, t = 0.0, limit
    for n in range(count):
        if t >= limit:
            write_lane(state, 0, reset(env, fold_in(0, n)))
            t = 0
        chosen = n % actions.shape[1]
        if allowed.shape[0] > 0:
            mask_into(env, read_lane(state, 0, like), allowed, 0)
            for _ in range(actions.shape[1]):
                if allowed[int(actions[0, chosen]), 0]:
                    break
                chosen = (chosen + 1) % actions.shape[1]
        after, reward, terminated = step(
            env, read_lane(state, 0, like), action_at(actions, chosen, like_action), fold_in(1, n)
        )
        write_lane(state, 0, after)
        total += reward
        t = limit if terminated else t + 1
    return total
