"""What a compiled environment is: a NamedTuple of its physical parameters with three pure methods.

    reset(self, key) -> state                                  state: a tuple of floats
    step(self, state, action, key) -> state, reward, terminated
    observe(self, state) -> obs                                obs: a tuple of floats

They are written in plain Python scalars, so the same code runs under a debugger and compiled. Compiled code calls the
functions below, which find the method by the environment's *type*: changed parameters cost no recompilation, and
Numba's cache keeps working (a function passed as an argument would defeat it). `key` feeds `kernels.random.uniform`.
"""

from typing import Any, Protocol

from pgrad.kernels.jit import compiled_as

State = tuple[float, ...]


class Dynamics(Protocol):
    """The methods above, for type checkers."""

    def reset(self, key: int) -> State:
        """A start state."""

    def step(self, state: Any, action: int, key: int) -> tuple[State, float, bool]:
        """The next state, the reward for getting there, and whether it is terminal."""

    def observe(self, state: Any) -> State:
        """What the policy sees of a state."""


def reset(self: Dynamics, key: int) -> State:
    """A start state."""
    return self.reset(key)


def step(self: Dynamics, state: State, action: int, key: int) -> tuple[State, float, bool]:
    """The next state, the reward for getting there, and whether it is terminal."""
    return self.step(state, action, key)


def observe(self: Dynamics, state: State) -> State:
    """What the policy sees of a state."""
    return self.observe(state)


@compiled_as(reset)
def _reset_compiled(self: Any, key: Any) -> Any:
    return self.instance_class.reset


@compiled_as(step)
def _step_compiled(self: Any, state: Any, action: Any, key: Any) -> Any:
    return self.instance_class.step


@compiled_as(observe)
def _observe_compiled(self: Any, state: Any) -> Any:
    return self.instance_class.observe
