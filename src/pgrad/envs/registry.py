"""Environments by name: `make` finds the compiled twin where there is one, and Gymnasium's own otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from pgrad.envs.acrobot import Acrobot
from pgrad.envs.cartpole import CartPole
from pgrad.envs.dynamics import Dynamics, has_mask
from pgrad.envs.mountain_car import MountainCar, MountainCarContinuous
from pgrad.envs.originals import make_gymnasium
from pgrad.envs.pendulum import Pendulum
from pgrad.envs.spaces import Discrete, Space
from pgrad.errors import EnvError, nearest

BACKENDS = ("auto", "compiled", "gymnasium")


@dataclass(frozen=True)
class Env:
    """What training needs to know of an environment. Without `dynamics` it is stepped through Gymnasium."""

    id: str
    obs_size: int  # O, numbers that the policy sees
    actions: Space
    max_episode_steps: int | None
    reward_threshold: float | None  # the mean return that counts as solved
    max_return: float | None = None
    action_names: tuple[str, ...] = ()
    has_mask: bool = False  # whether some states forbid actions
    dynamics: Dynamics | None = None

    @property
    def compiled(self) -> bool:
        """Whether episodes run in compiled code."""
        return self.dynamics is not None


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
    from pgrad.envs import toy_text

    model = toy_text.read(env_id)
    return replace(
        compiled_env(env_id, toy_text.dynamics(model)),
        reward_threshold=model.reward_threshold,
        action_names=model.action_names,
    )


COMPILED: dict[str, Callable[[], Env]] = {
    "CartPole-v1": lambda: compiled_env("CartPole-v1", CartPole()),
    "Acrobot-v1": lambda: compiled_env("Acrobot-v1", Acrobot()),
    "MountainCar-v0": lambda: compiled_env("MountainCar-v0", MountainCar()),
    "MountainCarContinuous-v0": lambda: compiled_env("MountainCarContinuous-v0", MountainCarContinuous()),
    "Pendulum-v1": lambda: compiled_env("Pendulum-v1", Pendulum()),
    **{
        env_id: partial(tabular_env, env_id)
        for env_id in ("FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v4")
    },
}


def make(env: str | Env, backend: str = "auto") -> Env:
    """The environment of that id; raises EnvError if there is none or pgrad cannot train on it.

    backend: `auto` takes the compiled twin if there is one, `compiled` insists on it, `gymnasium` takes the original.
    """
    if isinstance(env, Env):
        return env
    if not isinstance(env, str):
        raise EnvError(f"env must be an id like 'CartPole-v1' or what pgrad.make returned, not {env!r}")
    if backend not in BACKENDS:
        raise EnvError(f"unknown backend '{backend}': {nearest(backend, BACKENDS)}")
    if env in COMPILED and backend != "gymnasium":
        return COMPILED[env]()
    if backend == "compiled":
        raise EnvError(f"'{env}' has no compiled twin ({nearest(env, COMPILED)}); backend 'gymnasium' may run it")
    original = from_gymnasium(env)
    return COMPILED[original.id]() if original.id in COMPILED and backend == "auto" else original


def from_gymnasium(env_id: str) -> Env:
    """Gymnasium's environment of that id, looked at through one instance."""
    import gymnasium
    from gymnasium import spaces

    instance = make_gymnasium(env_id)
    spec, obs_space, action_space = instance.spec, instance.observation_space, instance.action_space
    instance.close()
    if not isinstance(action_space, spaces.Discrete) or action_space.start != 0:
        raise EnvError(f"'{env_id}' has actions {action_space}; supported so far: Discrete, starting at 0")
    if not isinstance(obs_space, spaces.Box) or len(obs_space.shape) != 1:
        raise EnvError(f"'{env_id}' has observations {obs_space}; supported so far: Box of one dimension")
    assert isinstance(spec, gymnasium.envs.registration.EnvSpec)
    known = COMPILED[spec.id]() if spec.id in COMPILED else None  # the id with its version, where env_id has none
    return Env(
        spec.id,
        int(obs_space.shape[0]),
        Discrete(int(action_space.n)),
        spec.max_episode_steps,
        spec.reward_threshold,
        known.max_return if known else None,
        known.action_names if known else (),
    )
