"""Load a user's environment from where it is written: `my_env.py:MyEnv`, `my_env.py` or `package.module:Name`.

The name may refer to a NamedTuple class as `dynamics` describes it (its parameters take their defaults), one of its
instances, a gymnasium.Env class, or a function without required arguments that returns either.

A Gymnasium id can look alike: `minigrid:MiniGrid-Empty-5x5-v0` tells Gymnasium to import `minigrid` first. Text is a
reference if it ends in .py, has a .py file before its last colon, or is `module:Name` with a Python identifier for Name
(an id with its version never is one, because of the dash). If that module does not define Name but registers it with
Gymnasium, `module:Name` is an id without its version after all.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from pgrad.envs.contract import looks_like_dynamics, require_dynamics, value_and_type
from pgrad.envs.dynamics import Dynamics
from pgrad.errors import EnvError, nearest
from pgrad.user_code import import_file, import_module, own_traceback
from pgrad.vector.arguments import named_with

if TYPE_CHECKING:
    import gymnasium

    Factory = Callable[[], gymnasium.Env[Any, Any]]

NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})
WHAT_IT_CAN_BE = (
    "an environment is a NamedTuple with spaces, reset and step, one of its instances, "
    "a gymnasium.Env class, or a function without arguments that returns one of these"
)


class Source(NamedTuple):
    """The parts of a reference."""

    file: Path | None
    module: str  # if there is no file
    name: str  # empty: the only environment that the file defines


def is_reference(text: str) -> bool:
    """Return True if text says where an environment is written, rather than naming a Gymnasium id."""
    place, _, name = text.rpartition(":")
    if text.endswith(".py") or place.endswith(".py"):
        return True
    return name.isidentifier() and bool(place) and all(part.isidentifier() for part in place.split("."))


def parse(reference: str) -> Source:
    """Split a reference into its parts; raise EnvError if it is not one."""
    if not is_reference(reference):
        raise EnvError(f"'{reference}' is neither `file.py:Name` nor `package.module:Name`")
    if reference.endswith(".py"):
        return Source(Path(reference), "", "")
    place, _, name = reference.rpartition(":")
    return Source(Path(place), "", name) if place.endswith(".py") else Source(None, place, name)


def load(reference: str, arguments: Mapping[str, Any] = NO_ARGUMENTS) -> "Dynamics | Factory | str":
    """Return the dynamics or the factory of gymnasium.Envs written there; the name itself if it is a `module:id`.

    What the name refers to gets the arguments, which for dynamics are parameters. A function is called, once, to find
    out what it makes. Raises EnvError.
    """
    source = parse(reference)
    module = import_file(source.file) if source.file else import_module(source.module)
    name = source.name or only_environment(module, reference)
    if not hasattr(module, name):
        if source.module and is_registered(name):
            return named_with(reference, arguments)
        known = environments_in(module) or [known for known in vars(module) if not known.startswith("_")]
        raise EnvError(f"'{reference}' is not defined: {nearest(name, known, 'the module defines nothing')}")
    place = reference if source.name else f"{reference}:{name}"
    value = getattr(module, name)
    return environment(with_arguments(value, arguments, place) if arguments else value, place)


def with_arguments(value: Any, arguments: Mapping[str, Any], place: str) -> Any:
    """Return dynamics with other parameters, or a function that gives what makes an environment its arguments."""
    try:
        if looks_like_dynamics(value) and not is_gymnasium(value):
            return value(**arguments) if isinstance(value, type) else value._replace(**arguments)
        inspect.signature(value).bind_partial(**arguments)
        return functools.partial(value, **arguments)
    except (TypeError, ValueError) as error:
        raise EnvError(f"'{named_with(place, arguments)}' cannot be made: {error}") from error


def is_registered(name: str) -> bool:
    """Return True if Gymnasium, where it has been imported, knows some version of an id."""
    registry = getattr(sys.modules.get("gymnasium"), "registry", {})
    return any(env_id == name or env_id.rpartition("-v")[0] == name for env_id in registry)


def environment(value: Any, place: str) -> "Dynamics | Factory":
    """Return the dynamics or the factory that `value`, found at `place`, is; raise EnvError otherwise."""
    if inspect.isfunction(value) or isinstance(value, functools.partial) or is_gymnasium(value):
        return returned_by(value, place)
    if not looks_like_dynamics(value):
        raise EnvError(f"'{place}' is {value_and_type(value)}: {WHAT_IT_CAN_BE}")
    return require_dynamics(value, place)


def returned_by(function: Callable[[], Any], place: str) -> "Dynamics | Factory":
    """Call a function or class: return its dynamics, or the function itself if it makes a gymnasium.Env."""
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if needed:
        raise EnvError(f"'{place}' requires arguments ({', '.join(needed)}): give them defaults")
    try:
        value = function()
    except Exception as error:
        raise EnvError(f"'{place}' raised when it was called:\n{own_traceback(error)}") from error
    if is_gymnasium(type(value)):
        with suppress(Exception):  # it is discarded either way
            value.close()
        return function
    if inspect.isfunction(value):
        raise EnvError(f"'{place}' returns a function: {WHAT_IT_CAN_BE}")
    return environment(value, f"{place}()")


def is_gymnasium(kind: Any) -> bool:
    """Return True for a subclass of gymnasium.Env, found out without importing Gymnasium."""
    bases = kind.__mro__ if isinstance(kind, type) else ()
    return any(base.__module__ == "gymnasium.core" and base.__name__ == "Env" for base in bases)


def environments_in(module: ModuleType) -> list[str]:
    """Return the names of the environments that a module itself defines."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and (is_gymnasium(value) or looks_like_dynamics(value))
    ]


def only_environment(module: ModuleType, reference: str) -> str:
    """Return the name of the one environment that a file defines; raise EnvError if there are none or several."""
    names = environments_in(module)
    if len(names) == 1:
        return names[0]
    if names:
        raise EnvError(
            f"'{reference}' defines {len(names)} environments ({', '.join(names)}): choose one, as in "
            f"{reference}:{names[0]}"
        )
    raise EnvError(f"'{reference}' defines no environment: {WHAT_IT_CAN_BE}")
