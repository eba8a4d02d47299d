"""Description: what training needs to know of an environment that Gymnasium or EnvPool makes."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from pgrad.vector.spaces import Actions, Observations

GymnasiumEnv = gymnasium.Env[Any, Any]

_WARNINGS = threading.RLock()  # two threads catching warnings at once would leave them caught forever


@dataclass(frozen=True, eq=False)
class Description:
    """An environment, described from one instance. `make` returns a new one, which has not been reset."""

    name: str  # its id (also `module:id`), or the name of its class
    observations: Observations
    actions: Actions
    make: Callable[..., GymnasiumEnv]  # perhaps with a render_mode
    max_episode_steps: int | None = None
    reward_threshold: float | None = None
    spec: EnvSpec | None = None  # where it came from the registry, by its id or as an instance
    original: bool = True  # False: only EnvPool can make it
    by_id: bool = False  # True: the registered environment itself, so its own vector form and EnvPool's are the same
    envpool: bool = True  # False: EnvPool must not stand in for Gymnasium's own
    notes: tuple[str, ...] = ()  # a line each, for the user

    @property
    def registered(self) -> str:
        """The id in Gymnasium and EnvPool, without the module that registers it; else its name."""
        return self.name if self.spec is None else self.spec.id


@contextmanager
def quietly() -> Iterator[list[str]]:
    """Collect warnings while environments are made, instead of showing them (or raising them under `-W error`).

    Gymnasium warns of versions, precision and missing metadata, packages warn of their own deprecations; the only one
    that a user can act on (an old version) becomes a note. Gymnasium's passive checker is off: pgrad checks every step.
    """
    messages: list[str] = []
    with _WARNINGS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
        messages += [str(warning.message) for warning in caught]
