"""The catalogue's estimates drawn through the compiled iterations that train."""

import math

import numpy as np

from pgrad.algorithms.checkpoints import new_checkpoints
from pgrad.algorithms.iteration import METRICS
from pgrad.algorithms.learner import Learner, Settings, new_optimizer_state
from pgrad.algorithms.normalization import Normalization, new_normalization
from pgrad.algorithms.sampling import record_chunks
from pgrad.algorithms.signal_to_noise import new_signal
from pgrad.envs.finite_mdp import finite
from pgrad.estimators.spec import EstimatorSpec
from pgrad.exact.mdp import Floats
from pgrad.kernels.optimizers import SGD
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.compiled import Plan, Simulation, new_simulation
from pgrad.verify.cases import Case

MAX_LANES = 64
ENDLESS = 2**62
STEP = 1024.0  # the learning rate with which a step shows the gradient: so large that rounding θ hides nothing


def settings_of(spec: EstimatorSpec) -> Settings:
    """Return Settings for plain ascent along the estimate, STEP times it, without end; V stays as it is."""
    return Settings(spec, 0.0, SGD, STEP, 0.0, math.inf, False, ENDLESS, ENDLESS)


def learner_of(
    policy: MLPPolicy, value: MLPValue, normalization: Normalization | None = None, checkpoint_every: int = 0
) -> Learner:
    """Return a learner of these networks, whose parameters it changes in place."""
    kept = normalization or new_normalization(0, 0)
    inputs = 0 if normalization is None else normalization.shift.size
    return Learner(
        policy.compiled,
        value.network,
        new_optimizer_state(policy.parameters),
        new_optimizer_state(value.parameters),
        kept,
        np.zeros(1, np.int64),
        new_checkpoints(checkpoint_every, policy.num_parameters, value.num_parameters, inputs),
        new_signal(policy.num_parameters),
    )


def train(
    settings: Settings, learner: Learner, simulation: Simulation, chunks: int = 1, iterations: int = 1
) -> tuple[Floats, Floats]:
    """Train in chunks of so many iterations; return the parameters after each [R, P], and its metrics [R, K, ...]."""
    return _recorded(settings, learner, simulation, False, chunks, iterations)


def _recorded(
    settings: Settings, learner: Learner, simulation: Simulation, anew: bool, chunks: int, iterations: int = 1
) -> tuple[Floats, Floats]:
    parameters = np.empty((chunks, learner.policy.network.parameters.size), np.float32)
    metrics = np.full((chunks, iterations, len(METRICS)), np.nan)
    record_chunks(settings, learner, simulation, anew, parameters, metrics)
    return parameters.astype(np.float64), metrics


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
    after, _ = _recorded(settings, learner_of(policy, case.compiled_value), simulation, True, batches)
    return np.asarray((after - policy.parameters) / STEP)


def largest_z(estimates: Floats, mean: Floats) -> float:
    """Return the largest distance of a component's average from `mean`, in standard errors.

    estimates [R, P], mean [P]; rounding to float32 counts as part of the standard error
    """
    error = estimates.std(axis=0, ddof=1) / math.sqrt(len(estimates))
    rounding = 1e-6 * np.abs(estimates).max() + np.finfo(np.float64).tiny
    return float((np.abs(estimates.mean(axis=0) - mean) / (error + rounding)).max())
