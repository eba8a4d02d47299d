"""The rungs above the actor-critic: clipped ratios, products with the Fisher matrix, natural steps, trust regions."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from pgrad.algorithms.natural_step import NaturalStep, natural_step
from pgrad.estimators.advantages import Advantages
from pgrad.estimators.fisher import fisher_vector_product
from pgrad.estimators.gradient import policy_gradient
from pgrad.estimators.ratio import CLIPPED, KL, ClippedRatio, log_probs
from pgrad.exact.mdp import Floats
from pgrad.policies.distributions import BETA, STATE_INDEPENDENT
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Batch
from pgrad.spaces import Box
from pgrad.verify import formulas
from pgrad.verify.check import Check, relative
from pgrad.verify.heads import HEADS, SAMPLES, Head, batch_of, policy_of, smooth
from pgrad.verify.identities import central_differences

CLIP = 0.2
MOVED = 0.05  # standard deviation of the change of each parameter since the samples were drawn
NEAR_CLIP = 1e-3  # ratios closer than this to 1 ± ε have no slope to compare
FLOAT32 = 3e-5  # ratios of exponentials: three hundred roundings
SOLVED = 1e-3  # of conjugate gradients in float32
DAMPING = 0.1
STEP = 1e-4  # of the derivative of ψ
REGIONS = (1e-4, 0.01, 1.0)  # max_kl
SHOWN = (  # the heads whose steps are checked; the others' geometry is ill-conditioned, or the same
    "softmax, masked, τ = 1.7",
    "MultiDiscrete, masked, τ = 0.6",
    "Gaussian",
    "squashed Gaussian, σ of the state within its bounds",
    "Beta",
)


def rung_checks(seed: int) -> Iterator[Check]:
    """Yield checks of what PPO, the natural gradient and TRPO add, for every kind of head."""
    for head in HEADS:
        yield Check(f"{head.name}: Fisher matrix · vector", fisher_product(head, seed), FLOAT32)
    for head in (head for head in HEADS if head.name in SHOWN):
        yield Check(f"{head.name}: the clipped surrogate's ∇ at ratio 1", clipped_gradient(head, seed, 0.0), FLOAT32)
        yield Check(f"{head.name}: the clipped surrogate's ∇, KL and share", clipped_gradient(head, seed), FLOAT32)
        yield Check(f"{head.name}: a natural step = linear algebra", solved_step(head, seed), SOLVED)
        yield Check(f"{head.name}: steps out of the trust region, or downhill", outside(head, seed), 0.0)


def moved(policy: MLPPolicy, seed: int, scale: float = MOVED) -> MLPPolicy:
    """Return the policy with other parameters nearby."""
    change = scale * np.random.default_rng(seed + 2).normal(size=policy.num_parameters)
    return dataclasses.replace(policy, parameters=(policy.parameters + change).astype(np.float32))


def log_ratio(old: MLPPolicy, theta: Floats, batch: Batch) -> Floats:
    """Return log ρ of each sample in float64, from the old policy to parameters theta [P]; [B]."""
    now, before = (
        formulas.log_prob(old, parameters, formulas.head_outputs(old, parameters, batch.obs), batch.action, batch.mask)
        for parameters in (theta, old.parameters.astype(np.float64))
    )
    return np.asarray(now - before)


def clipped_gradient(head: Head, seed: int, scale: float = MOVED) -> float:
    """Return the largest relative deviation of gradient, estimated KL and share of clipped samples from NumPy's."""
    old, batch = policy_of(head, seed), batch_of(head, seed)
    new = moved(old, seed, scale)
    theta, weight = new.parameters.astype(np.float64), np.random.default_rng(seed).normal(size=SAMPLES)
    log_rho = log_ratio(old, theta, batch)
    rho = np.exp(log_rho)
    near = np.minimum(np.abs(rho - 1 - CLIP), np.abs(rho - 1 + CLIP)) < NEAR_CLIP
    weight[near | ~smooth(new, theta, batch.obs)] = 0.0

    def surrogate(theta: Floats) -> float:
        ratio = np.exp(log_ratio(old, theta, batch))
        return float(np.minimum(ratio * weight, np.clip(ratio, 1 - CLIP, 1 + CLIP) * weight).sum())

    sums, nothing = np.zeros(3), np.empty(0)
    ratio = ClippedRatio(log_probs(old.compiled, batch), CLIP, sums)
    found, _ = policy_gradient(new.compiled, batch, Advantages(weight, 1.0, nothing, np.nan), 0.0, ratio)
    beyond = np.where(weight > 0, rho > 1 + CLIP, rho < 1 - CLIP) & ~near
    divergence, size = (rho - 1 - log_rho).sum(), float(np.linalg.norm(weight))
    return max(
        float(np.linalg.norm(found - central_differences(surrogate, theta))) / size,
        float(abs(sums[KL] - divergence)) / SAMPLES,
        max(0.0, float(abs(sums[CLIPPED] - beyond.sum()) - near.sum())),
    )


def fisher_matrix(head: Head, policy: MLPPolicy, batch: Batch) -> Floats:
    """Return F = 1/B Σ_b J_bᵀ M_b J_b in float64, [P, P]: J by central differences, M written out for each head."""
    theta = policy.parameters.astype(np.float64)
    jacobian = central_differences(lambda theta: formulas.head_outputs(policy, theta, batch.obs), theta)  # [P, K, B]
    outputs = formulas.head_outputs(policy, theta, batch.obs)
    total = np.zeros((theta.size, theta.size))
    if not isinstance(head.actions, Box):
        first = 0
        for part in formulas.log_probabilities(policy, outputs, batch.mask):
            pi, own = np.exp(part), jacobian[:, first : first + len(part)]
            centred = own - np.einsum("ab,pab->pb", pi, own)[:, None]
            total += np.einsum("ab,pab,qab->pq", pi, centred, centred) / policy.temperature**2
            first += len(part)
        return np.asarray(total / SAMPLES)
    if head.action_distribution == BETA:
        return np.asarray(beta_fisher(policy, outputs, jacobian) / SAMPLES)
    mean, log_std = formulas.mean_and_log_std(policy, theta, outputs)
    total += np.einsum("db,pdb,qdb->pq", np.exp(-2 * log_std), jacobian[:, : len(mean)], jacobian[:, : len(mean)])
    if head.std != STATE_INDEPENDENT:
        free = outputs[len(mean) :] == log_std
        total += np.einsum("db,pdb,qdb->pq", 2.0 * free, jacobian[:, len(mean) :], jacobian[:, len(mean) :])
    else:
        total[-len(mean) :, -len(mean) :] += 2 * SAMPLES * np.eye(len(mean))
    return np.asarray(total / SAMPLES)


def beta_fisher(policy: MLPPolicy, outputs: Floats, jacobian: Floats) -> Floats:
    """Return Σ_b J_bᵀ M_b J_b of Beta distributions; M has ψ'(α) - ψ'(α + β), ψ'(β) - ψ'(α + β), beside -ψ'(α + β)."""
    parts = len(outputs) // 2
    alpha, beta = formulas.concentrations(policy, outputs)
    slope = 1 / (1 + np.exp(-outputs))
    own, shared = (
        (formulas.digamma(x + STEP) - formulas.digamma(x - STEP)) / (2 * STEP)
        for x in (np.concatenate([alpha, beta]), alpha + beta)
    )
    moved = slope * jacobian  # of α, then β
    both = moved[:, :parts] + moved[:, parts:]
    return np.asarray(np.einsum("kb,pkb,qkb->pq", own, moved, moved) - np.einsum("db,pdb,qdb->pq", shared, both, both))


def fisher_product(head: Head, seed: int) -> float:
    """Return the relative deviation of (F + c I) v."""
    policy, batch = policy_of(head, seed), batch_of(head, seed)
    vector = np.random.default_rng(seed).normal(size=policy.num_parameters)
    expected = fisher_matrix(head, policy, batch) @ vector + DAMPING * vector
    return relative(fisher_vector_product(policy.compiled, batch, vector, DAMPING), expected)


def solved_step(head: Head, seed: int) -> float:
    """Return the relative deviation of a natural step from √(2 δ / gᵀ x) x with x = (F + c I)⁻¹ g."""
    policy, batch = policy_of(head, seed), batch_of(head, seed)
    gradient = np.random.default_rng(seed).normal(size=policy.num_parameters).astype(np.float32)
    damped = fisher_matrix(head, policy, batch) + DAMPING * np.eye(gradient.size)
    direction = np.linalg.solve(damped, gradient.astype(np.float64))
    before, step = policy.parameters.astype(np.float64), NaturalStep(REGIONS[1], DAMPING, 2 * gradient.size, False)
    natural_step(step, policy.compiled, batch, np.zeros(SAMPLES), gradient)
    return relative(policy.parameters - before, np.sqrt(2 * REGIONS[1] / (gradient @ direction)) * direction)


def outside(head: Head, seed: int) -> float:
    """Return how many steps of small, usual and large trust regions break a bound, by divergences in float64."""
    broken = 0
    for max_kl in REGIONS:
        policy, batch = policy_of(head, seed), batch_of(head, seed)
        old = dataclasses.replace(policy, parameters=policy.parameters.copy())
        weight = np.random.default_rng(seed).normal(size=SAMPLES)
        gradient, _ = policy_gradient(policy.compiled, batch, Advantages(weight, 1.0, np.empty(0), np.nan), 0.0)
        length, _ = natural_step(NaturalStep(max_kl, DAMPING, 20, True), policy.compiled, batch, weight, gradient)
        theta = policy.parameters.astype(np.float64)
        gain = float(weight @ np.expm1(log_ratio(old, theta, batch)))
        far = divergence(head, old, theta, batch) > max_kl * (1 + FLOAT32)
        broken += int(length <= 0 or far or gain < 0)
    return float(broken)


def divergence(head: Head, old: MLPPolicy, theta: Floats, batch: Batch) -> float:
    """Return 1/B Σ_b KL(π_old(· | s_b) ‖ π_θ(· | s_b)) in nats, in float64."""
    pairs = [(phi, formulas.head_outputs(old, phi, batch.obs)) for phi in (old.parameters.astype(np.float64), theta)]
    if head.action_distribution == BETA:
        (a, b), (new_a, new_b) = (formulas.concentrations(old, outputs) for _, outputs in pairs)
        psi, psi_a, psi_b = (formulas.digamma(x) for x in (a + b, a, b))
        kl = formulas.log_beta(new_a, new_b) - formulas.log_beta(a, b)
        kl += (a - new_a) * (psi_a - psi) + (b - new_b) * (psi_b - psi)
        return float(kl.sum(axis=0).mean())
    if isinstance(head.actions, Box):
        (mean, log_std), (new_mean, new_log_std) = (formulas.mean_and_log_std(old, *pair) for pair in pairs)
        spread = np.exp(2 * (log_std - new_log_std)) + ((mean - new_mean) / np.exp(new_log_std)) ** 2
        return float((0.5 * (spread - 1) + new_log_std - log_std).sum(axis=0).mean())
    before, after = (formulas.log_probabilities(old, outputs, batch.mask) for _, outputs in pairs)
    total = 0.0
    for b, a in zip(before, after, strict=True):
        allowed = np.isfinite(b)
        total += float((np.exp(b[allowed]) * (b[allowed] - a[allowed])).sum())
    return total / SAMPLES
