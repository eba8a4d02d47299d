"""Environments by name, by file, or as they are: `make` finds the compiled form where there is one."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from pgrad.envs.acrobot import Acrobot
from pgrad.envs.cartpole import CartPole
from pgrad.envs.contract import class_problems, dynamics_problems, told
from pgrad.envs.dynamics import Dynamics, has_mask
from pgrad.envs.first_step import first_step_problems
from pgrad.envs.mountain_car import MountainCar, MountainCarContinuous
from pgrad.envs.pendulum import Pendulum
from pgrad.envs.reference import is_reference, load
from pgrad.envs.robot_arm import RobotArm
from pgrad.errors import EnvError, nearest
from pgrad.spaces import Space

if TYPE_CHECKING:
    import gymnasium

    from pgrad.vector.spec import Description


BACKENDS = ("auto", "compiled", "gymnasium")


@dataclass(frozen=True)
class Env:
    """What training needs to know of an environment. It has `dynamics`, or else a `description` of Gymnasium's."""

    id: str
    obs_size: int  # O, numbers that the policy sees
    actions: Space
    max_episode_steps: int | None
    reward_threshold: float | None  # the mean return that counts as solved
    max_return: float | None = None
    action_names: tuple[str, ...] = ()
    has_mask: bool = False  # whether some states forbid actions (known of compiled environments only)
    dynamics: Dynamics | None = None
    obs_shape: tuple[int, ...] | None = None  # of observations before they are flat; None: flat
    description: "Description | None" = None

    @property
    def compiled(self) -> bool:
        """Whether episodes run in compiled code."""
        return self.dynamics is not None

    @property
    def gymnasiums(self) -> bool:
        """Whether Gymnasium has it, so that results are reported on the original."""
        return self.dynamics is None or (self.id in COMPILED and self.id not in OURS)

    def limited(self, max_episode_steps: int | None) -> "Env":
        """The same with a time limit of its own; None leaves it as it is."""
        if max_episode_steps in (None, self.max_episode_steps):
            return self
        described = self.description
        if described is not None:
            from pgrad.vector.make import limited

            described = limited(described, max_episode_steps)
        return dataclasses.replace(self, max_episode_steps=max_episode_steps, description=described)


AnyEnv: TypeAlias = Union[str, Env, Dynamics, "gymnasium.Env[Any, Any]", "Callable[[], gymnasium.Env[Any, Any]]"]


def compiled_env(env_id: str, dynamics: Dynamics) -> Env:
    """What training needs to know, from the dynamics' own members."""
    return Env(
        env_id,
        dynamics.observation_space.flat_size,
        dynamics.action_space,
        dynamics.max_episode_steps or None,
        getattr(dynamics, "reward_threshold", None),
        getattr(dynamics, "max_return", None),
        getattr(dynamics, "action_names", ()),
        has_mask(dynamics),
        dynamics,
    )


def tabular_env(env_id: str) -> Env:
    """The same of one of Gymnasium's tabular environments."""
    from pgrad.envs import tabular as toy_text

    model = toy_text.read(env_id)
    return dataclasses.replace(
        compiled_env(env_id, toy_text.dynamics(model)),
        reward_threshold=model.reward_threshold,
        action_names=model.action_names,
    )


OURS = ("RobotArm-v0",)  # Gymnasium has no original of them
TABULAR = ("FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v4")
COMPILED: dict[str, Callable[[], Env]] = {
    "CartPole-v1": lambda: compiled_env("CartPole-v1", CartPole()),
    "Acrobot-v1": lambda: compiled_env("Acrobot-v1", Acrobot()),
    "MountainCar-v0": lambda: compiled_env("MountainCar-v0", MountainCar()),
    "MountainCarContinuous-v0": lambda: compiled_env("MountainCarContinuous-v0", MountainCarContinuous()),
    "Pendulum-v1": lambda: compiled_env("Pendulum-v1", Pendulum()),
    "RobotArm-v0": lambda: compiled_env("RobotArm-v0", RobotArm()),
    **{env_id: partial(tabular_env, env_id) for env_id in TABULAR},
}


def make(env: AnyEnv, backend: str = "auto", max_episode_steps: int | None = None) -> Env:
    """The environment that training uses; raises EnvError if there is none or pgrad cannot train on it.

    env      an id of Gymnasium's ("CartPole-v1", "module:id"), of ours ("RobotArm-v0") or of EnvPool's; where one is
             written ("my_env.py:MyEnv"); a NamedTuple of dynamics; a gymnasium.Env, or a function that makes one
    backend  `auto` takes the compiled form if there is one, `compiled` insists on it, `gymnasium` takes the original
    max_episode_steps  a time limit in place of the environment's own
    """
    if backend not in BACKENDS:
        raise EnvError(f"unknown backend '{backend}': {nearest(backend, BACKENDS)}")
    if max_episode_steps is not None and max_episode_steps < 1:
        raise EnvError(f"max_episode_steps must be positive, not {max_episode_steps}")
    made = env if isinstance(env, Env) else _made(env, backend)
    if backend == "gymnasium":
        made = original_of(made)
    if backend == "compiled" and not made.compiled:
        raise EnvError(f"'{made.id}' has no compiled form; backend 'gymnasium' may run it")
    return made.limited(max_episode_steps)


def _made(env: Any, backend: str) -> Env:
    if isinstance(env, str):
        if env in COMPILED and backend != "gymnasium":
            return COMPILED[env]()
        if is_reference(env):
            return _own(env, load(env), backend)
        if backend == "compiled":
            raise EnvError(f"'{env}' has no compiled form ({nearest(env, COMPILED)}); backend 'gymnasium' may run it")
        original = gymnasium_env(env)
        return COMPILED[original.id]() if original.id in COMPILED and backend == "auto" else original
    if isinstance(env, type) and hasattr(env, "_fields"):
        if problems := class_problems(env):
            raise EnvError(told(env.__name__, problems))
        env = env()
    if isinstance(env, tuple) and hasattr(env, "_fields"):
        return _own(type(env).__name__, env, backend)
    if backend == "compiled":
        raise EnvError(f"backend 'compiled' needs an id or a NamedTuple of dynamics, not {env!r}")
    return gymnasium_env(env)


def _own(name: str, env: Any, backend: str) -> Env:
    """An environment of the user's: dynamics, or what makes a gymnasium.Env."""
    if not isinstance(env, tuple):
        return dataclasses.replace(gymnasium_env(env), id=name)
    if problems := dynamics_problems(env) or first_step_problems(env):
        raise EnvError(told(name, problems))
    own = compiled_env(name, env)  # type: ignore[arg-type]
    return own if backend != "gymnasium" else original_of(own)


def gymnasium_env(env: "str | gymnasium.Env[Any, Any] | Callable[[], gymnasium.Env[Any, Any]]") -> Env:
    """Gymnasium's environment of that id, like that instance or from that factory, looked at through one instance."""
    from pgrad.vector.make import describe

    described = describe(env)
    known = COMPILED[described.name]() if described.name in COMPILED else None
    return Env(
        described.name,
        described.observations.size,
        described.actions.space,
        described.max_episode_steps,
        described.reward_threshold,
        known.max_return if known else None,
        known.action_names if known else (),
        obs_shape=described.observations.shape,
        description=described,
    )


def original_of(env: Env) -> Env:
    """The environment that results are reported on: Gymnasium's own; of dynamics that it does not have, their face."""
    if env.dynamics is None:
        return env
    if env.gymnasiums:
        return gymnasium_env(env.id).limited(env.max_episode_steps)
    from pgrad.envs.gymnasium_adapter import GymnasiumAdapter

    face = gymnasium_env(partial(GymnasiumAdapter, env.dynamics)).limited(env.max_episode_steps)
    assert face.description is not None, "it is Gymnasium's"
    described = dataclasses.replace(face.description, name=env.id)
    return dataclasses.replace(env, dynamics=None, obs_shape=face.obs_shape, description=described)
