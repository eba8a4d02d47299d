"""A value function for a policy that was trained without one."""

import numpy as np

from pgrad.diagnostics.trajectories import rolled_out
from pgrad.envs.make import Env
from pgrad.estimators.advantages import multipliers
from pgrad.estimators.gradient import value_gradient
from pgrad.estimators.spec import EstimatorSpec
from pgrad.kernels.mlp import network
from pgrad.kernels.optimizers import ADAM, ascend
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, MLPValue, initial_parameters

FIT = 0x46495400  # stream of these trajectories, distinct from the diagnosis's
EPISODES = 100
MAX_SAMPLES = 10_000  # used for the fit
STEPS, LEARNING_RATE = 300, 0.01


def fitted_value(env: Env, policy: MLPPolicy, discount: float, seed: int) -> MLPValue:
    """Fit V(s) of a policy, a network of the policy's shape, to the rewards-to-go of 100 of its episodes.

    Minimises the mean squared error with 300 steps of Adam. Targets are standardised for the fit and the last layer is
    scaled back, so that returns may be of any size.
    """
    batch = next(iter(rolled_out(env, policy, [EPISODES], fold_in(seed, FIT))))
    nothing = np.empty(0)
    returns = multipliers(EstimatorSpec(discount=discount), batch, nothing, nothing).target
    chosen = np.random.default_rng(seed).permutation(returns.size)[:MAX_SAMPLES]
    obs, target = np.ascontiguousarray(batch.obs[:, chosen]), returns[chosen]
    centre, deviation = float(target.mean()), float(target.std()) or 1.0
    sizes = (*policy.sizes[:-1], 1)
    parameters = initial_parameters(sizes, "orthogonal", 1.0, np.random.default_rng(seed))
    critic = network(parameters, sizes, policy.activation, policy.shift, policy.scale)
    moments = np.zeros((2, parameters.size), np.float32)
    for step in range(1, STEPS + 1):
        gradient, _ = value_gradient(critic, obs, (target - centre) / deviation)
        ascend(ADAM, parameters, gradient, moments, step, LEARNING_RATE, 1.0)
    fitted = MLPValue(parameters, sizes, policy.activation, shift=policy.shift, scale=policy.scale)
    weight, bias = fitted.layers[-1]
    weight *= np.float32(deviation)
    bias[:] = bias * np.float32(deviation) + np.float32(centre)
    return fitted
