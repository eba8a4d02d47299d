"""Compiled rollouts to look at: of environments whose random numbers show, and of training that changes nothing."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.envs.finite_mdp import FiniteMDP, finite
from pgrad.envs.noise import Noise
from pgrad.estimators.spec import EstimatorSpec
from pgrad.kernels.jit import face_for
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.batch import copied as copied_log
from pgrad.rollouts.compiled import LOGGED, STEPS, Plan, Simulation, new_simulation, simulate
from pgrad.verify.sampling import learner_of, settings_of, train

Array = npt.NDArray[Any]

SIDES = 32  # of the dice
CHOICES = 8  # of each component of an action
OBS_SIZE = 5  # of what is observed of the dice and of the maze
LIMIT = 24  # steps of an episode at most
EPISODES, ITERATIONS, LANES = 1_100, 4, 64  # more than 4,096 episodes


def copied(batch: Batch) -> Batch:
    """Return a batch's B samples in arrays of their own."""
    size, finals = batch.reward.size, batch.final_sample.size
    return batch._replace(
        **{name: getattr(batch, name)[:, :size].copy() for name in ("obs", "mask")},
        action=batch.action[..., :size].copy(),
        **{name: getattr(batch, name).copy() for name in ("reward", "terminated", "truncated", "trajectory", "time")},
        final_obs=batch.final_obs[:, :finals].copy(),
        final_sample=batch.final_sample.copy(),
    )


def noise_batches(env: Noise, policy: MLPPolicy, seed: int, iterations: int = ITERATIONS) -> list[Batch]:
    """Return batches of whole episodes in the environment that shows its random numbers."""
    plan = Plan(EPISODES, 0, LIMIT, np.uint64(fold_in(seed, 1)))
    simulation = new_simulation(env, policy.compiled, plan, LANES, iterations * EPISODES)
    collect = face_for(simulate, env)
    return [copied(collect(simulation, policy.compiled)) for _ in range(iterations)]


def dice() -> FiniteMDP:
    """Return an environment of dice: start, next state and (with equal preferences) action.

    One more state, which three steps in a hundred lead to, is terminal. The first feature is the state's number.
    """
    states = SIDES + 1
    transition = np.full((states, SIDES, states), 0.97 / SIDES)
    transition[..., -1] = 0.03
    reward = np.arange(transition.size, dtype=np.float64).reshape(transition.shape)  # tells what happened
    obs = np.zeros((states, OBS_SIZE))
    obs[:, 0] = np.arange(states)
    start = np.append(np.full(SIDES, 1 / SIDES), 0.0)
    return finite(start, transition, reward, np.arange(states) == SIDES, obs)


def indifferent() -> MLPPolicy:
    """Return the policy that throws a die."""
    return MLPPolicy(np.zeros((OBS_SIZE + 1) * SIDES, np.float32), (OBS_SIZE, SIDES))


def maze(seed: int) -> FiniteMDP:
    """Return a random environment of seven states, the last of them terminal, and four actions, some forbidden.

    Its features are of different sizes, and one of them is zero but in a state that is rare.
    """
    rng = np.random.default_rng(seed)
    states, actions, last = 7, 4, 6
    transition = rng.dirichlet(np.ones(states), size=(states, actions))
    transition[..., last], transition[..., last - 1] = 0.1, 0.01
    transition /= transition.sum(axis=-1, keepdims=True)
    obs = rng.normal(size=(states, OBS_SIZE)) * [1.0, 2.0, 0.3, 0.0, 1.0] + [0.0, 3.0, 0.0, 0.0, -1.0]
    obs[last - 1, 3] = 3.0
    allowed = np.ones((states, actions), np.bool_)
    allowed[0, 1] = allowed[1, 0] = allowed[1, 3] = allowed[3, 2] = False
    start = np.append(np.full(last - 1, 1 / (last - 1)), [0.0, 0.0])
    reward = rng.normal(1.0, 2.0, size=transition.shape)
    return finite(start, transition, reward, np.arange(states) == last, obs, allowed)


def dice_batches(plan: Plan, lanes: int, iterations: int = ITERATIONS) -> list[Batch]:
    """Return the batches of training iterations that change nothing, with equal preferences for all actions."""
    env, policy = dice(), indifferent()
    simulation = new_simulation(env, policy.compiled, plan, lanes, iterations * EPISODES)
    return trained_batches(simulation, policy, iterations)


def trained_batches(simulation: Simulation, policy: MLPPolicy, iterations: int) -> list[Batch]:
    """Return the batches of so many training iterations at a learning rate of zero."""
    learner = learner_of(policy, MLPValue(np.zeros(OBS_SIZE + 1, np.float32), (OBS_SIZE, 1)))
    settings = settings_of(EstimatorSpec())._replace(learning_rate=0.0)
    batches = []
    for _ in range(iterations):
        before = int(simulation.lanes.counters[STEPS])
        train(settings, learner, simulation)
        batches.append(last_batch(simulation, before))
    return batches


def last_batch(simulation: Simulation, steps_before: int) -> Batch:
    """Return a copy of what the simulation's buffer holds, a batch that began after so many steps of the run."""
    buffer, plan, size = simulation.buffer, simulation.plan, int(simulation.lanes.counters[STEPS]) - steps_before
    cut = {name: getattr(buffer, name)[:size] for name in ("reward", "terminated", "truncated", "trajectory", "time")}
    finals = buffer.final_sample[: cut["truncated"].sum()]
    count = plan.episodes or simulation.lanes.steps.size
    episodes = copied_log(buffer.episodes, int(simulation.lanes.counters[LOGGED]))
    return copied(buffer._replace(**cut, final_sample=finals, num_trajectories=count, episodes=episodes))
