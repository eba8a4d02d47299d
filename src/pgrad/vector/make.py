"""Make Gymnasium's environments from an id, an instance or a factory, and describe them for training."""

import contextlib
import copy
import dataclasses
import functools
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from pgrad.errors import EnvError
from pgrad.user_code import own_traceback
from pgrad.vector.arguments import named_with, split_name
from pgrad.vector.envpool import describe_envpool
from pgrad.vector.hints import explain_failure, package_of
from pgrad.vector.spaces import actions_of, observations_of
from pgrad.vector.spec import Description, GymnasiumEnv, quietly
from pgrad.vector.wrappers import stateful_notes, wrappers_of

PICTURES_A_SECOND = 30  # where an environment does not say

# What gymnasium.make warns of.
OUT_OF_DATE = re.compile(r"out of date.*upgrading to version `(v\d+)`")

# The module that each of Gymnasium's families of environments imports and that a plain installation lacks.
REQUIREMENTS = {
    "gymnasium.envs.box2d": "Box2D",
    "gymnasium.envs.mujoco": "mujoco",
    "gymnasium.envs.phys2d": "jax",
    "gymnasium.envs.tabular": "jax",
}


def installed_ids() -> tuple[list[str], dict[str, list[str]]]:
    """Return the ids in Gymnasium's registry that can be made here, and for each missing package those that need it.

    Nothing is imported for it: modules are only looked for. Ids that merely say where they have gone are left out.
    """
    present: list[str] = []
    missing: dict[str, list[str]] = {}
    for env_id, spec in sorted(gymnasium.registry.items()):
        entry = spec.entry_point
        if getattr(entry, "__module__", None) == "gymnasium.envs" or entry is None:
            continue  # a function that raises
        home = entry.partition(":")[0] if isinstance(entry, str) else ""
        needed = next((module for family, module in REQUIREMENTS.items() if home.startswith(f"{family}.")), None)
        needed = needed or home.partition(".")[0]
        if not needed or _is_installed(needed):
            present.append(env_id)
        else:
            missing.setdefault(package_of(needed), []).append(env_id)
    return present, missing


def _is_installed(module: str) -> bool:
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except ValueError:  # its __spec__ is None
        return False


def make_gymnasium(env_id: str, **options: Any) -> GymnasiumEnv:
    """Return gymnasium.make(env_id, **options), also of `module:id`; raise EnvError that says what to do."""
    env, _ = _make_by_id(env_id)
    if not options:
        return env
    env.close()
    try:
        return gymnasium.make(env_id, **options)
    except Exception as error:  # whatever the environment makes of options that it does not know
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise EnvError(f"'{env_id}' cannot be made with {given}: {error}") from error


def _make_by_id(env_id: str, **arguments: Any) -> tuple[GymnasiumEnv, list[str]]:
    """Return an instance, and what Gymnasium warned of."""
    try:
        import_module_of(env_id)
        with quietly() as warned:
            return gymnasium.make(env_id, disable_env_checker=True, **arguments), warned
    except EnvError:
        raise
    except (Exception, SystemExit) as error:
        raise EnvError(explain_failure(env_id, error)) from error


def import_module_of(env_id: str) -> None:
    """Import the module of an id like `module:id`, which registers the id with Gymnasium.

    A script finds modules beside it, and the `pgrad` command those in the current folder; they stay importable, also in
    worker processes. What the module raises becomes an EnvError; a missing one raises ModuleNotFoundError.
    """
    module = env_id.rpartition(":")[0]
    if not module:
        return
    here, top = Path.cwd(), module.partition(".")[0]
    if str(here) not in sys.path and (here.joinpath(f"{top}.py").is_file() or here.joinpath(top).is_dir()):
        sys.path.append(str(here))
        importlib.invalidate_caches()
    try:
        with quietly():
            importlib.import_module(module)
    except ModuleNotFoundError:
        raise
    except (Exception, SystemExit) as error:
        raise EnvError(f"'{module}' raised when it was imported:\n{own_traceback(error)}") from error


def describe(env: str | GymnasiumEnv | Callable[[], GymnasiumEnv]) -> Description:
    """Return what training needs to know of the environment of that id, like that instance, or from that factory."""
    if isinstance(env, str):
        return _of_id(env)
    if isinstance(env, gymnasium.Env):
        return _of_instance(env)
    name = getattr(env, "__name__", type(env).__name__)
    make = functools.partial(_from_factory, env, name)
    instance = make()
    try:
        return _described(instance, name_of(instance), make)
    finally:
        _discard(instance)


def _of_id(text: str) -> Description:
    env_id, arguments = split_name(text)
    try:
        instance, warned = _make_by_id(env_id, **arguments)
    except EnvError:
        if not arguments and (there := describe_envpool(env_id)) is not None:
            return there
        raise
    try:
        assert instance.spec is not None
        spec, module = instance.spec if arguments else gymnasium.spec(instance.spec.id), env_id.rpartition(":")[0]
        newer = [found[1] for message in warned if (found := OUT_OF_DATE.search(message))]
        notes = tuple(f"this version is out of date: the newest is {version}" for version in newer[:1])
        name = name_of(instance) if arguments else spec.id
        name = name if module.partition(".")[0] in ("", "gymnasium") else f"{module}:{name}"
        make = functools.partial(_from_spec, spec)
        return _described(instance, name, make, spec=spec, by_id=name.endswith(spec.id), notes=notes)
    finally:
        _discard(instance)


def _of_instance(instance: GymnasiumEnv) -> Description:
    name = name_of(instance)
    if instance.spec is not None:
        make: Callable[[], GymnasiumEnv] = functools.partial(_from_spec, instance.spec)
        try:
            _discard(make())
            return _described(instance, name, make, spec=instance.spec)
        except EnvError:
            pass  # a wrapper that does not record its arguments: copying may still work
    try:
        pristine = copy.deepcopy(instance)
        copy.deepcopy(pristine)
    except Exception as error:
        raise EnvError(
            f"this {name} cannot be copied ({type(error).__name__}: {error}), and training steps several of it; "
            "pass a function that makes one: lambda: MyEnv(...)"
        ) from error
    return _described(instance, name, functools.partial(_copied, pristine))


def name_of(instance: GymnasiumEnv) -> str:
    """Return its id where that alone makes it, else the id with its arguments and wrappers, or its class's name."""
    spec = instance.spec
    if spec is None:
        return type(instance.unwrapped).__name__
    plain = gymnasium.registry.get(spec.id)
    usual = {} if plain is None else {**plain.kwargs, "max_episode_steps": plain.max_episode_steps}
    arguments = {**spec.kwargs, "max_episode_steps": spec.max_episode_steps}
    changed = {
        argument: value
        for argument, value in arguments.items()
        if argument != "render_mode" and not same_value(value, usual.get(argument))
    }
    name = named_with(spec.id, changed)
    if changed and split_name(name) == (name, {}):  # not literals: a name to read, and not to make it from
        shown = (f"{argument}={' '.join(repr(value).split()):.40}" for argument, value in changed.items())
        name = f"{spec.id}({', '.join(shown)})"
    for wrapper in spec.additional_wrappers:
        name = f"{wrapper.name}({name})"
    return name


def same_value(one: Any, other: Any) -> bool:
    """Return True if two arguments are equal; arrays and tables are, if they are of one shape and equal throughout."""
    try:
        return one is other or (np.shape(one) == np.shape(other) and bool(np.all(one == other)))
    except Exception:  # not comparable, or not to one boolean
        return False


def limited(description: Description, max_episode_steps: int) -> Description:
    """Return a copy with a time limit in place of its own; raise EnvError if only EnvPool has the environment."""
    if not description.original:
        raise EnvError(
            f"'{description.name}' is only available through EnvPool, whose time limit is fixed: remove "
            "max_episode_steps"
        )
    return dataclasses.replace(
        description,
        make=functools.partial(_limited, description.make, max_episode_steps),
        max_episode_steps=max_episode_steps,
        spec=None,
        by_id=False,
    )


def shown(description: Description, render_mode: str, episodes: list[list[Any]]) -> tuple[Description, float]:
    """Return a copy whose environments show what happens, and their pictures a second.

    render_mode  "human" for a window; "rgb_array" for pictures
    episodes     to which each episode's pictures are added

    Raises EnvError where it has no such mode, or whoever makes it does not say which.
    """
    one = description.make(render_mode=render_mode)
    _discard(one)
    if one.render_mode != render_mode:
        modes = ", ".join(map(repr, one.metadata.get("render_modes", ()))) or "none"
        raise EnvError(
            f"'{description.name}' has render_mode {one.render_mode!r}, not '{render_mode}' (known: {modes}): pass a "
            "function that makes it and has an argument render_mode"
        )
    make = functools.partial(description.make, render_mode=render_mode)
    if render_mode != "human":
        make = functools.partial(_filmed, make, episodes)
    copied = dataclasses.replace(description, make=make, spec=None, by_id=False, envpool=False)
    return copied, float(one.metadata.get("render_fps") or PICTURES_A_SECOND)


def _filmed(make: Callable[[], GymnasiumEnv], episodes: list[list[Any]]) -> GymnasiumEnv:
    return Camera(make(), episodes)


class Camera(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps the pictures of each episode."""

    def __init__(self, env: GymnasiumEnv, episodes: list[list[Any]]) -> None:
        super().__init__(env)
        self.episodes = episodes

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Reset, and take the first picture."""
        result = super().reset(**options)
        self.episodes.append([self.env.render()])
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and take a picture."""
        result = super().step(action)
        self.episodes[-1].append(self.env.render())
        return result


def _copied(pristine: GymnasiumEnv, **_: Any) -> GymnasiumEnv:
    """Return a copy, whose render mode is that of the instance."""
    return copy.deepcopy(pristine)


def _limited(make: Callable[..., GymnasiumEnv], max_episode_steps: int, **options: Any) -> GymnasiumEnv:
    made = make(**options)
    theirs = _time_limits(made)
    for wrapper in theirs:
        wrapper._max_episode_steps = max_episode_steps
    return made if theirs else gymnasium.wrappers.TimeLimit(made, max_episode_steps)


def _discard(instance: GymnasiumEnv) -> None:
    """Close an instance, ignoring what that raises."""
    with contextlib.suppress(Exception):
        instance.close()


def _described(
    instance: GymnasiumEnv,
    name: str,
    make: Callable[[], GymnasiumEnv],
    spec: EnvSpec | None = None,
    by_id: bool = False,
    notes: tuple[str, ...] = (),
) -> Description:
    for space in ("observation_space", "action_space"):
        if not isinstance(getattr(instance, space, None), gymnasium.Space):
            raise EnvError(
                f"'{name}' has no {space}: set `self.{space}` in its __init__ to one of gymnasium.spaces, such as "
                + ("Box(-1.0, 1.0, (4,))" if space == "observation_space" else "Discrete(2)")
            )
    observations = observations_of(instance.observation_space, name)
    if observations.left_out:
        notes += (f"the policy does not see what is not a number: {', '.join(observations.left_out)}",)
    notes += stateful_notes(instance)
    known, plain = instance.spec or spec, name.rpartition(":")[2]
    return Description(
        name,
        observations,
        actions_of(instance.action_space, name),
        make,
        (known.max_episode_steps if known else None) or _time_limit(instance),
        known.reward_threshold
        if known and known.id == plain
        else None,  # the threshold of an unchanged environment only
        spec,
        by_id=by_id,
        notes=notes,
    )


def _time_limit(env: GymnasiumEnv) -> int | None:
    """Return the limit that a wrapper sets."""
    return next((int(wrapper._max_episode_steps) for wrapper in _time_limits(env)), None)


def _time_limits(env: GymnasiumEnv) -> list[gymnasium.wrappers.TimeLimit[Any, Any]]:
    """Return the wrappers that end episodes, from the outside in."""
    return [wrapper for wrapper in wrappers_of(env) if isinstance(wrapper, gymnasium.wrappers.TimeLimit)]


def _from_spec(spec: EnvSpec, **options: Any) -> GymnasiumEnv:
    try:
        with quietly():
            return gymnasium.make(spec, disable_env_checker=True, **options)
    except (Exception, SystemExit) as error:
        raise EnvError(f"'{spec.id}' cannot be made: {type(error).__name__}: {error}") from error


def _from_factory(factory: Callable[..., GymnasiumEnv], name: str, **options: Any) -> GymnasiumEnv:
    """Call a factory, with those options that it names."""
    try:
        known = inspect.signature(factory).parameters
        with quietly():
            made = factory(**{option: value for option, value in options.items() if option in known})
    except (Exception, SystemExit) as error:
        raise EnvError(f"the factory {name} raised {type(error).__name__}: {error}") from error
    if not isinstance(made, gymnasium.Env):
        raise EnvError(f"the factory {name} returned {made!r}, expected a gymnasium.Env")
    return made
