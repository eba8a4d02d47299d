"""One training iteration, and a chunk of them in one compiled call."""

from typing import Any, NamedTuple

import numpy as np

from pgrad.algorithms.checkpoints import keep
from pgrad.algorithms.learner import Learner, OptimizerState, Settings
from pgrad.algorithms.normalization import observe, with_scaled_rewards
from pgrad.estimators.advantages import Advantages, Multipliers, multipliers, weighted
from pgrad.estimators.gradient import (
    by_trajectory,
    overlaps,
    policy_gradient,
    trajectory_gradients,
    value_gradient,
)
from pgrad.estimators.spec import OPTIMAL, VALUE
from pgrad.kernels import optimizers
from pgrad.kernels.heads import Policy
from pgrad.kernels.jit import Omitted, both, compiled_as, inlined, strict
from pgrad.kernels.mlp import MLP, forward
from pgrad.kernels.reductions import mean, row_sum
from pgrad.rollouts.batch import Batch, Episodes
from pgrad.rollouts.compiled import LOGGED, STEPS, Simulation
from pgrad.rollouts.rollout import rollout

Array = Any

FINE, BAD_REWARD, BAD_OBS, BAD_GRADIENT, BAD_PARAMETERS, BAD_VALUES = range(6)  # faults: what is not finite


class IterationMetrics(NamedTuple):
    """What is recorded of an iteration; a column of metrics.csv each."""

    total_steps: float  # environment steps the run has taken
    episodes: float  # that ended in the batch
    mean_episode_return: float  # of these; NaN where none ended
    entropy: float  # of the policy, nats, averaged over the batch
    gradient_norm: float  # of the policy gradient, before clipping
    learning_rate: float  # of the policy
    value_loss: float  # mean squared error of V; NaN without a value network
    explained_variance: float  # 1 - Var(target - V) / Var(target)


METRICS = IterationMetrics._fields


@inlined
def train_iteration(settings: Settings, learner: Learner, experience: Any) -> tuple[int, IterationMetrics]:
    """Act, estimate ∇J(θ), ascend; return the fault that stopped the iteration, if any, and its metrics."""
    batch = rollout(experience, learner.policy)  # act, step, record
    fault = fault_of(batch.reward, batch.obs)
    if fault != FINE:
        return fault, metrics_of(batch.total_steps, batch.episodes)
    decay = decay_after(settings, learner.iteration[0], batch.total_steps - batch.reward.size)
    scaled = with_scaled_rewards(settings.statistics, learner.normalization, batch, settings.estimator.discount)
    advantage = advantages(settings, learner.policy, learner.critic, scaled)  # Ψ: returns, baselines, GAE
    gradient, entropy = policy_gradient(learner.policy, batch, advantage, settings.entropy_coef)  # an estimate of ∇J
    rate, loss = settings.learning_rate * decay, np.nan
    fault, norm = ascend(settings, learner.policy.network, learner.policy_state, gradient, rate)  # Adam or SGD
    if fault == FINE and settings.estimator.baseline == VALUE:
        value_rate = settings.value_learning_rate * decay
        fault, loss = fit_value(settings, learner.critic, learner.critic_state, batch.obs, advantage.target, value_rate)
    if fault == FINE:
        finish_iteration(settings, learner, batch)
    return fault, metrics_of(batch.total_steps, batch.episodes, entropy, norm, rate, loss, advantage.explained_variance)


@strict
def train_chunk(settings: Settings, learner: Learner, simulation: Simulation, metrics: Array) -> tuple[int, int]:
    """Train for up to `len(metrics)` iterations; return how many were done, and the fault that ended them, if any.

    metrics [iterations, len(METRICS)] is filled row by row. The chunk ends early when the run's iterations or steps are
    used up, or when the log of episodes might not hold another batch's.
    """
    counters, log_size = simulation.lanes.counters, simulation.buffer.episodes.length.size
    counters[LOGGED] = 0
    for i in range(metrics.shape[0]):
        if learner.iteration[0] >= settings.num_iterations or counters[STEPS] >= settings.total_steps:
            return i, FINE
        if counters[LOGGED] + simulation.buffer.reward.size > log_size:
            return i, FINE
        fault, row = train_iteration(settings, learner, simulation)
        if fault != FINE:
            return i, fault
        for k in range(metrics.shape[1]):
            metrics[i, k] = row[k]
    return metrics.shape[0], FINE


@strict
def fault_of(reward: Array, obs: Array) -> int:
    """Return BAD_REWARD or BAD_OBS if rewards [B] or observations [O, ≥ B] hold NaN or infinity, else FINE."""
    if not np.isfinite(mean(reward)):
        return BAD_REWARD
    for row in range(obs.shape[0]):
        if not np.isfinite(row_sum(obs, row, reward.size)):
            return BAD_OBS
    return FINE


@strict
def decay_after(settings: Settings, iteration: int, steps: int) -> float:
    """Return the factor of the learning rates after so many iterations and environment steps."""
    if not settings.linear_decay:
        return 1.0
    done = max(iteration / max(settings.num_iterations, 1), steps / max(settings.total_steps, 1))
    return max(0.0, 1.0 - done)


@strict
def advantages(settings: Settings, policy: Policy, critic: MLP, batch: Batch) -> Advantages:
    """Return what multiplies the score of every sample: see estimators.advantages.

    The critic is asked only with a value baseline, and the policy's scores only with the optimal one.
    """
    spec, value, final_value = settings.estimator, np.empty(0), np.empty(0)
    if spec.baseline == VALUE:
        value = values(critic, batch.obs, batch.reward.size)
        final_value = values(critic, batch.final_obs, batch.final_sample.size)
    multiplied = multipliers(spec, batch, value, final_value)
    overlap = np.empty((2, 0))
    if spec.baseline == OPTIMAL:
        overlap = score_overlaps(settings.scores, policy, batch, multiplied)
    return weighted(spec, multiplied, value, batch, overlap)


@strict
def values(critic: MLP, obs: Array, count: int) -> Array:
    """Return V(s) in float64, [count], for obs [O, ≥ count]."""
    outputs = forward(critic, obs, count)
    value = np.empty(count)
    for b in range(count):
        value[b] = outputs[0, b]
    return value


def score_overlaps(included: Any, policy: Policy, batch: Batch, multiplied: Multipliers) -> Array:
    """Return g · u and ‖u‖² of each trajectory for the optimal baseline, [2, N]; [2, 0] where they are omitted."""
    return overlaps_of(policy, batch, multiplied) if included.needed else np.empty((2, 0))


@compiled_as(score_overlaps)
def _score_overlaps_compiled(included: Any, policy: Any, batch: Any, multiplied: Any) -> Any:
    if included.instance_class is Omitted:
        return lambda included, policy, batch, multiplied: np.empty((2, 0))
    return lambda included, policy, batch, multiplied: overlaps_of(policy, batch, multiplied)


@strict
def overlaps_of(policy: Policy, batch: Batch, multiplied: Multipliers) -> Array:
    """Return g · u and ‖u‖² of each trajectory, [2, N]: see estimators.baselines.optimal_baseline."""
    order, first = by_trajectory(batch.trajectory, batch.num_trajectories)
    weight, power = np.empty((2, batch.reward.size)), multiplied.discount_power
    for b in range(batch.reward.size):
        weight[0, b], weight[1, b] = power[b] * multiplied.psi[b], power[b]
    gradients = trajectory_gradients(policy, batch.obs, batch.action, batch.mask, order, first, weight)
    return overlaps(gradients[0], gradients[1])


@strict
def ascend(
    settings: Settings, network: MLP, state: OptimizerState, gradient: Array, learning_rate: float
) -> tuple[int, float]:
    """Clip the gradient's global norm and step along it; return the fault, if any, and the norm before clipping.

    If the gradient [P] is not finite, the step that led to these parameters is taken back; if the new parameters would
    not be, this one is. Clipping: Pascanu, Mikolov and Bengio (2013), algorithm 1.
    """
    norm = optimizers.global_norm(gradient)
    if not np.isfinite(norm):
        optimizers.copy(state.before, network.parameters)
        return BAD_GRADIENT, norm
    scale = min(1.0, settings.max_grad_norm / norm) if norm > 0 else 1.0
    optimizers.copy(network.parameters, state.before)
    state.steps[0] += 1
    optimizers.ascend(
        settings.optimizer, network.parameters, gradient, state.moments, state.steps[0], learning_rate, scale
    )
    if not np.isfinite(optimizers.global_norm(network.parameters)):
        optimizers.copy(state.before, network.parameters)
        return BAD_PARAMETERS, norm
    return FINE, norm


@strict
def fit_value(
    settings: Settings, critic: MLP, state: OptimizerState, obs: Array, target: Array, learning_rate: float
) -> tuple[int, float]:
    """Take one step of V towards its targets [B]; return BAD_VALUES or FINE, and the mean squared error before it."""
    gradient, loss = value_gradient(critic, obs, target)
    fault, _ = ascend(settings, critic, state, gradient, learning_rate)
    return FINE if fault == FINE else BAD_VALUES, loss


@strict
def finish_iteration(settings: Settings, learner: Learner, batch: Batch) -> None:
    """Keep the parameters that the iteration began with, if it is their turn; update running statistics; count."""
    before = learner.policy_state.before, learner.critic_state.before
    keep(learner.checkpoints, learner.iteration[0], before, learner.normalization)
    observe(settings.statistics, learner.normalization, batch)
    learner.iteration[0] += 1


@both
def metrics_of(
    total_steps: int,
    episodes: Episodes,
    entropy: float = np.nan,
    norm: float = np.nan,
    learning_rate: float = np.nan,
    value_loss: float = np.nan,
    explained_variance: float = np.nan,
) -> IterationMetrics:
    """Return the metrics of an iteration; without more than its batch has, of one that a fault stopped at once."""
    returns = episodes.episode_return
    return IterationMetrics(
        float(total_steps),
        float(returns.size),
        mean(returns),
        entropy,
        norm,
        learning_rate,
        value_loss,
        explained_variance,
    )
