"""Estimates of J against what is known."""

import logging
import weakref
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import pgrad
from pgrad import evaluation
from pgrad.envs.make import original_of
from pgrad.experiments.statistics import interval_name
from pgrad.policies.mlp import num_parameters
from pgrad.rollouts.vectorized import EnvLanes
from pgrad.vector import select as choice
from pgrad.vector.vector_env import Step


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


def test_what_takes_long_is_said_before(caplog: pytest.LogCaptureFixture) -> None:
    for env, limit, words in (
        (Endless, None, ["'Endless' has no time limit", "after 30,000 steps", "300,000 steps", "max_episode_steps"]),
        (Endless, 200_000, ["may take 2,000,000 steps", "10 episodes of 'Endless'", "at most 200,000"]),
        (Endless, 100, []),
    ):
        caplog.clear()
        evaluation.warn_once.cache_clear()
        with caplog.at_level(logging.WARNING, "pgrad"):
            evaluation.announce(original_of(pgrad.make(env, max_episode_steps=limit)), 10)
        assert len(caplog.records) == bool(words)
        for word in words:
            assert word in caplog.text
    caplog.clear()
    evaluation.warn_once.cache_clear()
    for _ in range(2):
        evaluation.announce(original_of(pgrad.make(Endless)), 10)
    assert len(caplog.records) == 1, "not for every seed"


def test_progress_counts_episodes() -> None:
    told: list[tuple[int, int]] = []
    pgrad.evaluate(always(1), episodes=300, progress=lambda finished, total: told.append((finished, total)))
    finished = [count for count, _ in told]
    assert {total for _, total in told} == {300}
    assert finished == sorted(set(finished)) and finished[-1] == 300
    assert len(finished) > 5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_policy_of_no_numbers_has_no_return(value: float) -> None:
    for policy in (
        pgrad.MLPPolicy(np.full(10, value, np.float32), (4, 2), env="CartPole-v1"),
        pgrad.MLPPolicy(
            np.zeros(10, np.float32),
            (4, 2),
            env="CartPole-v1",
            shift=np.zeros(4, np.float32),
            scale=np.full(4, value, np.float32),
        ),
    ):
        with pytest.raises(pgrad.PolicyError, match=r"cannot be evaluated: its .* are not all finite"):
            pgrad.evaluate(policy, episodes=1)


def test_a_run_folder_and_a_file_are_policies(tmp_path: Path) -> None:
    result = pgrad.train("CartPole-v1", preset="none", seeds=2, total_steps=500, evaluation_episodes=0)
    pgrad.save(result, tmp_path / "run")
    expected = pgrad.evaluate(result.policies[0], episodes=5).returns
    for path in (tmp_path / "run", str(tmp_path / "run" / "seed-0" / "policy.safetensors")):
        np.testing.assert_array_equal(pgrad.evaluate(path, episodes=5).returns, expected)
    with pytest.raises(pgrad.RunError, match="nowhere is neither a policy file nor a run folder"):
        pgrad.evaluate(tmp_path / "nowhere")
    with pytest.raises(
        pgrad.InputError, match="a policy is an MLPPolicy, a TorchPolicy, a run folder or a policy file"
    ):
        pgrad.evaluate(result)  # type: ignore[arg-type]


def test_an_evaluation_says_how_it_was_made() -> None:
    made = pgrad.evaluate(always(1), episodes=3, seed=4, greedy=True, max_episode_steps=7)
    assert made.settings == {
        "env": "CartPole-v1",
        "evaluation_seed": 4,
        "greedy": True,
        "max_episode_steps": 7,
    }
    assert str(made) == f"mean return 7.00 [7.00, 7.00] ({interval_name(3, 'episodes')})"
    assert made.to_csv() == "return,length\n7,7\n7,7\n7,7\n"


class Counted:
    """Two environments with episodes of ten steps, whose observations are counted while anything refers to them."""

    num_envs, total_steps, mask = 2, 0, None
    resetting = np.zeros(2, np.bool_)

    def restart(self) -> None:
        self.alive: list[weakref.ref[Any]] = []
        self.most = self.time = 0
        self.obs = self.observed()

    def step(self, action: Any) -> Any:
        self.time += 1
        self.obs = self.observed()
        ended = np.full(2, self.time % 10 == 0)
        return Step(np.ones(2), ended, np.zeros(2, np.bool_), self.observed())

    def observed(self) -> Any:
        obs = np.zeros((2, 4), np.float32)
        self.alive = [*(reference for reference in self.alive if reference() is not None), weakref.ref(obs)]
        self.most = max(self.most, len(self.alive))
        return obs

    def close(self) -> None:
        pass


class Idle:
    """Always takes the first action."""

    def __call__(self, obs: Any, mask: Any, keys: Any, steps: Any) -> Any:
        return np.zeros(len(obs), np.int32)

    def env_actions(self, action: Any) -> Any:
        return action


def test_observations_are_not_kept() -> None:
    """Of whole episodes of images they would fill the memory."""
    envs = Counted()
    evaluated = evaluation.played(EnvLanes(envs, 0), Idle(), 6, 0.5)
    np.testing.assert_allclose(evaluated.returns, 2 * (1 - 0.5**10))
    assert envs.time == 30
    assert envs.most <= 6, "those of the last step and of this one"


def test_a_policy_of_an_object_asks_for_it() -> None:
    def tenfold() -> gymnasium.Env[Any, Any]:
        return gymnasium.wrappers.TransformReward(gymnasium.make("CartPole-v1"), lambda reward: 10 * float(reward))

    result = pgrad.train(tenfold, preset="none", total_steps=500, evaluation_episodes=2)
    assert result.config.env == result.policies[0].env == "TransformReward(CartPole-v1)"
    with pytest.raises(pgrad.EnvError, match=r"'TransformReward\(CartPole-v1\)'.* Pass the environment yourself"):
        pgrad.evaluate(result.policies[0])
    evaluation = pgrad.evaluate(result.policies[0], tenfold, episodes=2)
    np.testing.assert_array_equal(evaluation.returns, 10.0 * evaluation.lengths)
