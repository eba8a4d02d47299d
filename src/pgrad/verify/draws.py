"""What is drawn in compiled rollouts has the distribution that is claimed: random numbers, and every head's actions.

Every statistic is a distance in standard errors.
"""

import math
from collections.abc import Iterator

import numpy as np

from pgrad.envs.noise import Noise
from pgrad.exact.mdp import Floats
from pgrad.kernels.random import fold_in, normal, uniform
from pgrad.policies.distributions import BETA, GAUSSIAN, GSDE, STATE_DEPENDENT, STATE_INDEPENDENT
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import Plan, new_simulation
from pgrad.spaces import Box, Discrete, MultiDiscrete
from pgrad.verify import formulas
from pgrad.verify.check import MAX_Z, Check
from pgrad.verify.deviations import chi_squared_z, sum_z
from pgrad.verify.heads import Head, policy_of
from pgrad.verify.recorded import CHOICES, EPISODES, LANES, LIMIT, maze, noise_batches, trained_batches

SPLITMIX = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)  # its published outputs from seed 0
NUMBERS = 20_000
LOW, HIGH = Noise().low, Noise().high
SEVERAL, CONTINUOUS = MultiDiscrete((CHOICES,) * 3), Box(LOW, HIGH, 3)
STDS = (-5.5, 2.5, 0.0)  # log σ about which it varies, within its bounds and beyond
CASES = (
    (Noise(CHOICES), Head("MultiDiscrete, τ = 0.6", SEVERAL, temperature=0.6)),
    (Noise(CHOICES, masked=True), Head("MultiDiscrete, masked", SEVERAL, masked=True)),
    (Noise(), Head("Gaussian", CONTINUOUS)),
    (Noise(), Head("Gaussian, σ of the state", CONTINUOUS, STATE_DEPENDENT, log_std=STDS)),
    (Noise(), Head("squashed Gaussian", CONTINUOUS, STATE_INDEPENDENT, squash=True)),
    (Noise(), Head("gSDE", CONTINUOUS, GSDE)),
    (Noise(), Head("Beta", CONTINUOUS, STATE_DEPENDENT, action_distribution=BETA)),
)
FLOAT32 = 1e-5


def draw_checks(seed: int) -> Iterator[Check]:
    """Yield checks of random numbers, and of every head's actions in rollouts."""
    yield Check("random numbers: those of SplitMix64 that differ from the published", float(wrong_bits()), 0.0)
    yield Check("random numbers: `uniform` and `normal` have their distributions", numbers_z(seed), MAX_Z)
    for temperature in (1.0, 0.6):
        head = Head(f"softmax, masked, τ = {temperature:g}", Discrete(4), temperature=temperature, masked=True)
        policy = policy_of(head, seed)
        yield from action_checks(head, policy, maze_batch(policy, seed))
    for env, head in CASES:
        policy = policy_of(head, seed, obs_size=4)
        batch = noise_batches(env, policy, seed, 1)[0]
        yield from action_checks(head, policy, batch)
        if isinstance(head.actions, Box):
            what = "clipped to" if head.action_distribution == GAUSSIAN and not head.squash else "squashed into"
            yield Check(f"{head.name}: the environment gets numbers {what} its bounds", within(head, batch), FLOAT32)


def action_checks(head: Head, policy: MLPPolicy, batch: Batch) -> Iterator[Check]:
    """Yield checks of one policy's actions."""
    yield Check(f"{head.name}: actions are drawn as the policy says", claimed_z(policy, batch), MAX_Z)
    if head.masked:
        yield Check(f"{head.name}: forbidden actions that were drawn", float(forbidden(batch)), 0.0)


def wrong_bits() -> int:
    """Return how many of the first random numbers of key 0 are not SplitMix64's."""
    return sum(fold_in(0, k) != bits for k, bits in enumerate(SPLITMIX))


def numbers_z(seed: int) -> float:
    """Return how far `uniform` and `normal` are from their distributions."""
    key = fold_in(seed, 2)
    flat = np.array([uniform(key, k, -1.0, 3.0) for k in range(NUMBERS)])
    bell = np.array([normal(fold_in(key, 1), k) for k in range(NUMBERS)])
    return max(chi_squared_z((flat + 1) / 4), chi_squared_z(normal_distribution(bell)))


def maze_batch(policy: MLPPolicy, seed: int) -> Batch:
    """Return a batch of the maze, from a training iteration."""
    plan = Plan(4 * EPISODES, 0, LIMIT, np.uint64(fold_in(seed, 3)))
    return trained_batches(new_simulation(maze(seed), policy.compiled, plan, LANES), policy, 1)[0]


def probabilities(policy: MLPPolicy, batch: Batch) -> list[Floats]:
    """Return π of every choice of each discrete component, [A, B] each."""
    outputs = formulas.head_outputs(policy, policy.parameters.astype(np.float64), batch.obs)
    return [np.exp(part) for part in formulas.log_probabilities(policy, outputs, batch.mask)]


def standardised(policy: MLPPolicy, batch: Batch) -> Floats:
    """Return (u - μ) / σ of continuous actions u, [D, B]."""
    theta = policy.parameters.astype(np.float64)
    mean, log_std = formulas.mean_and_log_std(policy, theta, formulas.head_outputs(policy, theta, batch.obs))
    return np.asarray((batch.action - mean) / np.exp(log_std))


def normal_distribution(z: Floats) -> Floats:
    """Return P(Z < z) of a standard normal number."""
    return np.array([math.erfc(x) / 2 for x in (-z / math.sqrt(2)).ravel()]).reshape(z.shape)


def claimed_z(policy: MLPPolicy, batch: Batch) -> float:
    """Return how far actions [..., B] are from the policy's distribution.

    E[onehot(a) - π] = 0, for all and in proportion to each feature of the observation; of continuous numbers
    E[z] = E[z² - 1] = 0 likewise, and their distribution function is uniform. (For Betas see `beta_errors`.)
    """
    if policy.action_distribution == BETA:
        errors, shape = beta_errors(policy, batch)
    elif isinstance(policy.actions, Box):
        z = standardised(policy, batch)
        errors, shape = np.concatenate([z, z**2 - 1]), max(chi_squared_z(row) for row in normal_distribution(z))
    else:
        pi, shape = probabilities(policy, batch), 0.0
        chosen = [np.arange(len(p))[:, None] == a for p, a in zip(pi, np.atleast_2d(batch.action), strict=True)]
        errors = np.concatenate(chosen) - np.concatenate(pi)
    features = [np.ones(batch.reward.size), *batch.obs.astype(np.float64)]
    return max(shape, *(sum_z(errors * feature) for feature in features))


def beta_errors(policy: MLPPolicy, batch: Batch) -> tuple[Floats, float]:
    """Return numbers of mean zero, [3 D, B], for x ~ Beta(α, β), and how far their distribution function is from flat.

    log x - E[log x], log(1 - x) - E[log(1 - x)] and the deviation from E[x] = α / (α + β). F(x), for it is a smooth
    function, by Simpson's rule in u.
    """
    alpha, beta = formulas.concentrations(
        policy, formulas.head_outputs(policy, policy.parameters.astype(np.float64), batch.obs)
    )
    u = batch.action.astype(np.float64)
    x, psi = 1 / (1 + np.exp(-2 * u)), formulas.digamma(alpha + beta)
    errors = [np.log(x) - formulas.digamma(alpha) + psi, np.log1p(-x) - formulas.digamma(beta) + psi]
    errors.append(x - alpha / (alpha + beta))
    steps = np.linspace(0, 1, 401)[:, None]
    weight = np.r_[1, np.tile([4, 2], 200)[:-1], 1][:, None] / 1200
    share = []
    for d in range(len(u)):
        at = x[d] * steps  # from 0 to x
        density = at ** (alpha[d] - 1) * (1 - at) ** (beta[d] - 1) / np.exp(formulas.log_beta(alpha[d], beta[d]))
        share.append(x[d] * (weight * density).sum(axis=0))
    return np.concatenate(errors), max(chi_squared_z(np.clip(row, 0, 1 - 1e-12)) for row in share)


def forbidden(batch: Batch) -> int:
    """Return how many actions were drawn that the mask forbids."""
    action, size = np.atleast_2d(batch.action), batch.reward.size
    first = np.arange(len(action)) * (len(batch.mask) // len(action))  # components have equally many choices
    return int(sum((~batch.mask[k + a, np.arange(size)]).sum() for k, a in zip(first, action, strict=True)))


def within(head: Head, batch: Batch) -> float:
    """Return the largest error of what the environment got, which it shows a step later, relative to its bounds."""
    later = np.flatnonzero(batch.time > 0)
    before = {(n, t): b for b, (n, t) in enumerate(zip(batch.trajectory, batch.time, strict=True))}
    drawn = batch.action[:, [before[batch.trajectory[b], batch.time[b] - 1] for b in later]].astype(np.float64)
    units = np.tanh(drawn) if head.squash or head.action_distribution == BETA else np.clip(drawn, -1, 1)
    wanted = LOW + (HIGH - LOW) * (1 + units) / 2
    return float(np.abs(batch.obs[1:, later] - wanted).max() / (HIGH - LOW))
