"""The estimates of many independent batches, without learning from them: what proofs look at.

The functions called are the training loop's own (algorithms.loop, algorithms.update).
"""

from typing import Any

from pgrad.algorithms.learner import Settings
from pgrad.algorithms.update import advantages, policy_gradient
from pgrad.envs.dynamics import Dynamics, State
from pgrad.kernels.heads import Policy
from pgrad.kernels.jit import strict
from pgrad.kernels.mlp import MLP
from pgrad.kernels.random import fold_in
from pgrad.rollouts.batch import Batch, Episodes
from pgrad.rollouts.compiled import BEGUN, LOGGED, Lanes, Plan, rollout

Array = Any


@strict
def sample_estimates(
    env: Dynamics,
    like: State,
    settings: Settings,
    plan: Plan,
    policy: Policy,
    critic: MLP,
    lanes: Lanes,
    buffer: Batch,
    episodes: Episodes,
    estimates: Array,
) -> None:
    """Fill estimates [R, P] with the gradient estimates of R batches, each of newly begun episodes."""
    for r in range(estimates.shape[0]):
        lanes.counters[LOGGED], lanes.counters[BEGUN] = 0, 0
        key: Any = fold_in(int(plan.run_key), r)
        one = Plan(plan.episodes, plan.num_steps, plan.max_episode_steps, key)
        batch, num_trajectories = rollout(env, like, policy, one, lanes, buffer, episodes)
        advantage = advantages(settings, policy, critic, batch, num_trajectories)
        gradient, _ = policy_gradient(settings, policy, batch, advantage)
        estimates[r] = gradient
