"""A compiled environment stepped from Python leaves, with the same actor, the very batches of the compiled loop."""

from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.envs.make import compiled_env
from pgrad.envs.probes import PROBES
from pgrad.kernels.heads import CategoricalHead, Policy
from pgrad.kernels.mlp import network
from pgrad.policies.mlp import initial_parameters
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import LOGGED, Plan, new_simulation
from pgrad.rollouts.compiled_stepwise import LaneCollector
from pgrad.rollouts.rollout import rollout
from pgrad.verify.recorded import maze

ENV = pgrad.make("CartPole-v1")
LANES = 6


def policy() -> Policy:
    parameters = initial_parameters((4, 8, 2), "uniform", 1.0, np.random.default_rng(2)) * np.float32(2)
    return Policy(network(parameters, (4, 8, 2), "tanh"), CategoricalHead(1.0))


def filled(batch: Batch) -> dict[str, Any]:
    """The batch's arrays without the room beside them."""
    size, finals = batch.reward.size, batch.final_sample.size
    cut = {"obs": batch.obs[:, :size], "final_obs": batch.final_obs[:, :finals], "mask": batch.mask[:, :size]}
    arrays = {**batch._asdict(), **cut, **batch.episodes._asdict()}
    del arrays["episodes"], arrays["crew"]
    return {name: np.array(value) for name, value in arrays.items()}


@pytest.mark.parametrize(("episodes", "num_steps"), [(0, 40), (9, 0), (4, 0), (1, 0)])
def test_the_batches_are_those_of_the_compiled_loop(episodes: int, num_steps: int) -> None:
    """Three in a row, over a time limit of 30 so that episodes are truncated too."""
    acting, plan = policy(), Plan(episodes, num_steps, 30, np.uint64(77))
    stepped = LaneCollector(ENV, acting.head, plan, LANES)
    simulation, truncated = new_simulation(ENV.dynamics, acting, plan, LANES), 0
    for _ in range(3):
        simulation.lanes.counters[LOGGED] = 0
        expected, ours = rollout(simulation, acting), rollout(stepped, CompiledActor(acting))
        assert ours.num_trajectories == (episodes or LANES)
        assert set(ours.trajectory.tolist()) == set(range(ours.num_trajectories))
        if episodes:
            assert (ours.time == 0).sum() == episodes, "each from its beginning"
        mine = filled(ours)
        for name, values in filled(expected).items():
            np.testing.assert_array_equal(mine[name], values, err_msg=name)
        truncated += int(expected.truncated.sum())
    assert truncated > 0
    assert stepped.total_steps == simulation.lanes.counters[1]


def test_another_collector_goes_on_where_one_was() -> None:
    def new() -> LaneCollector:
        return LaneCollector(ENV, policy().head, Plan(0, 5, 30, np.uint64(1)), LANES)

    one, other, actor = new(), new(), CompiledActor(policy())
    one.collect(actor)
    other.go_on(one.state())
    expected, ours = filled(one.collect(actor)), filled(other.collect(actor))
    for name, values in expected.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)
    assert other.total_steps == one.total_steps == 2 * 5 * LANES


def test_it_needs_a_compiled_environment() -> None:
    with pytest.raises(pgrad.EnvError, match="'CartPole-v1' has no compiled form"):
        LaneCollector(pgrad.make("CartPole-v1", "gymnasium"), policy().head, Plan(0, 5, 30, np.uint64(1)), LANES)


def test_the_log_holds_as_many_episodes_as_there_are_steps() -> None:
    env = compiled_env("constant", PROBES["constant reward"].env)
    acting = Policy(network(np.zeros(4, np.float32), (1, 2), "tanh"), CategoricalHead(1.0))
    collector = LaneCollector(env, acting.head, Plan(0, 4, 9, np.uint64(1)), 2)
    for before in (0, 8, 16):
        batch = collector.collect(CompiledActor(acting))
        assert batch.episodes.length.tolist() == [1] * 8
        assert (batch.episodes.total_steps - before).tolist() == [2, 2, 4, 4, 6, 6, 8, 8]


def test_it_records_which_actions_are_allowed() -> None:
    env = compiled_env("maze", maze(0))
    size = env.obs_size
    parameters = initial_parameters((size, 4), "uniform", 1.0, np.random.default_rng(2))
    acting, plan = Policy(network(parameters, (size, 4), "tanh"), CategoricalHead(1.0)), Plan(0, 30, 9, np.uint64(3))
    expected = rollout(new_simulation(env.dynamics, acting, plan, 2), acting)
    ours = LaneCollector(env, acting.head, plan, 2).collect(CompiledActor(acting))
    assert 0.5 < expected.mask[:, :60].mean() < 1.0
    np.testing.assert_array_equal(ours.mask[:, :60], expected.mask[:, :60])
    np.testing.assert_array_equal(ours.action, expected.action)
