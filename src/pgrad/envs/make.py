"""Turn whatever names an environment into an `Env`; KINDS is the table of what that can be.

`find` decides once what was given; `make` picks the backend; `make_named` is for names that came out of a file.
"""

import dataclasses
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, Union

from pgrad.envs.acrobot import Acrobot
from pgrad.envs.cartpole import CartPole
from pgrad.envs.contract import first_step_problems, raise_problems, require_dynamics
from pgrad.envs.dynamics import Dynamics, has_mask
from pgrad.envs.mountain_car import MountainCar, MountainCarContinuous
from pgrad.envs.pendulum import Pendulum
from pgrad.envs.reference import is_gymnasium, is_reference, load
from pgrad.envs.robot_arm import RobotArm
from pgrad.errors import EnvError, nearest
from pgrad.spaces import Space
from pgrad.vector.arguments import split_name

if TYPE_CHECKING:
    import gymnasium

    from pgrad.vector.spec import Description


BACKENDS = ("auto", "compiled", "gymnasium")


@dataclass(frozen=True)
class Env:
    """An environment as training sees it: compiled `dynamics`, or a `description` of one that Gymnasium steps."""

    id: str
    obs_size: int  # O, numbers that the policy sees
    actions: Space
    max_episode_steps: int | None  # None: no time limit
    reward_threshold: float | None  # the mean return that counts as solved
    max_return: float | None = None
    action_names: tuple[str, ...] = ()
    has_mask: bool = False  # True if some states forbid actions (known of compiled environments only)
    dynamics: Dynamics | None = None
    obs_shape: tuple[int, ...] | None = None  # of an observation before it is flattened; None: it is flat
    description: "Description | None" = None

    @property
    def compiled(self) -> bool:
        """True if episodes run in compiled code."""
        return self.dynamics is not None

    @property
    def has_original(self) -> bool:
        """True if Gymnasium has this environment too, so that results are reported on its implementation."""
        return self.dynamics is None or (self.id in COMPILED and self.id not in OURS)

    def limited(self, max_episode_steps: int | None) -> "Env":
        """Return a copy with this time limit; None keeps the present one."""
        if max_episode_steps in (None, self.max_episode_steps):
            return self
        description = self.description
        if description is not None:
            from pgrad.vector.make import limited

            description = limited(description, max_episode_steps)
        return dataclasses.replace(self, max_episode_steps=max_episode_steps, description=description)


class Original(NamedTuple):
    """An environment that Gymnasium or EnvPool makes, from an id, like an instance, or by a factory."""

    source: "str | gymnasium.Env[Any, Any] | Callable[[], gymnasium.Env[Any, Any]]"
    name: str = ""  # where it is written; empty: its own name


AnyEnv: TypeAlias = Union[str, Env, Dynamics, "gymnasium.Env[Any, Any]", "Callable[[], gymnasium.Env[Any, Any]]"]


# --- compiled environments


def compiled_env(env_id: str, dynamics: Dynamics) -> Env:
    """Return dynamics as an Env, with what its own members say of it."""
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
    """Return one of Gymnasium's tabular environments, compiled from the model that it publishes."""
    from pgrad.envs import tabular

    model = tabular.read(env_id)
    return dataclasses.replace(
        compiled_env(env_id, tabular.dynamics(model)),
        reward_threshold=model.reward_threshold,
        action_names=model.action_names,
    )


OURS = ("RobotArm-v0",)  # Gymnasium has no original of these
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


# --- what an environment can be


class Kind(NamedTuple):
    """One of the ways to name an environment."""

    title: str
    recognises: Callable[[Any], bool]
    find: Callable[[Any], Env | Original]


def from_reference(reference: str) -> Env | Original:
    """Import what is written there: dynamics to compile, or what makes a gymnasium.Env."""
    found = load(*split_name(reference))
    if isinstance(found, str):
        return Original(found)
    return Original(found, reference) if callable(found) else compiled_env(reference, found)


def from_dynamics(value: Any) -> Env:
    """Return a NamedTuple, or its class with the defaults, under its class's name."""
    name = getattr(value, "__name__", type(value).__name__)
    return compiled_env(name, require_dynamics(value, name))


def is_text(value: Any) -> bool:
    """Return True for a str."""
    return isinstance(value, str)


# The first kind that recognises a value decides.
KINDS = (
    Kind("an Env that `make` returned", lambda env: isinstance(env, Env), lambda env: env),
    Kind("the id of a compiled one", lambda env: is_text(env) and env in COMPILED, lambda env: COMPILED[env]()),
    Kind("file.py:Name or module:Name", lambda env: is_text(env) and is_reference(split_name(env)[0]), from_reference),
    Kind("an id of Gymnasium's or EnvPool's, also module:id", is_text, Original),
    Kind("a NamedTuple of dynamics or its class", lambda env: hasattr(env, "_fields"), from_dynamics),
    Kind("a gymnasium.Env", lambda env: is_gymnasium(type(env)), Original),
    Kind("a function that makes one", callable, Original),
)


def find(env: AnyEnv) -> Env | Original:
    """Return what was named, decided by KINDS: an Env, or what Gymnasium makes one from. Raises EnvError."""
    for kind in KINDS:
        if kind.recognises(env):
            return kind.find(env)
    raise EnvError(f"not an environment: {env!r:.100}; pass {', or '.join(kind.title for kind in KINDS[1:])}")


# --- the environment that is used


def make(env: AnyEnv, backend: str = "auto", max_episode_steps: int | None = None) -> Env:
    """Return the environment that training uses; raise EnvError if it does not exist or pgrad cannot train on it.

    env      an id of Gymnasium's ("CartPole-v1", "module:id"), of ours ("RobotArm-v0") or of EnvPool's; a file or
             module and the name in it ("my_env.py:MyEnv"); a NamedTuple of dynamics; a gymnasium.Env, or a function
             that makes one. An id or a reference may have arguments: "FrozenLake-v1(is_slippery=False)"
    backend  `auto` takes the compiled form if there is one, `compiled` insists on it, `gymnasium` takes Gymnasium's own
             implementation, never EnvPool's in its place
    max_episode_steps  a time limit in place of the environment's own
    """
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise EnvError(f"unknown backend '{backend}': {nearest(backend, BACKENDS)}")
    if max_episode_steps is not None and not (
        isinstance(max_episode_steps, numbers.Integral) and max_episode_steps > 0
    ):
        raise EnvError(f"max_episode_steps must be a positive integer, not {max_episode_steps!r:.80}")
    found = find(env)
    made = found if isinstance(found, Env) else gymnasium_env(found)
    if is_text(env) and made.id in COMPILED:  # "CartPole" is short for "CartPole-v1"
        made = COMPILED[made.id]()
    if made.dynamics is not None and made.id not in COMPILED:
        raise_problems(made.id, first_step_problems(made.dynamics))
    if backend == "gymnasium":
        made = without_envpool(original_of(made))
    elif backend == "compiled" and not made.compiled:
        raise EnvError(f"'{made.id}' has no compiled form: use backend 'gymnasium' or 'auto'")
    return made.limited(max_episode_steps)


def make_named(name: str, trusted: bool = False, backend: str = "auto", max_episode_steps: int | None = None) -> Env:
    """Return the environment that a *file* names, without running anything of the file's choosing.

    Accepted are ids of compiled environments and ids that Gymnasium's registry or EnvPool already has; with arguments
    those of Gymnasium's own environments, which do nothing else with them. Everything else (`file.py:Name`,
    `module:Name`, `module:id`) would import, and perhaps call, what the file says: it raises EnvError unless the file
    is `trusted`. Other arguments are those of `make`.
    """
    plain, arguments = split_name(name)
    known = name in COMPILED or (":" not in plain and not is_reference(plain) and is_known(plain))
    if trusted or (known and (not arguments or is_gymnasiums_own(plain))):
        return make(name, backend, max_episode_steps)
    raise EnvError(
        f"the file names the environment '{name}', which is not a built-in id: loading it could run any code. Pass the "
        "environment yourself (env=..., --env ...), or, if you trust where the file comes from, trust=True (--trust)"
    )


def is_known(env_id: str) -> bool:
    """Return True if Gymnasium or EnvPool has an id without importing anything for it."""
    import gymnasium

    from pgrad.vector.envpool import describe_envpool

    return env_id in gymnasium.registry or describe_envpool(env_id) is not None


def is_gymnasiums_own(env_id: str) -> bool:
    """Return True for an id whose environment comes with Gymnasium."""
    import gymnasium

    spec = gymnasium.registry.get(env_id)
    return spec is not None and str(spec.entry_point).startswith("gymnasium.envs.")


def gymnasium_env(original: Original) -> Env:
    """Return an environment that Gymnasium or EnvPool makes, described from one instance of it."""
    from pgrad.vector.make import describe

    description = describe(original.source)
    port = COMPILED[description.name]() if description.name in COMPILED else None
    return Env(
        original.name or description.name,
        description.observations.size,
        description.actions.space,
        description.max_episode_steps,
        description.reward_threshold,
        port.max_return if port else None,
        port.action_names if port else (),
        obs_shape=description.observations.shape,
        description=description,
    )


def original_of(env: Env) -> Env:
    """Return the environment that results are reported on: Gymnasium's own, or dynamics it lacks behind an adapter."""
    if env.dynamics is None:
        return env
    if env.has_original:
        return gymnasium_env(Original(env.id)).limited(env.max_episode_steps)
    from pgrad.envs.gymnasium_adapter import GymnasiumAdapter

    adapted = gymnasium_env(Original(partial(GymnasiumAdapter, env.dynamics))).limited(env.max_episode_steps)
    assert adapted.description is not None, "Gymnasium steps it"
    description = dataclasses.replace(adapted.description, name=env.id)
    return dataclasses.replace(env, dynamics=None, obs_shape=adapted.obs_shape, description=description)


def without_envpool(env: Env) -> Env:
    """Return an environment of Gymnasium's that EnvPool must not stand in for; EnvPool's own stay."""
    if env.description is None or not env.description.original:
        return env
    return dataclasses.replace(env, description=dataclasses.replace(env.description, envpool=False))
