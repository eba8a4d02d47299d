"""The definitions in float64 by hand: they are what compiled code is held to."""

import math

import numpy as np
import pytest

from pgrad.policies.distributions import STATE_DEPENDENT
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.batch import Batch
from pgrad.spaces import Box, Discrete, MultiDiscrete
from pgrad.verify import formulas

NO_MASK = np.empty((0, 0), np.bool_)
ONE = np.zeros((1, 1))


def test_a_perceptron_of_one_input_by_hand() -> None:
    net = MLPValue(np.zeros(4, np.float32), (1, 1, 1), shift=np.float32([1]), scale=np.float32([4]))
    theta = np.array([0.1, 0.2, 3.0, -1.0])
    expected = 3 * np.tanh(0.1 * np.array([4.0, 10.0]) + 0.2) - 1
    np.testing.assert_allclose(formulas.perceptron(net, theta, np.array([[2.0, 9.0]]))[0], expected)
    relu = MLPValue(np.zeros(4, np.float32), (1, 1, 1), "relu")
    np.testing.assert_allclose(formulas.perceptron(relu, theta, np.array([[2.0, -9.0]]))[0], [0.2, -1.0])


def test_a_softmax_by_hand() -> None:
    policy = MLPPolicy(np.zeros(6, np.float32), (1, 3), temperature=0.5)
    outputs, mask = np.log([[1.0], [2.0], [3.0]]), np.array([[True], [True], [False]])
    action = np.array([1])
    assert formulas.log_prob(policy, np.zeros(6), outputs, action, NO_MASK)[0] == pytest.approx(math.log(4 / 14))
    assert formulas.log_prob(policy, np.zeros(6), outputs, action, mask)[0] == pytest.approx(math.log(4 / 5))
    expected = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8))
    assert formulas.entropy(policy, np.zeros(6), outputs, ONE, mask)[0] == pytest.approx(expected)


def test_components_add_up() -> None:
    policy = MLPPolicy(np.zeros(8, np.float32), (1, 4), actions=MultiDiscrete((2, 2)))
    outputs = np.log([[1.0], [3.0], [4.0], [1.0]])
    found = formulas.log_prob(policy, np.zeros(8), outputs, np.array([[1], [0]]), NO_MASK)
    assert found[0] == pytest.approx(math.log(3 / 4) + math.log(4 / 5))


def test_a_gaussian_by_hand() -> None:
    policy = MLPPolicy(np.zeros(3, np.float32), (1, 1), actions=Box(-1.0, 1.0))
    theta, outputs, u = np.array([0.0, 0.0, math.log(2.0)]), np.array([[1.0]]), np.array([[4.0]])
    density = math.exp(-0.5 * 1.5**2) / (2 * math.sqrt(2 * math.pi))
    assert formulas.log_prob(policy, theta, outputs, u, NO_MASK)[0] == pytest.approx(math.log(density))
    plain = math.log(2) + 0.5 * math.log(2 * math.pi * math.e)
    assert formulas.entropy(policy, theta, outputs, ONE, NO_MASK)[0] == pytest.approx(plain)
    squashed = MLPPolicy(np.zeros(3, np.float32), (1, 1), actions=Box(-1.0, 1.0), squash=True)
    found = formulas.entropy(squashed, theta, outputs, np.array([[1.5]]), NO_MASK)[0]
    assert found == pytest.approx(plain + math.log(1 - math.tanh(4) ** 2))


def test_a_sigma_of_the_state_stays_within_its_bounds() -> None:
    policy = MLPPolicy(np.zeros(4, np.float32), (1, 2), actions=Box(-1.0, 1.0), std=STATE_DEPENDENT)
    _, log_std = formulas.mean_and_log_std(policy, np.zeros(4), np.array([[0.0, 0, 0], [-7.0, 1.0, 3.0]]))
    assert log_std.tolist() == [[-5.0, 1.0, 2.0]]


def test_advantages_by_hand() -> None:
    """Trajectory 0: two steps, terminal. Trajectory 1: one step, cut, then one that the batch's end cuts."""
    zeros = np.zeros(4, np.bool_)
    batch = Batch(
        obs=np.zeros((1, 4), np.float32),
        action=np.zeros(4, np.int32),
        reward=np.array([1.0, 10.0, 2.0, 20.0]),
        terminated=zeros | [False, False, True, False],
        truncated=zeros | [False, True, False, True],
        trajectory=np.array([0, 1, 0, 1], np.int32),
        num_trajectories=2,
        time=np.array([0, 0, 1, 0], np.int32),
        final_obs=np.zeros((1, 2), np.float32),
        final_sample=np.array([1, 3]),
    )
    value, final = np.array([4.0, 5.0, 6.0, 7.0]), np.array([100.0, 200.0])
    psi, target = formulas.advantages(batch, value, final, 0.5, 0.1)
    deltas = [1 + 0.5 * 6 - 4, 10 + 0.5 * 100 - 5, 2 - 6.0, 20 + 0.5 * 200 - 7]
    np.testing.assert_allclose(psi, [deltas[0] + 0.05 * deltas[2], *deltas[1:]])
    np.testing.assert_allclose(target, psi + value)


def test_clipping_keeps_the_direction() -> None:
    np.testing.assert_allclose(formulas.clipped(np.array([3.0, 4.0]), 1.0), [0.6, 0.8])
    np.testing.assert_allclose(formulas.clipped(np.array([3.0, 4.0]), 6.0), [3.0, 4.0])


def test_adam_is_its_recursion() -> None:
    gradients, first, second = np.random.default_rng(0).normal(size=(5, 3)), np.zeros(3), np.zeros(3)
    for g in gradients:
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
    expected = 0.3 * (first / (1 - 0.9**5)) / (np.sqrt(second / (1 - 0.999**5)) + 1e-8)
    np.testing.assert_allclose(formulas.adam(gradients, 0.3), expected)


def test_a_gradient_by_differences_is_the_score() -> None:
    policy = MLPPolicy(np.zeros(4, np.float32), (1, 2), actions=Discrete(2))
    ends, zeros = np.zeros(1, np.bool_), np.zeros(1, np.int32)
    obs, nothing = np.ones((1, 1), np.float32), np.empty(0, np.int64)
    batch = Batch(obs, zeros, np.zeros(1), ends, ends, zeros, zeros, obs[:, :0], nothing, 1)
    gradient, entropy = formulas.policy_gradient(policy, batch, np.array([2.0]), 0.0)
    np.testing.assert_allclose(gradient, [1.0, -1.0, 1.0, -1.0], atol=1e-9)
    assert entropy == pytest.approx(math.log(2))
