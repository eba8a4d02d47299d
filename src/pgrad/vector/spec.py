"""What training needs to know of an environment that Gymnasium or EnvPool makes."""

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

_WARNINGS = threading.RLock()  # two threads that catch warnings at once would leave them caught for ever


@dataclass(frozen=True, eq=False)
class Description:
    """An environment, looked at through one instance. `make` gives another one, which has not been reset."""

    name: str  # its id (also `module:id`), or the name of its class
    observations: Observations
    actions: Actions
    make: Callable[[], GymnasiumEnv]
    max_episode_steps: int | None = None
    reward_threshold: float | None = None
    spec: EnvSpec | None = None  # where it came from the registry, by its id or as an instance
    original: bool = True  # Gymnasium can make it; False: EnvPool alone
    by_id: bool = False  # it is the registered environment itself: its own vector form and EnvPool's mean the same
    notes: tuple[str, ...] = ()  # a line each, for the user

    @property
    def registered(self) -> str:
        """The id by which Gymnasium and EnvPool know it, without the module that adds it; else its name."""
        return self.name if self.spec is None else self.spec.id


@contextmanager
def quietly() -> Iterator[list[str]]:
    """Keep what is warned of while environments are made from the screen, and from being raised under `-W error`.

    Gymnasium warns of versions, precision and missing metadata, packages of their own deprecations; the one of them
    that a user can act on (an old version) becomes a note. Its passive checker is left out: pgrad checks every step.
    """
    messages: list[str] = []
    with _WARNINGS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
        messages += [str(warning.message) for warning in caught]
