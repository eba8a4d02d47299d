"""From an id, a factory or an instance to what training needs to know of an environment, and how to make more of it."""

import contextlib
import copy
import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from pgrad.errors import EnvError
from pgrad.vector.envpool import describe_envpool
from pgrad.vector.hints import way_out
from pgrad.vector.originals import imported
from pgrad.vector.spaces import actions_of, observations_of
from pgrad.vector.spec import Description, GymnasiumEnv, quietly
from pgrad.vector.wrappers import stateful_notes

# What gymnasium.make warns of.
OUT_OF_DATE = re.compile(r"out of date.*upgrading to version `(v\d+)`")


def describe(env: str | GymnasiumEnv | Callable[[], GymnasiumEnv]) -> Description:
    """The environment of that id (also `module:id`), from that factory, or like that instance; raises EnvError."""
    if isinstance(env, str):
        return _of_id(env)
    if isinstance(env, gymnasium.Env):
        return _of_instance(env)
    if callable(env):
        name = getattr(env, "__name__", type(env).__name__)
        make = functools.partial(_from_factory, env, name)
        instance = make()
        try:
            return _described(instance, name_of(instance), make)
        finally:
            _give_up(instance)
    if isinstance(env, gymnasium.vector.VectorEnv):
        raise EnvError(f"{env!r} holds several environments already; pass an id, one environment, or a factory of one")
    raise EnvError(f"an environment is an id, a gymnasium.Env or a function that returns one, not {env!r}")


def _of_id(env_id: str) -> Description:
    notes: list[str] = []
    try:
        module = imported(env_id)
        with quietly() as caught:
            instance = gymnasium.make(env_id, disable_env_checker=True)
        newer = [found[1] for message in caught if (found := OUT_OF_DATE.search(message))]
        notes += [f"it is an old version, and there is a {version}" for version in newer[:1]]
    except EnvError:
        raise
    except (Exception, SystemExit) as error:
        if (there := describe_envpool(env_id)) is not None:
            return there
        raise EnvError(way_out(env_id, error)) from error
    try:
        assert instance.spec is not None
        spec = gymnasium.spec(instance.spec.id)
        make = functools.partial(_from_spec, spec)
        name = spec.id if module.partition(".")[0] in ("", "gymnasium") else f"{module}:{spec.id}"
        return _described(instance, name, make, spec=spec, by_id=True, notes=tuple(notes))
    finally:
        _give_up(instance)


def _of_instance(instance: GymnasiumEnv) -> Description:
    name = name_of(instance)
    if instance.spec is not None:
        make: Callable[[], GymnasiumEnv] = functools.partial(_from_spec, instance.spec)
        try:
            _give_up(make())
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
    return _described(instance, name, functools.partial(copy.deepcopy, pristine))


def name_of(instance: GymnasiumEnv) -> str:
    """What to call it: its id where that alone makes it; else its wrappers and arguments too, or its class."""
    spec = instance.spec
    if spec is None:
        return type(instance.unwrapped).__name__
    plain = gymnasium.registry.get(spec.id)
    usual = {} if plain is None else {**plain.kwargs, "max_episode_steps": plain.max_episode_steps}
    arguments = {**spec.kwargs, "max_episode_steps": spec.max_episode_steps}
    changed = [
        f"{argument}={value!r:.40}"
        for argument, value in arguments.items()
        if argument != "render_mode" and value != usual.get(argument)
    ]
    name = f"{spec.id}({', '.join(changed)})" if changed else spec.id
    for wrapper in spec.additional_wrappers:
        name = f"{wrapper.name}({name})"
    return name


def limited(description: Description, max_episode_steps: int) -> Description:
    """The same with a time limit, in place of what wrappers set; EnvError where EnvPool alone has it."""
    if not description.original:
        raise EnvError(
            f"'{description.name}' is there through EnvPool alone, which keeps the time limit that it has: leave "
            "max_episode_steps out"
        )
    return dataclasses.replace(
        description,
        make=functools.partial(_limited, description.make, max_episode_steps),
        max_episode_steps=max_episode_steps,
        spec=None,
        by_id=False,
    )


def _limited(make: Callable[[], GymnasiumEnv], max_episode_steps: int) -> GymnasiumEnv:
    made = make()
    theirs = list(_time_limits(made))
    for wrapper in theirs:
        wrapper._max_episode_steps = max_episode_steps
    return made if theirs else gymnasium.wrappers.TimeLimit(made, max_episode_steps)


def _give_up(instance: GymnasiumEnv) -> None:
    """Close an instance that nobody needs any more, whatever it says to that."""
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
        notes += (f"the policy does not see what is no number: {', '.join(observations.left_out)}",)
    notes += stateful_notes(instance)
    known, plain = instance.spec or spec, name.rpartition(":")[2]
    return Description(
        name,
        observations,
        actions_of(instance.action_space, name),
        make,
        (known.max_episode_steps if known else None) or _time_limit(instance),
        known.reward_threshold if known and known.id == plain else None,  # of another one it would say nothing
        spec,
        by_id=by_id,
        notes=notes,
    )


def _time_limit(env: GymnasiumEnv) -> int | None:
    """Of a wrapper, where there is no specification."""
    return next((int(wrapper._max_episode_steps) for wrapper in _time_limits(env)), None)


def _time_limits(env: GymnasiumEnv) -> Iterator[gymnasium.wrappers.TimeLimit[Any, Any]]:
    """The wrappers that end episodes, from the outside in."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            yield env
        env = env.env


def _from_spec(spec: EnvSpec) -> GymnasiumEnv:
    try:
        with quietly():
            return gymnasium.make(spec, disable_env_checker=True)
    except (Exception, SystemExit) as error:
        raise EnvError(f"'{spec.id}' cannot be made: {type(error).__name__}: {error}") from error


def _from_factory(factory: Callable[[], GymnasiumEnv], name: str) -> GymnasiumEnv:
    try:
        with quietly():
            made = factory()
    except (Exception, SystemExit) as error:
        raise EnvError(f"the factory {name} raised {type(error).__name__}: {error}") from error
    if not isinstance(made, gymnasium.Env):
        raise EnvError(f"the factory {name} returned {made!r}, expected a gymnasium.Env")
    return made
