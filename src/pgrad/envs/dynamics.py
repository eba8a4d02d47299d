"""Interface of a compiled environment: a NamedTuple of its parameters, with its spaces and a few pure methods.

    observation_space, action_space, max_episode_steps        class attributes (or properties)
    reset(self, key) -> state                                  state: a tuple of numbers
    step(self, state, action, key) -> state, reward, terminated
    observe(self, state) -> obs                                a tuple of numbers; without it, the state itself
                                                               (a Discrete observation_space makes integers one-hot)
    mask(self, state) -> allowed                               a tuple of A booleans; without it, all actions are

An action is an integer where the action space is Discrete, and a tuple of numbers where it is MultiDiscrete or Box
(within the bounds). The methods are written in plain Python scalars, so the same code runs under a debugger and
compiled. Compiled code calls the functions below, which find the method by the environment's *type*: changed parameters
cost no recompilation, and Numba's cache keeps working (a function passed as an argument would defeat it). `key` feeds
`kernels.random.uniform` and `normal`. docs/extending.md shows one from beginning to end.
"""

from typing import Any, Protocol

from pgrad.kernels.jit import compiled_as
from pgrad.kernels.lanes import write_lane, write_one_hot
from pgrad.spaces import Discrete, MultiDiscrete, Space

State = tuple[float, ...]
Action = Any  # an integer, or a tuple of numbers


class Dynamics(Protocol):
    """The members that every environment has, for type checkers."""

    @property
    def observation_space(self) -> Space:
        """The space of what `observe` returns, or of the state if there is no `observe`."""

    @property
    def action_space(self) -> Space:
        """The space of actions that `step` accepts."""

    @property
    def max_episode_steps(self) -> int:
        """The time limit."""

    def reset(self, key: int) -> Any:
        """Return a start state."""

    def step(self, state: Any, action: Any, key: int) -> tuple[Any, float, bool]:
        """Return the next state, the reward for reaching it, and whether it is terminal."""


def reset(env: Any, key: int) -> State:
    """Return a start state."""
    return env.reset(key)  # type: ignore[no-any-return]


def step(env: Any, state: State, action: Action, key: int) -> tuple[State, float, bool]:
    """Return the next state, the reward for reaching it, and whether it is terminal."""
    return env.step(state, action, key)  # type: ignore[no-any-return]


def observe(env: Any, state: State) -> State:
    """Return what the policy sees of a state."""
    return env.observe(state) if hasattr(env, "observe") else state


def mask(env: Any, state: State) -> tuple[bool, ...]:
    """Return which actions are allowed in a state; () if all actions always are."""
    return env.mask(state) if hasattr(env, "mask") else ()


def observe_into(env: Any, state: State, rows: Any, lane: int) -> None:
    """Write what the policy sees of a state into rows[:, lane]."""
    if hasattr(env, "observe_into"):
        env.observe_into(state, rows, lane)
    elif isinstance(env.observation_space, Discrete | MultiDiscrete):
        write_one_hot(rows, lane, observe(env, state), env.observation_space.counts)
    else:
        write_lane(rows, lane, observe(env, state))


def mask_into(env: Any, state: State, rows: Any, lane: int) -> None:
    """Write which actions are allowed in a state into rows[:, lane]."""
    if hasattr(env, "mask_into"):
        env.mask_into(state, rows, lane)
    else:
        write_lane(rows, lane, mask(env, state))


def has_mask(env: Any) -> bool:
    """Return True if some states forbid actions."""
    return bool(getattr(env, "has_mask", hasattr(env, "mask")))


@compiled_as(reset)
def _reset_compiled(env: Any, key: Any) -> Any:
    return env.instance_class.reset


@compiled_as(step)
def _step_compiled(env: Any, state: Any, action: Any, key: Any) -> Any:
    return env.instance_class.step


@compiled_as(observe)
def _observe_compiled(env: Any, state: Any) -> Any:
    return getattr(env.instance_class, "observe", lambda env, state: state)


@compiled_as(mask)
def _mask_compiled(env: Any, state: Any) -> Any:
    return getattr(env.instance_class, "mask", lambda env, state: ())


@compiled_as(observe_into)
def _observe_into_compiled(env: Any, state: Any, rows: Any, lane: Any) -> Any:
    def through_a_tuple(env: Any, state: Any, rows: Any, lane: Any) -> None:
        write_lane(rows, lane, observe(env, state))

    space = getattr(env.instance_class, "observation_space", None)
    counts = space.counts if isinstance(space, Discrete | MultiDiscrete) else ()

    def one_hot(env: Any, state: Any, rows: Any, lane: Any) -> None:
        write_one_hot(rows, lane, observe(env, state), counts)

    return getattr(env.instance_class, "observe_into", one_hot if counts else through_a_tuple)


@compiled_as(mask_into)
def _mask_into_compiled(env: Any, state: Any, rows: Any, lane: Any) -> Any:
    def through_a_tuple(env: Any, state: Any, rows: Any, lane: Any) -> None:
        write_lane(rows, lane, mask(env, state))

    return getattr(env.instance_class, "mask_into", through_a_tuple)
