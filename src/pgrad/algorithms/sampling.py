"""The estimates of many independent batches, without learning from them: what proofs look at."""

from typing import Any

from pgrad.algorithms.iteration import advantages
from pgrad.algorithms.learner import Settings
from pgrad.estimators.gradient import policy_gradient
from pgrad.kernels.heads import Policy
from pgrad.kernels.jit import strict
from pgrad.kernels.mlp import MLP
from pgrad.kernels.random import fold_in
from pgrad.rollouts.compiled import BEGUN, LOGGED, Plan, Simulation
from pgrad.rollouts.rollout import rollout

Array = Any


@strict
def sample_estimates(settings: Settings, policy: Policy, critic: MLP, simulation: Simulation, estimates: Array) -> None:
    """Fill estimates [R, P] with the gradient estimates of R batches, each of newly begun episodes.

    The functions called are the training iteration's own.
    """
    plan, lanes = simulation.plan, simulation.lanes
    for r in range(estimates.shape[0]):
        lanes.counters[LOGGED], lanes.counters[BEGUN] = 0, 0
        key: Any = fold_in(int(plan.run_key), r)
        own = Plan(plan.episodes, plan.num_steps, plan.max_episode_steps, key)
        batch = rollout(Simulation(simulation.env, own, lanes, simulation.buffer), policy)
        advantage = advantages(settings, policy, critic, batch)
        gradient, _ = policy_gradient(policy, batch, advantage, settings.entropy_coef)
        estimates[r] = gradient
