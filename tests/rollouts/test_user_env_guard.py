"""A compiled environment of the user's that raises, hangs or leaves its spaces is told so, and nothing is lost."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba.core.errors import TypingError

import pgrad
from pgrad.envs import Box, Discrete, MultiDiscrete, uniform
from pgrad.envs.cartpole import CartPole
from pgrad.envs.make import Env, compiled_env
from pgrad.errors import EnvError
from pgrad.kernels.heads import Policy
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts import user_env_guard as guards
from pgrad.rollouts.compiled import BEGUN, STEPS, Plan, new_simulation
from pgrad.rollouts.user_env_guard import Guard
from pgrad.watchdog import Watchdog


class Walk(NamedTuple):
    """Raises where it has come too far."""

    edge: float = 3.0
    observation_space = Box((-10.0,), (10.0,))
    action_space = Discrete(2)
    max_episode_steps = 50

    def reset(self, key: int) -> tuple[float]:
        return (uniform(key, 0, 0.0, 1.0),)

    def step(self, state: tuple[float], action: int, key: int) -> tuple[tuple[float], float, bool]:
        if state[0] + action > self.edge:
            raise ValueError("over the edge")
        return (state[0] + action,), 1.0, False


def new_guard(env: Env, watchdog: Watchdog | None = None) -> Guard:
    assert env.dynamics is not None
    policy: Policy = MLPPolicy(np.zeros((env.obs_size + 1) * 2, np.float32), (env.obs_size, 2)).compiled
    lanes = new_simulation(env.dynamics, policy, Plan(0, 1, 1, np.uint64(7)), 3).lanes
    lanes.counters[BEGUN] = 3
    return Guard(env, lanes, 7, 5, watchdog)


def raising(error: Exception) -> Any:
    def face(*_: Any) -> None:
        raise error

    return face


def test_what_it_raises_is_told_with_the_line_of_plain_python() -> None:
    guard = new_guard(compiled_env("walk", Walk()))
    guard.lanes.state[0, 1] = 2.5
    guard.lanes.counters[STEPS] = 1234
    with pytest.raises(EnvError) as caught:
        guard.guarded(raising(ValueError("over the edge")))()
    message = str(caught.value)
    assert message.startswith(
        "'walk' raised ValueError: over the edge (seed 5, step 1,234 of the run)\n\nuncompiled, at"
    )
    assert "at step 1 of an episode, in state (2.5,), action 1:" in message
    assert 'raise ValueError("over the edge")' in message
    guard.lanes.state[0, 1] = 0.0
    with pytest.raises(EnvError, match=r"raised AssertionError \(seed 5, step 1,234 of the run\)$"):
        guard.guarded(raising(AssertionError()))()


def test_what_cannot_be_compiled_is_explained() -> None:
    class Attribute(NamedTuple):
        observation_space = Box((-10.0,), (10.0,))
        action_space = Discrete(2)
        max_episode_steps = 50
        pace = 2.0

        def reset(self, key: int) -> tuple[float]:
            return (uniform(key, 0, 0.0, 1.0),)

        def step(self, state: tuple[float], action: int, key: int) -> tuple[tuple[float], float, bool]:
            return (state[0] + self.pace,), 1.0, False

    guard = new_guard(compiled_env("attribute", Attribute()))
    with pytest.raises(
        EnvError, match=r"(?s)'attribute' cannot be compiled:.*self.pace is not a parameter.*pace: float"
    ):
        guard.guarded(raising(TypingError("Unknown attribute 'pace'")))()


def test_a_hang_is_noticed_and_a_call_that_goes_on_is_none() -> None:
    now, messages = [0.0], []
    watchdog = Watchdog(lambda: now[0])
    guard = new_guard(compiled_env("walk", Walk()), watchdog)

    def wait(seconds: float, steps: int = 0) -> None:
        """Let time pass, in which the environment is stepped; a watcher looks."""
        now[0] += seconds
        guard.lanes.counters[STEPS] += steps
        try:
            watchdog.check(60.0)
        except EnvError as error:
            messages.append(str(error))

    def goes_on() -> None:
        for _ in range(3):
            wait(50.0, 1)

    def compiles_first() -> None:
        wait(guards.COMPILING_SECONDS - 1.0)
        goes_on()

    guard.guarded(compiles_first)()
    guard.guarded(goes_on)()
    assert not messages
    guard.guarded(compiles_first)()  # has been compiled, so that it hangs
    assert len(messages) == 1
    assert messages[0].startswith("step() of 'walk' has not returned after 60 s (seed 5, step 6 of the run)")
    guard.guarded(lambda: wait(guards.COMPILING_SECONDS + 61.0))()  # longer than any compilation
    assert len(messages) == 2


def test_what_leaves_its_space_is_noticed() -> None:
    guard, everything = new_guard(compiled_env("walk", Walk())), np.empty((0, 2), np.bool_)
    guard.look(np.array([[-10.0, 10.0]], np.float32), everything)
    assert guard.note is None
    guard.look(np.array([[0.0, 10.1]], np.float32), everything)
    assert guard.note == "walk: observation[0] leaves its space [-10, 10]; `pgrad check-env` shows where"
    guard.look(np.zeros((1, 2), np.float32), np.array([[True, False], [False, True]]))
    with pytest.raises(EnvError, match=r"'walk' forbids every action in a state \(seed 5, step 0 of the run\)"):
        guard.look(np.zeros((1, 2), np.float32), np.array([[True, False], [True, False]]))


def test_what_is_no_number_of_a_discrete_space_is_refused() -> None:
    class Rooms(NamedTuple):
        observation_space = MultiDiscrete((2, 3))
        action_space = Discrete(2)
        max_episode_steps = 50

        def reset(self, key: int) -> tuple[float, float]:
            return (0.0, 0.0)

        def step(self, state: Any, action: int, key: int) -> Any:
            return state, 1.0, False

    guard, everything = new_guard(compiled_env("rooms", Rooms())), np.empty((0, 1), np.bool_)
    guard.look(np.array([[0, 1, 0, 0, 1]], np.float32).T, everything)
    with pytest.raises(EnvError, match=r"'rooms' gave an observation outside its space MultiDiscrete.*\(seed 5"):
        guard.look(np.array([[0, 1, 0, 0, 0]], np.float32).T, everything)


def test_pgrads_own_environments_are_left_alone() -> None:
    guard, face = new_guard(compiled_env("CartPole-v1", CartPole())), raising(ValueError("a mistake of ours"))
    assert guard.guarded(face) is face
    guard.look(np.full((4, 2), 1e9, np.float32), np.empty((0, 2), np.bool_))
    assert guard.note is None


FILE = """
from typing import NamedTuple
from pgrad.envs import Box, Discrete, uniform

class Walk(NamedTuple):
    observation_space = Box((0.0,), (20.0,))
    action_space = Discrete(2)
    max_episode_steps = 50

    def reset(self, key: int):
        return (uniform(key, 0, 0.0, 1.0),)

    def step(self, state, action, key: int):
        if state[0] + action > 40.0:
            raise ValueError("over the edge")
        return (state[0] + action,), float(action), False
"""


def test_in_training_the_policies_are_kept(tmp_path: Path) -> None:
    """It learns to walk, out of its space and over the edge."""
    (tmp_path / "walk.py").write_text(FILE)
    notes: set[str] = set()
    with pytest.raises(
        EnvError, match=r"(?s)raised ValueError: over the edge \(seed \d.*in step\n.*raise Val"
    ) as caught:
        pgrad.train(
            f"{tmp_path / 'walk.py'}:Walk",
            preset="none",
            seeds=2,
            total_steps=500_000,
            evaluation_episodes=0,
            progress=lambda snapshot: notes.update(snapshot.notes),
        )
    result = caught.value.result
    assert len(result.policies) == 2
    assert result.total_steps > 0
    assert any(int(policy.metadata["iterations"]) > 0 for policy in result.policies)
    assert any("observation[0] leaves its space [0, 20]" in note for note in notes)
