"""EnvPool's environments, written in C++, where the package is installed and has exactly the one that is asked for.

EnvPool resets in the next step: the step after an end ignores its action and returns the reset observation, reward 0
and `elapsed_step` 0 (measured, and held by a test), so `Autoreset` reads it like any other vector environment. It
differs from Gymnasium in one thing that cannot be seen from outside: an episode that ends in a terminal state in the
very step of the time limit is reported as truncated alone.
"""

import importlib
import os
import re
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
from pgrad.vector.step import Source

INSTALLATION = "pip install 'pgrad[envpool]'"

# Ids that EnvPool is known to have, as a rule of thumb for who has not installed it.
FAMILIES = re.compile(
    r"(Acrobot|FrozenLake(8x8)?|CliffWalking)-v1|MountainCar(Continuous)?-v0"
    r"|(LunarLander(Continuous)?|BipedalWalker(Hardcore)?|CarRacing)-v3"
    r"|(Ant|HalfCheetah|Hopper|Walker2d|Humanoid|HumanoidStandup|Swimmer|Reacher|Pusher|Inverted(Double)?Pendulum)-v[45]"
    r"|MiniGrid-.*-v0|highway(-fast)?-v0|Fetch(Reach|Push|Slide|PickAndPlace)(Dense)?-v4"
)

# Environments of the same name and spaces that were found to move differently.
DIFFERENT = {"Pendulum-v1": "it turns by its speed before that is limited, Gymnasium's after"}

ENDLESS = 2**31 - 1  # EnvPool's max_episode_steps where there is no limit


def installed() -> ModuleType | None:
    """The package, if it can be imported here."""
    try:
        with quietly():
            return importlib.import_module("envpool")
    except ImportError:
        return None


def source(description: Description, seeds: Sequence[int], threads: int) -> tuple[Source | None, str | None]:
    """EnvPool's form of an environment, or None and what to tell the user (None: nothing)."""
    if not description.by_id:
        return None, None
    pool = installed()
    if pool is None:
        known = FAMILIES.fullmatch(description.registered)
        return None, f"EnvPool would be faster: {INSTALLATION}" if known else None
    if description.registered not in pool.list_all_envs():
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
            assert envs.observation_space is not None  # made at first sight, with warnings
    except Exception as error:
        return None, f"EnvPool's '{description.registered}' cannot be made ({type(error).__name__}: {error})"
    return Autoreset(envs, description.observations, description.actions, None), None


def pinned(threads: int) -> dict[str, int]:
    """Each thread keeps a core of its own, where there is one for each and none besides: woken for every step, they
    would change places, which costs a fifth of the speed (LunarLander-v3, two cores)."""
    return {"thread_affinity_offset": 0} if threads == os.cpu_count() == available_cores() else {}


def refusal(description: Description) -> str:
    """Why EnvPool cannot step an environment, for who insists on it."""
    if not description.by_id:
        return f"EnvPool steps environments that are given by their id, not this {description.name}"
    if installed() is None:
        return f"EnvPool is not installed: {INSTALLATION}"
    return f"EnvPool has no '{description.registered}'"


def differs(description: Description, spec: Any) -> str | None:
    """In what EnvPool's environment is another one than Gymnasium's; None if in nothing that can be seen.

    Observations are compared by shape and kind: EnvPool's bounds are often left out, and orders its Dicts differently.
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
    """An environment that EnvPool has and Gymnasium cannot make (Atari, or physics that is not installed)."""
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
        notes=("Gymnasium cannot make it here: EnvPool's version is all there is",),
    )


class _NotInGymnasium:
    """In the place of a factory."""

    def __init__(self, env_id: str) -> None:
        self.env_id = env_id

    def __call__(self) -> GymnasiumEnv:
        raise EnvError(f"'{self.env_id}' is there through EnvPool alone: Gymnasium cannot make it here")


def _unbounded(observations: Observations) -> Observations:
    """The same without bounds, which EnvPool does not keep to (it has LunarLander's observations all positive)."""
    parts = tuple(
        Part(part.path, spaces.Box(-np.inf, np.inf, part.shape, np.float32), part.columns)
        if isinstance(part.space, spaces.Box)
        else part
        for part in observations.parts
    )
    return Observations(observations.original, parts, observations.left_out)
