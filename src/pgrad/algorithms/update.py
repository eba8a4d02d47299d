"""One iteration's mathematics, from a batch to new parameters: the last three lines of the loop.

    advantage = advantages(batch, ...)
    gradient  = policy_gradient(policy, batch, advantage)
    policy    = ascend(policy, gradient, ...)

Both loops, compiled and Python, call these very functions.
"""

from typing import Any, NamedTuple

import numpy as np

from pgrad.algorithms.checkpoints import keep
from pgrad.algorithms.learner import Learner, Settings
from pgrad.algorithms.needs import Omitted
from pgrad.algorithms.normalization import observe, with_scaled_rewards
from pgrad.estimators import gradient as estimate
from pgrad.estimators.advantages import Multipliers, multipliers, normaliser, weights
from pgrad.estimators.spec import OPTIMAL, VALUE, EstimatorSpec
from pgrad.kernels import optimizers
from pgrad.kernels.jit import compiled_as, strict
from pgrad.kernels.mlp import forward
from pgrad.kernels.reductions import mean, row_sum, variance, variance_of_difference
from pgrad.rollouts.batch import Batch

Array = Any

FINE, BAD_REWARD, BAD_OBS, BAD_GRADIENT, BAD_PARAMETERS, BAD_VALUES = range(6)


class Advantages(NamedTuple):
    """What advantages() makes of a batch."""

    weight: Array  # [B] Ψ_t, times γ^t where it is kept, over the normaliser
    step_weight: float  # 1 / normaliser, the weight of one step's entropy
    target: Array  # [B] what V(s_t) should have been: the return from s_t on, or its estimate by λ
    explained_variance: float  # 1 - Var(target - V) / Var(target); NaN without a critic


@strict
def values(critic: Any, obs: Array, batch: int) -> Array:
    """V(s) in float64, [batch]."""
    outputs = forward(critic, obs, batch)
    value = np.empty(batch)
    for b in range(batch):
        value[b] = outputs[0, b]
    return value


@strict
def advantages(settings: Settings, policy: Any, critic: Any, batch: Batch, num_trajectories: int) -> Advantages:
    """What multiplies the score of every sample: see estimators.weights.

    The critic is asked only with a value baseline, and the policy's scores only with the optimal one.
    """
    estimator, value, final_value = settings.estimator, np.empty(0), np.empty(0)
    if estimator.baseline == VALUE:
        value = values(critic, batch.obs, batch.reward.size)
        final_value = values(critic, batch.final_obs, batch.final_sample.size)
    multiplied = multipliers(estimator, batch, value, final_value, num_trajectories)
    overlap = np.empty((2, 0))
    if estimator.baseline == OPTIMAL:
        overlap = score_overlaps(settings.scores, policy, batch, multiplied, num_trajectories)
    return weighted(estimator, multiplied, value, batch.trajectory, overlap, num_trajectories)


@strict
def known_advantages(
    estimator: EstimatorSpec, batch: Batch, value: Array, final_value: Array, num_trajectories: int
) -> Advantages:
    """The same of values that are known, V(s) [B] and of final observations [C]; not for the optimal baseline."""
    multiplied = multipliers(estimator, batch, value, final_value, num_trajectories)
    return weighted(estimator, multiplied, value, batch.trajectory, np.empty((2, 0)), num_trajectories)


@strict
def weighted(
    estimator: EstimatorSpec, multiplied: Multipliers, value: Array, env: Array, overlap: Array, num_trajectories: int
) -> Advantages:
    """The advantages that multipliers and what the optimal baseline needs make."""
    explained = np.nan
    if estimator.baseline == VALUE:
        explained = 1.0 - variance_of_difference(multiplied.target, value) / variance(multiplied.target)
    weight = weights(estimator, multiplied, env, overlap, num_trajectories)
    return Advantages(weight, normaliser(estimator, env.size, num_trajectories), multiplied.target, explained)


def score_overlaps(needed: Any, policy: Any, batch: Batch, multiplied: Multipliers, num_trajectories: int) -> Array:
    """What the optimal baseline needs of each trajectory's scores, [2, N]; nothing, [2, 0], where it is not needed."""
    return overlaps_of(policy, batch, multiplied, num_trajectories) if needed.needed else np.empty((2, 0))


@compiled_as(score_overlaps)
def _score_overlaps_compiled(needed: Any, policy: Any, batch: Any, multiplied: Any, num_trajectories: Any) -> Any:
    if needed.instance_class is Omitted:
        return lambda needed, policy, batch, multiplied, num_trajectories: np.empty((2, 0))
    return lambda needed, policy, batch, multiplied, num_trajectories: overlaps_of(
        policy, batch, multiplied, num_trajectories
    )


@strict
def overlaps_of(policy: Any, batch: Batch, multiplied: Multipliers, num_trajectories: int) -> Array:
    """The same, needed."""
    order, first = estimate.by_trajectory(batch.trajectory, num_trajectories)
    weight = np.empty((2, batch.reward.size))
    for b in range(batch.reward.size):
        weight[0, b], weight[1, b] = multiplied.discount_power[b] * multiplied.psi[b], multiplied.discount_power[b]
    gradients = estimate.trajectory_gradients(policy, batch.obs, batch.action, batch.mask, order, first, weight)
    return estimate.overlaps(gradients[0], gradients[1])


@strict
def policy_gradient(settings: Settings, policy: Any, batch: Batch, advantage: Advantages) -> tuple[Array, float]:
    """The estimate of ∇J (plus the entropy bonus's gradient), [P], and the mean entropy in nats."""
    entropy_weight = settings.entropy_coef * advantage.step_weight
    return estimate.policy_gradient(policy, batch.obs, batch.action, batch.mask, advantage.weight, entropy_weight)


@strict
def decay(settings: Settings, iteration: int, steps: int) -> float:
    """The factor of the learning rates: 1, or what is left of the run, in iterations or in steps."""
    if not settings.linear_decay:
        return 1.0
    done = max(iteration / max(settings.num_iterations, 1), steps / max(settings.total_steps, 1))
    return max(0.0, 1.0 - done)


@strict
def ascend(
    settings: Settings, network: Any, moments: Array, before: Array, count: int, gradient: Array, learning_rate: float
) -> tuple[int, float]:
    """Clip the gradient's global norm and step along it; returns what went wrong, if anything, and the norm.

    `before` [P] is given the parameters as they are before the step. If the gradient is not finite, the step that led
    to these parameters is taken back; if the new parameters would not be, this one is.
    """
    norm = optimizers.global_norm(gradient)
    if not np.isfinite(norm):
        optimizers.copy(before, network.parameters)
        return BAD_GRADIENT, norm
    scale = min(1.0, settings.max_grad_norm / norm) if norm > 0 else 1.0
    optimizers.copy(network.parameters, before)
    optimizers.ascend(settings.optimizer, network.parameters, gradient, moments, count, learning_rate, scale)
    if not np.isfinite(optimizers.global_norm(network.parameters)):
        optimizers.copy(before, network.parameters)
        return BAD_PARAMETERS, norm
    return FINE, norm


@strict
def check_batch(batch: Batch) -> int:
    """What of a batch is not finite, if anything."""
    if not np.isfinite(mean(batch.reward)):
        return BAD_REWARD
    for row in range(batch.obs.shape[0]):
        if not np.isfinite(row_sum(batch.obs, row, batch.reward.size)):
            return BAD_OBS
    return FINE


METRICS = (
    "total_steps",
    "episodes",
    "mean_episode_return",
    "entropy",
    "gradient_norm",
    "learning_rate",
    "value_loss",
    "explained_variance",
)


@strict
def improve(
    settings: Settings, learner: Learner, batch: Batch, num_trajectories: int, steps: int, metrics: Array
) -> int:
    """One step of the policy, and of the critic if there is one, from a batch; returns what went wrong, if anything.

    `steps` counts the run's environment steps, this batch included. Fills the last five of METRICS.
    """
    status = check_batch(batch)
    if status != FINE:
        return status
    iteration = learner.iteration[0]
    factor = decay(settings, iteration, steps - batch.reward.size)
    learning_rate = settings.learning_rate * factor
    learnt = with_scaled_rewards(settings.statistics, learner.normalization, batch, settings.estimator.discount)
    advantage = advantages(settings, learner.policy, learner.critic, learnt, num_trajectories)
    gradient, entropy = policy_gradient(settings, learner.policy, batch, advantage)
    status, norm = ascend(
        settings,
        learner.policy.network,
        learner.policy_moments,
        learner.policy_before,
        iteration + 1,
        gradient,
        learning_rate,
    )
    metrics[0], metrics[1], metrics[2] = entropy, norm, learning_rate
    metrics[3], metrics[4] = np.nan, advantage.explained_variance
    if status == FINE and settings.estimator.baseline == VALUE:
        gradient, metrics[3] = estimate.value_gradient(learner.critic, batch.obs, advantage.target)
        value_rate = settings.value_learning_rate * factor
        status, _ = ascend(
            settings,
            learner.critic,
            learner.critic_moments,
            learner.critic_before,
            iteration + 1,
            gradient,
            value_rate,
        )
        status = FINE if status == FINE else BAD_VALUES
    if status == FINE:
        keep(
            learner.checkpoints,
            iteration,
            learner.policy_before,
            learner.critic_before,
            learner.normalization.shift,
            learner.normalization.scale,
            learner.normalization.reward_scale[0],
        )
        observe(settings.statistics, learner.normalization, batch)
        learner.iteration[0] += 1
    return status
