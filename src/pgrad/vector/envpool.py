"""EnvPool's C++ environments, used where the package is installed and has exactly the requested environment.

EnvPool resets in the next step: the step after an episode's end ignores its action and returns the reset observation,
reward 0 and `elapsed_step` 0 (tested), so `Autoreset` reads it like any other vector environment. One difference from
Gymnasium cannot be seen from outside: an episode that reaches a terminal state exactly at the time limit is reported as
truncated only.
"""

import importlib
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from gymnasium import spaces

from pgrad.errors import EnvError
from pgrad.system import available_cores
from pgrad.vector.autoreset import Autoreset
from pgrad.vector.spaces import Observations, Part, actions_of, observations_of
from pgrad.vector.spec import Description, GymnasiumEnv, quietly
from pgrad.vector.step import Backend

INSTALLATION = "pip install 'pgrad[envpool]'"

# Environments with the same name and spaces that turned out to have different dynamics.
DIFFERENT = {"Pendulum-v1": "it turns by its speed before that is limited, Gymnasium's after"}

ENDLESS = 2**31 - 1  # EnvPool's max_episode_steps without a limit


def installed() -> ModuleType | None:
    """Return the package if it can be imported."""
    try:
        with quietly():
            return importlib.import_module("envpool")
    except ImportError:
        return None


def backend(description: Description, seeds: Sequence[int], threads: int) -> tuple[Backend | None, str | None]:
    """Return EnvPool's version of an environment, or None and the reason, if the user should know it."""
    if not description.by_id:
        return None, None
    pool = installed()
    if pool is None or description.registered not in pool.list_all_envs():
        return None, None
    with quietly():
        difference = differs(description, pool.make_spec(description.registered))
    if difference:
        return None, f"EnvPool's '{description.registered}' is another one: {difference}"
    try:
        with quietly():
            envs = pool.make_gymnasium(
                description.registered, num_envs=len(seeds), seed=seeds[0], num_threads=threads, **pinned(threads)
            )
            assert envs.observation_space is not None  # created on first access, with warnings
    except Exception as error:
        return None, f"EnvPool's '{description.registered}' cannot be made ({type(error).__name__}: {error})"
    return Autoreset(envs, description.observations, description.actions, None), None


def pinned(threads: int) -> dict[str, int]:
    """Return the option that ties each thread to one core, if there are exactly as many cores as threads.

    Woken for every step, threads would otherwise move between cores: a fifth slower (LunarLander-v3, two cores).
    """
    return {"thread_affinity_offset": 0} if threads == os.cpu_count() == available_cores() else {}


def refusal(description: Description) -> str:
    """Return why EnvPool cannot step an environment, for users who requested it."""
    if not description.by_id:
        return f"EnvPool steps environments that are given by their id, not this {description.name}"
    if installed() is None:
        return f"EnvPool is not installed: {INSTALLATION}"
    return f"EnvPool has no '{description.registered}'"


def differs(description: Description, spec: Any) -> str | None:
    """Return how EnvPool's environment visibly differs from Gymnasium's, or None.

    Observations are compared by shape and kind, because EnvPool often omits bounds and orders Dicts differently.
    """
    if description.registered in DIFFERENT:
        return DIFFERENT[description.registered]
    limit = spec.config.max_episode_steps
    if description.max_episode_steps not in (None, limit):
        return f"it ends after {limit} steps, not {description.max_episode_steps}"
    if not _same_actions(description.actions.original, spec.gymnasium_action_space):
        return f"its actions are {spec.gymnasium_action_space}, not {description.actions.original}"
    for part in description.observations.parts:
        try:
            theirs = part.of(spec.gymnasium_observation_space)
        except (LookupError, TypeError):
            return f"it has no {part.name}"
        if not _same_observations(part, theirs):
            return f"{part.name} is {theirs}, not {part.space}"
    parts = len(description.observations.parts) + len(description.observations.left_out)
    if _count(spec.gymnasium_observation_space) != parts:
        return f"its observations are {spec.gymnasium_observation_space}"
    return None


def _same_actions(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, spaces.Box):
        return (
            isinstance(theirs, spaces.Box)
            and ours.shape == theirs.shape
            and bool((ours.low == theirs.low).all() and (ours.high == theirs.high).all())
        )
    return bool(ours == theirs)


def _same_observations(part: Part, theirs: Any) -> bool:
    if isinstance(part.space, spaces.Box):
        return isinstance(theirs, spaces.Box) and theirs.shape == part.shape
    return bool(part.space == theirs)


def _count(space: Any) -> int:
    if isinstance(space, spaces.Dict):
        return sum(map(_count, space.spaces.values()))
    return sum(map(_count, space.spaces)) if isinstance(space, spaces.Tuple) else 1


def describe_envpool(env_id: str) -> Description | None:
    """Describe an environment that EnvPool has and Gymnasium cannot make (Atari, or physics that is not installed)."""
    pool = installed()
    if pool is None or env_id not in pool.list_all_envs():
        return None
    with quietly():
        spec = pool.make_spec(env_id)
        observations, actions = spec.gymnasium_observation_space, spec.gymnasium_action_space
    limit = spec.config.max_episode_steps
    return Description(
        env_id,
        _unbounded(observations_of(observations, env_id)),
        actions_of(actions, env_id),
        _NotInGymnasium(env_id),
        None if limit == ENDLESS else limit,
        getattr(spec, "reward_threshold", None),
        original=False,
        by_id=True,
        notes=("Gymnasium cannot make it here, only EnvPool can",),
    )


class _NotInGymnasium:
    """A factory that explains why there is no environment of Gymnasium's."""

    def __init__(self, env_id: str) -> None:
        self.env_id = env_id

    def __call__(self) -> GymnasiumEnv:
        raise EnvError(f"'{self.env_id}' is available through EnvPool only: Gymnasium cannot make it here")


def _unbounded(observations: Observations) -> Observations:
    """Return them without bounds, because EnvPool's are wrong (all of LunarLander's observations are positive)."""
    parts = tuple(
        Part(part.path, spaces.Box(-np.inf, np.inf, part.shape, np.float32), part.columns)
        if isinstance(part.space, spaces.Box)
        else part
        for part in observations.parts
    )
    return Observations(observations.original, parts, observations.left_out)
