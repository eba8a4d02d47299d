"""The training loop for compiled environments: the diagram, in one compiled call."""

from typing import Any

from pgrad.algorithms.learner import Learner, Settings
from pgrad.algorithms.update import FINE, improve
from pgrad.envs.dynamics import Dynamics, State
from pgrad.kernels.jit import strict
from pgrad.kernels.reductions import mean
from pgrad.rollouts.batch import Batch, Episodes
from pgrad.rollouts.compiled import LOGGED, STEPS, Lanes, Plan, rollout

Array = Any


@strict
def train_chunk(
    env: Dynamics,
    like: State,
    settings: Settings,
    plan: Plan,
    learner: Learner,
    lanes: Lanes,
    buffer: Batch,
    episodes: Episodes,
    metrics: Array,
) -> tuple[int, int]:
    """Train for up to `len(metrics)` iterations; returns how many were done and what went wrong, if anything.

    Ends early when the run's iterations or steps are used up, or when `episodes` might not hold another batch's.
    """
    lanes.counters[LOGGED] = 0
    for i in range(metrics.shape[0]):
        if learner.iteration[0] >= settings.num_iterations or lanes.counters[STEPS] >= settings.total_steps:
            return i, FINE
        logged = lanes.counters[LOGGED]
        if logged + buffer.reward.size > episodes.length.size:
            return i, FINE
        batch, num_trajectories = rollout(env, like, learner.policy, plan, lanes, buffer, episodes)
        metrics[i, 0], metrics[i, 1] = lanes.counters[STEPS], lanes.counters[LOGGED] - logged
        metrics[i, 2] = mean(episodes.episode_return[logged : lanes.counters[LOGGED]])
        status = improve(settings, learner, batch, num_trajectories, lanes.counters[STEPS], metrics[i, 3:])
        if status != FINE:
            return i, status
    return metrics.shape[0], FINE
