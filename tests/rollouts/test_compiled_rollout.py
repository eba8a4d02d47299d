"""What a compiled rollout records, checked by replaying it step by step in plain Python."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from pgrad.envs.cartpole import CartPole
from pgrad.envs.dynamics import observe_into
from pgrad.kernels.heads import CategoricalHead, Policy
from pgrad.kernels.mlp import BLOCK, network
from pgrad.kernels.random import ACTION_KEY, DYNAMICS_KEY, RESET_KEY, fold_in, uniform
from pgrad.policies.mlp import MLPPolicy, initial_parameters
from pgrad.policies.softmax import softmax
from pgrad.rollouts.batch import Batch, Episodes
from pgrad.rollouts.compiled import BEGUN, STEPS, Plan, Simulation, new_simulation
from pgrad.rollouts.rollout import rollout
from pgrad.spaces import Discrete, MultiDiscrete

ENV, RUN_KEY = CartPole(), 12345
NOTHING = np.empty(0, np.float32)


def small_policy() -> Policy:
    parameters = initial_parameters((4, 5, 2), "uniform", 1.0, np.random.default_rng(0))
    return Policy(network(parameters, (4, 5, 2), "tanh"), CategoricalHead(1.0))


class Roller:
    """A simulation of the small policy, whose batches are copied."""

    def __init__(self, lanes: int, episodes: int = 0, num_steps: int = 0, limit: int = 500) -> None:
        self.policy = small_policy()
        plan = Plan(episodes, num_steps, limit, np.uint64(RUN_KEY))
        self.simulation = new_simulation(ENV, self.policy, plan, lanes, log_room=100_000)
        self.lanes = self.simulation.lanes

    def __call__(self) -> Batch:
        batch = rollout(self.simulation, self.policy)
        size = batch.action.size
        copies = {name: value.copy() for name, value in batch._asdict().items() if isinstance(value, np.ndarray)}
        return batch._replace(**{**copies, "obs": batch.obs[:, :size].copy()})

    @property
    def episodes(self) -> Episodes:
        logged = int(self.lanes.counters[2])
        return Episodes(*(np.array(column[:logged]) for column in self.simulation.buffer.episodes))


def trajectory(batch: Batch, env: int) -> np.ndarray[Any, Any]:
    return np.flatnonzero(batch.trajectory == env)


def test_whole_episodes_are_replayed_exactly_by_plain_python() -> None:
    """Episode e of the run uses key fold_in(run key, e) alone, whatever lane it ran in; a batch goes on counting."""
    roller = Roller(lanes=4, episodes=11)
    policy = MLPPolicy(roller.policy.network.parameters, (4, 5, 2), "tanh")
    for first in (0, 11):
        batch = roller()
        assert batch.num_trajectories == 11
        lengths = [trajectory(batch, episode).size for episode in range(11)]
        assert sorted(batch.episodes.length) == sorted(lengths), "its own episodes, not those before"
        for episode in range(11):
            key, samples = fold_in(RUN_KEY, first + episode), trajectory(batch, episode)
            state: Any = ENV.reset(fold_in(key, RESET_KEY))
            for t, b in enumerate(samples):
                np.testing.assert_allclose(batch.obs[:, b], state, rtol=1e-6, atol=1e-7)
                drawn = (fold_in(fold_in(key, ACTION_KEY), t) >> 41) * 2.0**-23
                left = softmax(policy.logits(batch.obs[:, b]))[0]
                assert batch.action[b] == int(drawn >= left)
                state, reward, terminated = ENV.step(state, int(batch.action[b]), 0)
                assert (batch.reward[b], batch.terminated[b], batch.time[b]) == (reward, terminated, t)
            assert batch.terminated[samples[-1]]


def test_more_lanes_than_a_block_are_all_stepped() -> None:
    roller = Roller(lanes=BLOCK + 1, num_steps=2)
    batch = roller()
    first, second = np.split(batch.obs, 2, axis=1)
    assert (first != second).any(axis=0).all()
    assert (batch.reward == 1).all() and batch.time.tolist() == [0] * (BLOCK + 1) + [1] * (BLOCK + 1)


def test_every_begun_episode_is_finished_so_that_short_ones_are_not_favoured() -> None:
    """The first 12 episodes are the same 12 whether they run side by side or one after another; only their order in the
    batch differs. Stopping at the first 12 finished of many would pick the shorter ones."""
    wide, narrow = Roller(lanes=12, episodes=12), Roller(lanes=1, episodes=12)
    batch, other = wide(), narrow()
    for episode in range(12):
        first, second = trajectory(batch, episode), trajectory(other, episode)
        np.testing.assert_array_equal(batch.obs[:, first], other.obs[:, second])
        np.testing.assert_array_equal(batch.action[first], other.action[second])
    assert sorted(wide.episodes.length) == sorted(narrow.episodes.length)
    assert batch.action.size == wide.episodes.length.sum() == wide.lanes.counters[STEPS]


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("lanes", [1, 3, 12])
def test_each_batch_is_of_the_policy_as_it_is_then(lanes: int, normalised: bool) -> None:
    """Also with few lanes, for whom a wide layer's weights are kept a second time, transposed."""
    inputs = [np.float32(numbers) for numbers in ([0.1, 0, 0, -0.2], [3, 0.5, 9, 1])] if normalised else [NOTHING] * 2
    parameters = [initial_parameters((4, 16, 2), "uniform", 1.0, np.random.default_rng(seed)) * 5 for seed in (0, 1)]
    acting = Policy(network(parameters[0].copy(), (4, 16, 2), "tanh", *inputs), CategoricalHead(1.0))
    simulation = new_simulation(ENV, acting, Plan(5, 0, 500, np.uint64(RUN_KEY)), lanes, log_room=100)
    for first, numbers in zip((0, 5), parameters, strict=True):
        acting.network.parameters[:] = numbers
        batch, policy = rollout(simulation, acting), MLPPolicy(numbers, (4, 16, 2), shift=inputs[0], scale=inputs[1])
        left = policy.probabilities(batch.obs[:, : batch.action.size].T)[:, 0]
        keys = [fold_in(fold_in(RUN_KEY, first + n), ACTION_KEY) for n in batch.trajectory]
        drawn = [(fold_in(key, t) >> 41) * 2.0**-23 for key, t in zip(keys, batch.time, strict=True)]
        np.testing.assert_array_equal(batch.action, (drawn >= left).astype(int))


def test_fixed_steps_carry_on_from_batch_to_batch() -> None:
    """Four batches of 8 steps are one of 32, but for the cuts at their ends."""
    short, long = Roller(lanes=3, num_steps=8), Roller(lanes=3, num_steps=32)
    parts, whole = [short() for _ in range(4)], long()
    for name in ("action", "reward", "terminated", "trajectory", "time"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    np.testing.assert_array_equal(np.concatenate([part.obs for part in parts], axis=1), whole.obs)


@pytest.mark.parametrize("limit", [500, 7])
def test_cut_trajectories_keep_what_was_observed_last(limit: int) -> None:
    """Every truncated sample, by the limit or the batch's end, has its final observation; no other sample has."""
    roller = Roller(lanes=3, num_steps=40, limit=limit)
    batch = roller()
    assert not (batch.truncated & batch.terminated).any()
    assert sorted(batch.final_sample) == sorted(np.flatnonzero(batch.truncated))
    for c, b in enumerate(batch.final_sample):
        state: Any = tuple(float(x) for x in batch.obs[:, b])
        after, _, _ = ENV.step(state, int(batch.action[b]), 0)
        np.testing.assert_allclose(batch.final_obs[:, c], after, rtol=1e-5, atol=1e-6)
    for env in range(3):
        samples = trajectory(batch, env)
        assert batch.truncated[samples[-1]] or batch.terminated[samples[-1]]
    by_limit = batch.truncated & (batch.time == limit - 1)
    assert by_limit.any() == (limit == 7)


def test_time_restarts_and_the_log_agrees_with_the_batch() -> None:
    roller = Roller(lanes=3, num_steps=200, limit=30)
    batch = roller()
    lengths, steps = [], []
    for env in range(3):
        length = 0
        for b in trajectory(batch, env):
            assert batch.time[b] == length
            length += 1
            if batch.terminated[b] or (batch.truncated[b] and length == 30):
                lengths.append(length)
                steps.append(3 * (b // 3 + 1))  # of all three lanes
                length = 0
    assert sorted(lengths) == sorted(roller.episodes.length)
    assert sorted(steps) == roller.episodes.total_steps.tolist()
    np.testing.assert_array_equal(roller.episodes.episode_return, roller.episodes.length)


class Clock(NamedTuple):
    """Shows the time, in whole numbers and an alarm that is no integer in its state, and forbids the second action at
    odd times. The reward is noise; the reset chooses whether the episode has two, four, six or eight steps."""

    observation_space = MultiDiscrete((3, 2))
    action_space = Discrete(2)
    max_episode_steps = 7

    def reset(self, key: int) -> Any:
        return 0, 0.0, 2 + 2 * int(uniform(key, 0, 0.0, 3.99))

    def step(self, state: Any, action: int, key: int) -> Any:
        time = int(state[0]) + 1
        return (time, float(time % 2), state[2]), uniform(key, 0), time == state[2]

    def observe(self, state: Any) -> Any:
        return int(state[0]) % 3, state[1]

    def mask(self, state: Any) -> Any:
        return True, int(state[0]) % 2 == 0


def clocks(plan: Plan, lanes: int) -> tuple[Simulation, Policy]:
    policy = Policy(network(np.zeros(12, np.float32), (5, 2), "tanh"), CategoricalHead(1.0))
    return new_simulation(Clock(), policy, plan, lanes), policy


def test_whole_numbers_are_observed_one_hot_and_masks_obeyed() -> None:
    simulation, policy = clocks(Plan(0, 20, 7, np.uint64(RUN_KEY)), 2)
    batch = rollout(simulation, policy)
    time = np.asarray(batch.time)
    assert set(time.tolist()) == set(range(7))
    expected = np.concatenate([np.eye(3)[time % 3], np.eye(2)[time % 2]], axis=1)
    np.testing.assert_array_equal(batch.obs.T, expected)
    np.testing.assert_array_equal(batch.mask.T, np.stack([time >= 0, time % 2 == 0], axis=1))
    assert not batch.action[time % 2 == 1].any() and batch.action.any()
    written = np.full((5, 1), 9.0, np.float32)
    observe_into(Clock(), (4, 0.0, 6), written, 0)
    assert written.ravel().tolist() == [0, 1, 0, 1, 0], "in plain Python too"


def test_lanes_beyond_a_block_observe_and_act_by_themselves() -> None:
    lanes = BLOCK + 8
    simulation, policy = clocks(Plan(0, 2, 7, np.uint64(RUN_KEY)), lanes)
    batch = rollout(simulation, policy)
    time = np.repeat([0, 1], lanes)
    np.testing.assert_array_equal(batch.obs.T, np.concatenate([np.eye(3)[time], np.eye(2)[time]], axis=1))
    bits = [fold_in(fold_in(fold_in(RUN_KEY, n), ACTION_KEY), 0) for n in range(lanes)]
    assert batch.action[:lanes].tolist() == [int(b >> 63) for b in bits], "of two equally probable actions"
    assert not batch.action[lanes:].any(), "the other one is forbidden"


@pytest.mark.parametrize("begun", [0, 1 << 12, 1 << 16, 1 << 31, 1 << 40])
def test_an_episode_keeps_its_noise_in_every_lane_and_no_two_of_a_run_share_any(begun: int) -> None:
    """Four lanes move about as the last of 20 episodes end; the run has begun so many episodes before.

    An episode that ends by itself in the step of the time limit has terminated and is not truncated.
    """
    simulation, policy = clocks(Plan(20, 0, 6, np.uint64(RUN_KEY)), 4)
    simulation.lanes.counters[BEGUN] = begun
    batch = rollout(simulation, policy)
    ends = set()
    for episode in range(20):
        key, samples = fold_in(RUN_KEY, begun + episode), trajectory(batch, episode)
        noise = [uniform(fold_in(fold_in(key, DYNAMICS_KEY), t), 0) for t in range(samples.size)]
        assert batch.reward[samples].tolist() == noise
        end = Clock().reset(fold_in(key, RESET_KEY))[2]
        assert samples.size == min(end, 6)
        assert batch.terminated[samples].tolist() == [False] * (samples.size - 1) + [end <= 6]
        assert batch.truncated[samples].tolist() == [False] * (samples.size - 1) + [end > 6]
        ends.add(end)
    assert ends == {2, 4, 6, 8}
    returns = [sum(batch.reward[trajectory(batch, episode)].tolist()) for episode in range(20)]
    assert sorted(batch.episodes.episode_return) == sorted(returns)
