"""One training iteration, and a chunk of them in one compiled call."""

from typing import Any, NamedTuple

import numpy as np

from pgrad.algorithms.checkpoints import keep
from pgrad.algorithms.epochs import (
    ENTROPY,
    LOSS,
    NORM,
    NOT_KEPT,
    RATE,
    TAKEN,
    Epochs,
    Old,
    Once,
    Part,
    Passes,
    Rates,
    Step,
    most_steps,
    next_part,
    note,
)
from pgrad.algorithms.learner import Learner, OptimizerState, Settings
from pgrad.algorithms.natural_step import NaturalStep, natural_step
from pgrad.algorithms.normalization import observe, with_scaled_rewards
from pgrad.algorithms.signal_to_noise import WAITING, signal_to_noise, watch
from pgrad.estimators.advantages import Advantages, Multipliers, multipliers, weighted
from pgrad.estimators.gradient import (
    by_trajectory,
    overlaps,
    policy_gradient,
    trajectory_gradients,
    value_gradient,
)
from pgrad.estimators.ratio import CLIPPED, COUNTED, KL, log_probs
from pgrad.estimators.spec import OPTIMAL, VALUE
from pgrad.kernels import optimizers
from pgrad.kernels.crew import ALONE, Crew
from pgrad.kernels.heads import Policy, share_clipped
from pgrad.kernels.jit import Omitted, both, compiled_as, inlined, strict
from pgrad.kernels.mlp import MLP, forward
from pgrad.kernels.random import fold_in
from pgrad.kernels.reductions import mean, row_sum
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import LOGGED, STEPS, Simulation
from pgrad.rollouts.rollout import rollout

Array = Any

# Faults: what is not finite.
FINE, BAD_REWARD, BAD_OBS, BAD_GRADIENT, BAD_PARAMETERS, BAD_VALUES, BAD_ADVANTAGES = range(7)


class IterationMetrics(NamedTuple):
    """What is recorded of an iteration; a column of metrics.csv each."""

    total_steps: float  # environment steps the run has taken
    episodes: float  # that ended in the batch
    mean_episode_return: float  # of these; NaN where none ended
    entropy: float  # of the policy, nats; this, the norm and the loss are means over the gradient steps
    gradient_norm: float  # of the policy gradient, before clipping
    learning_rate: float  # of the policy; of natural steps their length, 0 where one was refused
    value_loss: float  # mean squared error of V; NaN without a value network
    explained_variance: float  # 1 - Var(target - V) / Var(target)
    kl: float  # mean KL(π_old ‖ π): of a natural step, or of the last of several epochs, estimated by ρ - 1 - log ρ
    clip_fraction: float  # of its samples, those whose ratio was clipped
    advantage_std: float  # standard deviation of Ψ before it is standardised, in the rewards that training sees
    actions_clipped: float  # share of the continuous actions' numbers outside their bounds; NaN where none can be
    signal_to_noise: float  # of the gradient estimates, over about the last 20 iterations


METRICS = IterationMetrics._fields


@inlined
def train_iteration(settings: Settings, learner: Learner, experience: Any) -> tuple[int, IterationMetrics]:
    """Act, estimate ∇J(θ), ascend; return the fault that stopped the iteration, if any, and its metrics."""
    policy, critic = learner.policy, learner.critic
    batch = rollout(experience, policy)  # act, step, record
    fault = fault_of(batch.reward, batch.obs)
    if fault != FINE:
        return fault, without_update(batch)
    scaled = with_scaled_rewards(settings.statistics, learner.normalization, batch, settings.estimator.discount)
    advantage = advantages(settings, policy, critic, scaled)  # Ψ: returns, baselines, GAE
    passes = new_passes(settings, learner, batch, advantage)
    for _ in range(most_steps(settings.epochs)):  # one, over all samples; PPO: epochs of minibatches
        part = next_part(settings.epochs, passes)
        gradient, entropy = policy_gradient(policy, part.batch, part.advantage, settings.entropy_coef, part.ratio)
        step = ascend(settings.step, settings, learner, part, gradient, passes.rates.policy)  # Adam, F⁻¹ĝ
        fault, loss = fit_value(settings, learner, part, passes.rates.value, step.fault)
        if note(passes, entropy, step, loss) or fault != FINE:
            break
    finish_iteration(settings, learner, batch, passes.old, fault)
    return fault, metrics_of(batch, passes)


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
def rates_after(settings: Settings, iteration: int, steps: int) -> Rates:
    """Return the learning rates after so many iterations and environment steps, and how far ratios may go."""
    done = max(iteration / max(settings.num_iterations, 1), steps / max(settings.total_steps, 1))
    left, epochs = max(0.0, 1.0 - done), settings.epochs
    decay = left if settings.linear_decay else 1.0
    epsilon = epochs.clip_epsilon * (left if epochs.clip_decay else 1.0)
    return Rates(decay, settings.learning_rate * decay, settings.value_learning_rate * decay, epsilon)


def old_values(epochs: Any, learner: Learner, batch: Batch) -> Old:
    """Return what the iteration's steps are measured against; nothing for a single step."""
    return NOT_KEPT if isinstance(epochs, Once) else keep_old(epochs, learner, batch)


@compiled_as(old_values)
def _old_values_compiled(epochs: Any, learner: Any, batch: Any) -> Any:
    if epochs.instance_class is Once:
        return lambda epochs, learner, batch: NOT_KEPT
    return lambda epochs, learner, batch: keep_old(epochs, learner, batch)


@strict
def keep_old(epochs: Epochs, learner: Learner, batch: Batch) -> Old:
    """See `old_values`."""
    value = np.empty(0)
    if epochs.value_clip_epsilon < np.inf:
        value = values(learner.critic, batch.obs, batch.reward.size, batch.crew)
    policy, critic = learner.policy.network.parameters.copy(), learner.critic.parameters.copy()
    return Old(log_probs(learner.policy, batch), value, policy, critic)


@strict
def new_passes(settings: Settings, learner: Learner, batch: Batch, advantage: Advantages) -> Passes:
    """Return the iteration's use of its batch, before the first gradient step."""
    rates = rates_after(settings, learner.iteration[0], batch.total_steps - batch.reward.size)
    old = old_values(settings.epochs, learner, batch)
    order = np.arange(old.log_prob.size)
    key: Any = fold_in(int(learner.key), int(learner.iteration[0]))
    learner.signal.sums[WAITING] = 1.0
    clipped = share_clipped(learner.policy.head, batch.action, batch.reward.size)
    return Passes(
        settings.epochs, batch, advantage, old, rates, key, order, np.zeros(3), learner.signal, clipped, np.zeros(5)
    )


@strict
def advantages(settings: Settings, policy: Policy, critic: MLP, batch: Batch) -> Advantages:
    """Return what multiplies the score of every sample: see estimators.advantages.

    The critic is asked only with a value baseline, and the policy's scores only with the optimal one.
    """
    spec, value, final_value = settings.estimator, np.empty(0), np.empty(0)
    if spec.baseline == VALUE:
        value = values(critic, batch.obs, batch.reward.size, batch.crew)
        final_value = values(critic, batch.final_obs, batch.final_sample.size, batch.crew)
    multiplied = multipliers(spec, batch, value, final_value)
    overlap = np.empty((2, 0))
    if spec.baseline == OPTIMAL:
        overlap = score_overlaps(settings.scores, policy, batch, multiplied)
    return weighted(spec, multiplied, value, batch, overlap)


@strict
def values(critic: MLP, obs: Array, count: int, crew: Crew = ALONE) -> Array:
    """Return V(s) in float64, [count], for obs [O, ≥ count]."""
    outputs = forward(critic, obs, count, crew)
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


def ascend(step: Any, settings: Settings, learner: Learner, part: Part, gradient: Array, learning_rate: float) -> Step:
    """Step the policy along its gradient by the optimiser, or along the natural gradient."""
    if isinstance(step, Omitted):
        return optimizer_step(settings, learner, part, gradient, learning_rate)
    return guarded_natural_step(step, learner, part, gradient)


@compiled_as(ascend)
def _ascend_compiled(step: Any, settings: Any, learner: Any, part: Any, gradient: Any, learning_rate: Any) -> Any:
    if step.instance_class is Omitted:
        return lambda step, settings, learner, part, gradient, learning_rate: optimizer_step(
            settings, learner, part, gradient, learning_rate
        )
    return lambda step, settings, learner, part, gradient, learning_rate: guarded_natural_step(
        step, learner, part, gradient
    )


@strict
def optimizer_step(settings: Settings, learner: Learner, part: Part, gradient: Array, learning_rate: float) -> Step:
    """See `ascend`."""
    watch(learner.signal, gradient)
    fault, norm = step_along(settings, learner.policy.network, learner.policy_state, gradient, learning_rate)
    return Step(first_cause(fault, part), norm, learning_rate, np.nan)


@strict
def first_cause(fault: int, part: Part) -> int:
    """Return the fault of a step, which is BAD_ADVANTAGES where a bad gradient has it from there."""
    if fault == BAD_GRADIENT and not np.isfinite(mean(part.advantage.weight)):
        return BAD_ADVANTAGES
    return fault


@strict
def guarded_natural_step(step: NaturalStep, learner: Learner, part: Part, gradient: Array) -> Step:
    """See `ascend`. A gradient that is not finite takes the last step back, as `step_along` does."""
    watch(learner.signal, gradient)
    norm, parameters = optimizers.global_norm(gradient), learner.policy.network.parameters
    if not np.isfinite(norm):
        optimizers.copy(learner.policy_state.before, parameters)
        return Step(first_cause(BAD_GRADIENT, part), norm, 0.0, np.nan)
    optimizers.copy(parameters, learner.policy_state.before)
    length, kl = natural_step(step, learner.policy, part.batch, part.advantage.weight, gradient)
    return Step(FINE, norm, length, kl)


@strict
def step_along(
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
def fit_value(settings: Settings, learner: Learner, part: Part, learning_rate: float, fault: int) -> tuple[int, float]:
    """Step V towards its targets; return BAD_VALUES or FINE, and the mean squared error before the first step.

    Without a value baseline, and after a fault of the policy's step, nothing is done.
    """
    if fault != FINE or settings.estimator.baseline != VALUE:
        return fault, np.nan
    batch, target, epsilon, first = part.batch, part.advantage.target, settings.epochs.value_clip_epsilon, np.nan
    for k in range(settings.num_value_steps):
        gradient, loss = value_gradient(learner.critic, batch.obs, target, part.old_value, epsilon, batch.crew)
        first = loss if k == 0 else first
        fault, _ = step_along(settings, learner.critic, learner.critic_state, gradient, learning_rate)
        if fault != FINE:
            return BAD_VALUES, first
    return FINE, first


@strict
def finish_iteration(settings: Settings, learner: Learner, batch: Batch, old: Old, fault: int) -> None:
    """Keep the parameters that the iteration began with, if it is their turn; update running statistics; count.

    Nothing happens after a fault.
    """
    if fault != FINE:
        return
    policy, critic = learner.policy_state.before, learner.critic_state.before
    if old.policy.size > 0:
        policy, critic = old.policy, old.critic
    keep(learner.checkpoints, learner.iteration[0], (policy, critic), learner.normalization)
    observe(settings.statistics, learner.normalization, batch)
    learner.iteration[0] += 1


@both
def without_update(batch: Batch) -> IterationMetrics:
    """Return the metrics of an iteration that a fault stopped before its first step."""
    returns, nan = batch.episodes.episode_return, np.nan
    return IterationMetrics(
        float(batch.total_steps), float(returns.size), mean(returns), nan, nan, nan, nan, nan, nan, nan, nan, nan, nan
    )


@strict
def metrics_of(batch: Batch, passes: Passes) -> IterationMetrics:
    """Return the metrics of an iteration."""
    returns, totals, sums = batch.episodes.episode_return, passes.totals, passes.sums
    return IterationMetrics(
        float(batch.total_steps),
        float(returns.size),
        mean(returns),
        totals[ENTROPY] / totals[TAKEN],
        totals[NORM] / totals[TAKEN],
        totals[RATE] / totals[TAKEN],
        totals[LOSS] / totals[TAKEN],
        passes.advantage.explained_variance,
        sums[KL] / sums[COUNTED] if sums[COUNTED] > 0 else np.nan,
        sums[CLIPPED] / sums[COUNTED] if sums[COUNTED] > 0 else np.nan,
        passes.advantage.spread,
        passes.clipped,
        signal_to_noise(passes.signal),
    )
