"""Every head's gradient of log π and entropy, through the compiled network, against finite differences in float64."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.estimators.advantages import Advantages
from pgrad.estimators.gradient import policy_gradient
from pgrad.exact.mdp import Floats
from pgrad.kernels.heads import NO_MASK
from pgrad.policies.distributions import (
    BETA,
    GAUSSIAN,
    GSDE,
    STATE_DEPENDENT,
    STATE_INDEPENDENT,
    distribution_of,
    gsde_log_std,
    num_extra,
    num_outputs,
)
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Batch
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space
from pgrad.verify import formulas
from pgrad.verify.check import Check

OBS_SIZE = 5
SAMPLES = 600  # more than a block of kernels.mlp
NUMBERS = Box((-1.0, 0.0, -3.0), (1.0, 3.0, -1.0))
SEVERAL = MultiDiscrete((2, 4, 3))
FLOAT32 = 1e-5  # a hundred roundings
LEAST_STD = 3e-4  # likewise where σ may be e⁻⁵: (u - μ) / σ is off by e⁵ times as much as μ, for |μ| ≤ 1 by 1e-5 each
KINK = 1e-3
FLOAT64 = 1e-9
BONUS = 0.3


class Head(NamedTuple):
    """One kind of policy, and where its log σ lies if the network gives it."""

    name: str
    actions: Space
    std: str = STATE_INDEPENDENT
    squash: bool = False
    temperature: float = 1.0
    log_std: tuple[float, ...] = ()  # [D] about which log σ varies by ± 0.3 from state to state; of gSDE, each log σ_id
    masked: bool = False
    hidden: tuple[int, ...] = (7,)
    activation: str = "tanh"
    action_distribution: str = GAUSSIAN


SHARP = (30.0, 5.0, -4.0)  # of a Beta, b in place of log σ
INSIDE, AT_BOUNDS, BEYOND = (-1.0, 0.0, 0.7), (-5.0, 2.0, 0.0), (-8.0, 4.0, 2.5)
HEADS = (
    Head("softmax", Discrete(4), hidden=()),
    Head("softmax, τ = 0.6", Discrete(4), temperature=0.6, hidden=(6, 5)),
    Head("softmax, masked, τ = 1.7", Discrete(4), temperature=1.7, masked=True, activation="relu"),
    Head("MultiDiscrete", SEVERAL, hidden=()),
    Head("MultiDiscrete, masked, τ = 0.6", SEVERAL, temperature=0.6, masked=True, hidden=(6, 5), activation="relu"),
    Head("Gaussian", NUMBERS, hidden=(6, 5)),
    Head("Gaussian, σ of the state within its bounds", NUMBERS, STATE_DEPENDENT, log_std=INSIDE),
    Head("Gaussian, σ of the state at its bounds", NUMBERS, STATE_DEPENDENT, log_std=AT_BOUNDS),
    Head("Gaussian, σ of the state beyond its bounds", NUMBERS, STATE_DEPENDENT, log_std=BEYOND),
    Head("squashed Gaussian", NUMBERS, squash=True, activation="relu"),
    Head("squashed Gaussian, σ of the state within its bounds", NUMBERS, STATE_DEPENDENT, True, log_std=INSIDE),
    Head("squashed Gaussian, σ of the state at its bounds", NUMBERS, STATE_DEPENDENT, True, log_std=AT_BOUNDS),
    Head("squashed Gaussian, σ of the state beyond its bounds", NUMBERS, STATE_DEPENDENT, True, log_std=BEYOND),
    Head("gSDE", NUMBERS, GSDE, hidden=(6, 5)),
    Head("gSDE, σ beyond its bounds", NUMBERS, GSDE, log_std=BEYOND),
    Head("squashed gSDE", NUMBERS, GSDE, squash=True, activation="relu"),
    Head("Beta", NUMBERS, STATE_DEPENDENT, hidden=(6, 5), action_distribution=BETA),
    Head("Beta, far from even", NUMBERS, STATE_DEPENDENT, log_std=SHARP, activation="relu", action_distribution=BETA),
)


def head_checks(seed: int) -> Iterator[Check]:
    """Yield checks of each head's gradient and entropy in the kernels that train."""
    for head in HEADS:
        policy, batch = policy_of(head, seed), batch_of(head, seed)
        for bonus, what in ((0.0, "∇ log π"), (BONUS, "∇ log π with an entropy bonus, and the entropy")):
            weight = np.random.default_rng(seed).normal(size=SAMPLES)
            found = policy_gradient(policy.compiled, batch, Advantages(weight, 1.0, np.empty(0), np.nan), bonus)
            expected = formulas.policy_gradient(policy, batch, weight, bonus)
            narrow = head.action_distribution == GAUSSIAN and min(head.log_std, default=0.0) < INSIDE[0]
            tolerance = LEAST_STD if narrow else FLOAT32
            yield Check(f"{head.name}: {what}", deviation(policy, weight, found, expected), tolerance)


def distribution_checks(seed: int) -> Iterator[Check]:
    """Yield checks of log π and entropy as Python gives them (policies.distributions), without compiled code."""
    for head in HEADS:
        yield Check(f"{head.name}: log π and entropy in Python", as_python_sees_it(head, seed), FLOAT64)


def policy_of(head: Head, seed: int, obs_size: int = OBS_SIZE) -> MLPPolicy:
    """Return a random policy whose log σ, if the network gives it, is where the head says."""
    rng, outputs = np.random.default_rng(seed), num_outputs(head.actions, head.std)
    sizes = (obs_size, *head.hidden, outputs)
    layers = [rng.normal(scale=0.7 / np.sqrt(a), size=(b, a + 1)) for a, b in itertools.pairwise(sizes)]
    if head.log_std and head.std == STATE_DEPENDENT:
        parts = len(head.log_std)
        layers[-1][parts:, :-1] *= 0.3 / np.sqrt((layers[-1][parts:, :-1] ** 2).sum(axis=1, keepdims=True))
        layers[-1][parts:, -1] = head.log_std
    flat = [part for layer in layers for part in (layer[:, :-1].ravel(), layer[:, -1])]
    extra = rng.normal(scale=0.5, size=num_extra(head.actions, head.std, obs_size))
    if head.log_std and head.std == GSDE:
        extra += np.tile(head.log_std, obs_size + 1)
    theta = np.concatenate([*flat, extra]).astype(np.float32)
    return MLPPolicy(
        theta,
        sizes,
        head.activation,
        head.temperature,
        actions=head.actions,
        std=head.std,
        squash=head.squash,
        action_distribution=head.action_distribution,
    )


def batch_of(head: Head, seed: int) -> Batch:
    """Return samples with actions that NumPy draws: of the policy's distribution, or of the allowed choices."""
    rng, policy = np.random.default_rng(seed + 1), policy_of(head, seed)
    theta, mask = policy.parameters.astype(np.float64), NO_MASK
    obs = rng.normal(size=(OBS_SIZE, 2 * SAMPLES)).astype(np.float32)
    obs = np.compress(smooth(policy, theta, obs), obs, axis=1)[:, :SAMPLES].copy()
    if head.action_distribution == BETA:
        x = rng.beta(*formulas.concentrations(policy, formulas.head_outputs(policy, theta, obs)))
        action = (np.log(x / (1 - x)) / 2).astype(np.float32)
    elif isinstance(head.actions, Box):
        mean, log_std = formulas.mean_and_log_std(policy, theta, formulas.head_outputs(policy, theta, obs))
        action = (mean + np.exp(log_std) * rng.normal(size=mean.shape)).astype(np.float32)
    else:
        counts = head.actions.counts
        parts = [rng.permuted(np.arange(n)[:, None] >= rng.integers(1, n, SAMPLES), axis=0) for n in counts]
        allowed = [part if head.masked else np.ones_like(part) for part in parts]
        action = np.array([(rng.random(part.shape) * part).argmax(axis=0) for part in allowed], np.int32)
        action = action[0] if isinstance(head.actions, Discrete) else action
        mask = np.concatenate(allowed) if head.masked else NO_MASK
    ends, zeros = np.zeros(SAMPLES, np.bool_), np.zeros(SAMPLES, np.int32)
    reward, finals = np.zeros(SAMPLES), np.empty(0, np.int64)
    return Batch(obs, action, reward, ends, ends, zeros, zeros, obs[:, :0].copy(), finals, 1, mask)


def smooth(policy: MLPPolicy, theta: Floats, obs: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return which observations are far enough from every kink, of a ReLU or at a bound of log σ, to have a slope."""
    *hidden, _ = formulas.layers(policy, theta, obs)
    kinks = [np.abs(units) for units in hidden if policy.activation == "relu"]
    if policy.std != STATE_INDEPENDENT and policy.action_distribution == GAUSSIAN:
        log_std = formulas.head_outputs(policy, theta, obs)[policy.actions.flat_size :]
        kinks += [np.abs(log_std - bound) for bound in formulas.LOG_STD_BOUNDS]
    return np.asarray(np.all(np.concatenate([np.ones((1, obs.shape[1])), *kinks]) > KINK, axis=0))


def deviation(policy: MLPPolicy, weight: Floats, found: tuple[Floats, float], expected: tuple[Floats, float]) -> float:
    """Return the largest relative error of the mean entropy and of the gradient's parts.

    The parts are what belongs to one output, one log σ, or any layer below. A part whose gradient is zero, such as that
    of a σ at its bound, is measured against the norm of the weights, which it would otherwise be a multiple of.
    """
    outputs, width = policy.sizes[-1], policy.sizes[-2]
    top = policy.num_parameters - policy.num_extra - outputs * (width + 1)
    output = np.concatenate([np.repeat(np.arange(outputs), width), np.arange(outputs)])
    part = np.concatenate([np.full(top, -1), output, outputs + np.arange(policy.num_extra)])
    largest = abs(found[1] - expected[1]) / max(1.0, abs(expected[1]))
    for k in np.unique(part):
        error, size = (float(np.linalg.norm(vector[part == k])) for vector in (found[0] - expected[0], expected[0]))
        largest = max(largest, error / max(size, float(np.linalg.norm(weight))))
    return largest if np.isfinite(found[0]).all() else np.nan


def as_python_sees_it(head: Head, seed: int) -> float:
    """Return the largest difference of log π and entropy in policies.distributions from the formulas.

    Of continuous actions it is the density of the action, by log π(a) = log N(u) - log |da/du|. Squashed, the entropy
    has no closed form and is left out.
    """
    policy, batch = policy_of(head, seed), batch_of(head, seed)
    theta, action = policy.parameters.astype(np.float64), batch.action.astype(np.float64)
    outputs = formulas.head_outputs(policy, theta, batch.obs)
    log_std: npt.NDArray[Any] | None = policy.log_std
    mask = batch.mask.T if head.masked else None
    if head.std == GSDE and log_std is not None:
        log_std = gsde_log_std(log_std, batch.obs.T.astype(np.float64))
    seen = distribution_of(
        outputs[: policy.sizes[-1]].T,
        head.actions,
        head.temperature,
        log_std,
        head.squash,
        mask,
        head.action_distribution,
    )
    inverted = head.squash or head.action_distribution == BETA
    if inverted:
        action = np.clip(action, -2.0, 2.0)  # where tanh can be inverted
    surprise = formulas.log_prob(policy, theta, outputs, action if inverted else batch.action, batch.mask)
    spread = formulas.entropy(policy, theta, outputs, np.zeros_like(action), batch.mask)
    drawn = batch.action.T
    if isinstance(head.actions, Box):
        low, high = (np.array(bound)[:, None] for bound in (head.actions.low, head.actions.high))
        units, slope = np.tanh(action) if inverted else action, 1 - np.tanh(action) ** 2 if head.squash else np.ones(1)
        surprise = surprise - (np.log((high - low) / 2) + np.log(slope)).sum(axis=0)
        spread = spread + np.log((high - low) / 2).sum()
        drawn = (low + (high - low) * (1 + units) / 2).T
    difference = largest_difference(seen.log_prob(drawn), surprise)
    return difference if head.squash else max(difference, largest_difference(seen.entropy(), spread))


def largest_difference(found: Floats, expected: Floats) -> float:
    """Return the largest |found - expected|, relative to numbers above 1."""
    return float((np.abs(found - expected) / np.maximum(1.0, np.abs(expected))).max())
