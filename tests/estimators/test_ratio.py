"""The probability ratio: log-probabilities of every head, and the weights of the clipped surrogate."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.bare_samples import bare_batch

from pgrad.estimators.advantages import Advantages
from pgrad.estimators.gradient import policy_gradient
from pgrad.estimators.ratio import CLIPPED, COUNTED, KL, ClippedRatio, log_probs
from pgrad.kernels.heads import NO_MASK
from pgrad.kernels.mlp import BLOCK
from pgrad.policies.distributions import BETA, GAUSSIAN, num_outputs
from pgrad.policies.mlp import MLPPolicy, initial_policy
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.batch import Batch
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space

Array = npt.NDArray[Any]

SIZE = BLOCK + 7
HEADS: dict[str, tuple[Space, str, bool]] = {
    "softmax": (Discrete(4), "state-independent", False),
    "multi-discrete": (MultiDiscrete((3, 2, 4)), "state-independent", False),
    "gaussian": (Box(-1.0, 1.0, 3), "state-independent", False),
    "squashed, σ by the network": (Box(-2.0, 1.0, 3), "state-dependent", True),
    "gsde": (Box(-2.0, 1.0, 3), "gsde", False),
    "beta": (Box(-2.0, 1.0, 3), "state-dependent", False),
}


def policy_of(head: str, shift: float = 0.0) -> MLPPolicy:
    """A policy far from uniform; `shift` moves it away from that by so much in every parameter."""
    actions, std, squash = HEADS[head]
    rng, sizes = np.random.default_rng(5), (4, 8, num_outputs(actions, std))
    parameters = initial_policy(sizes, "uniform", actions, std, 0.6, rng) * np.float32(1.5)
    parameters += np.float32(shift) * rng.normal(size=parameters.size).astype(np.float32)
    kind = {"std": std, "squash": squash, "action_distribution": BETA if head == "beta" else GAUSSIAN}
    return MLPPolicy(parameters, sizes, "tanh", 0.7, actions=actions, **kind)  # type: ignore[arg-type]


def masks(actions: Space) -> Array:
    """[Σ counts, SIZE], with every first choice of a part allowed."""
    rng, parts = np.random.default_rng(7), []
    for count in actions.counts:  # type: ignore[union-attr]
        part = rng.random((count, SIZE)) < 0.5
        part[0] = True
        parts.append(part)
    return np.concatenate(parts)


def batch_of(policy: MLPPolicy, mask: Array = NO_MASK) -> Batch:
    obs = np.random.default_rng(6).normal(0, 2, (SIZE, 4)).astype(np.float32)
    keys, steps = np.arange(SIZE, dtype=np.uint64) * 77, np.arange(SIZE, dtype=np.int32) % 9
    action = CompiledActor(policy.compiled)(obs, mask.T if mask.size else None, keys, steps)
    return bare_batch(np.ascontiguousarray(obs.T), action, mask)


def exact(policy: MLPPolicy, batch: Batch) -> Array:
    """log π of the batch's samples in float64."""
    distribution = policy.distribution(batch.obs.T, batch.mask.T if batch.mask.size else None)
    if isinstance(policy.actions, Box):
        return np.asarray(distribution.log_prob_drawn(batch.action.T))  # type: ignore[attr-defined]
    return np.asarray(distribution.log_prob(batch.action.T))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_log_probabilities_are_the_distributions(head: str, masked: bool) -> None:
    policy = policy_of(head)
    if masked and isinstance(policy.actions, Box):
        pytest.skip("continuous actions have no mask")
    batch = batch_of(policy, masks(policy.actions) if masked else NO_MASK)
    found = log_probs(policy.compiled, batch)
    expected = exact(policy, batch)
    if policy.squash:  # the density of u, which the ratio needs; that of tanh u differs by what does not depend on θ
        slope = np.log1p(-(np.tanh(batch.action.astype(np.float64)) ** 2)).sum(axis=0)
        assert abs(slope).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("epsilon", [0.1, np.inf])
def test_weights_are_those_of_the_clipped_surrogate(head: str, epsilon: float) -> None:
    """With the ratios in float64: ρ w, and 0 beyond 1 ± ε on the side to which w pushes."""
    old, new = policy_of(head), policy_of(head, 0.05)
    batch = batch_of(old)
    weight = np.random.default_rng(8).normal(size=SIZE)
    ratio = np.exp(exact(new, batch) - exact(old, batch))
    outside = np.where(weight > 0, ratio > 1 + epsilon, ratio < 1 - epsilon)
    near = np.minimum(abs(ratio - 1 - epsilon), abs(ratio - 1 + epsilon)) < 1e-5
    weight[near] = 0.0  # where float32 may come out on the other side
    assert (outside[~near].mean() > 0.05) == (epsilon < 1), "the case shows nothing"
    assert (ratio[~outside] - 1).max() > 0.05
    sums = np.zeros(3)
    clipped = ClippedRatio(log_probs(old.compiled, batch), epsilon, sums)
    found, entropy = policy_gradient(new.compiled, batch, Advantages(weight, 1.0, weight, np.nan), 0.3, clipped)
    by_hand = Advantages(np.where(outside, 0.0, ratio * weight), 1.0, weight, np.nan)
    expected, expected_entropy = policy_gradient(new.compiled, batch, by_hand, 0.3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5 * np.abs(expected).max())
    assert entropy == expected_entropy
    assert sums[COUNTED] == SIZE
    assert abs(sums[CLIPPED] - outside.sum()) <= near.sum()
    assert sums[KL] == pytest.approx((ratio - 1 - np.log(ratio)).sum(), rel=1e-3)


@pytest.mark.parametrize("head", HEADS)
def test_at_ratio_one_it_is_the_policy_gradient(head: str) -> None:
    policy = policy_of(head)
    batch, weight = batch_of(policy), np.random.default_rng(8).normal(size=SIZE)
    advantage, sums = Advantages(weight, 1.0, weight, np.nan), np.zeros(3)
    ratio = ClippedRatio(log_probs(policy.compiled, batch), 1e-4, sums)
    found, _ = policy_gradient(policy.compiled, batch, advantage, 0.0, ratio)
    expected, _ = policy_gradient(policy.compiled, batch, advantage, 0.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert sums[CLIPPED] == 0 and abs(sums[KL]) < 1e-6 * SIZE


def test_by_hand() -> None:
    """Two actions, logits (z, 0), at z = log 3: π = (3/4, 1/4), and an old policy of (1/2, 1/2): ρ = 3/2 and 1/2.

    ∂ log π(0) / ∂z = 1/4 and ∂ log π(1) / ∂z = -3/4. With ε = 0.2 a positive weight of action 0 is clipped, a negative
    one is not; of action 1 the other way round."""
    policy = MLPPolicy(np.float32([0, 0, np.log(3), 0]), (1, 2), "tanh", actions=Discrete(2))
    batch = bare_batch(np.zeros((1, 4), np.float32), np.int32([0, 0, 1, 1]))
    weight = np.array([1.0, -1.0, 1.0, -1.0])
    ratio = ClippedRatio(np.full(4, np.log(0.5), np.float32), 0.2, np.zeros(3))
    gradient, _ = policy_gradient(policy.compiled, batch, Advantages(weight, 1.0, weight, np.nan), 0.0, ratio)
    expected = -1.5 * 0.25 + 0.5 * -0.75
    np.testing.assert_allclose(gradient, [0, 0, expected, -expected], atol=1e-6)
    assert ratio.sums[CLIPPED] == 2 and ratio.sums[COUNTED] == 4
    assert ratio.sums[KL] == pytest.approx(2 * (0.5 - np.log(1.5)) + 2 * (-0.5 - np.log(0.5)), rel=1e-5)
