"""One step of an environment of one's own in plain Python, before compiled code relies on the sizes of what it gives.

Compiled code writes states and observations into arrays of a fixed width and checks no bounds: one number too many
would overwrite other memory. `check-env` looks at everything else.
"""

from typing import Any

from pgrad.envs.dynamics import mask, observe
from pgrad.spaces import Box, Discrete

SEE_MORE = "`pgrad check-env` says more"


def first_step_problems(dynamics: Any) -> list[str]:
    """What does not fit in size; nothing where plain Python cannot tell."""
    try:
        state = dynamics.reset(0)
        allowed, obs = mask(dynamics, state), observe(dynamics, state)
        returned = dynamics.step(state, first_action(dynamics.action_space, allowed), 0)
    except Exception:  # it may be written for compiled code alone, and there it tells what is wrong itself
        return []
    problems = []
    if not isinstance(returned, tuple) or len(returned) != 3:
        return [f"step returned {returned!r:.60}, not (state, reward, terminated); {SEE_MORE}"]
    if size(returned[0]) != size(state):
        problems.append(
            f"a state's length changes: reset gave {size(state)} numbers, step {size(returned[0])}; keep the same "
            "numbers at the same places in every state"
        )
    space = dynamics.observation_space
    wanted = space.flat_size if isinstance(space, Box) else len(space.counts)
    if not hasattr(dynamics, "observe_into") and size(obs) != wanted:
        source = "observe returned" if hasattr(dynamics, "observe") else "the state has"
        kind = f"a Box of {wanted}" if isinstance(space, Box) else f"{space!r:.60}, of {wanted}"
        problems.append(f"{source} {size(obs)} numbers, but observation_space is {kind}")
    actions = dynamics.action_space
    if allowed and not isinstance(actions, Box) and len(allowed) != sum(actions.counts):
        problems.append(f"mask returned {len(allowed)} truth values, but there are {sum(actions.counts)} actions")
    return problems


def first_action(space: Any, allowed: tuple[bool, ...]) -> Any:
    """The first action that is allowed, or the middle of what is real."""
    if isinstance(space, Box):
        return tuple(min(max(0.0, low), high) for low, high in zip(space.low, space.high, strict=True))
    if isinstance(space, Discrete):
        return next((choice for choice, free in enumerate(allowed) if free), 0)
    return (0,) * len(space.counts)


def size(values: Any) -> int:
    """How many numbers there are; a single one counts as one."""
    return len(values) if hasattr(values, "__len__") else 1
