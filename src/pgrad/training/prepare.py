"""From what was asked for to a configuration and an environment that fit each other."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pgrad.config.resolve import resolve
from pgrad.config.settings import FIELDS, Config, checked
from pgrad.envs.make import AnyEnv, Env, make
from pgrad.errors import ConfigError, EnvError, collecting
from pgrad.policies.distributions import BETA, GSDE
from pgrad.presets.choose import AUTO, choose
from pgrad.presets.preset import NONE, Preset
from pgrad.spaces import Box, actions_in_words

FOR_GAUSSIAN = ("std", "noise_steps", "initial_std", "squash")
FOR_CONTINUOUS_ACTIONS = (*FOR_GAUSSIAN, "action_distribution")
STATED = frozenset(FIELDS) - {"env", "preset"}  # where all these are given, nothing is left to a preset


def prepare(env: AnyEnv, *layers: Mapping[str, Any], preset: str = AUTO) -> tuple[Config, Env, Preset | None]:
    """Return the configuration that layers of settings ask for, the environment, and the tuned preset that was taken.

    preset  what to take where no layer says: see presets.choose

    A layer that states every setting, such as a run's config.toml, needs no preset, and what it says of one is a
    record. Raises EnvError if the environment cannot be trained on and nothing else is wrong, else one ConfigError.
    """
    problems: list[str] = []
    given = {name: value for layer in layers for name, value in layer.items()}
    made, failure = _made_for(env, given)
    taken: Preset | None = None
    recorded = next((str(layer.get("preset", NONE)) for layer in layers if layer.keys() >= STATED), None)
    if recorded is None:
        with collecting(problems):
            taken = choose(_text(given.get("preset", preset)), made, given.get("algorithm"))
        if problems:  # what else is given is checked over the general one
            taken = choose(AUTO, None, given.get("algorithm"))
        recorded = taken.name if taken else NONE
    elif given.get("preset", recorded) not in (recorded, NONE):
        problems.append(f"preset '{given['preset']}' changes nothing where every setting is given: remove it")
    named = {"env": name_of(env), "preset": recorded}
    config: Config | None = None
    try:
        config = resolve(None, None, *layers, named, under=_applicable(taken, made, given))
        if made is not None:
            made = made.limited(config.max_episode_steps)
            require_fit(config, made)
    except ConfigError as error:
        problems += error.problems
        if taken is not None and "preset" not in given and _fits(made, *layers, named):
            problems.append(
                f"what is not given is as in preset '{taken.name}'; preset 'none' takes the algorithm's own"
            )
    except EnvError as error:
        failure = error
    if problems:
        raise ConfigError([*problems, *str(failure or "").splitlines()])
    if failure is not None:
        raise failure
    assert config is not None and made is not None, "else something was wrong"
    return config, made, taken


def _made_for(env: AnyEnv, given: Mapping[str, Any]) -> tuple[Env | None, EnvError | None]:
    """Return the environment, or why there is none, as far as settings that may be wrong say which."""
    usable: dict[str, Any] = {}
    for name in ("backend", "vectorization", "max_episode_steps"):
        usable[name] = FIELDS[name].default
        with suppress(ConfigError):  # `resolve` names it
            usable[name] = checked(name, given.get(name, usable[name]))
    try:
        return _made(env, **usable), None
    except EnvError as error:
        return None, error


def _text(preset: Any) -> str:
    """Return what was asked for as a preset as text, which Config keeps."""
    return str(checked("preset", os.fspath(preset) if isinstance(preset, os.PathLike) else preset))


def _applicable(preset: Preset | None, env: Env | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preset's settings but those that are for other actions, or for another distribution of them."""
    idle: tuple[str, ...] = FOR_GAUSSIAN if given.get("action_distribution") == BETA else ()
    if given.get("std", GSDE) != GSDE:
        idle += ("noise_steps",)
    if env is not None and not isinstance(env.actions, Box):
        idle = FOR_CONTINUOUS_ACTIONS
    return {name: value for name, value in (preset.settings if preset else {}).items() if name not in idle}


def _fits(env: Env | None, *layers: Mapping[str, Any]) -> bool:
    """Return whether settings are right without a preset."""
    try:
        config = resolve(None, None, *layers)
        if env is not None:
            require_fit(config, env)
    except (ConfigError, EnvError):
        return False
    return True


def name_of(env: AnyEnv) -> str:
    """Return what a configuration calls an environment."""
    if isinstance(env, str | Env):
        return env if isinstance(env, str) else env.id
    named = getattr(getattr(env, "spec", None), "id", None)  # a wrapper's class has a property there, without an id
    return str(named or getattr(env, "__name__", type(env).__name__))


def env_of(config: Config, env: AnyEnv) -> Env:
    """Return the environment as the configuration wants it.

    Raises EnvError if it cannot be trained on, ConfigError if settings are for other actions than it has.
    """
    made = _made(env, config.backend, config.vectorization, config.max_episode_steps)
    require_fit(config, made)
    return made


def _made(env: AnyEnv, backend: str, vectorization: str, max_episode_steps: int | None) -> Env:
    """Return the environment; asking how Gymnasium's are stepped is asking for Gymnasium's."""
    return make(env, "gymnasium" if backend == "auto" and vectorization != "auto" else backend, max_episode_steps)


def require_fit(config: Config, made: Env) -> None:
    """Raise EnvError or ConfigError where settings are not for such an environment."""
    if made.max_episode_steps is None and config.episodes_per_iteration is not None:
        raise EnvError(
            f"'{made.id}' has no time limit, so that whole episodes may never end: set max_episode_steps, or "
            "num_steps in place of episodes_per_iteration"
        )
    if made.compiled and config.restart_failed_envs:
        raise ConfigError(
            [
                f"restart_failed_envs is for Gymnasium's environments, and '{made.id}' is compiled: remove it, or set "
                "backend 'gymnasium'"
            ]
        )
    if not isinstance(made.actions, Box):
        idle = [name for name in FOR_CONTINUOUS_ACTIONS if getattr(config, name) != FIELDS[name].default]
        if idle:
            has = actions_in_words(made.actions)
            raise ConfigError(
                f"{name} is for continuous actions, and '{made.id}' has {has}: remove it" for name in idle
            )
    elif config.action_distribution == BETA and not made.actions.bounded:
        has = actions_in_words(made.actions)
        raise ConfigError(
            [f"action_distribution 'beta' needs finite bounds, and '{made.id}' has {has}: use 'gaussian'"]
        )
