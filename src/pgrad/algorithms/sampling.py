"""Training's own iterations, recorded one by one: what proofs look at."""

from typing import Any

import numpy as np

from pgrad.algorithms.iteration import train_chunk
from pgrad.algorithms.learner import Learner, Settings
from pgrad.kernels.jit import strict
from pgrad.kernels.optimizers import copy
from pgrad.kernels.random import fold_in
from pgrad.rollouts.compiled import BEGUN, Plan, Simulation

Array = Any


@strict
def record_chunks(
    settings: Settings, learner: Learner, simulation: Simulation, anew: bool, parameters: Array, metrics: Array
) -> None:
    """Fill parameters [R, P] with the policy's after each of R chunks of K training iterations; NaN where one failed.

    With `anew` each chunk starts from the same parameters, with newly begun episodes and other random numbers, so that
    the chunks are independent; otherwise they follow each other as in training. metrics [R, K, len(METRICS)] is filled.
    """
    policy, plan = learner.policy.network.parameters, simulation.plan
    start = policy.copy()
    for r in range(parameters.shape[0]):
        key: Any = plan.run_key
        if anew:
            copy(start, policy)
            simulation.lanes.counters[BEGUN] = 0
            key = fold_in(plan.run_key, r)  # type: ignore[arg-type]
        own = Plan(plan.episodes, plan.num_steps, plan.max_episode_steps, key)
        lanes, buffer = simulation.lanes, simulation.buffer
        done, _ = train_chunk(settings, learner, Simulation(simulation.env, own, lanes, buffer), metrics[r])
        for i in range(policy.size):
            parameters[r, i] = policy[i] if done == metrics.shape[1] else np.nan
    if anew:
        copy(start, policy)
