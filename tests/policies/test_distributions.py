"""Continuous distributions as Python sees them, against torch.distributions."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.policies.distributions import GaussianDistribution
from pgrad.spaces import Box

BOUNDS = Box((-2.0, 0.0), (2.0, 3.0))
LOW, HIGH = torch.tensor([-2.0, 0.0], dtype=torch.float64), torch.tensor([2.0, 3.0], dtype=torch.float64)
MEAN, LOG_STD = np.array([[0.3, -0.2], [-1.0, 2.0]]), np.array([[-0.5, 0.4], [0.1, -1.0]])


def reference(squash: bool) -> torch.distributions.Distribution:
    """The same of each component."""
    normal = torch.distributions.Normal(torch.tensor(MEAN), torch.tensor(np.exp(LOG_STD)))
    to_bounds = torch.distributions.AffineTransform((LOW + HIGH) / 2, (HIGH - LOW) / 2)
    tanh = [torch.distributions.TanhTransform()] if squash else []
    return torch.distributions.TransformedDistribution(normal, [*tanh, to_bounds])


def actions(count: int) -> npt.NDArray[np.float64]:
    """Actions that lie everywhere within the bounds, [count, 2, 2]."""
    share = np.random.default_rng(0).uniform(0.001, 0.999, (count, 2, 2))
    return LOW.numpy() + share * (HIGH - LOW).numpy()


@pytest.mark.parametrize("squash", [False, True])
def test_the_density_is_torchs(squash: bool) -> None:
    ours = GaussianDistribution(MEAN, LOG_STD, BOUNDS, squash)
    for action in actions(50):
        expected = reference(squash).log_prob(torch.tensor(action)).sum(-1)
        np.testing.assert_allclose(ours.log_prob(action), expected, rtol=1e-9)


def test_without_bounds_on_both_sides_an_action_is_the_number_drawn() -> None:
    """Nor where they leave no room, or are those of float32, which mean none."""
    bounds = Box((-np.inf, 0.0, 3.0, -3e38), (np.inf, np.inf, 3.0, 3e38))
    ours = GaussianDistribution(np.array([[0.5, 0.5, 0.5, 0.5]]), np.zeros((1, 4)), bounds, False)
    assert ours.mode().tolist() == [[0.5, 0.5, 3.0, 0.5]]
    assert ours.log_prob(np.full((1, 4), 0.5)) == pytest.approx(-2 * np.log(2 * np.pi))
    assert ours.entropy() == pytest.approx(2 * np.log(2 * np.pi * np.e))


def test_at_the_bounds_and_outside_a_squashed_density_is_zero() -> None:
    ours = GaussianDistribution(MEAN, LOG_STD, BOUNDS, True)
    for outside in ([-2.0, 1.0], [2.0, 1.0], [0.0, 3.0], [0.0, -0.1]):
        assert ours.log_prob(np.array([outside, [0.0, 1.0]])).tolist()[0] == -np.inf
        assert np.isfinite(ours.log_prob(np.array([outside, [0.0, 1.0]]))[1])


@pytest.mark.parametrize("squash", [False, True])
def test_the_entropy_is_the_mean_of_minus_the_log_density(squash: bool) -> None:
    """Integrated over u by the trapezoidal rule, which converges fast: the integrand is smooth and vanishes outside."""
    z = torch.linspace(-9, 9, 2001, dtype=torch.float64)[:, None, None]
    u = torch.tensor(MEAN) + torch.tensor(np.exp(LOG_STD)) * z
    normal = torch.distributions.Normal(torch.tensor(MEAN), torch.tensor(np.exp(LOG_STD)))
    log_density = normal.log_prob(u) - torch.log((HIGH - LOW) / 2)
    if squash:
        log_density = log_density - 2 * (np.log(2) - u - torch.nn.functional.softplus(-2 * u))
    expected = -torch.trapezoid(normal.log_prob(u).exp() * log_density, u, dim=0).sum(-1)
    ours = GaussianDistribution(MEAN, LOG_STD, BOUNDS, squash)
    np.testing.assert_allclose(ours.entropy(), expected, rtol=1e-6)
