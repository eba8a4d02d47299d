"""What the compiled code computes, once more from the definitions: NumPy, float64, no function of that code.

Axes are those of a batch: obs [O, B], action [B] or [D, B], mask [Σ counts, B] or without rows. `theta` [P] are a
network's parameters, in the order of kernels.mlp; `policy` says what they are of.
"""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.exact.mdp import Floats
from pgrad.policies.distributions import BETA, GSDE, STATE_INDEPENDENT
from pgrad.policies.mlp import MLPNetwork, MLPPolicy
from pgrad.rollouts.batch import Batch
from pgrad.spaces import Box
from pgrad.verify.identities import central_differences

Array = npt.NDArray[Any]

LOG_STD_BOUNDS = (-5.0, 2.0)  # of a log σ that the network gives
INPUT_BOUND = 10.0  # of normalised observations
LOG_GAMMA = np.vectorize(math.lgamma)
VARIANCE_FLOOR = 1e-8  # added to the variance of what is normalised


def layers(net: MLPNetwork, theta: Floats, obs: Array) -> list[Floats]:
    """Return what each layer computes before its activation, [units, B] each; the last are the outputs."""
    x, start, computed = inputs(net, obs), 0, []
    for units, outputs in itertools.pairwise(net.sizes):
        weight = theta[start : start + outputs * units].reshape(outputs, units)
        start += outputs * (units + 1)
        computed.append(weight @ x + theta[start - outputs : start, None])
        x = np.tanh(computed[-1]) if net.activation == "tanh" else np.maximum(computed[-1], 0.0)
    return computed


def inputs(net: MLPNetwork, obs: Array) -> Floats:
    """Return what the first layer sees, [O, B]."""
    x = obs.astype(np.float64)
    return np.clip((x - net.shift[:, None]) * net.scale[:, None], -INPUT_BOUND, INPUT_BOUND) if net.shift.size else x


def perceptron(net: MLPNetwork, theta: Floats, obs: Array) -> Floats:
    """Return the network's outputs, [outputs, B]."""
    return layers(net, theta, obs)[-1]


def head_outputs(policy: MLPPolicy, theta: Floats, obs: Array) -> Floats:
    """Return what describes the distribution of actions: the network's outputs and, of std "gsde", log σ below μ."""
    outputs = perceptron(policy, theta, obs)
    if policy.std != GSDE:
        return outputs
    features = np.concatenate([inputs(policy, obs), np.ones((1, obs.shape[1]))])
    variance = np.exp(2 * theta[-len(features) * len(outputs) :]).reshape(len(features), -1)
    return np.concatenate([outputs, np.log(np.einsum("ib,id->db", features**2, variance)) / 2])


def log_probabilities(policy: MLPPolicy, outputs: Floats, mask: Array) -> list[Floats]:
    """Return log π = log softmax(outputs / τ) of each discrete component, [A, B] each; -inf where it is masked."""
    logits = np.where(mask, outputs, -np.inf) if mask.size else outputs
    parts = np.split(logits / policy.temperature, np.cumsum(policy.actions.counts)[:-1])  # type: ignore[union-attr]
    return [part - np.logaddexp.reduce(part, axis=0) for part in parts]


def mean_and_log_std(policy: MLPPolicy, theta: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    """Return μ and log σ of continuous actions, [D, B] both."""
    size = policy.actions.flat_size
    if policy.std != STATE_INDEPENDENT:
        return outputs[:size], np.clip(outputs[size:], *LOG_STD_BOUNDS)
    return outputs, np.repeat(theta[-size:, None], outputs.shape[1], axis=1)


def concentrations(policy: MLPPolicy, outputs: Floats) -> tuple[Floats, Floats]:
    """Return α and β of Beta distributions, [D, B] both."""
    a, b = np.split(1 + np.log1p(np.exp(outputs)), 2)
    return a, b


def log_beta(alpha: Floats, beta: Floats) -> Floats:
    """Return log B(α, β) = log Γ(α) Γ(β) / Γ(α + β)."""
    return np.asarray(LOG_GAMMA(alpha) + LOG_GAMMA(beta) - LOG_GAMMA(alpha + beta))


def digamma(x: Floats) -> Floats:
    """Return ψ(x) of x ≥ 1: ψ(x) = ψ(x + 20) - Σ_k 1 / (x + k), with its asymptotic series there."""
    y = x + 20
    series = np.log(y) - 1 / (2 * y) - 1 / (12 * y**2) + 1 / (120 * y**4) - 1 / (252 * y**6)
    return np.asarray(series - sum(1 / (x + k) for k in range(20)))


def log_prob(policy: MLPPolicy, theta: Floats, outputs: Floats, action: Array, mask: Array) -> Floats:
    """Return log π(action | s), [B]; of continuous actions that of the numbers drawn, before clipping or squashing.

    Of a Beta, that of tanh u, which is half the density of x = (1 + tanh u) / 2.
    """
    if policy.action_distribution == BETA:
        alpha, beta = concentrations(policy, outputs)
        log_x, log_rest = -np.log1p(np.exp(-2.0 * action)), -np.log1p(np.exp(2.0 * action))
        density = (alpha - 1) * log_x + (beta - 1) * log_rest - log_beta(alpha, beta) - math.log(2)
        return np.asarray(density.sum(axis=0))
    if isinstance(policy.actions, Box):
        mean, log_std = mean_and_log_std(policy, theta, outputs)
        z = (action - mean) / np.exp(log_std)
        return np.asarray((-0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(axis=0))
    parts = log_probabilities(policy, outputs, mask)
    chosen = [part[a, np.arange(a.size)] for part, a in zip(parts, np.atleast_2d(action), strict=True)]
    return np.asarray(np.sum(chosen, axis=0))


def entropy(policy: MLPPolicy, theta: Floats, outputs: Floats, noise: Floats, mask: Array) -> Floats:
    """Return H(π(· | s)), [B]; squashed, what estimates that of tanh u from u = μ + σ · noise, with noise [D, B]."""
    if policy.action_distribution == BETA:
        a, b = concentrations(policy, outputs)
        surprise = (a - 1) * (digamma(a) - digamma(a + b)) + (b - 1) * (digamma(b) - digamma(a + b))
        return np.asarray((log_beta(a, b) - surprise + math.log(2)).sum(axis=0))
    if isinstance(policy.actions, Box):
        mean, log_std = mean_and_log_std(policy, theta, outputs)
        result = log_std + 0.5 * math.log(2 * math.pi * math.e)
        if policy.squash:
            result = result - 2 * np.log(np.cosh(mean + np.exp(log_std) * noise))
        return np.asarray(result.sum(axis=0))
    spread = [-(np.exp(part) * np.maximum(part, -1e300)) for part in log_probabilities(policy, outputs, mask)]
    return np.asarray(np.concatenate(spread).sum(axis=0))


def policy_gradient(policy: MLPPolicy, batch: Batch, weight: Floats, bonus: float) -> tuple[Floats, float]:
    """Return ∇ Σ_b [weight_b log π(a_b | s_b) + bonus H(π(· | s_b))], [P], by central differences, and the mean H."""
    theta, obs = policy.parameters.astype(np.float64), batch.obs[:, : weight.size]
    action, mask = batch.action[..., : weight.size], batch.mask[:, : weight.size]
    noise = np.zeros(0)
    if isinstance(policy.actions, Box) and policy.action_distribution != BETA:
        mean, log_std = mean_and_log_std(policy, theta, head_outputs(policy, theta, obs))
        noise = (action - mean) / np.exp(log_std)

    def objective(theta: Floats) -> float:
        outputs = head_outputs(policy, theta, obs)
        surprise, spread = log_prob(policy, theta, outputs, action, mask), entropy(policy, theta, outputs, noise, mask)
        return float(weight @ surprise + bonus * spread.sum())

    now = entropy(policy, theta, head_outputs(policy, theta, obs), noise, mask)
    return central_differences(objective, theta), float(now.mean())


def value_gradient(critic: MLPNetwork, obs: Array, target: Floats) -> tuple[Floats, float]:
    """Return ∇ -½ mean_b (target_b - V(s_b))², [P], by central differences, and that mean squared error."""

    def error(theta: Floats) -> float:
        return float(np.mean((target - perceptron(critic, theta, obs)[0]) ** 2))

    theta = critic.parameters.astype(np.float64)
    return -0.5 * central_differences(error, theta), error(theta)


def advantages(
    batch: Batch, value: Floats, final_value: Floats, discount: float, gae_lambda: float
) -> tuple[Floats, Floats]:
    """Return Â_t = Σ_k (γλ)^k δ_{t+k} and the targets Â_t + V(s_t), [B] both: segment by segment, sum by sum.

    Without a V, all of `value` and `final_value` zero and λ = 1, both are the reward-to-go.
    """
    reward = batch.reward
    psi, cut = np.empty(reward.size), dict(zip(batch.final_sample.tolist(), final_value, strict=True))
    for trajectory in range(batch.num_trajectories):
        own = np.flatnonzero(batch.trajectory == trajectory)
        ends = np.flatnonzero(batch.terminated[own] | batch.truncated[own])
        for segment in np.split(own, ends[:-1] + 1):
            after = np.append(value[segment[1:]], cut.get(int(segment[-1]), 0.0))
            error = reward[segment] + discount * after - value[segment]
            for t, b in enumerate(segment):
                psi[b] = error[t:] @ (discount * gae_lambda) ** np.arange(segment.size - t)
    return psi, psi + value


def clipped(gradient: Floats, max_norm: float) -> Floats:
    """Return the gradient, shortened to max_norm if it is longer."""
    return gradient * min(1.0, max_norm / float(np.sqrt((gradient**2).sum())))


def adam(gradients: Floats, learning_rate: float) -> Floats:
    """Return Adam's last step after gradients [steps, P], written out: m and v are weighted sums (Kingma and Ba 2015).

    m̂ = Σ_k 0.9^{n-k} g_k / Σ_k 0.9^{n-k}, v̂ likewise of g² with 0.999; the step is α m̂ / (√v̂ + 1e-8).
    """
    age = np.arange(len(gradients))[::-1, None]
    first, second = 0.9**age, 0.999**age
    mean, square = (first * gradients).sum(axis=0) / first.sum(), (second * gradients**2).sum(axis=0) / second.sum()
    return np.asarray(learning_rate * mean / (np.sqrt(square) + 1e-8))
