"""Every compiled environment whose physics are written out, against Gymnasium's own."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest

from pgrad.envs.acrobot import Acrobot
from pgrad.envs.cartpole import CartPole
from pgrad.envs.compiled_methods import compiled_observe, compiled_step
from pgrad.envs.dynamics import Dynamics, observe, reset, step
from pgrad.envs.make import COMPILED, make
from pgrad.envs.mountain_car import MountainCar, MountainCarContinuous
from pgrad.envs.pendulum import Pendulum
from pgrad.errors import EnvError
from pgrad.kernels.jit import strict
from pgrad.kernels.random import fold_in
from pgrad.spaces import Discrete

EPISODES = 30
ANYWHERE = 400
STARTS = 20_000
BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


@strict
def compiled_starts(env: Any, key: int, starts: Any) -> None:
    for k in range(starts.shape[0]):
        state = reset(env, fold_in(key, k))
        for i, value in enumerate(state):
            starts[k, i] = value


def balancing(obs: Any, rng: np.random.Generator, episode: int) -> int:
    """Good enough to reach the time limit often, random enough to reach odd states."""
    if (episode % 2 and rng.random() < 0.5) or rng.random() < 0.1:
        return int(rng.integers(2))
    return int(obs[2] + 0.3 * obs[3] > 0)


def swinging_up(obs: Any, rng: np.random.Generator, episode: int) -> int:
    """At random, with the second link's speed, or against the first one's."""
    return (int(rng.integers(3)), 2 * int(obs[5] > 0), 2 * int(obs[4] < 0))[episode % 3]


def climbing(obs: Any, rng: np.random.Generator, episode: int) -> int:
    """At random, or more or less with the speed."""
    random = episode % 4 == 0 or rng.random() < 0.1 * (episode % 4 - 1)
    return int(rng.integers(3)) if random else 2 * int(obs[1] >= 0)


def climbing_by_force(obs: Any, rng: np.random.Generator, episode: int) -> tuple[float]:
    """At random, or with the speed at a bound, next to it, and inside."""
    force = (0.0, 1.0, BELOW_ONE, rng.uniform(0.3, 1))[episode % 4]
    return (float(np.copysign(force, obs[1])) if force else float(rng.uniform(-1, 1)),)


def spinning_and_holding(obs: Any, rng: np.random.Generator, episode: int) -> tuple[float]:
    """At random, round and round at a bound and next to it, or up and held there."""
    cosine, sine, speed = map(float, obs)
    if episode % 4 == 0:
        return (float(rng.uniform(-2, 2)),)
    if episode % 4 < 3:
        return (float(np.copysign((2.0, 2 * BELOW_ONE)[episode % 2], speed)),)
    if cosine > 0.9:
        return (float(np.clip(-8 * np.arctan2(sine, cosine) - 2 * speed, -2, 2)),)
    return (float(np.clip(-(speed**2 / 6 + 5 * cosine - 5) * speed, -2, 2)),)


class Port(NamedTuple):
    id: str
    dynamics: Any
    policy: Callable[[Any, np.random.Generator, int], Any]
    tolerance: float  # of the state after a step; more than rounding where Gymnasium computes in float32
    low: tuple[float, ...]  # states to step from
    high: tuple[float, ...]
    events: dict[str, Callable[[Any, Any, bool], bool]]  # state, state after, terminated: what must have been met

    def __str__(self) -> str:
        return self.id


PI = np.pi
CAR = {
    "wall": lambda before, after, end: after[0] == np.float32(-1.2) or after[0] == -1.2,
    "stop": lambda before, after, end: before[1] < -0.001 and after[1] == 0,
    "far side": lambda before, after, end: after[0] > 0.3,
    "goal": lambda before, after, end: end,
}
PORTS = [
    Port(
        "CartPole-v1",
        CartPole(),
        balancing,
        1e-12,
        (-2.4, -3, -0.21, -3),
        (2.4, 3, 0.21, 3),
        {
            "pole falls": lambda before, after, end: end and abs(after[2]) > 0.2094,
            "cart leaves": lambda before, after, end: end and abs(after[0]) > 2.4,
        },
    ),
    Port(
        "Acrobot-v1",
        Acrobot(),
        swinging_up,
        1e-9,
        (-PI, -PI, -4 * PI, -9 * PI),
        (PI, PI, 4 * PI, 9 * PI),
        {
            "wrapped up": lambda before, after, end: after[1] - before[1] > 4,
            "wrapped down": lambda before, after, end: after[1] - before[1] < -4,
            "first speed limit": lambda before, after, end: abs(after[2]) == 4 * PI,
            "second speed limit": lambda before, after, end: abs(after[3]) == 9 * PI,
            "tip is up": lambda before, after, end: end,
        },
    ),
    Port("MountainCar-v0", MountainCar(), climbing, 1e-12, (-1.2, -0.07), (0.6, 0.07), CAR),
    Port(
        "MountainCarContinuous-v0",
        MountainCarContinuous(),
        climbing_by_force,
        1e-7,
        (-1.2, -0.07),
        (0.6, 0.07),
        CAR,
    ),
    Port(
        "Pendulum-v1",
        Pendulum(),
        spinning_and_holding,
        1e-7,
        (-100, -8),
        (100, 8),
        {
            "many turns": lambda before, after, end: abs(after[0]) > 50,
            "speed limit": lambda before, after, end: abs(after[1]) == 8,
            "held up": lambda before, after, end: abs(after[0]) < 0.01 and abs(after[1]) < 0.01,
        },
    ),
]
NAMES = [port.id for port in PORTS]
FREE = {"MountainCar-v0": 1e-6, "MountainCarContinuous-v0": 5e-5}  # which is float32 in Gymnasium


def floats(values: Any) -> Any:
    return tuple(float(x) for x in values)


def for_gymnasium(action: Any) -> Any:
    return np.array(action, np.float32) if isinstance(action, tuple) else action


def for_port(action: Any) -> Any:
    """What an action is after it was rounded to float32."""
    return floats(np.array(action, np.float32)) if isinstance(action, tuple) else action


def some_action(dynamics: Dynamics, rng: np.random.Generator) -> Any:
    space = dynamics.action_space
    if isinstance(space, Discrete):
        return int(rng.integers(space.n))
    assert hasattr(space, "low")
    return for_port(tuple(rng.choice([a, b, rng.uniform(a, b)]) for a, b in zip(space.low, space.high, strict=True)))


@pytest.mark.parametrize("port", PORTS, ids=NAMES)
@pytest.mark.parametrize("compiled", [False, True], ids=["interpreted", "compiled"])
def test_each_step_of_whole_episodes_is_gymnasiums(port: Port, compiled: bool) -> None:
    """From Gymnasium's state, with the same action: the same state, observation, reward and end.

    The state is taken over at each step: an unstable system doubles a rounding error every few steps, so that two
    correct programs part ways within an episode. Then single steps from states all over the place.
    """
    dynamics, original, rng = port.dynamics, gymnasium.make(port.id), np.random.default_rng(1)
    inner: Any = original.unwrapped
    take_step, look = (compiled_step, compiled_observe) if compiled else (step, observe)
    limit, lengths, met = dynamics.max_episode_steps, [], set()

    def compare(before: Any, action: Any, obs: Any, reward: float, terminated: bool) -> None:
        after, our_reward, our_terminated = take_step(dynamics, before, for_port(action), 0)
        np.testing.assert_allclose(after, inner.state, rtol=0, atol=port.tolerance)
        np.testing.assert_allclose(look(dynamics, after), obs, rtol=0, atol=1e-6)
        assert our_reward == pytest.approx(reward, rel=0, abs=1e-6)
        assert bool(our_terminated) == terminated
        met.update(name for name, event in port.events.items() if event(before, floats(inner.state), terminated))

    for episode in range(EPISODES):
        obs, _ = original.reset(seed=episode)
        np.testing.assert_allclose(look(dynamics, floats(inner.state)), obs, rtol=0, atol=1e-6)
        for length in itertools.count(1):
            before, action = floats(inner.state), port.policy(obs, rng, episode)
            obs, reward, terminated, truncated, _ = original.step(for_gymnasium(action))
            compare(before, action, obs, float(reward), terminated)
            assert truncated == (length >= limit)
            if terminated or truncated:
                break
        lengths.append(length)
    assert max(lengths) == limit
    for _ in range(ANYWHERE):
        inner.reset()
        before, action = floats(rng.uniform(port.low, port.high)), some_action(dynamics, rng)
        inner.state = np.array(before)
        obs, reward, terminated, _, _ = inner.step(for_gymnasium(action))
        compare(before, action, obs, float(reward), terminated)
    assert met == set(port.events)


def test_cartpole_replays_gymnasiums_random_episodes_from_their_start() -> None:
    """Without taking over the state: errors have at most 100 steps to grow."""
    original, rng = gymnasium.make("CartPole-v1"), np.random.default_rng(2)
    for episode in range(EPISODES):
        original.reset(seed=episode)
        state = floats(original.unwrapped.state)  # type: ignore[attr-defined]
        ended = False
        while not ended:
            action = int(rng.integers(2))
            obs, _, ended, _, _ = original.step(action)
            state, _, terminated = step(CartPole(), state, action, 0)
            assert terminated == ended
            np.testing.assert_allclose(state, obs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("port", [port for port in PORTS if port.id in FREE], ids=str)
def test_the_car_replays_whole_episodes_from_their_start(port: Port) -> None:
    """It is not chaotic: without taking over the state, errors stay small up to the time limit."""
    original, rng, goals = gymnasium.make(port.id), np.random.default_rng(2), 0
    for episode in range(EPISODES // 2):
        obs, _ = original.reset(seed=episode)
        state = floats(original.unwrapped.state)  # type: ignore[attr-defined]
        ended = False
        while not ended:
            action = port.policy(obs, rng, episode)
            obs, _, at_goal, truncated, _ = original.step(for_gymnasium(action))
            state, _, terminated = step(port.dynamics, state, for_port(action), 0)
            assert terminated == at_goal
            np.testing.assert_allclose(state, obs, rtol=0, atol=FREE[port.id])
            ended, goals = at_goal or truncated, goals + at_goal
    assert goals > 5


@pytest.mark.parametrize("port", PORTS, ids=NAMES)
def test_start_states_have_gymnasiums_distribution(port: Port) -> None:
    """Kolmogorov and Smirnov's distance of two samples, below what one pair in a thousand of equal ones exceeds."""
    original: Any = gymnasium.make(port.id).unwrapped
    original.reset(seed=0)
    theirs = np.empty((STARTS, len(original.state)))
    for k in range(STARTS):
        original.reset()
        theirs[k] = original.state
    ours = np.empty_like(theirs)
    compiled_starts(port.dynamics, 3, ours)
    critical = 1.95 * np.sqrt(2 / STARTS)
    for d in range(ours.shape[1]):
        values = np.concatenate([ours[:, d], theirs[:, d]])
        below = [np.searchsorted(np.sort(sample[:, d]), values, side="right") / STARTS for sample in (ours, theirs)]
        assert np.abs(below[0] - below[1]).max() < critical
        np.testing.assert_allclose(np.ptp(ours[:, d]), np.ptp(theirs[:, d]), rtol=2e-3)
    varied = ours[:, np.ptp(ours, axis=0) > 0]
    assert np.abs(np.atleast_2d(np.corrcoef(varied.T)) - np.eye(varied.shape[1])).max() < 5 / np.sqrt(STARTS)


@pytest.mark.parametrize("port", PORTS, ids=NAMES)
def test_interpreted_and_compiled_dynamics_agree(port: Port) -> None:
    """To the last bits: compiled arithmetic may fuse a multiplication and an addition."""
    dynamics, rng, starts = port.dynamics, np.random.default_rng(4), np.empty((20, len(port.low)))
    compiled_starts(dynamics, 5, starts)
    for k in range(20):
        state: Any = reset(dynamics, fold_in(5, k))
        np.testing.assert_allclose(starts[k], state, rtol=0, atol=1e-15)
        for t in range(50):
            action = some_action(dynamics, rng)
            expected, reward, terminated = step(dynamics, state, action, t)
            after, our_reward, our_terminated = compiled_step(dynamics, state, action, t)
            np.testing.assert_allclose(after, expected, rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(compiled_observe(dynamics, state), observe(dynamics, state), rtol=0, atol=1e-15)
            assert our_reward == pytest.approx(reward, rel=1e-12, abs=1e-14)
            assert our_terminated == terminated
            state = floats(expected)


@pytest.mark.parametrize("port", PORTS, ids=NAMES)
def test_spaces_and_limits_are_gymnasiums(port: Port) -> None:
    original = gymnasium.make(port.id)
    spec, action_space, seen = original.spec, original.action_space, original.observation_space
    dynamics = port.dynamics
    assert spec is not None
    assert isinstance(seen, gymnasium.spaces.Box)
    for bound in ("low", "high"):
        np.testing.assert_allclose(getattr(dynamics.observation_space, bound), getattr(seen, bound), rtol=1e-6)
    if isinstance(action_space, gymnasium.spaces.Discrete):
        assert dynamics.action_space.n == action_space.n == len(dynamics.action_names)
    else:
        assert isinstance(action_space, gymnasium.spaces.Box)
        assert dynamics.action_space.low == floats(action_space.low)
        assert dynamics.action_space.high == floats(action_space.high)
    assert dynamics.max_episode_steps == spec.max_episode_steps
    assert getattr(dynamics, "reward_threshold", None) == spec.reward_threshold
    assert len(observe(dynamics, reset(dynamics, 0))) == dynamics.observation_space.flat_size


def test_changed_parameters_change_the_physics_without_recompiling() -> None:
    state = (0.1, 0.2, 0.05, -0.1)
    compiled_step(CartPole(), state, 1, 0)
    signatures = len(compiled_step.outer.signatures)  # type: ignore[attr-defined]
    heavier = CartPole(gravity=20.0)
    assert compiled_step(heavier, state, 1, 0)[0][3] > compiled_step(CartPole(), state, 1, 0)[0][3]
    assert len(compiled_step.outer.signatures) == signatures  # type: ignore[attr-defined]


def test_spaces_follow_the_parameters() -> None:
    assert Pendulum(max_torque=3.0).action_space.high == (3.0,)
    assert Acrobot(max_speed_2=1.0).observation_space.low[5] == -1.0
    assert CartPole(position_limit=1.0).observation_space.high[0] == 2.0
    assert MountainCar(min_position=-2.0).observation_space.low[0] == -2.0


@pytest.mark.parametrize("force", [-3.0, -1.0, 1.0, 3.0])
def test_a_force_beyond_the_bounds_pushes_as_the_bound_does(force: float) -> None:
    """As in Gymnasium: the car pays for what was asked, the pendulum for what was given."""
    for env_id, dynamics in (("MountainCarContinuous-v0", MountainCarContinuous()), ("Pendulum-v1", Pendulum())):
        original: Any = gymnasium.make(env_id).unwrapped
        original.reset(seed=1)
        before = floats(original.state)
        _, reward, _, _, _ = original.step(np.array([force], np.float32))
        after, our_reward, _ = step(dynamics, before, (force,), 0)
        np.testing.assert_allclose(after, original.state, rtol=0, atol=1e-7)
        assert our_reward == pytest.approx(reward, rel=0, abs=1e-6)


def test_make_picks_the_port_and_can_be_told_otherwise() -> None:
    assert make("CartPole-v1").compiled
    original = make("CartPole-v1", "gymnasium")
    assert not original.compiled
    port = COMPILED["CartPole-v1"]()
    for name in ("obs_size", "actions", "max_episode_steps", "reward_threshold", "max_return"):
        assert getattr(original, name) == getattr(port, name)
    assert make(original) is original
    assert not make(port, "gymnasium").compiled
    with pytest.raises(EnvError, match="'CartPole-v1' has no compiled form"):
        make(original, "compiled")
    with pytest.raises(EnvError, match="max_episode_steps must be a positive integer, not 0"):
        make(port, max_episode_steps=0)
