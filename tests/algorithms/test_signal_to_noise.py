"""Signal to noise of gradient estimates: against numbers drawn with a known ratio, and as training records it."""

from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.algorithms.iteration import METRICS
from pgrad.algorithms.signal_to_noise import MEMORY, WAITING, new_signal, signal_to_noise, watch
from pgrad.kernels.gaussian import bound_of
from pgrad.kernels.heads import GaussianHead, GSDEHead, share_clipped


def begin(signal: Any, gradient: Any) -> None:
    signal.sums[WAITING] = 1.0
    watch(signal, np.asarray(gradient, np.float32))


@pytest.mark.parametrize("ratio", [0.0, 0.3, 4.0])
def test_the_ratio_is_that_of_the_mean_to_the_noise(ratio: float) -> None:
    """Gradients of 50 numbers with ‖mean‖² = ratio · (variance of the noise); 400 times the memory."""
    rng, signal, found = np.random.default_rng(0), new_signal(50), []
    mean = np.sqrt(ratio) * rng.choice([-1.0, 1.0], 50)
    for k in range(400 * MEMORY):
        begin(signal, 7.0 * (mean + rng.normal(size=50)))
        if k > 0:
            found.append(signal.sums.copy())
    product, square, _ = np.mean(found[MEMORY * 5 :], axis=0)
    assert product / (square - product) == pytest.approx(ratio, rel=0.03, abs=0.01)
    assert signal_to_noise(signal) == signal.sums[0] / (signal.sums[1] - signal.sums[0])


def test_two_gradients_by_hand() -> None:
    signal = new_signal(2)
    begin(signal, [3.0, 4.0])
    assert np.isnan(signal_to_noise(signal))
    begin(signal, [4.0, 3.0])
    np.testing.assert_allclose(signal.sums[:2] * MEMORY, [24.0, 25.0])
    assert signal_to_noise(signal) == pytest.approx(24.0)


def test_later_steps_of_an_iteration_and_gradients_that_are_not_finite_are_left_out() -> None:
    signal = new_signal(2)
    begin(signal, [3.0, 4.0])
    watch(signal, np.array([100.0, 0.0], np.float32))
    np.testing.assert_array_equal(signal.gradient, [3.0, 4.0])
    begin(signal, [np.inf, 0.0])
    assert (signal.sums[:2] == 0).all()


@pytest.mark.parametrize("kind", [GaussianHead, GSDEHead])
def test_the_share_of_clipped_actions_counts_numbers_outside_the_bounds(kind: Any) -> None:
    action = np.array([[-1.5, 0.0, 2.0, 9.0], [0.0, 3.0, -4.0, 9.0]], np.float32)
    nothing = np.empty(0, np.float32)
    bounds = bound_of(0.0, 4.0), bound_of(-np.inf, 2.0)
    head = kind(nothing, bounds, False, *([1] if kind is GSDEHead else []))
    assert share_clipped(head, action, 4) == 5 / 8 and share_clipped(head, action, 2) == 2 / 4
    assert np.isnan(share_clipped(head._replace(squash=True), action, 4))


def test_training_records_how_many_actions_are_clipped() -> None:
    settings = {"initial_std": 50.0, "normalize_obs": True, "total_steps": 256, "evaluation_episodes": 0}
    result = pgrad.train("Pendulum-v1", preset="none", **settings)  # type: ignore[arg-type]
    assert (result.seeds[0].history.metric("actions_clipped") > 0.9).all()


def test_training_records_what_its_first_steps_see() -> None:
    """PPO's ten steps on a batch count once."""
    found = {}
    for name, settings in {"actor-critic": {}, "ppo": {"num_envs": 4, "num_steps": 32, "num_minibatches": 1}}.items():
        result = pgrad.train(
            "CartPole-v1", algorithm=name, total_steps=256, evaluation_episodes=0, hidden=(), **settings
        )
        found[name] = dict(zip(METRICS, result.seeds[0].history.metrics.T, strict=True))
    for metrics in found.values():
        assert np.isnan(metrics["signal_to_noise"][0]) and np.isfinite(metrics["signal_to_noise"][1])
        assert np.isnan(metrics["actions_clipped"]).all() and (metrics["advantage_std"] > 0).all()
    assert found["ppo"]["advantage_std"][0] == found["actor-critic"]["advantage_std"][0]
