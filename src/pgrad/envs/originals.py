"""Gymnasium's own environments by id, with errors that name the way out."""

from typing import TYPE_CHECKING, Any

from pgrad.errors import EnvError, nearest

if TYPE_CHECKING:
    import gymnasium


def make_gymnasium(env_id: str, **options: Any) -> "gymnasium.Env[Any, Any]":
    """gymnasium.make(env_id, **options); raises EnvError where it does not work out."""
    import gymnasium

    try:
        env = gymnasium.make(env_id)
    except gymnasium.error.DependencyNotInstalled as error:
        raise EnvError(f"'{env_id}' needs a package that is not installed: {error}") from error
    except (gymnasium.error.Error, ImportError) as error:
        if env_id in gymnasium.registry:
            raise EnvError(f"'{env_id}' cannot be made: {error}") from error
        hint = nearest(env_id, gymnasium.registry, "`pgrad envs` lists the known ones")
        raise EnvError(f"unknown environment '{env_id}': {hint}") from error
    if not options:
        return env
    env.close()
    try:
        return gymnasium.make(env_id, **options)
    except Exception as error:  # whatever the environment makes of options it does not know
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise EnvError(f"'{env_id}' cannot be made with {given}: {error}") from error
