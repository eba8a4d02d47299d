"""Find a policy's module where a user's file defines it: `my_policy.py:Net`, or `package.module:Net`."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from pgrad.envs.make import Env
from pgrad.envs.reference import is_reference, parse
from pgrad.errors import PolicyError, nearest
from pgrad.torch.devices import seeded
from pgrad.torch.policy import class_name, shape_of
from pgrad.user_code import import_file, import_module, own_traceback

CPU = torch.device("cpu")


class FromFile(NamedTuple):
    """What a file has for pgrad.train(policy=...)."""

    policy: Callable[[], nn.Module] | nn.Module
    example: nn.Module  # one of the modules that it gives

    @property
    def class_name(self) -> str:
        """The full name of its class."""
        return class_name(self.example)


def from_file(reference: str, env: Env) -> FromFile:
    """Import what is written there, a module or what makes one for an environment; raise PolicyError or EnvError.

    A class or function that requires no arguments gets none. One that requires two gets the numbers observed and the
    numbers of the action: of observations O, or their shape where that is no vector; of discrete actions how many there
    are (multi-discrete: of all parts together), of continuous ones D.
    """
    source = parse(reference) if is_reference(reference) else None
    if source is None or not source.name:
        raise PolicyError(f"policy '{reference}' must say where a module is written, as in my_policy.py:Net")
    code = import_file(source.file) if source.file else import_module(source.module)
    if not hasattr(code, source.name):
        known = [name for name in vars(code) if not name.startswith("_")]
        raise PolicyError(f"policy '{reference}' is not defined: {nearest(source.name, known)}")
    found = getattr(code, source.name)
    policy = found if isinstance(found, nn.Module) else with_sizes(found, reference, env)
    try:
        with seeded(0, CPU):  # the global generator stays as it was
            example = policy if isinstance(policy, nn.Module) else policy()
    except Exception as error:
        raise PolicyError(f"policy '{reference}' raised when it was made:\n{own_traceback(error)}") from error
    if not isinstance(example, nn.Module):
        raise PolicyError(f"policy '{reference}' makes a {type(example).__name__}, not a torch.nn.Module")
    return FromFile(policy, example)


def with_sizes(make: Any, reference: str, env: Env) -> Callable[[], nn.Module]:
    """Return a function that calls `make` with what it requires; raise PolicyError where that is something else."""
    if not callable(make):
        raise PolicyError(f"policy '{reference}' is {make!r:.80}, not a torch.nn.Module or what makes one")
    parameters = inspect.signature(make).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not needed:
        return functools.partial(make)
    if len(needed) == 2:
        shape = shape_of(env)
        return functools.partial(make, shape[0] if len(shape) == 1 else shape, env.actions.flat_size)
    raise PolicyError(
        f"policy '{reference}' requires {', '.join(needed)}: it may require two arguments, how many numbers "
        "observations and actions have, or none"
    )
