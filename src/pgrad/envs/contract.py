"""What a user's environment must have: every missing or wrong member is reported at once, with the line to write.

Compiled code writes states and observations into arrays of a fixed width and checks no bounds: one number too many
would overwrite other memory. `first_step_problems` therefore compares sizes in plain Python before anything is
compiled; `pgrad check-env` examines everything else.
"""

import inspect
from typing import Any, get_args

from pgrad.envs.dynamics import Dynamics, mask, observe
from pgrad.errors import EnvError
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space
from pgrad.user_code import own_traceback

METHODS = {
    "reset": ("self", "key"),
    "step": ("self", "state", "action", "key"),
    "observe": ("self", "state"),
    "mask": ("self", "state"),
}
REQUIRED = ("reset", "step")
SEE_MORE = "`pgrad check-env` says more"


def looks_like_dynamics(value: Any) -> bool:
    """Return True if a class or an instance has `reset` or `step`, as an environment in `dynamics`' form would."""
    return any(callable(getattr(value, method, None)) for method in REQUIRED)


def require_dynamics(value: Any, name: str) -> Dynamics:
    """Return dynamics (of a class, an instance with its defaults); raise EnvError that lists every problem."""
    if isinstance(value, type):
        raise_problems(name, class_problems(value))
        value = value()
    try:
        problems = dynamics_problems(value)
    except Exception as error:  # a property may do anything
        raise EnvError(f"'{name}' raised while its members were read:\n{own_traceback(error)}") from error
    raise_problems(name, problems)
    return value  # type: ignore[no-any-return]


def raise_problems(name: str, problems: list[str]) -> None:
    """Raise one EnvError with all problems of an environment, if there are any."""
    if problems:
        raise EnvError("\n".join([f"'{name}' is not a valid environment:", *(f"  {problem}" for problem in problems)]))


def class_problems(kind: type) -> list[str]:
    """Return what prevents a class from being instantiated with its defaults, and what is wrong with its members."""
    if not issubclass(kind, tuple) or not hasattr(kind, "_field_defaults"):
        base = f"class {kind.__name__}(NamedTuple):"
        return [f"it is not a NamedTuple: write `{base}`, with its parameters as fields", *member_problems(kind)]
    fields: Any = kind
    return [
        *(
            f"parameter '{name}' has no default: write `{name}: float = ...`"
            for name in fields._fields
            if name not in fields._field_defaults
        ),
        *member_problems(kind),
    ]


def dynamics_problems(dynamics: Any) -> list[str]:
    """Return what is wrong with an instance: its members, and parameters that cannot be compiled."""
    if not isinstance(dynamics, tuple) or not hasattr(dynamics, "_fields"):
        return [f"it is a {type(dynamics).__name__}, not a NamedTuple", *member_problems(type(dynamics))]
    problems = member_problems(type(dynamics), dynamics)
    for name, value in zip(dynamics._fields, dynamics, strict=True):
        if isinstance(value, get_args(Space)):
            problems.append(
                f"'{name}' is a space, but its annotation makes it a parameter: write `{name} = {value}` without one"
            )
        elif isinstance(value, str | list | dict | set) or value is None:
            problems.append(
                f"parameter '{name}' is {value!r:.40} ({type(value).__name__}): parameters are numbers, tuples of "
                "numbers or arrays"
            )
    return problems


def member_problems(kind: type, owner: Any = None) -> list[str]:
    """Return what is missing or wrong among the members, read from an instance (`owner`) where there is one."""
    owner = kind if owner is None else owner
    problems = space_problems(kind, owner)
    limit = getattr(owner, "max_episode_steps", None)
    if limit is None:
        problems.append("max_episode_steps is missing: write `max_episode_steps = 500` in the class")
    elif not (isinstance(limit, property) or (is_field(kind, "max_episode_steps") and owner is kind)) and (
        not isinstance(limit, int) or isinstance(limit, bool) or limit < 1
    ):
        problems.append(f"max_episode_steps is {limit!r}: it must be a positive integer")
    for name, arguments in METHODS.items():
        problems += method_problems(kind, name, arguments)
    if hasattr(kind, "mask") and not isinstance(getattr(owner, "action_space", None), Discrete | property):
        problems.append("mask needs an action_space that is Discrete")
    return problems


def space_problems(kind: type, owner: Any) -> list[str]:
    """Return what is missing or wrong with the two spaces."""
    problems = []
    for name, example in (("observation_space", "Box(-1.0, 1.0, 4)"), ("action_space", "Discrete(2)")):
        space = getattr(owner, name, None)
        if space is None:
            problems.append(f"{name} is missing: write `{name} = {example}` in the class")
        elif not isinstance(space, (*get_args(Space), property)) and not is_field(kind, name):
            problems.append(f"{name} is {space!r:.60}: it must be a Box, Discrete or MultiDiscrete of pgrad.envs")
        elif (
            isinstance(space, Discrete | MultiDiscrete)
            and name == "observation_space"
            and getattr(kind, name, None) is not space
            and not hasattr(kind, "observe_into")
        ):
            problems.append(
                f"observation_space is {space!r:.60}, but compiled code only finds it as a class attribute: return "
                f"the observation one-hot from observe(self, state), and use Box(0.0, 1.0, {space.flat_size})"
            )
    return problems


def is_field(kind: type, name: str) -> bool:
    """Return True if a name is one of a NamedTuple's fields."""
    return name in getattr(kind, "_fields", ())


def method_problems(kind: type, name: str, arguments: tuple[str, ...]) -> list[str]:
    """Return what is wrong with one method."""
    method, wanted = getattr(kind, name, None), f"def {name}({', '.join(arguments)}):"
    if method is None:
        return [f"{name} is missing: write `{wanted}`"] if name in REQUIRED else []
    if not inspect.isfunction(method):
        return [f"{name} is {value_and_type(method)}: it must be a method, `{wanted}`"]
    has = tuple(inspect.signature(method).parameters)
    if len(has) != len(arguments):
        return [f"{name} takes ({', '.join(has)}): it must be `{wanted}`"]
    return []


def value_and_type(value: Any) -> str:
    """Return a value and its type for a message."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"{value!r:.80} ({type(value).__name__})"


# --- one step in plain Python


def first_step_problems(dynamics: Any) -> list[str]:
    """Return which sizes do not fit in a first step; nothing where plain Python cannot tell."""
    try:
        state = dynamics.reset(0)
        allowed, obs = mask(dynamics, state), observe(dynamics, state)
        returned = dynamics.step(state, first_action(dynamics.action_space, allowed), 0)
    except Exception:  # it may be written for compiled code alone, whose own errors say what is wrong
        return []
    problems = []
    if not isinstance(returned, tuple) or len(returned) != 3:
        return [f"step returned {returned!r:.60}, not (state, reward, terminated); {SEE_MORE}"]
    if size(returned[0]) != size(state):
        problems.append(
            f"a state's length changes: reset returned {size(state)} numbers, step {size(returned[0])}; keep the same "
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
        problems.append(f"mask returned {len(allowed)} booleans, but there are {sum(actions.counts)} actions")
    return problems


def first_action(space: Space, allowed: tuple[bool, ...]) -> Any:
    """Return the first allowed action, or the one nearest to zero of a Box."""
    if isinstance(space, Box):
        return tuple(min(max(0.0, low), high) for low, high in zip(space.low, space.high, strict=True))
    if isinstance(space, Discrete):
        return next((choice for choice, free in enumerate(allowed) if free), 0)
    return (0,) * len(space.counts)


def size(values: Any) -> int:
    """Return how many numbers there are; a bare number counts as one."""
    return len(values) if hasattr(values, "__len__") else 1
