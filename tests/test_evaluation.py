"""Estimates of J against what is known."""

import tracemalloc
from typing import Any

import gymnasium
import numpy as np
import pytest

import pgrad
from pgrad import evaluation
from pgrad.envs.make import original_of
from pgrad.policies.mlp import num_parameters
from pgrad.vector import select as choice


def always(action: int) -> pgrad.MLPPolicy:
    """A policy that takes one action with probability 1 up to e⁻⁵⁰."""
    parameters = np.zeros(num_parameters((4, 2)), np.float32)
    parameters[8 + action] = 50.0
    return pgrad.MLPPolicy(parameters, (4, 2), env="CartPole-v1")


def test_discounted_and_undiscounted_returns_of_known_episodes() -> None:
    """Every step pays 1: an episode of T steps returns T, or (1 - γ^T) / (1 - γ)."""
    plain = pgrad.evaluate(always(1), episodes=30)
    discounted = pgrad.evaluate(always(1), episodes=30, discount=0.9)
    np.testing.assert_array_equal(plain.returns, plain.lengths)
    np.testing.assert_array_equal(plain.lengths, discounted.lengths)
    np.testing.assert_allclose(discounted.returns, (1 - 0.9**plain.lengths) / 0.1)
    assert 8 <= plain.lengths.min() <= plain.lengths.max() <= 11


def test_the_interval_covers_the_mean_and_shrinks_with_episodes() -> None:
    policy = pgrad.MLPPolicy(np.zeros(10, np.float32), (4, 2), env="CartPole-v1")
    few, many = pgrad.evaluate(policy, episodes=30).mean, pgrad.evaluate(policy, episodes=300).mean
    assert few.low < few.value < few.high
    assert many.high - many.low < 0.6 * (few.high - few.low)
    assert 18 < many.value < 27  # random play: 22.4


def test_seeds_repeat_and_differ() -> None:
    policy = pgrad.MLPPolicy(np.zeros(10, np.float32), (4, 2), env="CartPole-v1")
    first, again, other = (pgrad.evaluate(policy, episodes=20, seed=seed).returns for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_greedy_takes_the_more_probable_action() -> None:
    """Slight preferences for the way the pole leans make a greedy policy good and a sampling one nearly random."""
    parameters = np.zeros(10, np.float32)
    parameters[4:8] = [0, 0, 0.01, 0.01]
    policy = pgrad.MLPPolicy(parameters, (4, 2), env="CartPole-v1")
    assert pgrad.evaluate(policy, episodes=20, greedy=True).mean.value > 100
    assert pgrad.evaluate(policy, episodes=20).mean.value < 50


def test_what_is_wrong_is_named() -> None:
    policy = pgrad.MLPPolicy(np.zeros(10, np.float32), (4, 2))
    with pytest.raises(pgrad.ConfigError) as caught:
        pgrad.evaluate(policy, episodes=0, discount=2.0, seed=-1, max_episode_steps=0, step_timeout=0.0)
    assert len(caught.value.problems) == 6
    with pytest.raises(pgrad.EnvError, match="6 observations and 3 actions; this policy was made for 4 and 2"):
        pgrad.evaluate(policy, "Acrobot-v1")


class Endless(gymnasium.Env[Any, Any]):
    observation_space = gymnasium.spaces.Box(0, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(1, np.float32), 1.0, False, False, {}


def test_an_evaluation_that_is_soon_over_starts_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_workers(*_: Any) -> Any:
        raise AssertionError("worker processes take a second to start")

    monkeypatch.setattr(choice, "Workers", no_workers)
    monkeypatch.setattr(choice, "ROUND_TRIP_SECONDS", 0.0)
    policy = pgrad.MLPPolicy(np.zeros(10, np.float32), (4, 2))
    assert pgrad.evaluate(policy, "CartPole-v1", episodes=50).returns.size == 50
    assert pgrad.evaluate(policy, lambda: gymnasium.make("CartPole-v1"), episodes=50).returns.size == 50
    original = original_of(pgrad.make("CartPole-v1")).description
    assert original is not None and original.by_id, "Gymnasium's own vector form"


def test_episodes_that_do_not_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "LONGEST_EPISODE", 50)
    policy = pgrad.MLPPolicy(np.zeros(4, np.float32), (1, 2))
    with pytest.raises(pgrad.PgradError, match="an episode of 'Endless' has not ended after 50 steps: set max_ep"):
        pgrad.evaluate(policy, Endless, episodes=3)
    np.testing.assert_array_equal(pgrad.evaluate(policy, Endless, episodes=3, max_episode_steps=50).returns, 50.0)


class Pictures(Endless):
    observation_space = gymnasium.spaces.Box(0, 1, (100, 240))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.zeros((100, 240), np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros((100, 240), np.float32), 1.0, False, False, {}


def test_observations_are_not_kept() -> None:
    """Sixty more steps of eight environments are 46 MB of pictures: of whole episodes, a memory full of them."""
    policy = pgrad.MLPPolicy(np.zeros(2 * 24_000 + 2, np.float32), (24_000, 2))
    peaks = []
    for steps in (2, 2, 62):
        tracemalloc.start()
        try:
            pgrad.evaluate(policy, Pictures, episodes=8, max_episode_steps=steps)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[2] - peaks[1] < 5e6


def test_a_policy_of_an_object_asks_for_it() -> None:
    def tenfold() -> gymnasium.Env[Any, Any]:
        return gymnasium.wrappers.TransformReward(gymnasium.make("CartPole-v1"), lambda reward: 10 * float(reward))

    result = pgrad.train(tenfold, total_steps=500, evaluation_episodes=2)
    assert result.config.env == result.policies[0].env == "TransformReward(CartPole-v1)"
    with pytest.raises(pgrad.EnvError, match=r"cannot be made from its name.*if it was an object, pass that as env"):
        pgrad.evaluate(result.policies[0])
    evaluation = pgrad.evaluate(result.policies[0], tenfold, episodes=2)
    np.testing.assert_array_equal(evaluation.returns, 10.0 * evaluation.lengths)
