"""Gymnasium's own environments by id, with errors that name the way out."""

from typing import TYPE_CHECKING, Any

from pgrad.errors import EnvError

if TYPE_CHECKING:
    import gymnasium


def make_gymnasium(env_id: str, **options: Any) -> "gymnasium.Env[Any, Any]":
    """gymnasium.make(env_id, **options); raises EnvError where it does not work out."""
    import gymnasium

    from pgrad.envs.gymnasium.missing import way_out

    try:
        env = gymnasium.make(env_id)
    except Exception as error:
        raise EnvError(way_out(env_id, error)) from error
    if not options:
        return env
    env.close()
    try:
        return gymnasium.make(env_id, **options)
    except Exception as error:  # whatever the environment makes of options it does not know
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise EnvError(f"'{env_id}' cannot be made with {given}: {error}") from error
