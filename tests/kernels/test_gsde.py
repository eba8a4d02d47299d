"""Noise that is linear in the observation: its variance, its weights' share of the gradient, and how long it is held.

Its gradient, Fisher matrix and divergence are among those of all heads (test_heads, tests/estimators).
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.kernels import gsde
from pgrad.policies.distributions import GSDE, gsde_log_std
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.actions import CompiledActor
from pgrad.spaces import Box

Array = npt.NDArray[Any]

LOG_STD = np.log(np.float32([[0.5, 2.0], [3.0, 0.1], [1.0, 0.2]]))  # of two features and the constant, by two numbers
OBS = np.float32([[2.0, 0.0, -1.0], [1.0, 0.0, 3.0]])  # [O, lanes]
VARIANCE = [[1.0 + 9.0 + 1.0, 1.0, 0.25 + 81.0 + 1.0], [16.0 + 0.01 + 0.04, 0.04, 4.0 + 0.09 + 0.04]]


def test_the_variance_is_a_sum_over_features() -> None:
    rows = np.concatenate([OBS, np.zeros((2, 3), np.float32)])
    np.testing.assert_allclose(gsde.variances(rows, LOG_STD.ravel(), 2, 3), VARIANCE, rtol=1e-6)
    expected = np.clip(np.log(VARIANCE).T / 2, -5, 2)
    np.testing.assert_allclose(gsde_log_std(LOG_STD.ravel(), OBS.T.astype(np.float64)), expected, rtol=1e-7)


def policy_of(noise_steps: int = 1, shift: float = 0.0) -> MLPPolicy:
    """A mean of zero: two layers of zeros."""
    parameters = np.concatenate([np.zeros(2 * 4 + 4 + 4 * 2 + 2, np.float32), LOG_STD.ravel() + np.float32(shift)])
    return MLPPolicy(parameters, (2, 4, 2), actions=Box(-1.0, 1.0, 2), std=GSDE, noise_steps=noise_steps)


def drawn(policy: MLPPolicy, obs: Array, steps: Array, greedy: bool = False) -> Array:
    """Actions as sampled, [D, N], all of one episode's key."""
    keys = np.full(len(obs), 11, np.uint64)
    return CompiledActor(policy.compiled, greedy)(obs.astype(np.float32), None, keys, steps.astype(np.int32))


@pytest.mark.parametrize("noise_steps", [1, 3, 16])
def test_noise_is_held_for_so_many_steps_from_an_episodes_start(noise_steps: int) -> None:
    steps = np.arange(48)
    noise = drawn(policy_of(noise_steps), np.ones((48, 2)), steps)
    for d in range(2):
        assert len(np.unique(noise[d])) == 48 // noise_steps
        for n in steps:
            assert noise[d, n] == noise[d, n - n % noise_steps]


def test_held_noise_is_linear_in_what_is_observed() -> None:
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(30, 2))
    noise = drawn(policy_of(100), obs, np.arange(30))
    features = np.column_stack([obs, np.ones(30)])
    weights, residual, *_ = np.linalg.lstsq(features, noise.T, rcond=None)
    assert residual.max() < 1e-10
    assert np.abs(weights).min() > 0.01


def test_the_greedy_action_has_no_noise() -> None:
    assert not drawn(policy_of(), np.ones((5, 2)), np.arange(5), greedy=True).any()


@pytest.mark.parametrize(("shift", "std"), [(-10.0, np.exp(-5.0)), (9.0, np.exp(2.0))])
def test_noise_keeps_within_the_bounds_of_sigma(shift: float, std: float) -> None:
    """Of 20,000 normal numbers the deviation has a standard error of 1/√40,000."""
    noise = drawn(policy_of(shift=shift), np.ones((20_000, 2)), np.arange(20_000))
    np.testing.assert_allclose(noise.std(axis=1) / std, 1, atol=4.5 / 200)


def test_policies_say_how_long_they_hold_it() -> None:
    held = policy_of(4)
    assert replace(held, noise_steps=2).compiled.head.noise_steps == 2
    assert held.log_std is not None
    np.testing.assert_array_equal(held.log_std.reshape(3, 2), LOG_STD)
