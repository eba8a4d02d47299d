"""One iteration's mathematics for modules: algorithms.update with autograd in place of the compiled gradient.

    advantage = advantages(batch, ...)                                the same compiled functions
    gradient  = ∇_θ Σ_b [weight_b · log π(a_b | s_b) + entropy bonus]   by autograd
    policy    = ascend(policy, gradient, ...)                         torch.optimizers

Fed with the same parameters and the same batch, both give the same numbers to the precision of float32.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pgrad.algorithms.learner import Settings
from pgrad.algorithms.normalization import observe, with_scaled_rewards
from pgrad.algorithms.update import (
    BAD_VALUES,
    FINE,
    Advantages,
    check_batch,
    decay,
    known_advantages,
    weighted,
)
from pgrad.errors import PolicyError
from pgrad.estimators.advantages import Multipliers, multipliers
from pgrad.estimators.spec import OPTIMAL
from pgrad.rollouts.batch import Batch
from pgrad.torch.devices import beside, to_device, to_numpy
from pgrad.torch.learner import TorchLearner
from pgrad.torch.module_output import ActionDistribution, CustomDistribution, ModuleOutput, OutputsNotFinite
from pgrad.torch.optimizers import gradients_of, require_dependence
from pgrad.torch.policy import Inputs, TorchPolicy

Floats = npt.NDArray[np.float64]

NO_FLOATS = np.empty(0)
REPEATED, IN_COMPANY = 1e-4, 1e-2  # of log-probabilities: rounding, on a GPU too, and in a batch of another size


class Samples(NamedTuple):
    """A batch as modules see it."""

    obs: Tensor  # [B, *shape]
    action: Tensor  # [B] or [B, D], as drawn
    mask: Tensor | None  # [B, Σ counts]


def loaded(batch: Batch, inputs: Inputs) -> Samples:
    """The batch's observations, actions and masks on the device."""
    size = batch.reward.size
    drawn = np.ascontiguousarray(batch.action[..., :size].T)
    action = to_device(drawn if drawn.dtype.kind == "f" else drawn.astype(np.int64), inputs.device)
    mask = None
    if batch.mask.shape[0]:
        mask = to_device(np.ascontiguousarray(batch.mask[:, :size].T), inputs.device)
    return Samples(inputs.prepared(np.ascontiguousarray(batch.obs[:, :size].T)), action, mask)


def improve(learner: TorchLearner, batch: Batch, num_trajectories: int, steps: int, metrics: Floats) -> int:
    """One step of the modules from a batch; returns what went wrong, if anything (algorithms.update.improve).

    `steps` counts the run's environment steps, this batch included. Fills the last five of METRICS.
    """
    status = check_batch(batch)
    if status != FINE:
        return status
    settings, normalization = learner.settings, learner.normalization
    factor = decay(settings, learner.iteration, steps - batch.reward.size)
    learnt = with_scaled_rewards(settings.statistics, normalization, batch, settings.estimator.discount)
    samples = loaded(batch, learner.policy.inputs)
    output = learner.policy.forward(samples.obs)
    bonus = settings.entropy_coef > 0
    log_prob, entropy = output.distribution.log_prob_and_entropy(samples.action, samples.mask, bonus)
    require_dependence(log_prob, "the output of the policy module")
    require_finite(log_prob, output.distribution)
    value, final_value = values(learner, output, samples, batch)
    if value is not None and not torch.isfinite(value).all():
        learner.restore()
        return BAD_VALUES
    advantage = advantages(learner, learnt, log_prob, value, final_value, num_trajectories)
    objective = surrogate(settings, advantage, log_prob, entropy)
    metrics[0], metrics[3], metrics[4] = float(entropy.detach().mean()), np.nan, advantage.explained_variance
    status, metrics[1], metrics[3] = ascend(learner, objective, value, advantage.target, factor)
    metrics[2] = learner.optimizer.learning_rate
    if status == FINE:
        observe(settings.statistics, normalization, batch)
        learner.iteration += 1
    return status


def require_finite(log_prob: Tensor, output: ActionDistribution) -> None:
    """Raise OutputsNotFinite where a distribution denies what it drew itself. (Other outputs have been looked at.)"""
    if isinstance(output, CustomDistribution) and not torch.isfinite(log_prob).all():
        kind = type(output.distribution).__name__
        raise OutputsNotFinite(
            f"{kind}.log_prob() of an action that it drew is not finite",
            "for real actions between bounds, return (mean, log_std) and set squash=True: a distribution that ends in "
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
    """V(s) [B], through which a gradient flows, and V of what was observed after each truncated sample, [C]."""
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


def advantages(
    learner: TorchLearner,
    learnt: Batch,
    log_prob: Tensor,
    value: Tensor | None,
    final_value: Floats,
    num_trajectories: int,
) -> Advantages:
    """What multiplies the score of every sample, by estimators.weights; V(s) [B] is read with a value baseline only."""
    estimator = learner.settings.estimator
    known = NO_FLOATS if value is None else to_numpy(value).astype(np.float64)
    if estimator.baseline != OPTIMAL:
        return known_advantages(estimator, learnt, known, final_value, num_trajectories)
    multiplied = multipliers(estimator, learnt, known, final_value, num_trajectories)
    overlap = score_overlaps(learner, learnt, log_prob, multiplied, num_trajectories)
    return weighted(estimator, multiplied, known, learnt.trajectory, overlap, num_trajectories)


def score_overlaps(
    learner: TorchLearner, batch: Batch, log_prob: Tensor, multiplied: Multipliers, num_trajectories: int
) -> Floats:
    """What the optimal baseline needs of each trajectory's scores, [2, N]; two backward passes a trajectory."""
    overlap, optimizer = np.zeros((2, num_trajectories)), learner.optimizer
    kept = beside(multiplied.discount_power, log_prob)
    whole = beside(multiplied.discount_power * multiplied.psi, log_prob)
    for n in range(num_trajectories):
        own = to_device(np.flatnonzero(batch.trajectory == n), log_prob.device)
        g, u = (
            gradients_of((weight[own] * log_prob[own]).sum(), optimizer.parameters, keep=True)
            for weight in (whole, kept)
        )
        for g_part, u_part in zip(g, u, strict=True):
            if g_part is not None and u_part is not None:
                overlap[0, n] += float((g_part.double() * u_part.double()).sum())
                overlap[1, n] += float((u_part.double() ** 2).sum())
    return overlap


def surrogate(settings: Settings, advantage: Advantages, log_prob: Tensor, entropy: Tensor) -> Tensor:
    """Σ_b [weight_b · log π(a_b | s_b) + bonus · H(π(· | s_b))]: its gradient is the estimate of ∇J and the bonus's."""
    weight = beside(advantage.weight, log_prob)
    objective = (weight * log_prob).sum()
    if settings.entropy_coef:
        objective = objective + settings.entropy_coef * advantage.step_weight * entropy.sum()
    return objective


def ascend(
    learner: TorchLearner, objective: Tensor, value: Tensor | None, target: Floats, factor: float
) -> tuple[int, float, float]:
    """Step along the gradients; what went wrong, if anything, the policy gradient's norm, and V's mean squared error.

    With parameters in common there is one objective, less value_coef · the error; else V has its own, -½ · the error.
    """
    policy, separate = learner.optimizer, learner.value_optimizer
    if value is None:
        status, norm = policy.step(gradients_of(objective, policy.parameters), factor)
        return status, norm, np.nan
    error = (value - beside(target, value)).square().mean()
    if separate is None:
        status, norm = policy.step(gradients_of(objective - learner.value_coef * error, policy.parameters), factor)
        return status, norm, float(error.detach())
    # One pass backward for both: neither depends on the other's parameters.
    gradients = gradients_of(objective - 0.5 * error, policy.parameters + separate.parameters)
    status, norm = policy.step(gradients[: len(policy.parameters)], factor)
    if status == FINE:
        status, _ = separate.step(gradients[len(policy.parameters) :], factor)
        status = FINE if status == FINE else BAD_VALUES
    return status, norm, float(error.detach())
