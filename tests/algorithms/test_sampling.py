"""The estimates that proofs look at are those of training, each of episodes of its own."""

import math
from typing import Any

import numpy as np

from pgrad.algorithms.iteration import advantages
from pgrad.algorithms.learner import Settings
from pgrad.algorithms.sampling import sample_estimates
from pgrad.envs.cartpole import CartPole
from pgrad.estimators.gradient import policy_gradient
from pgrad.estimators.spec import EstimatorSpec
from pgrad.kernels.heads import CategoricalHead, Policy
from pgrad.kernels.mlp import network
from pgrad.kernels.optimizers import SGD
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import initial_parameters
from pgrad.rollouts.compiled import Plan, new_simulation
from pgrad.rollouts.rollout import rollout

SETTINGS = Settings(EstimatorSpec(discount=0.9), 0.01, SGD, 0.1, 0.1, math.inf, False, 10, 1000)


def test_each_batch_begins_episodes_with_a_key_of_its_own() -> None:
    sizes, count = (4, 5, 2), 3
    key = next(k for k in range(100) if all(fold_in(k, r) < 1 << 63 for r in range(count)))  # Numba takes no larger int
    policy = Policy(
        network(initial_parameters(sizes, "uniform", 1.0, np.random.default_rng(0)), sizes, "tanh"),
        CategoricalHead(1.0),
    )
    critic, estimates = (
        network(np.zeros(2, np.float32), (1, 1), "tanh"),
        np.zeros((count, policy.network.parameters.size)),
    )
    plan = Plan(3, 0, 500, np.uint64(key))
    sample: Any = sample_estimates
    sample.__wrapped__(SETTINGS, policy, critic, new_simulation(CartPole(), policy, plan, 2), estimates)
    for r in range(count):
        own = new_simulation(CartPole(), policy, plan._replace(run_key=np.uint64(fold_in(key, r))), 2)
        batch = rollout(own, policy)
        expected, _ = policy_gradient(policy, batch, advantages(SETTINGS, policy, critic, batch), SETTINGS.entropy_coef)
        np.testing.assert_array_equal(estimates[r], expected)
    assert len(np.unique(estimates, axis=0)) == count
