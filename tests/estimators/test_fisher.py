"""Products with the Fisher matrix, and divergences, for every head against their definitions."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.bare_samples import bare_batch

from pgrad.estimators.advantages import Advantages
from pgrad.estimators.fisher import conjugate_gradient, fisher_vector_product, mean_divergence
from pgrad.estimators.gradient import policy_gradient
from pgrad.kernels.heads import NO_MASK
from pgrad.kernels.mlp import BLOCK, num_parameters
from pgrad.policies.distributions import num_outputs
from pgrad.policies.mlp import MLPPolicy, initial_policy
from pgrad.rollouts.batch import Batch
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space

Array = npt.NDArray[Any]

STATES = 3
HEADS: dict[str, tuple[Space, str, bool]] = {
    "softmax": (Discrete(4), "state-independent", False),
    "multi-discrete": (MultiDiscrete((3, 2, 2)), "state-independent", False),
    "gaussian": (Box(-1.0, 1.0, 3), "state-independent", False),
    "gsde": (Box(-1.0, 1.0, 3), "gsde", False),
    "squashed, σ by the network": (Box(-2.0, 1.0, 3), "state-dependent", True),
}
HIDDEN: list[tuple[int, ...]] = [(), (5,), (6, 5)]
ACTIVATIONS = ("tanh", "relu")


def policy_of(head: str, hidden: tuple[int, ...], activation: str, shift: float = 0.0) -> MLPPolicy:
    actions, std, squash = HEADS[head]
    rng, sizes = np.random.default_rng(5), (4, *hidden, num_outputs(actions, std))
    parameters = initial_policy(sizes, "uniform", actions, std, 0.6, rng) * np.float32(1.5)
    extra = parameters[num_parameters(sizes) :]
    extra += rng.normal(0, 0.3, extra.size).astype(np.float32)  # every σ is another
    parameters += np.float32(shift) * rng.normal(size=parameters.size).astype(np.float32)
    return MLPPolicy(parameters, sizes, activation, 0.7, actions=actions, std=std, squash=squash)


def batch_of(actions: Space, size: int = STATES, mask: Array = NO_MASK, action: Array | None = None) -> Batch:
    obs = np.random.default_rng(6).normal(0, 1, (4, STATES)).astype(np.float32)
    obs = np.ascontiguousarray(np.tile(obs, (1, -(-size // STATES)))[:, :size])
    if action is None:
        continuous = isinstance(actions, Box)
        shape = (size,) if isinstance(actions, Discrete) else (3, size)
        action = np.zeros(shape, np.float32 if continuous else np.int32)
    return bare_batch(obs, action, mask)


def draws(policy: MLPPolicy, batch: Batch) -> list[tuple[Array, Array]]:
    """Actions with their weights, which make expectations of products of scores exact, for all states at once.

    All of them with their probabilities, or the nodes of Gauss-Hermite quadrature, exact up to degree 5 in z: a product
    of two scores has degree 4.
    """
    distribution = policy.distribution(batch.obs.T, batch.mask.T if batch.mask.size else None)
    if isinstance(policy.actions, Box):
        nodes, weights = np.polynomial.hermite_e.hermegauss(3)
        mean, log_std = distribution.mean, distribution.log_std  # type: ignore[attr-defined]
        choices = itertools.product(range(3), repeat=3)
        return [
            (
                (mean + np.exp(log_std) * nodes[list(chosen)]).T.astype(np.float32).copy(),
                np.full(STATES, weights[list(chosen)].prod() / (2 * np.pi) ** 1.5),
            )
            for chosen in choices
        ]
    every = list(itertools.product(*map(range, policy.actions.counts)))
    result = []
    for one in every:
        rows = np.tile(np.array(one, np.int32)[:, None], (1, STATES))
        probability = np.exp(distribution.log_prob(rows[0] if len(one) == 1 else rows.T))
        result.append((rows[0].copy() if len(one) == 1 else rows, probability))
    return result


def fisher(policy: MLPPolicy, batch: Batch) -> Array:
    """1/B Σ_b E[∇log π ∇log πᵀ] by enumeration or quadrature; [P, P]."""
    total = np.zeros((policy.num_parameters, policy.num_parameters))
    for action, probability in draws(policy, batch):
        for b in range(STATES):
            if probability[b] == 0:
                continue
            weight = np.zeros(STATES)
            weight[b] = 1.0
            own = batch._replace(action=action)
            score = policy_gradient(policy.compiled, own, Advantages(weight, 1.0, weight, np.nan), 0.0)[0]
            total += probability[b] * np.outer(score, score.astype(np.float64)) / STATES
    return total


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
@pytest.mark.parametrize("head", HEADS)
def test_products_are_those_with_the_fisher_matrix(head: str, hidden: tuple[int, ...], activation: str) -> None:
    policy = policy_of(head, hidden, activation)
    batch = batch_of(policy.actions)
    matrix = fisher(policy, batch)
    vector = np.random.default_rng(1).normal(size=policy.num_parameters)
    expected = matrix @ vector + 0.1 * vector
    found = fisher_vector_product(policy.compiled, batch, vector, 0.1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-5 * np.abs(expected).max())


def test_a_forbidden_action_has_no_part() -> None:
    policy = policy_of("softmax", (5,), "tanh")
    mask = np.ones((4, STATES), np.bool_)
    mask[2] = False
    batch = batch_of(policy.actions, mask=mask)
    vector = np.random.default_rng(1).normal(size=policy.num_parameters)
    found = fisher_vector_product(policy.compiled, batch, vector, 0.0)
    np.testing.assert_allclose(found, fisher(policy, batch) @ vector, rtol=0, atol=3e-5 * np.abs(found).max())
    assert abs(found - fisher_vector_product(policy.compiled, batch_of(policy.actions), vector, 0.0)).max() > 1e-3
    other = policy.parameters.copy()
    other[-2] += 3.0  # the bias of its logit
    assert mean_divergence(other, policy.compiled, batch) == pytest.approx(0.0, abs=1e-6)
    assert mean_divergence(other, policy.compiled, batch_of(policy.actions)) > 0.1


def test_blocks_add_up() -> None:
    policy, size = policy_of("softmax", (5,), "tanh"), (BLOCK + 1) * STATES  # every state as often as others
    vector = np.random.default_rng(1).normal(size=policy.num_parameters)
    few, many = (
        fisher_vector_product(policy.compiled, batch_of(policy.actions, n), vector, 0.0) for n in (STATES, size)
    )
    np.testing.assert_allclose(many, few, rtol=0, atol=1e-5 * np.abs(few).max())
    other = policy_of("softmax", (5,), "tanh", 0.1)
    kl = [mean_divergence(other.parameters, policy.compiled, batch_of(policy.actions, n)) for n in (STATES, size)]
    assert kl[0] == pytest.approx(kl[1], rel=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_divergences_are_expectations_of_log_ratios(head: str) -> None:
    """By enumeration or quadrature; the log-ratio of two Gaussians has degree 2. Zero from a policy to itself."""
    old, new = policy_of(head, (5,), "tanh"), policy_of(head, (5,), "tanh", 0.1)
    batch = batch_of(old.actions)
    expected = 0.0
    for action, probability in draws(old, batch):
        log_probs = []
        for policy in (old, new):
            distribution = policy.distribution(batch.obs.T)
            drawn = getattr(distribution, "log_prob_drawn", distribution.log_prob)
            log_probs.append(drawn(action.T))
        expected += (probability * (log_probs[0] - log_probs[1])).mean()
    found = mean_divergence(old.parameters, new.compiled, batch)
    assert found == pytest.approx(expected, rel=2e-4, abs=1e-6)
    assert found > 0.003
    assert mean_divergence(new.parameters, new.compiled, batch) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_conjugate_gradients_solve(head: str) -> None:
    """As NumPy does, once there are as many steps as parameters; fewer steps leave a larger residual."""
    policy = policy_of(head, (), "tanh")
    batch, gradient = batch_of(policy.actions), np.random.default_rng(1).normal(size=policy.num_parameters)
    matrix = fisher(policy, batch) + 0.1 * np.eye(policy.num_parameters)
    expected = np.linalg.solve(matrix, gradient)
    found = conjugate_gradient(policy.compiled, batch, gradient, 0.1, 4 * policy.num_parameters)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())
    short = conjugate_gradient(policy.compiled, batch, gradient, 0.1, 1)
    assert np.linalg.norm(matrix @ short - gradient) > 10 * np.linalg.norm(matrix @ found - gradient)
