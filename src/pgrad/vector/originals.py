"""Gymnasium's own environments by id, with errors that name the way out."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgrad.errors import EnvError
from pgrad.user_code import own_traceback

if TYPE_CHECKING:
    import gymnasium


def make_gymnasium(env_id: str, **options: Any) -> "gymnasium.Env[Any, Any]":
    """gymnasium.make(env_id, **options); raises EnvError where it does not work out."""
    import gymnasium

    from pgrad.vector.hints import way_out

    try:
        imported(env_id)
        env = gymnasium.make(env_id)
    except EnvError:
        raise
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


def imported(env_id: str) -> str:
    """Import the module of an id like `module:id`, which adds it to Gymnasium's; returns its name, "" if there is none.

    A script finds the modules beside it, and the `pgrad` command those in the current folder; they stay findable, by
    worker processes too. What a module raises is an EnvError, but that there is none is ModuleNotFoundError.
    """
    from pgrad.vector.spec import quietly

    module = env_id.rpartition(":")[0]
    if not module:
        return ""
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
    return module
