"""Every compiled environment against Gymnasium's own."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from pgrad.envs.dynamics import observe, reset, step
from pgrad.envs.registry import COMPILED, Env, make
from pgrad.kernels.jit import strict
from pgrad.kernels.random import fold_in

EPISODES = 40


@strict
def compiled_step(env: Any, state: Any, action: int, key: int) -> Any:
    return step(env, state, action, key)


@strict
def compiled_reset(env: Any, key: int) -> Any:
    return reset(env, key)


def balancing_action(obs: Any, rng: np.random.Generator) -> int:
    """Good enough to reach the time limit often, random enough to reach odd states."""
    return int(rng.integers(2)) if rng.random() < 0.1 else int(obs[2] + 0.3 * obs[3] > 0)


POLICIES = {"CartPole-v1": balancing_action}


@pytest.mark.parametrize("env", COMPILED.values(), ids=COMPILED)
@pytest.mark.parametrize("compiled", [False, True], ids=["interpreted", "compiled"])
def test_each_step_of_whole_episodes_is_gymnasiums(env: Env, compiled: bool) -> None:
    """From Gymnasium's state, with the same action: the same observation, reward and end.

    The state is taken over at each step: an unstable system doubles a rounding error every nine steps, so that two
    correct programs part ways within an episode.
    """
    dynamics, original, rng = env.dynamics, gymnasium.make(env.id), np.random.default_rng(1)
    assert dynamics is not None
    take_step = compiled_step if compiled else step
    lengths = []
    for episode in range(EPISODES):
        obs, _ = original.reset(seed=episode)
        ended, length = False, 0
        while not ended:
            state: Any = tuple(float(x) for x in original.unwrapped.state)  # type: ignore[attr-defined]
            np.testing.assert_allclose(observe(dynamics, state), obs, rtol=0, atol=1e-6)
            random = rng.random() < 0.5 and episode % 2
            action = int(rng.integers(env.actions.flat_size)) if random else POLICIES[env.id](obs, rng)
            obs, reward, terminated, truncated, _ = original.step(action)
            after, twin_reward, twin_terminated = take_step(dynamics, state, action, 0)
            length += 1
            np.testing.assert_allclose(observe(dynamics, after), obs, rtol=0, atol=1e-6)
            assert (twin_reward, bool(twin_terminated)) == (reward, terminated)
            assert truncated == (length >= (env.max_episode_steps or np.inf))
            ended = terminated or truncated
        lengths.append(length)
    assert max(lengths) == env.max_episode_steps
    assert min(lengths) < 100


def test_cartpole_replays_gymnasiums_random_episodes_from_their_start() -> None:
    """Without taking over the state: errors have at most 100 steps to grow."""
    original, dynamics, rng = gymnasium.make("CartPole-v1"), COMPILED["CartPole-v1"].dynamics, np.random.default_rng(2)
    assert dynamics is not None
    for episode in range(EPISODES):
        original.reset(seed=episode)
        state: Any = tuple(float(x) for x in original.unwrapped.state)  # type: ignore[attr-defined]
        ended = False
        while not ended:
            action = int(rng.integers(2))
            obs, _, ended, _, _ = original.step(action)
            state, _, terminated = step(dynamics, state, action, 0)
            assert terminated == ended
            np.testing.assert_allclose(state, obs, rtol=0, atol=1e-6)


def test_start_states_have_gymnasiums_distribution() -> None:
    dynamics = COMPILED["CartPole-v1"].dynamics
    assert dynamics is not None
    starts = np.array([reset(dynamics, fold_in(3, episode)) for episode in range(4000)])
    assert (np.abs(starts) <= 0.05).all()
    error = 0.1 / np.sqrt(12 * len(starts))
    assert (np.abs(starts.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(starts.std(axis=0), 0.1 / np.sqrt(12), rtol=0.05)
    assert np.abs(np.corrcoef(starts.T) - np.eye(4)).max() < 5 / np.sqrt(len(starts))


@pytest.mark.parametrize("env", COMPILED.values(), ids=COMPILED)
def test_interpreted_and_compiled_dynamics_agree(env: Env) -> None:
    """To the last bits: compiled arithmetic may fuse a multiplication and an addition in sine and cosine."""
    dynamics = env.dynamics
    assert dynamics is not None
    for key in range(20):
        state: Any = reset(dynamics, key)
        np.testing.assert_allclose(compiled_reset(dynamics, np.uint64(key)), state, rtol=0, atol=1e-17)
        for t in range(50):
            action = (key + t) % env.actions.flat_size
            expected, reward, terminated = step(dynamics, state, action, t)
            after, twin_reward, twin_terminated = compiled_step(dynamics, state, action, t)
            np.testing.assert_allclose(after, expected, rtol=1e-12, atol=1e-14)
            assert (twin_reward, twin_terminated) == (reward, terminated)
            state = expected


def test_changed_parameters_change_the_physics_without_recompiling() -> None:
    cartpole = COMPILED["CartPole-v1"].dynamics
    state = (0.1, 0.2, 0.05, -0.1)
    compiled_step(cartpole, state, 1, 0)
    signatures = len(compiled_step.outer.signatures)  # type: ignore[attr-defined]
    heavier = cartpole._replace(gravity=20.0)  # type: ignore[union-attr]
    assert compiled_step(heavier, state, 1, 0)[0][3] > compiled_step(cartpole, state, 1, 0)[0][3]
    assert len(compiled_step.outer.signatures) == signatures  # type: ignore[attr-defined]


def test_make_picks_the_twin_and_can_be_told_otherwise() -> None:
    assert make("CartPole-v1").compiled
    original = make("CartPole-v1", "gymnasium")
    assert not original.compiled
    twin = COMPILED["CartPole-v1"]
    for name in ("obs_size", "actions", "max_episode_steps", "reward_threshold", "max_return"):
        assert getattr(original, name) == getattr(twin, name)
    assert make(original) is original
