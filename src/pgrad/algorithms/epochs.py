"""How an iteration uses its batch: for one gradient step, or for several epochs of steps on minibatches."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.signal_to_noise import Signal
from pgrad.estimators.advantages import Advantages
from pgrad.estimators.baselines import standardization, summarise
from pgrad.estimators.ratio import COUNTED, KL, ON_POLICY, ClippedRatio
from pgrad.kernels.jit import compiled_as, strict
from pgrad.kernels.random import fold_in
from pgrad.rollouts.batch import Batch, chosen_samples

Array = Any

ENTROPY, NORM, RATE, LOSS, TAKEN = range(5)


class Once(NamedTuple):
    """One gradient step on all samples."""

    num_epochs: int = 1
    num_minibatches: int = 1
    target_kl: float = np.inf
    clip_epsilon: float = np.inf
    clip_decay: bool = False
    value_clip_epsilon: float = np.inf


class Epochs(NamedTuple):
    """Several epochs of gradient steps, one for each of the minibatches into which the samples are shuffled."""

    num_epochs: int
    num_minibatches: int
    target_kl: float  # no further epoch once the last one's mean KL(π_old ‖ π) is above it
    clip_epsilon: float  # ε of the probability ratio; inf never clips
    clip_decay: bool  # ε decays linearly, to zero at the end of the run
    value_clip_epsilon: float  # ε of V's steps; inf never clips
    standardize: bool  # the weights of each minibatch


class Rates(NamedTuple):
    """What an iteration's steps are limited by."""

    decay: float  # that of the learning rates so far: 1 at the start
    policy: float  # learning rate
    value: float  # likewise
    clip_epsilon: float  # of the probability ratio


class Old(NamedTuple):
    """What is known of the samples before the first step; empty where it is used once."""

    log_prob: npt.NDArray[np.float32]  # [B] log π_old(a_b | s_b)
    value: npt.NDArray[np.float64]  # [B] V_old(s_b), where V's steps are clipped
    policy: npt.NDArray[np.float32]  # [P] the parameters
    critic: npt.NDArray[np.float32]  # [P']


class Passes(NamedTuple):
    """An iteration's use of its batch; the arrays of the second half are updated in place."""

    epochs: Any  # Once or Epochs
    batch: Batch
    advantage: Advantages
    old: Old
    rates: Rates
    key: Any  # of the shuffling
    order: npt.NDArray[np.int64]  # [B] the samples as they were shuffled last
    sums: npt.NDArray[np.float64]  # [3] of the last epoch: see estimators.ratio
    signal: Signal
    clipped: float  # share of the continuous actions' numbers that the bounds clipped; NaN where none can be
    totals: npt.NDArray[np.float64]  # [5] over the gradient steps: entropy, norm, length, value loss, and their number


class Step(NamedTuple):
    """The outcome of a step of the policy."""

    fault: int  # see algorithms.iteration
    norm: float  # of the gradient, before clipping
    rate: float  # learning rate; of a natural step its length, 0 where it was refused
    kl: float  # mean KL(π_old ‖ π) of a natural step; else NaN


class Part(NamedTuple):
    """The samples of one gradient step."""

    batch: Batch  # for several epochs a copy: see rollouts.batch.chosen_samples
    advantage: Advantages
    ratio: Any  # estimators.ratio.ON_POLICY or a ClippedRatio
    old_value: npt.NDArray[np.float64]


NOT_KEPT = Old(np.empty(0, np.float32), np.empty(0), np.empty(0, np.float32), np.empty(0, np.float32))


def most_steps(epochs: Any) -> int:
    """Return how many gradient steps an iteration takes, unless an epoch goes too far."""
    return int(epochs.num_epochs * epochs.num_minibatches)


@compiled_as(most_steps)
def _most_steps_compiled(epochs: Any) -> Any:
    if epochs.instance_class is Once:
        return lambda epochs: 1  # known when compiling: the loop disappears
    return lambda epochs: epochs.num_epochs * epochs.num_minibatches


def next_part(epochs: Any, passes: Passes) -> Part:
    """Return the samples of the next gradient step: all of them, or the next minibatch."""
    if isinstance(epochs, Once):
        return Part(passes.batch, passes.advantage, ON_POLICY, passes.old.value)
    return next_minibatch(passes)


@compiled_as(next_part)
def _next_part_compiled(epochs: Any, passes: Any) -> Any:
    if epochs.instance_class is Once:
        return lambda epochs, passes: Part(passes.batch, passes.advantage, ON_POLICY, passes.old.value)
    return lambda epochs, passes: next_minibatch(passes)


@strict
def next_minibatch(passes: Passes) -> Part:
    """Return copies of the next minibatch's samples, whose weights are for the mean over the minibatch."""
    epochs, old, order, done = passes.epochs, passes.old, passes.order, int(passes.totals[TAKEN])
    epoch, k = done // epochs.num_minibatches, done % epochs.num_minibatches
    if k == 0:
        shuffle(order, fold_in(passes.key, epoch))
        passes.sums[:] = 0.0
    chosen = order[order.size * k // epochs.num_minibatches : order.size * (k + 1) // epochs.num_minibatches]
    whole, scale = passes.advantage, order.size / chosen.size
    weight, target, log_prob = np.empty(chosen.size), np.empty(chosen.size), np.empty(chosen.size, np.float32)
    value = np.empty(chosen.size if old.value.size > 0 else 0)
    for m in range(chosen.size):
        weight[m], target[m] = whole.weight[chosen[m]] * scale, whole.target[chosen[m]]
        log_prob[m] = old.log_prob[chosen[m]]
    for m in range(value.size):
        value[m] = old.value[chosen[m]]
    if epochs.standardize:
        standardize(weight, whole.step_weight * scale)
    advantage = Advantages(weight, whole.step_weight * scale, target, whole.explained_variance, whole.spread)
    ratio = ClippedRatio(log_prob, passes.rates.clip_epsilon, passes.sums)
    return Part(chosen_samples(passes.batch, chosen), advantage, ratio, value)


@strict
def standardize(weight: Array, step_weight: float) -> None:
    """Give weights [M] mean 0 and standard deviation `step_weight`, in place; zeros where they do not vary."""
    whole = summarise(weight, np.zeros(weight.size, np.int32), 1)
    centre, scale = standardization(whole, np.zeros(1), True)
    for m in range(weight.size):
        weight[m] = (weight[m] - centre[0]) * scale[0] * step_weight


@strict
def shuffle(order: Array, key: Any) -> None:
    """Permute in place, with the random numbers of a key (Durstenfeld 1964)."""
    for i in range(order.size - 1, 0, -1):
        j = int(fold_in(key, i) % np.uint64(i + 1))
        order[i], order[j] = order[j], order[i]


@strict
def note(passes: Passes, entropy: float, step: Step, loss: float) -> bool:
    """Count a gradient step, and what it reports; return whether it ended an epoch that went too far."""
    passes.totals[ENTROPY] += entropy
    passes.totals[NORM] += step.norm
    passes.totals[RATE] += step.rate
    passes.totals[LOSS] += loss
    passes.totals[TAKEN] += 1.0
    if not np.isnan(step.kl):
        passes.sums[KL], passes.sums[COUNTED] = step.kl, 1.0
    epochs = passes.epochs
    if int(passes.totals[TAKEN]) % epochs.num_minibatches != 0 or epochs.target_kl == np.inf:
        return False
    return bool(passes.sums[KL] > epochs.target_kl * passes.sums[COUNTED])
