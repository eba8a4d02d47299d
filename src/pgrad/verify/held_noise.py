"""Noise of std "gsde" that is held: that rollouts hold it, and that holding it biases the score function's estimate.

The bias, on a problem of two steps whose observations, 1 and ½, do not depend on the actions u, and whose return is
-(u_1 + u_2)²: with the noise W φ drawn anew at each step, J = -(μ_1 + μ_2)² - σ_1² - σ_2². Held for both,
J = -(μ_1 + μ_2)² - Σ_i (φ_1i + φ_2i)² σ_i². The mean of the estimate is a Gauss-Hermite sum, exact for polynomials, of
what the compiled code that trains makes of each sample.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from pgrad.envs.noise import Noise
from pgrad.estimators.advantages import Advantages
from pgrad.estimators.gradient import policy_gradient
from pgrad.exact.mdp import Floats
from pgrad.kernels.heads import NO_MASK
from pgrad.policies.distributions import GSDE
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Batch
from pgrad.spaces import Box
from pgrad.verify import formulas
from pgrad.verify.check import MAX_Z, VISIBLE, Check, relative
from pgrad.verify.deviations import product_z
from pgrad.verify.draws import CONTINUOUS
from pgrad.verify.heads import Head, policy_of
from pgrad.verify.identities import central_differences
from pgrad.verify.recorded import noise_batches

HELD = 7  # steps of a rollout, in which D equations determine the noise's five weights and leave two over
FLOAT32 = 1e-5
SEEN = np.array([1.0, 0.5])  # what is observed at the two steps
THETA = np.array([0.4, -0.1, -0.7, 0.2])  # μ = θ_0 s + θ_1; log σ of s and of 1
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)


def held_noise_checks(seed: int) -> Iterator[Check]:
    """Yield checks of rollouts, and of the estimate's mean with and without holding."""
    head = Head("gSDE", CONTINUOUS, GSDE)
    noise, residual = weights_drawn(head, seed)
    yield Check(f"gSDE: the noise of {HELD} steps has the same weights", residual, FLOAT32)
    yield Check("gSDE: the weights of successive noise are independent (standard errors)", successive(noise), MAX_Z)
    yield Check("gSDE, noise drawn at every step: E[ĝ] = ∇J", bias(held=False), FLOAT32)
    yield Check("gSDE, noise held for two steps: E[ĝ] is biased", bias(held=True), VISIBLE, at_least=True)


def weights_drawn(head: Head, seed: int) -> tuple[Floats, float]:
    """Return the weights W / σ of the first two noises of episodes that last, [5 D, 2, N], and the largest residual.

    They solve u - μ = W φ in the steps of one noise by least squares; the residual is relative to the largest u - μ.
    """
    policy = policy_of(head, seed, obs_size=4)
    held = MLPPolicy(policy.parameters, policy.sizes, actions=policy.actions, std=GSDE, noise_steps=HELD)
    batch = noise_batches(Noise(ending=0.01), held, seed, 1)[0]
    theta = policy.parameters.astype(np.float64)
    drawn = batch.action - formulas.perceptron(policy, theta, batch.obs)
    features = np.concatenate([batch.obs.astype(np.float64), np.ones((1, batch.reward.size))])
    sigma = np.exp(theta[-policy.num_extra :])
    found, residual = [], 0.0
    for trajectory in np.unique(batch.trajectory[batch.time >= 2 * HELD - 1]):
        pair = []
        for first in (0, HELD):
            of_noise = (batch.trajectory == trajectory) & (batch.time >= first) & (batch.time < first + HELD)
            phi, noise = features[:, of_noise].T, drawn[:, of_noise].T
            weights = np.linalg.lstsq(phi, noise, rcond=None)[0]
            residual = max(residual, float(np.abs(phi @ weights - noise).max() / np.abs(noise).max()))
            pair.append(weights.ravel() / sigma)
        found.append(pair)
    return np.moveaxis(np.array(found), 0, -1).swapaxes(0, 1), residual


def successive(noise: Floats) -> float:
    """Return how far the products of one noise's weights with the next's are from mean zero."""
    return product_z(noise[:, 0], noise[:, 1])


def bias(held: bool) -> float:
    """Return ‖E[ĝ] - ∇J‖ / ‖∇J‖ of the problem of two steps, ĝ the total return times the sum of scores."""
    policy = MLPPolicy(THETA.astype(np.float32), (1, 1), actions=Box(-1.0, 1.0, 1), std=GSDE)
    theta = policy.parameters.astype(np.float64)
    features, spread = np.array([SEEN, np.ones(2)]), np.exp(theta[2:])
    if held:
        nodes = list(itertools.product(range(5), repeat=2))
        noise = np.array([[NODES[list(k)] * spread] * 2 for k in nodes])  # [samples, steps, features]
    else:
        nodes = list(itertools.product(range(5), repeat=4))
        noise = np.array([NODES[list(k)].reshape(2, 2) * spread for k in nodes])
    probability = np.array([np.prod(WEIGHTS[list(k)] / np.sqrt(2 * np.pi)) for k in nodes])
    action = theta[0] * SEEN + theta[1] + np.einsum("nti,it->nt", noise, features)
    weight = probability * -(action.sum(axis=1) ** 2)
    size, ends = action.size, np.zeros(action.size, np.bool_)
    batch = Batch(
        np.tile(SEEN, len(nodes))[None].astype(np.float32),
        action.reshape(1, size).astype(np.float32),
        np.zeros(size),
        ends,
        ends,
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
        np.empty((1, 0), np.float32),
        np.empty(0, np.int64),
        1,
        NO_MASK,
    )
    estimate, _ = policy_gradient(policy.compiled, batch, Advantages(np.repeat(weight, 2), 1.0, np.empty(0), np.nan), 0)

    def performance(theta: Floats) -> float:
        mean, variance = (theta[0] * SEEN + theta[1]).sum(), np.exp(2 * theta[2:])
        at = features.sum(axis=1) ** 2 if held else (features**2).sum(axis=1)
        return float(-(mean**2) - at @ variance)

    return relative(estimate.astype(np.float64), central_differences(performance, theta))
