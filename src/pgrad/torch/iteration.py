"""One training iteration for modules: algorithms.iteration with autograd in place of the compiled gradient.

Given the same parameters and the same batch, both give the same numbers to the precision of float32.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pgrad.algorithms.epochs import NOT_KEPT, Epochs, Part, Passes, Rates, Step, most_steps, next_part, note
from pgrad.algorithms.iteration import (
    BAD_VALUES,
    FINE,
    IterationMetrics,
    fault_of,
    first_cause,
    metrics_of,
    rates_after,
    without_update,
)
from pgrad.algorithms.learner import Settings
from pgrad.algorithms.natural_step import NaturalStep
from pgrad.algorithms.normalization import observe, with_scaled_rewards
from pgrad.algorithms.signal_to_noise import WAITING, watch
from pgrad.errors import PolicyError
from pgrad.estimators.advantages import Advantages, Multipliers, advantages_of_values, multipliers, weighted
from pgrad.estimators.ratio import CLIPPED, COUNTED, KL, ClippedRatio
from pgrad.estimators.spec import OPTIMAL
from pgrad.kernels.random import fold_in
from pgrad.rollouts.actions import OutputsNotFinite
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.rollout import rollout
from pgrad.spaces import Box
from pgrad.torch.devices import beside, to_device, to_numpy
from pgrad.torch.learner import TorchLearner
from pgrad.torch.module_output import ActionDistribution, CustomDistribution, ModuleOutput
from pgrad.torch.natural_step import flat, natural_step
from pgrad.torch.optimizers import Gradients, gradients_of, require_dependence
from pgrad.torch.policy import TorchPolicy, require_logits
from pgrad.torch.samples import Samples, loaded

Floats = npt.NDArray[np.float64]

NO_FLOATS = np.empty(0)
REPEATED, IN_COMPANY = 1e-4, 1e-2  # of log-probabilities: rounding, on a GPU too, and in a batch of another size


def train_iteration(learner: TorchLearner, experience: Any) -> tuple[int, IterationMetrics]:
    """Act, estimate ∇J(θ), ascend; return the fault that stopped the iteration, if any, and its metrics."""
    settings, normalization = learner.settings, learner.normalization
    batch = rollout(experience, learner.actor)  # act, step, record
    fault = fault_of(batch.reward, batch.obs)
    if fault != FINE:
        return fault, without_update(batch)
    scaled = with_scaled_rewards(settings.statistics, normalization, batch, settings.estimator.discount)
    outputs = forward(learner, batch)  # log π(a|s), entropy and V(s), through which gradients flow
    advantage = advantages(learner, scaled, outputs)  # Ψ: returns, baselines, GAE
    passes = new_passes(learner, batch, advantage, outputs)
    for _ in range(most_steps(settings.epochs)):  # one, over all samples; PPO: epochs of minibatches
        part, outputs = next_samples(learner, passes, outputs)
        objective = surrogate(settings, part, outputs)  # its gradient is an estimate of ∇J
        fault, step, loss = ascend(learner, objective, part, outputs.value, passes.rates)
        if note(passes, float(outputs.entropy.detach().mean()), step, loss) or fault != FINE:
            break
    finish_iteration(learner, batch, fault)
    return fault, metrics_of(batch, passes)


class Outputs(NamedTuple):
    """What the modules say of a batch; gradients flow through the tensors."""

    log_prob: Tensor  # [B] of the actions drawn
    entropy: Tensor  # [B] nats
    value: Tensor | None  # [B] V(s), where something reads it
    final_value: Floats  # [C] V of what was observed after each truncated sample


def new_passes(learner: TorchLearner, batch: Batch, advantage: Advantages, outputs: Outputs) -> Passes:
    """Return the iteration's use of its batch, before the first gradient step: see algorithms.iteration."""
    rates = rates_after(learner.settings, learner.iteration, batch.total_steps - batch.reward.size)
    epochs, old = learner.settings.epochs, NOT_KEPT
    if isinstance(epochs, Epochs):
        value = np.empty(0)
        if outputs.value is not None and epochs.value_clip_epsilon < np.inf:
            value = to_numpy(outputs.value).astype(np.float64)
        old = NOT_KEPT._replace(log_prob=to_numpy(outputs.log_prob), value=value)
    key = np.uint64(fold_in(learner.key, learner.iteration))
    order, learner.signal.sums[WAITING] = np.arange(old.log_prob.size), 1.0
    clipped = share_clipped(learner.policy, batch.action[..., : batch.reward.size])
    return Passes(epochs, batch, advantage, old, rates, key, order, np.zeros(3), learner.signal, clipped, np.zeros(5))


def share_clipped(policy: TorchPolicy, action: npt.NDArray[Any]) -> float:
    """Return the share of the numbers of action [D, B] that the bounds clip; NaN where none can be."""
    actions = policy.actions
    if not isinstance(actions, Box) or policy.squash:
        return np.nan
    low, high = np.array([actions.low, actions.high])[:, :, None]
    return float(((action < low) | (action > high)).mean())


def next_samples(learner: TorchLearner, passes: Passes, outputs: Outputs) -> tuple[Part, Outputs]:
    """Return the samples of the next gradient step, and what the modules say of them now."""
    part = next_part(passes.epochs, passes)
    if isinstance(passes.epochs, Epochs):
        outputs = run(learner, part.batch, loaded(part.batch, learner.policy.inputs))
    return part, outputs


def finish_iteration(learner: TorchLearner, batch: Batch, fault: int) -> None:
    """Update running statistics and count, unless a fault stopped the iteration."""
    if fault == FINE:
        observe(learner.settings.statistics, learner.normalization, batch)
        learner.iteration += 1


def forward(learner: TorchLearner, batch: Batch) -> Outputs:
    """Run the modules on a batch; the first is looked at more closely. Raises PolicyError and OutputsNotFinite."""
    samples = loaded(batch, learner.policy.inputs)
    if learner.iteration == 0:
        require_same(learner.policy, samples)
        require_logits(learner.policy, samples.obs)
    return run(learner, batch, samples)


def run(learner: TorchLearner, batch: Batch, samples: Samples) -> Outputs:
    """Run the modules on a batch that is loaded. Raises PolicyError and OutputsNotFinite."""
    output = learner.policy.forward(samples.obs)
    bonus = learner.settings.entropy_coef > 0
    log_prob, entropy = output.distribution.log_prob_and_entropy(samples.action, samples.mask, bonus)
    require_dependence(log_prob, "the output of the policy module")
    require_finite(log_prob, output.distribution)
    return Outputs(log_prob, entropy, *values(learner, output, samples, batch))


def require_finite(log_prob: Tensor, output: ActionDistribution) -> None:
    """Raise OutputsNotFinite where a distribution denies what it drew itself. (Other outputs have been looked at.)"""
    if isinstance(output, CustomDistribution) and not torch.isfinite(log_prob).all():
        kind = type(output.distribution).__name__
        raise OutputsNotFinite(
            f"{kind}.log_prob() of an action that it drew is not finite",
            "for bounded continuous actions, return (mean, log_std) and set squash=True: a distribution that ends in "
            "a tanh cannot tell an action that float32 rounds to the bound",
        )


def require_same(policy: TorchPolicy, samples: Samples) -> None:
    """Raise PolicyError where a row's log-probability depends on more than the row.

    Then the policy that acts, a few rows at a time, is not the one whose gradient is taken.
    """
    half = (len(samples.obs) + 1) // 2
    mask = None if samples.mask is None else samples.mask.flip(0)[:half]
    turned = Samples(samples.obs.flip(0)[:half], samples.action.flip(0)[:half], mask)  # recurrent layers have an order
    with torch.no_grad():
        once, again, alone = (
            policy.forward(part.obs).distribution.log_prob_and_entropy(part.action, part.mask, False)[0]
            for part in (samples, samples, turned)
        )
    size, name = float(once.abs().max()), type(policy.module).__name__
    if (off := float((again - once).abs().max())) > REPEATED * size:
        raise PolicyError(
            f"{name} gives the same actions in the same states other log-probabilities in a second call, by up to "
            f"{off:.2g}: forward must neither draw random numbers (nn.Dropout is idle while training, "
            "functional.dropout is not) nor remember anything between calls"
        )
    if (off := float((alone - once.flip(0)[:half]).abs().max())) > IN_COMPANY * size:
        raise PolicyError(
            f"{name} gives the same actions in the same states other log-probabilities in half of a batch, by up to "
            f"{off:.2g}: what forward makes of a row must not depend on the other rows (batch normalisation needs its "
            "running statistics, and a recurrent layer takes the rows for one sequence)"
        )


def values(learner: TorchLearner, output: ModuleOutput, samples: Samples, batch: Batch) -> tuple[Tensor | None, Floats]:
    """Return V(s) [B], through which a gradient flows, and V of what was observed after each truncated sample, [C]."""
    critic, count = learner.value, batch.final_sample.size
    if critic is None:
        return None, NO_FLOATS
    finals = learner.policy.inputs.prepared(np.ascontiguousarray(batch.final_obs[:, :count].T))
    if output.value is None or critic.module is not None:
        value, final_value = torch.split(critic.estimate(torch.cat([samples.obs, finals])), [len(samples.obs), count])
        require_dependence(value, "the output of the value module")
        return value, to_numpy(final_value).astype(np.float64)
    require_dependence(output.value, "the value that the policy module returns")
    if count == 0:
        return output.value, NO_FLOATS
    with torch.no_grad():
        return output.value, to_numpy(critic.estimate(finals)).astype(np.float64)


def advantages(learner: TorchLearner, batch: Batch, outputs: Outputs) -> Advantages:
    """Return what multiplies the score of every sample, by estimators.advantages."""
    spec, value = learner.settings.estimator, NO_FLOATS
    if outputs.value is not None:
        value = to_numpy(outputs.value).astype(np.float64)
    if spec.baseline != OPTIMAL:
        return advantages_of_values(spec, batch, value, outputs.final_value)
    multiplied = multipliers(spec, batch, value, outputs.final_value)
    overlap = score_overlaps(learner, batch, outputs.log_prob, multiplied)
    return weighted(spec, multiplied, value, batch, overlap)


def score_overlaps(learner: TorchLearner, batch: Batch, log_prob: Tensor, multiplied: Multipliers) -> Floats:
    """Return g · u and ‖u‖² of each trajectory for the optimal baseline, [2, N]; two backward passes a trajectory."""
    overlap, parameters = np.zeros((2, batch.num_trajectories)), learner.optimizer.parameters
    power = beside(multiplied.discount_power, log_prob)
    whole = beside(multiplied.discount_power * multiplied.psi, log_prob)
    for n in range(batch.num_trajectories):
        own = to_device(np.flatnonzero(batch.trajectory == n), log_prob.device)
        g, u = (gradients_of((weight[own] * log_prob[own]).sum(), parameters, keep=True) for weight in (whole, power))
        for g_part, u_part in zip(g, u, strict=True):
            if g_part is not None and u_part is not None:
                overlap[0, n] += float((g_part.double() * u_part.double()).sum())
                overlap[1, n] += float((u_part.double() ** 2).sum())
    return overlap


def surrogate(settings: Settings, part: Part, outputs: Outputs) -> Tensor:
    """Return Σ_b [weight_b · log π(a_b | s_b) + bonus · H(π(· | s_b))]; its gradient is the estimate of ∇J.

    For samples that an earlier policy drew the first part is Σ_b min(ρ_b w_b, clip(ρ_b) w_b): see estimators.ratio.
    """
    weight = beside(part.advantage.weight, outputs.log_prob)
    if isinstance(part.ratio, ClippedRatio):
        objective = clipped(part.ratio, weight, outputs.log_prob)
    else:
        objective = (weight * outputs.log_prob).sum()
    if settings.entropy_coef:
        objective = objective + settings.entropy_coef * part.advantage.step_weight * outputs.entropy.sum()
    return objective


def clipped(ratio: ClippedRatio, weight: Tensor, log_prob: Tensor) -> Tensor:
    """Return the clipped surrogate; add to `ratio.sums` as estimators.ratio does."""
    log_ratio = log_prob - beside(ratio.log_prob, log_prob)
    rho, epsilon = log_ratio.exp(), ratio.epsilon
    with torch.no_grad():
        outside = torch.where(weight > 0, rho > 1 + epsilon, rho < 1 - epsilon)
        ratio.sums[KL] += float((rho - 1 - log_ratio).sum())
        ratio.sums[CLIPPED] += float(outside.sum())
        ratio.sums[COUNTED] += len(rho)
    return torch.minimum(rho * weight, rho.clamp(1 - epsilon, 1 + epsilon) * weight).sum()


def ascend(
    learner: TorchLearner, objective: Tensor, part: Part, value: Tensor | None, rates: Rates
) -> tuple[int, Step, float]:
    """Step along the gradients; return the fault, if any, the policy's step, and V's mean squared error.

    With shared parameters there is one objective, less value_coef · the error; else V has its own, -½ · the error.
    Where V is not finite, the steps that led to it are taken back.
    """
    policy, separate, loss = learner.optimizer, learner.value_optimizer, np.nan
    parameters = policy.parameters
    if value is not None:
        if not torch.isfinite(value).all():
            learner.restore()
            return BAD_VALUES, Step(BAD_VALUES, np.nan, np.nan, np.nan), np.nan
        loss, error = value_error(learner, value, part)
        objective = objective - (learner.value_coef if separate is None else 0.5) * error
        parameters = parameters if separate is None else parameters + separate.parameters
    gradients = gradients_of(objective, parameters)  # of both in one pass, where neither depends on the other's
    own = gradients[: len(policy.parameters)]
    if learner.signal.sums[WAITING]:
        watch(learner.signal, to_numpy(flat(own, policy.parameters).float()))
    step = step_policy(learner, part, own, rates)
    fault = step.fault
    if fault == FINE and separate is not None:
        fault, _ = separate.step(gradients[len(policy.parameters) :], rates.decay)
        for _ in range(1, learner.settings.num_value_steps):
            fault = step_value(learner, part, rates) if fault == FINE else fault
        fault = FINE if fault == FINE else BAD_VALUES
    return fault, step, loss


def step_value(learner: TorchLearner, part: Part, rates: Rates) -> int:
    """Take another step of V towards its targets; return the fault, if any."""
    assert learner.value is not None and learner.value_optimizer is not None
    value = learner.value.estimate(loaded(part.batch, learner.policy.inputs).obs)
    _, error = value_error(learner, value, part)
    optimizer = learner.value_optimizer
    return optimizer.step(gradients_of(-0.5 * error, optimizer.parameters), rates.decay)[0]


def step_policy(learner: TorchLearner, part: Part, gradients: Gradients, rates: Rates) -> Step:
    """Step along the gradients by the optimiser, or along the natural gradient."""
    if isinstance(learner.settings.step, NaturalStep):
        return natural_step(learner, part, gradients)
    fault, norm = learner.optimizer.step(gradients, rates.decay)
    return Step(first_cause(fault, part), norm, learner.optimizer.learning_rate, np.nan)


def value_error(learner: TorchLearner, value: Tensor, part: Part) -> tuple[float, Tensor]:
    """Return V's mean squared error, and the error to descend: the same, or that of clipped steps if it is larger."""
    target = beside(part.advantage.target, value)
    error = (value - target).square()
    descended = error
    if part.old_value.size:
        old, epsilon = beside(part.old_value, value), learner.settings.epochs.value_clip_epsilon
        descended = torch.maximum(error, (torch.clamp(value, old - epsilon, old + epsilon) - target).square())
    return float(error.detach().mean()), descended.mean()
