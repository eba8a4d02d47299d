"""An environment of one's own by where it is written: `my_env.py:MyEnv`, `my_env.py` or `package.module:Name`.

What the name may be: a NamedTuple as `dynamics` describes it (its parameters take their defaults), one of its
instances, a gymnasium.Env class, or a function without arguments that returns either.

A Gymnasium id can look alike: `minigrid:MiniGrid-Empty-5x5-v0` tells Gymnasium to import `minigrid` first. What is a
file's name before the last colon, or ends with .py, is ours. Of `module:Name`, it is ours if Name is a Python name: an
id with its version never is one, for its dash (write `module:Name-v0` where Gymnasium's is meant).
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from pgrad.envs.contract import class_problems, described, dynamics_problems, looks_like_dynamics, told
from pgrad.envs.dynamics import Dynamics
from pgrad.errors import EnvError, nearest
from pgrad.user_code import import_file, import_module, own_traceback

if TYPE_CHECKING:
    import gymnasium

    Factory = Callable[[], gymnasium.Env[Any, Any]]

WHAT_IT_CAN_BE = (
    "an environment is a NamedTuple with reset and step (docs/extending.md shows one), one of its instances, "
    "a gymnasium.Env class, or a function without arguments that returns one of these"
)


class Source(NamedTuple):
    """A reference taken apart."""

    file: Path | None
    module: str  # where there is no file
    name: str  # empty: whatever environment the file defines


def is_reference(text: str) -> bool:
    """Whether a text says where an environment is written, and is not a Gymnasium id."""
    place, _, name = text.rpartition(":")
    if text.endswith(".py") or place.endswith(".py"):
        return True
    return name.isidentifier() and bool(place) and all(part.isidentifier() for part in place.split("."))


def parse(reference: str) -> Source:
    """The parts of a reference; raises EnvError where it is none."""
    if not is_reference(reference):
        raise EnvError(f"'{reference}' is neither `file.py:Name` nor `package.module:Name`")
    if reference.endswith(".py"):
        return Source(Path(reference), "", "")
    place, _, name = reference.rpartition(":")
    return Source(Path(place), "", name) if place.endswith(".py") else Source(None, place, name)


def load(reference: str) -> "Dynamics | Factory":
    """The environment: dynamics, or what makes a gymnasium.Env when called. Raises EnvError that says what is wrong."""
    source = parse(reference)
    module = import_file(source.file) if source.file else import_module(source.module)
    name = source.name or only_environment(module, reference)
    if not hasattr(module, name):
        known = environments_in(module) or [known for known in vars(module) if not known.startswith("_")]
        raise EnvError(f"'{reference}': there is no '{name}'; {nearest(name, known, 'nothing is defined there')}")
    place = reference if source.name else f"{reference}:{name}"
    return environment(getattr(module, name), place)


def environment(value: Any, place: str) -> "Dynamics | Factory":
    """What `value`, found at `place`, is as an environment."""
    if inspect.isfunction(value) or is_gymnasium(value):
        return returned_by(value, place)
    if isinstance(value, type) and looks_like_dynamics(value):
        if problems := class_problems(value):
            raise EnvError(told(place, problems))
        value = value()
    if not looks_like_dynamics(value):
        raise EnvError(f"'{place}' is {described(value)}: {WHAT_IT_CAN_BE}")
    try:
        problems = dynamics_problems(value)
    except Exception as error:  # a property may do anything
        raise EnvError(f"'{place}' raised when its members were looked at:\n{own_traceback(error)}") from error
    if problems:
        raise EnvError(told(place, problems))
    return value  # type: ignore[no-any-return]


def returned_by(function: Callable[[], Any], place: str) -> "Dynamics | Factory":
    """The dynamics that a function returns, or the function itself if it makes a gymnasium.Env (as its class does)."""
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if needed:
        raise EnvError(f"'{place}' needs arguments, {', '.join(needed)}: give these defaults")
    try:
        value = function()
    except Exception as error:
        raise EnvError(f"'{place}' raised when it was called:\n{own_traceback(error)}") from error
    if is_gymnasium(type(value)):
        with suppress(Exception):  # it is given up either way
            value.close()
        return function
    if inspect.isfunction(value):
        raise EnvError(f"'{place}' returns a function: {WHAT_IT_CAN_BE}")
    return environment(value, f"{place}()")


def is_gymnasium(value: Any) -> bool:
    """Whether a value is a gymnasium.Env class; found out without importing Gymnasium."""
    bases = value.__mro__ if isinstance(value, type) else ()
    return any(base.__module__ == "gymnasium.core" and base.__name__ == "Env" for base in bases)


def environments_in(module: ModuleType) -> list[str]:
    """The names of the environments that a module itself defines."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and (is_gymnasium(value) or looks_like_dynamics(value))
    ]


def only_environment(module: ModuleType, reference: str) -> str:
    """The name of the one environment that a file defines."""
    names = environments_in(module)
    if len(names) == 1:
        return names[0]
    if names:
        raise EnvError(
            f"'{reference}' defines {len(names)} environments: say which, as in {reference}:{names[0]}, "
            f"of {', '.join(names)}"
        )
    raise EnvError(f"'{reference}' defines no environment: {WHAT_IT_CAN_BE}")
