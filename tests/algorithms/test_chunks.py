"""A chunk of iterations in one call: where it ends, what it records, and that its length changes nothing."""

from typing import Any

import numpy as np

import pgrad
from pgrad.algorithms.iteration import FINE, METRICS, train_chunk
from pgrad.algorithms.learner import Learner, Settings
from pgrad.rollouts.compiled import LOGGED, Plan, Simulation, new_simulation
from pgrad.training.build import new_learner, settings_of

ENV = pgrad.make("CartPole-v1")
LANES, STEPS = 3, 4  # 12 environment steps an iteration
CONFIG = pgrad.Config(num_envs=LANES, num_steps=STEPS, hidden=(3,), total_steps=1000, checkpoint_every=1)


def begun(log_room: int = 100, **changes: Any) -> tuple[Settings, Learner, Simulation]:
    learner = new_learner(CONFIG, ENV, 0, LANES)
    plan = Plan(0, STEPS, 500, np.uint64(1))
    simulation = new_simulation(ENV.dynamics, learner.policy, plan, LANES, log_room)  # type: ignore[arg-type]
    return settings_of(CONFIG)._replace(num_iterations=5, **changes), learner, simulation


def rows(length: int) -> Any:
    return np.full((length, len(METRICS)), np.nan)


def test_a_chunk_is_its_iterations_one_by_one() -> None:
    together, alone = begun(), begun()
    metrics, one = rows(7), rows(1)
    assert train_chunk(*together, metrics) == (5, FINE), "the run's iterations are used up"
    for row in metrics[:5]:
        assert train_chunk(*alone, one) == (1, FINE)
        np.testing.assert_array_equal(one[0], row)
    assert np.isnan(metrics[5:]).all()
    assert metrics[:5, 0].tolist() == [12, 24, 36, 48, 60]
    assert train_chunk(*alone, one) == (0, FINE)
    np.testing.assert_array_equal(together[1].policy.network.parameters, alone[1].policy.network.parameters)


def test_a_chunk_ends_with_the_runs_steps() -> None:
    for total_steps, iterations in ((23, 2), (24, 2), (25, 3)):
        assert train_chunk(*begun(total_steps=total_steps), rows(7)) == (iterations, FINE)


def test_a_chunk_ends_where_its_log_might_not_hold_another_batch() -> None:
    """Six episodes of two steps end in an iteration, in which twelve might; each chunk begins with an empty log."""
    for log_room, iterations in ((5, 1), (6, 2), (11, 2), (12, 3)):
        settings, learner, simulation = begun(log_room)
        simulation = simulation._replace(plan=simulation.plan._replace(max_episode_steps=2))
        simulation.lanes.counters[LOGGED] = 9
        assert train_chunk(settings, learner, simulation, rows(7)) == (iterations, FINE)
        assert simulation.lanes.counters[LOGGED] == 6 * iterations


def test_checkpoints_are_the_parameters_that_an_iteration_begins_with() -> None:
    settings, learner, simulation = begun()
    for iteration in range(3):
        before = learner.policy.network.parameters.copy(), learner.critic.parameters.copy()
        assert train_chunk(settings, learner, simulation, rows(1)) == (1, FINE)
        np.testing.assert_array_equal(learner.checkpoints.policy[iteration], before[0])
        np.testing.assert_array_equal(learner.checkpoints.critic[iteration], before[1])
    assert learner.checkpoints.iteration[:3].tolist() == [0, 1, 2]
