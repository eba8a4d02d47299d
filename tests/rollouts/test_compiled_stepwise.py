"""A compiled environment stepped from Python leaves, with the same actor, the very batches of the compiled loop."""

import threading
from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.kernels.heads import CategoricalHead, Policy
from pgrad.kernels.mlp import network
from pgrad.policies.mlp import initial_parameters
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import LOGGED, Plan, new_buffer, new_episodes, new_lanes, rollout
from pgrad.rollouts.compiled_stepwise import SteppedLanes

ENV = pgrad.make("CartPole-v1")
LANES = 6


def policy() -> Policy:
    parameters = initial_parameters((4, 8, 2), "uniform", 1.0, np.random.default_rng(2)) * np.float32(2)
    return Policy(network(parameters, (4, 8, 2), "tanh"), CategoricalHead(1.0))


def filled(batch: Batch) -> dict[str, Any]:
    """The batch's arrays without the room beside them."""
    size, finals = batch.reward.size, batch.final_sample.size
    cut = {"obs": batch.obs[:, :size], "final_obs": batch.final_obs[:, :finals], "mask": batch.mask[:, :size]}
    return {name: np.array(value) for name, value in {**batch._asdict(), **cut}.items()}


@pytest.mark.parametrize(("episodes", "num_steps"), [(0, 40), (9, 0), (4, 0)])
def test_the_batches_are_those_of_the_compiled_loop(episodes: int, num_steps: int) -> None:
    """Three in a row, over a time limit of 30 so that episodes are truncated too."""
    acting, plan = policy(), Plan(episodes, num_steps, 30, np.uint64(77))
    stepped = SteppedLanes(ENV, acting.head, plan, LANES)
    lanes, samples = new_lanes(ENV.dynamics, acting, LANES), 30 * 9 * LANES
    buffer, log = new_buffer(4, ENV.actions, samples, samples), new_episodes(samples)
    truncated = 0
    for _ in range(3):
        lanes.counters[LOGGED] = 0
        expected, num_envs = rollout(ENV.dynamics, (0.0,) * 4, acting, plan, lanes, buffer, log)
        rolled = stepped.rollout(CompiledActor(acting))
        assert rolled is not None
        assert rolled[1] == num_envs == (episodes or LANES)
        ours, theirs = filled(rolled[0]), filled(expected)
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values, err_msg=name)
        truncated += int(expected.truncated.sum())
        logged = int(lanes.counters[LOGGED])
        for mine, other in zip(rolled[2], log, strict=True):
            np.testing.assert_array_equal(mine, other[:logged])
    assert truncated > 0
    assert stepped.total_steps == lanes.counters[1]


def test_it_can_be_stopped_between_two_steps() -> None:
    stopping = threading.Event()
    stopping.set()
    stepped = SteppedLanes(ENV, policy().head, Plan(0, 5, 30, np.uint64(1)), LANES)
    assert stepped.rollout(CompiledActor(policy()), stopping) is None
    assert stepped.total_steps == 0


def test_it_needs_a_compiled_environment() -> None:
    with pytest.raises(pgrad.EnvError, match="'CartPole-v1' has no compiled form"):
        SteppedLanes(pgrad.make("CartPole-v1", "gymnasium"), policy().head, Plan(0, 5, 30, np.uint64(1)), LANES)
