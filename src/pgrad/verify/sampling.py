"""The catalogue's estimates drawn through the compiled rollouts and kernels that train."""

import math

import numpy as np

from pgrad.algorithms.learner import Settings
from pgrad.algorithms.sampling import sample_estimates
from pgrad.envs.finite_mdp import finite
from pgrad.estimators.spec import EstimatorSpec
from pgrad.exact.mdp import Floats
from pgrad.kernels.optimizers import SGD
from pgrad.kernels.random import fold_in
from pgrad.rollouts.compiled import Plan, new_simulation
from pgrad.verify.cases import Case

MAX_LANES = 64


def settings_of(spec: EstimatorSpec) -> Settings:
    """Return Settings of which only the estimator is read."""
    return Settings(spec, 0.0, SGD, 0.0, 0.0, math.inf, False, 0, 0)


def sampled(
    case: Case, spec: EstimatorSpec, batches: int, seed: int, episodes: int = 0, num_envs: int = 0, num_steps: int = 0
) -> Floats:
    """Draw estimates from independent batches of whole episodes, or of environments × steps; [batches, P]."""
    problem, policy = case.problem, case.compiled_policy
    env = finite(problem.start, problem.transition, problem.reward, problem.terminal, case.obs)
    limit, key = problem.time_limit or problem.num_states, np.uint64(fold_in(seed, 0))
    num_lanes = min(MAX_LANES, episodes) or num_envs
    simulation = new_simulation(env, policy.compiled, Plan(episodes, num_steps, limit, key), num_lanes)
    settings = settings_of(spec._replace(discount=problem.discount))
    estimates = np.empty((batches, policy.num_parameters), np.float32)
    sample_estimates(settings, policy.compiled, case.compiled_value.network, simulation, estimates)
    return estimates.astype(np.float64)


def largest_z(estimates: Floats, mean: Floats) -> float:
    """Return the largest distance of a component's average from `mean`, in standard errors.

    estimates [R, P], mean [P]; rounding to float32 counts as part of the standard error
    """
    error = estimates.std(axis=0, ddof=1) / math.sqrt(len(estimates))
    rounding = 1e-6 * np.abs(estimates).max() + np.finfo(np.float64).tiny
    return float((np.abs(estimates.mean(axis=0) - mean) / (error + rounding)).max())
