"""Gymnasium's vector environments leave the right batch, whatever their way of resetting."""

import threading
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import pgrad
from pgrad.kernels.heads import CategoricalHead, MultiCategoricalHead, Policy
from pgrad.kernels.mlp import network
from pgrad.kernels.random import ACTION_KEY, fold_in
from pgrad.policies.mlp import initial_parameters
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.rollout import Stopped
from pgrad.rollouts.vectorized import EnvLanes, VectorCollector
from pgrad.vector import vector_env as vector
from pgrad.vector.autoreset import Autoreset
from pgrad.vector.make import describe
from pgrad.vector.spec import Description
from pgrad.vector.vector_env import VectorEnv


def rollout(lanes: EnvLanes, actor: Any, num_steps: int = 0, episodes: int = 0) -> Batch:
    collector = VectorCollector(lanes.envs, 1, num_steps, episodes)
    collector.lanes = lanes
    return collector.collect(actor)


LENGTHS = (3, 5, 1, 4)  # of the counting environment's episodes, in turn; those of 5 steps hit its time limit


class Counting(gymnasium.Env[Any, Any]):
    """Its observation says which environment, episode and step it is; the reward is 100 · episode + step."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self) -> None:
        self.identity, self.episode, self.t = 0, -1, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.episode, self.t = self.episode + 1, 0
        return self.observation(), {}

    def observation(self) -> Any:
        return np.array([self.identity, self.episode, self.t], np.float32)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        length = LENGTHS[(self.identity + self.episode) % 4]
        ended = self.t == length
        reward = 100.0 * self.episode + self.t
        return self.observation(), reward, ended and length != 5, ended and length == 5, {}


MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


@pytest.fixture(params=MODES, ids=lambda mode: mode.name)
def counting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnvLanes]:
    """Three counting environments that reset in each of the ways."""

    def source(description: Description, seeds: list[int], *_: Any) -> tuple[Autoreset, str]:
        envs = SyncVectorEnv([Counting] * len(seeds), autoreset_mode=request.param)
        for identity, env in enumerate(envs.envs):
            env.unwrapped.identity = identity  # type: ignore[attr-defined]
        return Autoreset(envs, description.observations, description.actions, seeds[0]), "as the test wants it"

    monkeypatch.setattr(vector, "choose_backend", source)
    envs = VectorEnv(describe(Counting), 3, seed=1)
    yield EnvLanes(envs, run_key=1)
    envs.close()


def actor() -> CompiledActor:
    parameters = initial_parameters((3, 2), "uniform", 1.0, np.random.default_rng(0))
    return CompiledActor(Policy(network(parameters, (3, 2), "tanh"), CategoricalHead(1.0)))


def expected_trajectory(identity: int, steps: int) -> Iterator[tuple[int, int, bool, bool]]:
    """Episode, step, terminated, truncated of an environment's first samples."""
    episode, t = 0, 0
    for _ in range(steps):
        length = LENGTHS[(identity + episode) % 4]
        last = t + 1 == length
        yield episode, t, last and length != 5, last and length == 5
        episode, t = (episode + 1, 0) if last else (episode, t + 1)


def test_episodes_have_the_keys_of_compiled_lanes(counting: EnvLanes) -> None:
    assert counting.keys.tolist() == [fold_in(fold_in(1, n), ACTION_KEY) for n in range(3)]
    counting.restart()
    assert counting.keys.tolist() == [fold_in(fold_in(1, n), ACTION_KEY) for n in range(3, 6)]


def test_no_mode_of_resetting_loses_adds_or_mixes_a_row(counting: EnvLanes) -> None:
    """Rows of a reset never appear, final observations are seen, and cuts lie where the episodes or the batch end."""
    for _ in range(3):  # three batches in a row: a reset may fall between two
        rollout(counting, actor(), num_steps=7)
    batch = rollout(counting, actor(), num_steps=50)
    assert batch.num_trajectories == 3
    assert 100 < batch.reward.size <= 150, "some steps may only reset"
    check_rows(batch)
    for num_steps in range(2, 12):  # some of these end with an episode
        check_rows(rollout(counting, actor(), num_steps=num_steps))


def test_a_batch_may_be_one_step(counting: EnvLanes) -> None:
    batch = rollout(counting, actor(), num_steps=1)
    assert (batch.time.tolist(), batch.reward.tolist()) == ([0, 0, 0], [1.0, 1.0, 1.0])
    assert (batch.truncated | batch.terminated).all()
    assert batch.total_steps == counting.envs.total_steps == 3


def test_closing_it_closes_the_environments(counting: EnvLanes, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(counting.envs, "close", lambda: closed.append(True))
    VectorCollector(counting.envs, 1, 5).close()
    assert closed == [True]


def check_rows(batch: Batch) -> None:
    for identity in range(3):
        samples = np.flatnonzero(batch.trajectory == identity)
        np.testing.assert_array_equal(batch.obs[0, samples], identity)
        episode, t = batch.obs[1, samples].astype(int), batch.obs[2, samples].astype(int)
        history = list(expected_trajectory(identity, 500))
        start = history.index(next(row for row in history if row[:2] == (episode[0], t[0])))
        for row, b in zip(history[start:], samples, strict=False):
            at_end = b == samples[-1]
            assert (row[0], row[1]) == (batch.obs[1, b], batch.obs[2, b])
            assert batch.time[b] == row[1]
            assert batch.terminated[b] == row[2]
            assert batch.truncated[b] == (row[3] or (at_end and not row[2]))
            assert batch.reward[b] == 100 * row[0] + row[1] + 1
    check_final_observations(batch)


def check_final_observations(batch: Batch) -> None:
    """One step after the sample, in the same episode."""
    assert sorted(batch.final_sample) == sorted(np.flatnonzero(batch.truncated))
    for c, b in enumerate(batch.final_sample):
        np.testing.assert_array_equal(batch.final_obs[:, c], batch.obs[:, b] + [0, 0, 1])


def test_whole_episodes_are_whole_and_exactly_as_many_as_asked_for(counting: EnvLanes) -> None:
    for count in (8, 2, 8):  # of three environments
        batch = rollout(counting, actor(), episodes=count)
        episodes = batch.episodes
        assert batch.num_trajectories == count
        assert episodes.length.size == count
        assert set(batch.trajectory.tolist()) == set(range(count))
        assert sorted(episodes.length) == sorted(np.bincount(batch.trajectory))
        assert batch.total_steps == counting.envs.total_steps == episodes.total_steps.max()
        for trajectory in range(count):
            samples = np.flatnonzero(batch.trajectory == trajectory)
            episode = batch.obs[1, samples]
            assert (episode == episode[0]).all()
            np.testing.assert_array_equal(batch.obs[2, samples], np.arange(samples.size))
            length = LENGTHS[int(batch.obs[0, samples[0]] + episode[0]) % 4]
            assert samples.size == length
            assert batch.terminated[samples[-1]] == (length != 5)
            assert batch.truncated[samples[-1]] == (length == 5)
        check_final_observations(batch)
        returns = sorted(np.bincount(batch.trajectory, weights=batch.reward))
        np.testing.assert_array_equal(sorted(episodes.episode_return), returns)


def test_cartpoles_own_vector_environment_and_copies_of_the_single_one_have_the_same_returns() -> None:
    """A policy's mean return over 400 episodes, within four standard errors, in both and in the compiled twin."""
    parameters = initial_parameters((4, 8, 2), "uniform", 1.0, np.random.default_rng(3))
    trained = pgrad.MLPPolicy(parameters, (4, 8, 2), env="CartPole-v1")
    own = pgrad.evaluate(trained, "CartPole-v1", episodes=400, seed=1).returns
    copies = pgrad.evaluate(trained, lambda: gymnasium.make("CartPole-v1"), episodes=400, seed=2).returns
    error = np.hypot(own.std(), copies.std()) / np.sqrt(400)
    assert error > 0
    assert abs(own.mean() - copies.mean()) < 4 * error


class Corridor(gymnasium.Env[Any, Any]):
    """Three numbers to choose, and a mask that allows one of the first two's choices: the step's parity."""

    observation_space = gymnasium.spaces.Discrete(4)
    action_space = gymnasium.spaces.MultiDiscrete([2, 2])

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.t = 0
        return self.t, {"action_mask": self.allowed()}

    def allowed(self) -> Any:
        return np.array([self.t % 2 == 0, self.t % 2 == 1, True, True], np.int8)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action[0] == self.t % 2)
        self.t += 1
        return self.t, reward, self.t == 3, False, {"action_mask": self.allowed()}


def test_masks_observations_and_several_actions_reach_the_batch() -> None:
    envs = VectorEnv(describe(Corridor), 5, seed=1, vectorization="sync")
    several = MultiCategoricalHead(1.0, np.array([2, 2]), (0, 0))
    parameters = initial_parameters((4, 4), "uniform", 1.0, np.random.default_rng(0))
    batch = rollout(EnvLanes(envs, 1), CompiledActor(Policy(network(parameters, (4, 4), "tanh"), several)), 40)
    size = batch.reward.size
    assert size > 5 * 20 and batch.action.shape == (2, size) and batch.mask.shape == (4, size)
    np.testing.assert_array_equal(batch.obs, np.eye(4)[batch.time].T)
    np.testing.assert_array_equal(batch.action[0], batch.time % 2)
    np.testing.assert_array_equal(batch.mask[0], batch.time % 2 == 0)
    np.testing.assert_array_equal(batch.reward, 1.0)
    assert set(batch.action[1]) == {0, 1}


class Reserved(Corridor):
    """Says nothing of what is allowed until its first step."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return super().reset(seed=seed)[0], {}


@pytest.mark.parametrize("amount", [{"num_steps": 8}, {"episodes": 4}], ids=["steps", "episodes"])
def test_a_mask_that_begins_within_an_episode_stays_with_its_samples(amount: dict[str, int]) -> None:
    envs = VectorEnv(describe(Reserved), 3, seed=1, vectorization="sync")
    several = MultiCategoricalHead(1.0, np.array([2, 2]), (0, 0))
    parameters = initial_parameters((4, 4), "uniform", 1.0, np.random.default_rng(0))
    acting = CompiledActor(Policy(network(parameters, (4, 4), "tanh"), several))
    batch = rollout(EnvLanes(envs, 1), acting, **amount)
    assert batch.mask.shape == (4, batch.reward.size)
    for number in range(2):
        np.testing.assert_array_equal(batch.mask[number], (batch.time == 0) | (batch.time % 2 == number))


def test_a_rollout_can_be_stopped_between_two_steps() -> None:
    envs, stopping = VectorEnv(describe("CartPole-v1"), 2, seed=1), threading.Event()
    stopping.set()
    parameters = np.zeros(10, np.float32)
    zeros = CompiledActor(Policy(network(parameters, (4, 2), "tanh"), CategoricalHead(1.0)))
    with pytest.raises(Stopped):
        VectorCollector(envs, 1, num_steps=1, stopping=stopping).collect(zeros)
    assert envs.total_steps == 0
