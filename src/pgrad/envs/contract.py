"""What an environment of one's own lacks: every member that is missing or wrong, at once and with the line to write."""

import inspect
from typing import Any, get_args

from pgrad.spaces import Discrete, MultiDiscrete, Space

METHODS = {
    "reset": ("self", "key"),
    "step": ("self", "state", "action", "key"),
    "observe": ("self", "state"),
    "mask": ("self", "state"),
}
REQUIRED = ("reset", "step")


def looks_like_dynamics(value: Any) -> bool:
    """Whether a class or an instance is meant to be an environment as `dynamics` describes it."""
    return any(callable(getattr(value, method, None)) for method in REQUIRED)


def described(value: Any) -> str:
    """What a value is, for a message."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"{value!r:.80} ({type(value).__name__})"


def told(place: str, problems: list[str]) -> str:
    """All that is wrong with an environment."""
    return "\n".join([f"'{place}' is not an environment yet:", *(f"  {problem}" for problem in problems)])


def class_problems(kind: type) -> list[str]:
    """What keeps a class from being made with its defaults, and what is wrong with its members."""
    if not issubclass(kind, tuple) or not hasattr(kind, "_field_defaults"):
        base = f"class {kind.__name__}(NamedTuple):"
        return [f"it is no NamedTuple: write `{base}`, with its parameters as fields", *member_problems(kind)]
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
    """What is wrong with an instance: its class's members, and parameters that cannot be compiled."""
    if not isinstance(dynamics, tuple) or not hasattr(dynamics, "_fields"):
        return [f"it is a {type(dynamics).__name__}, not a NamedTuple", *member_problems(type(dynamics))]
    problems = member_problems(type(dynamics), dynamics)
    for name, value in zip(dynamics._fields, dynamics, strict=True):
        if isinstance(value, get_args(Space)):
            problems.append(f"'{name}' became a parameter by its annotation: write `{name} = {value}` without one")
        elif isinstance(value, str | list | dict | set) or value is None:
            problems.append(
                f"parameter '{name}' is {value!r:.40} ({type(value).__name__}): parameters are numbers, tuples of "
                "numbers or arrays"
            )
    return problems


def member_problems(kind: type, owner: Any = None) -> list[str]:
    """What is missing or wrong among the members; looked up in an instance, where there is one."""
    owner = kind if owner is None else owner
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
                f"observation_space is {space!r:.60}, but not as a class attribute, where compiled code finds it: let "
                f"observe(self, state) return it one-hot, and give Box(0.0, 1.0, {space.flat_size})"
            )
    limit = getattr(owner, "max_episode_steps", None)
    if limit is None:
        problems.append("max_episode_steps is missing: write `max_episode_steps = 500` in the class")
    elif not (isinstance(limit, property) or (is_field(kind, "max_episode_steps") and owner is kind)) and (
        not isinstance(limit, int) or isinstance(limit, bool) or limit < 1
    ):
        problems.append(f"max_episode_steps is {limit!r}: it must be a positive whole number")
    for name, arguments in METHODS.items():
        problems += method_problems(kind, name, arguments)
    if hasattr(kind, "mask") and not isinstance(getattr(owner, "action_space", None), Discrete | property):
        problems.append("mask needs an action_space that is Discrete")
    return problems


def is_field(kind: type, name: str) -> bool:
    """Whether a name is one of a NamedTuple's fields."""
    return name in getattr(kind, "_fields", ())


def method_problems(kind: type, name: str, arguments: tuple[str, ...]) -> list[str]:
    """What is wrong with one method."""
    method, wanted = getattr(kind, name, None), f"def {name}({', '.join(arguments)}):"
    if method is None:
        return [f"{name} is missing: write `{wanted}`"] if name in REQUIRED else []
    if not inspect.isfunction(method):
        return [f"{name} is {described(method)}: it must be a method, `{wanted}`"]
    has = tuple(inspect.signature(method).parameters)
    if len(has) != len(arguments):
        return [f"{name} takes ({', '.join(has)}): it must be `{wanted}`"]
    return []
